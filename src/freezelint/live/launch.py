"""Running somebody's script under the recorder, in place, and ending it once enough was seen."""

from __future__ import annotations

import builtins
import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType, ModuleType, TracebackType
from typing import Any, NoReturn

import torch

from freezelint.live import ranks, sites
from freezelint.live.factory import FactoryError
from freezelint.live.ranks import Together
from freezelint.live.recorder import Recorder
from freezelint.live.visits import Visits
from freezelint.trace.check import Rule

PATIENCE = 4  # times the wanted steps that one optimizer may take while another has not yet had its own
WAIT = 30.0  # seconds that a program may go on after its steps, for lines of findings that did not run yet
GRACE = 5.0  # seconds a program may take to end once it was told to


class Stop(BaseException):
    """Ends the watched program. No Exception, so that its own `except Exception` lets it pass."""


@dataclass(frozen=True)
class Limits:
    """When to end the program: after `steps` of every optimizer (`until` steps); when the findings' lines have run,
    too, or WAIT is over (reached); after a lap and `steps` of the next (epoch); or never (end)."""

    steps: int = 3
    until: str = "steps"
    timeout: float | None = None


@dataclass
class Ran:
    """How the program went."""

    recorder: Recorder
    visits: Visits
    stopped_by: str = "end"
    error: BaseException | None = None
    seconds: float = 0.0
    epochs: int = 0
    together: Together | None = None  # with the other processes of the program
    raised_at: set[tuple[str, int]] = field(default_factory=set)  # lines of the user on the way of an exception

    @property
    def failed(self) -> bool:
        """Whether the program ended by an error of its own."""
        return self.error is not None and self.stopped_by == "error"

    @property
    def device(self) -> str:
        """Where the parameters were."""
        return ", ".join(sorted(self.recorder.measures.devices)) or "no device"

    @property
    def overhead(self) -> float:
        """The share of the time that went into watching."""
        return self.recorder.spent / self.seconds if self.seconds else 0.0


