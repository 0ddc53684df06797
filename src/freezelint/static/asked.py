"""What the check of one file asked of the disk besides that file: for the cache, which asks the same again.

A text that was read is asked for by its file. An import, and a library's version, are asked for by names in folders:
`utils.py` in the folder of the program, `utils/__init__.py` below it, and so on up to the project's top. What each name
is (nothing, a file, a folder) is kept, so that a file that comes later and shadows another one is noticed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from freezelint.static.folders import asks, listing, roots

NOTHING, FILE, FOLDER, OTHER, UNSURE = 0, 1, 2, 3, -1

# Where a project says of the versions of its libraries.
VERSIONED = ("requirements.txt", "pyproject.toml", "setup.py", "setup.cfg", "environment.yml", "environment.yaml")

Names = dict[str, dict[str, int]]  # of folders: what some names in each of them are


@dataclass
class Asked:
    """What was asked. Modules fill one of these for each file that is checked."""

    files: set[Path] = field(default_factory=set)  # whose text was read
    imports: set[tuple[str, str]] = field(default_factory=set)  # a name with its leading dots, the importer's folder
    versions: set[Path] = field(default_factory=set)  # folders of programs that depend on the version of a library

    def clear(self) -> None:
        """Forget it, once somebody has made use of it."""
        for each in (self.files, self.imports, self.versions):
            each.clear()


@dataclass(frozen=True)
class Rests:
    """What a result rests on, by path: texts, and folders with some names in them."""

    files: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()


class Ledger:
    """Turns what was asked into paths and names; many files ask the same."""

    def __init__(self) -> None:
        self.names: Names = {}
        self._folders: dict[tuple[str, str], frozenset[str]] = {}  # by import
        self._tops: dict[Path, tuple[frozenset[str], frozenset[str]]] = {}

    def rests(self, asked: Asked) -> Rests:
        """What a result rests on if this was asked for it."""
        files = {str(file) for file in asked.files}
        folders: set[str] = set()
        for name, folder in asked.imports:
            folders |= self._import(name, folder)
        for program in asked.versions:
            texts, around = self._versions(program)
            files |= texts
            folders |= around
        return Rests(frozenset(files), frozenset(folders))

    def _import(self, name: str, folder: str) -> frozenset[str]:
        if (name, folder) not in self._folders:
            self._folders[name, folder] = self._note(asks(name, Path(folder)))
        return self._folders[name, folder]

    def _versions(self, folder: Path) -> tuple[frozenset[str], frozenset[str]]:
        if folder not in self._tops:
            files = [top / name for top in roots(folder) for name in VERSIONED]
            around = self._note([*asks("", folder), *((str(file.parent), file.name) for file in files)])
            self._tops[folder] = frozenset(str(file) for file in files if file.is_file()), around
        return self._tops[folder]

    def _note(self, asks: Iterable[tuple[str, str]]) -> frozenset[str]:
        noted = set()
        for folder, name in asks:
            folder, name = _nearest(folder, name)
            noted.add(folder)
            names = self.names.setdefault(folder, {})
            if name not in names:
                names[name] = _seen(folder, name)
        return frozenset(noted)


def _nearest(folder: str, name: str) -> tuple[str, str]:
    """Instead of a name in a folder that is not there: the first name on the way to it that is missing."""
    while not os.path.isdir(folder):
        above, below = os.path.split(folder)
        if above == folder:
            break
        folder, name = above, below
    return folder, name


def _seen(folder: str, name: str) -> int:
    """What a name was when it was asked for; UNSURE when that changed in the meantime."""
    if name not in listing(folder):
        return NOTHING
    return kind(os.path.join(folder, name)) or UNSURE


def kind(path: str) -> int:
    """What a path leads to."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return OTHER if os.path.islink(path) else NOTHING
    return FILE if stat.S_ISREG(mode) else FOLDER if stat.S_ISDIR(mode) else OTHER


def kinds(folder: str, names: Iterable[str]) -> Iterator[tuple[str, int]]:
    """What names in a folder are now."""
    try:
        there = set(os.listdir(folder))
    except OSError:
        there = set()
    for name in names:
        yield name, kind(os.path.join(folder, name)) if name in there else NOTHING
