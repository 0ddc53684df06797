"""How far a long check is, on a terminal and nowhere else: one line on standard error, which is gone at the end."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from types import TracebackType

from freezelint.report.escape import printable, width

# Seconds before a check counts as long, and between two looks at it.
PATIENCE = 1.0
PAUSE = 0.1


class Progress:
    """Told of every file before it is read."""

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted and sys.stderr.isatty()
        self._next = time.monotonic() + PATIENCE
        self._shown = False

    def __call__(self, number: int, total: int, file: Path) -> None:
        """File `number` of `total` is next."""
        now = time.monotonic()
        if self.wanted and now >= self._next:
            self._next = now + PAUSE
            self._shown = True
            line = printable(f"checking {number} of {total}: {file}")
            while width(line) >= shutil.get_terminal_size().columns:
                line = line[:-8]
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
