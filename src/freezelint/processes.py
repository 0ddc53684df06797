"""Processes that share work, and end with the one that started them. Slow to import, so only who needs them does."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any


class Pool(ProcessPoolExecutor):
    """Processes that end with this one, however that ends."""

    def __init__(self, number: int) -> None:
        super().__init__(number, initializer=_begin)

    def begin(self, work: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Submit some work; what is refused because a process has died fails like the work of that process."""
        try:
            return self.submit(work, *arguments)
        except BrokenProcessPool as error:
            refused: Future[Any] = Future()
            refused.set_exception(error)
            return refused

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self.shutdown()
            return
        for process in list((getattr(self, "_processes", None) or {}).values()):
            process.kill()  # what it works on is of no use to anybody
        self.shutdown(wait=False, cancel_futures=True)


class Pools(Executor):
    """A pool of processes, and another one when one of them dies. What was lost with it fails."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._pool = Pool(number)

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future[Any]:
        """Submit some work."""
        try:
            return self._pool.submit(work, *arguments, **more)
        except BrokenProcessPool:
            self._pool.shutdown(wait=False)
            self._pool = Pool(self._number)
            return self._pool.submit(work, *arguments, **more)

    def __exit__(self, *ending: Any) -> None:
        self._pool.__exit__(*ending)


def _begin() -> None:
    """Leave an interruption to the process that started this one, and end when that is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