class Launch:
    """One run of a script."""

    def __init__(
        self,
        rules: Iterable[Rule],
        lines: Mapping[str, Iterable[int]],
        limits: Limits,
        *,
        trace: Callable[[str], None] | None = None,
        finish: Callable[[Ran], int] = lambda ran: 0,
    ) -> None:
        self.recorder = Recorder(rules, trace=trace, on_step=self._stepped)
        self.limits = limits
        self.ran = Ran(self.recorder, Visits(lines, lambda: self.recorder.steps, self._reached))
        self._finish = finish
        self._status: int | None = None
        self._process, self._folder = os.getpid(), os.getcwd()
        sites.begin_in(self._folder)
        self._steps_at_epoch: dict[int, int] | None = None
        self._steps_at_line: dict[int, int] = {}  # when the line of a finding was run for the first time
        self._waiting_since: float | None = None
        self._stopping = False

    # Ending ---------------------------------------------------------------------------------------------------------

    def _stepped(self, recorder: Recorder) -> None:
        if os.getpid() != self._process:
            return
        if self._stopping or self._enough(recorder):
            self._stop(self.ran.stopped_by if self._stopping else "steps")

    def _enough(self, recorder: Recorder) -> bool:
        if self.limits.until == "end":
            return False
        if self.limits.until == "epoch":
            return self._steps_at_epoch is not None and self._taken_since(self._steps_at_epoch)
        if self.limits.until == "steps" or ranks.here().count > 1:  # ranks have to end at the same step
            return self._taken_since({})
        if not self._taken_since(self._steps_at_line):
            return False
        now = time.perf_counter()
        self._waiting_since = self._waiting_since or now
        return not self.ran.visits.outstanding or now - self._waiting_since > WAIT

    def _taken_since(self, start: Mapping[int, int]) -> bool:
        """Whether the optimizers took the steps that are wanted since each had taken so many."""
        wanted, taken = self.limits.steps, self._taken()
        counts = [count - start.get(number, 0) for number, count in taken.items()]
        return min(counts, default=0) >= wanted or max(counts, default=0) >= wanted * PATIENCE

    def _taken(self) -> dict[int, int]:
        return {number: held.steps for number, held in self.recorder.optimizers.items()}

    def _reached(self, place: tuple[str, int]) -> None:
        if self._taken_since({}):  # late: what follows from it is in the steps to come
            self._steps_at_line, self._waiting_since = self._taken(), None
        self.recorder.rouse(place)

    def _stop(self, why: str) -> NoReturn:
        self._stopping, self.ran.stopped_by = True, why
        raise Stop(why)

    def _end_of_epoch(self) -> None:
        if self._steps_at_epoch is None and self.recorder.steps:
            self._steps_at_epoch = self._taken()
        self.ran.epochs += 1

    # Running --------------------------------------------------------------------------------------------------------

    def script(self, path: str, arguments: Sequence[str]) -> int:
        """Run a file as `python path arguments` would, and return the exit status that the report gives."""
        with open(path, "rb") as file:
            source = file.read()
        module = ModuleType("__main__")
        module.__dict__.update({"__file__": path, "__builtins__": builtins, "__cached__": None})

        def body() -> None:
            exec(self.ran.visits.compile(source, path), module.__dict__)

        with _as_main(module, path, arguments):
            return self.call(body)

    def call(self, body: Callable[[], Any]) -> int:
        """Run something under the recorder, however it ends, and report."""
        ran, started = self.ran, time.perf_counter()
        with self._exits_watched(), self._timed(), self._epochs_watched():
            ran.visits.start()
            self.recorder.start()
            try:
                body()
            except Stop:
                pass
            except SystemExit as ending:
                ran.stopped_by = "stop" if self._stopping else "sys.exit"
                ran.error = ending
                _remember_lines(ran, ending.__traceback__)
            except KeyboardInterrupt as ending:
                ran.stopped_by, ran.error = "KeyboardInterrupt", ending
            except BaseException as error:
                if not self._stopping:
                    ran.stopped_by, ran.error = "error", error
                    _remember_lines(ran, error.__traceback__)
                    _show(error)
            ran.seconds = time.perf_counter() - started
            return self._report()

    def _report(self) -> int:
        """Stop watching and report; once, whoever gets here first."""
        if self._status is None:
            self._status = 2
            os.chdir(self._folder)  # findings are named relative to where the program was started
            self.recorder.stop()
            self.ran.visits.stop()
            rank = ranks.here()
            if rank.count > 1:
                self.ran.together = ranks.meet(self.ran, rank)
            # Another status than 0 of one rank makes the launcher end the others, the reporting one too.
            self._status = self._finish(self.ran) if rank.reports else 0
        return self._status

    @contextlib.contextmanager
    def _exits_watched(self) -> Iterator[None]:
        """os._exit ends a process without any cleaning up: report before it does."""
        original, started = os._exit, time.perf_counter()

        def _exit(status: int) -> NoReturn:
            if os.getpid() == self._process:
                self.ran.stopped_by, self.ran.seconds = "os._exit", time.perf_counter() - started
                status = self._report()
                _flush()
            original(status)

        os._exit = _exit
        try:
            yield
        finally:
            os._exit = original

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        """End the program after the time limit, by force if it does not listen."""
        seconds = self.limits.timeout
        if seconds is None:
            yield
            return
        started, done, leave = time.perf_counter(), threading.Event(), os._exit
        main = threading.get_ident()
        can_signal = hasattr(signal, "pthread_kill") and threading.current_thread() is threading.main_thread()

        def told(number: int, frame: FrameType | None) -> None:
            self._stop("timeout")

        def watch() -> None:
            if done.wait(seconds):
                return
            self._stopping, self.ran.stopped_by = True, "timeout"
            if can_signal:
                signal.pthread_kill(main, signal.SIGALRM)
            if not done.wait(GRACE):
                self.ran.seconds = time.perf_counter() - started
                status = self._report()
                _flush()
                leave(status)

        before = signal.signal(signal.SIGALRM, told) if can_signal else None
        threading.Thread(target=watch, daemon=True, name="freezelint timeout").start()
        try:
            yield
        finally:
            done.set()
            if can_signal:
                signal.signal(signal.SIGALRM, before)

    @contextlib.contextmanager
    def _epochs_watched(self) -> Iterator[None]:
        """A DataLoader that has run out after some steps ends an epoch."""
        if self.limits.until != "epoch":
            yield
            return
        from torch.utils.data import dataloader

        original, launch = dataloader._BaseDataLoaderIter.__next__, self

        def __next__(self: Any) -> Any:
            try:
                return original(self)
            except StopIteration:
                launch._end_of_epoch()
                raise

        dataloader._BaseDataLoaderIter.__next__ = __next__
        try:
            yield
        finally:
            dataloader._BaseDataLoaderIter.__next__ = original


@contextlib.contextmanager
def _as_main(module: ModuleType, path: str, arguments: Sequence[str]) -> Iterator[None]:
    """What Python sets up for a script: its arguments, its folder on the path, `__main__`."""
    kept, folder = (sys.argv, list(sys.path), sys.modules["__main__"]), os.getcwd()
    sys.argv = [path, *arguments]
    own = os.path.dirname(os.path.abspath(sys.argv[0]))  # the entry that Python made for freezelint itself
    if sys.path and sys.path[0] in ("", os.getcwd(), own):
        del sys.path[0]
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    sys.modules["__main__"] = module
    try:
        yield
    finally:
        sys.argv, sys.path[:], sys.modules["__main__"] = kept
        os.chdir(folder)


def _remember_lines(ran: Ran, trace: TracebackType | None) -> None:
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        if sites.is_user_code(filename):
            ran.raised_at.add((sites.display(filename), trace.tb_lineno))
        trace = trace.tb_next


def _show(error: BaseException) -> None:
    """The program's own traceback, without the frames of freezelint that it was started from."""
    trace = error.__traceback__
    while trace is not None and not sites.is_user_code(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    _flush()
    if isinstance(error, FactoryError):
        print(f"freezelint: {error}", file=sys.stderr)
        return
    traceback.print_exception(type(error), error, trace or error.__traceback__)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


TORCH = torch.__version__
