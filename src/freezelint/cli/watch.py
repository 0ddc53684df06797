"""`--watch`: check again whenever a file that could matter changes, until it is interrupted."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from freezelint.cli.shared import WrongUse
from freezelint.refused import missing

NAMES = ("freezelint.toml", "pyproject.toml", ".gitignore")


def watch(paths: Iterable[Path], check: Callable[[], int]) -> int:
    """Check now and after each change; the exit status of the last check once it is interrupted."""
    if importlib.util.find_spec("watchfiles") is None:
        raise WrongUse(missing("--watch", "watchfiles", "watch"))
    import watchfiles

    from freezelint import work
    from freezelint.static.project import NEVER_ENTERED, SUFFIXES

    def matters(change: object, name: str) -> bool:
        path = Path(name)
        return not NEVER_ENTERED & set(path.parts) and (path.name.endswith(SUFFIXES) or path.name in NAMES)

    folders = {path if path.is_dir() else path.parent for path in paths}
    status = check()
    _say()
    for _ in watchfiles.watch(*folders, watch_filter=matters, raise_interrupt=False):
        work.forget()
        try:
            status = check()
        except WrongUse as wrong:  # a configuration in the middle of being written
            wrong.show()
        _say()
    return status


def _say() -> None:
    sys.stdout.flush()
    print(f"{time.strftime('%H:%M:%S')} watching; interrupt to end", file=sys.stderr, flush=True)
