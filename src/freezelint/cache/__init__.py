"""What was found before, kept in the project, so that only what changed is checked again.

A folder `.freezelint_cache` beside the project's configuration holds one book for each way of checking: version of
freezelint, of Python and of the parser, choice of rules, working directory. `book.py` says what a result rests on and
how it is known to hold; `coding.py` how findings are written down. Nothing here ever fails a check: what cannot be
read, or is not as it was written, counts for nothing, and what cannot be written is left.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path

from freezelint import __version__
from freezelint.cache.book import Book

NAME = ".freezelint_cache"
BOOKS = 16  # the newest ones stay
BYTES = 100_000_000  # of all books together

_TOP = ("freezelint.toml", "pyproject.toml", "setup.py", "setup.cfg", ".git", ".hg")
_OURS = {
    ".gitignore": "# Made by freezelint.\n*\n",
    "CACHEDIR.TAG": "Signature: 8a477f597d28d172789f06886806bc55\n# Made by freezelint; https://bford.info/cachedir/\n",
}


def where(folder: Path) -> Path:
    """Where the cache of the project around a folder is: at its top, or in the working directory if there is none."""
    start = os.path.abspath(folder)
    here = start
    while not any(os.path.lexists(os.path.join(here, name)) for name in _TOP):
        above = os.path.dirname(here)
        if above == here:
            return Path(os.getcwd(), NAME)
        here = above
    return Path(here, NAME)


class Cache:
    """The cache in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # A link that came with a project could lead anywhere. Who names a folder knows where that is.
        self._foreign = folder.name == NAME and folder.is_symlink()

    def book(self, chosen: Iterable[str]) -> Book:
        """What is known of checks with these rules."""
        made_by = (__version__, *sys.version_info, sys.platform, *_state("freezelint"), *_state("libcst"))
        parts = (*map(str, made_by), os.getcwd(), *sorted(chosen))
        key = blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
        book = Book(self.folder / f"{key}.json", key)
        if not self._foreign:
            book.open()
        return book

    def prepare(self) -> bool:
        """Make the folder, out of which nothing gets into the project's history. Whether there is one."""
        if self._foreign:
            return False
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name, text in _OURS.items():
                if not (self.folder / name).exists():
                    (self.folder / name).write_text(text, encoding="ascii")
        except OSError:
            return False
        return True

    def tidy(self) -> None:
        """Remove the books that were not written for longest, once there are too many."""
        room = BYTES
        for number, (_, size, path) in enumerate(sorted(self._books(), reverse=True)):
            room -= size
            if number >= BOOKS or (room < 0 and number):
                with contextlib.suppress(OSError):
                    os.unlink(path)

    def size(self) -> tuple[int, int]:
        """How many books there are, and their bytes."""
        sizes = [size for _, size, _ in self._books()]
        return len(sizes), sum(sizes)

    def clean(self) -> bool:
        """Remove the cache and what else freezelint put beside it; whether anything was there."""
        found = False
        if self._foreign:
            return found
        for path in [*(path for _, _, path in self._books()), *(str(self.folder / name) for name in _OURS)]:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
                found = True
        with contextlib.suppress(OSError):  # gone already, or somebody keeps something else in there
            self.folder.rmdir()
        return found

    def _books(self) -> list[tuple[int, int, str]]:
        """When each book was written, its size and its path; those that were never finished, too."""
        found = []
        with contextlib.suppress(OSError), os.scandir(self.folder) as listing:
            for entry in listing:
                if (entry.name.endswith(".json") or ".json." in entry.name) and entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    found.append((status.st_mtime_ns, status.st_size, entry.path))
        return found


def _state(package: str) -> list[str]:
    """What an installed package is known by: its sources, wherever they are; of what is compiled the size."""
    spec = find_spec(package)
    if spec is None or not spec.origin:
        return []
    top = os.path.dirname(spec.origin)
    told, pending = [], [top]
    for folder in pending:  # grows as it is walked
        with os.scandir(folder) as listing:
            for entry in listing:
                if entry.is_dir():
                    if package == "freezelint" and entry.name != "__pycache__":
                        pending.append(entry.path)
                elif entry.name.endswith((".py", ".gz")):
                    with open(entry.path, "rb") as file:
                        told.append(f"{entry.path[len(top) :]} {blake2b(file.read(), digest_size=12).hexdigest()}")
                elif entry.name.endswith((".so", ".pyd")):
                    told.append(f"{entry.name} {entry.stat().st_size}")
    return sorted(told)
