"""One file of the cache: what was found in each file of a project, and everything that this rests on.

A file or folder is looked at twice, if need be. The first look is at its times and size: where they are as they were,
nothing is read. The second is at what it holds: the text of a file, the names in a folder that were asked for.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from freezelint.finding import Finding
from freezelint.static.asked import VERSIONED, Names, Rests, kinds
from freezelint.static.project import Source, read

FORMAT = 1
ENTRIES = 50_000  # files that a book tells of
FRESH = 2_000_000_000  # nanoseconds; what changed so lately can change again and keep its times

Look = tuple[int, int, int]
UNSEEN: Look = (0, 0, 0)
MIXED = "?"  # the digest of a file that changed while it was read


def digest(source: Source | Finding) -> str:
    """What a text is known by: of a notebook the program in its cells, of what cannot be read the reason."""
    if isinstance(source, Finding):
        return f"!{source.message}"
    what = blake2b(source.text.encode("utf-8", "surrogatepass"), digest_size=16)
    if source.cells:
        what.update(repr(source.cells).encode())
    return what.hexdigest()


def digest_of(path: str) -> str:
    """What the text in a file is known by now."""
    if os.path.basename(path) not in VERSIONED or path.endswith(".py"):
        return digest(read(Path(path)))
    try:
        return blake2b(Path(path).read_bytes(), digest_size=16).hexdigest()
    except OSError:
        return ""


class Witness:
    """Reads files, and remembers the digests of what it read."""

    def __init__(self, look: Callable[[Path], Source | Finding]) -> None:
        self.digests: dict[str, str] = {}
        self._look = look

    def __call__(self, file: Path) -> Source | Finding:
        """What is in a file."""
        found = self._look(file)
        path, seen = os.path.abspath(file), digest(found)
        self.digests[path] = seen if self.digests.get(path, seen) == seen else MIXED
        return found


@dataclass
class Fresh:
    """What was found out anew of a file: its result, packed, and what that rests on."""

    shown: str
    real: str
    rests: Rests
    told: dict[str, Any]


@dataclass
class Book:
    """What is known of the files of a project, by their absolute paths, as it was when the book was opened."""

    path: Path
    key: str
    started: int = field(default_factory=time.time_ns)
    _files: list[list[Any]] = field(default_factory=list)  # path, times and size, digest
    _folders: list[list[Any]] = field(default_factory=list)  # path, times, names
    _entries: dict[str, list[Any]] = field(default_factory=dict)  # shown, real, files, folders, result
    _same: tuple[dict[int, bool], dict[int, bool]] = field(default_factory=lambda: ({}, {}))
    _refreshed: bool = False

    def open(self) -> None:
        """Read the book. One that is damaged, or of another make, is as good as none."""
        try:
            data = self.path.read_bytes()
        except OSError:
            return
        head, _, body = data.partition(b"\n")
        if head != self._head(body):
            return
        try:
            told = json.loads(body)
            self._files, self._folders, self._entries = told["files"], told["folders"], told["entries"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return

    def _head(self, body: bytes) -> bytes:
        return f"freezelint cache {FORMAT} {self.key} {blake2b(body, digest_size=16).hexdigest()}".encode()

    # What is known ---------------------------------------------------------------------------------------------------

    def known(self, wanted: Mapping[str, tuple[str, str]]) -> dict[str, dict[str, Any]]:
        """The results that still hold, packed, of files: by absolute path the name they are shown by, the real path."""
        found: dict[str, dict[str, Any]] = {}
        for path, (shown, real) in wanted.items():
            entry = self._entries.get(path)
            if entry is not None and entry[0] == shown and entry[1] == real and self._holds(entry):
                found[path] = entry[4]
        return found

    def _holds(self, entry: list[Any]) -> bool:
        return all(map(self._same_file, entry[2])) and all(map(self._same_folder, entry[3]))

    def _same_file(self, number: int) -> bool:
        same = self._same[0].get(number)
        if same is None:
            state = self._files[number]
            look = _look(state[0])
            same = look != UNSEEN and list(look) == state[1:4]
            if not same and digest_of(state[0]) == state[4]:
                same, look = True, self._settled(look)
                self._refreshed |= look != UNSEEN
                state[1:4] = look
            self._same[0][number] = same
        return same

    def _same_folder(self, number: int) -> bool:
        same = self._same[1].get(number)
        if same is None:
            path, *before, names = state = self._folders[number]
            look = _look(path)
            same = look != UNSEEN and list(look) == before
            if not same and all(names[name] == now for name, now in kinds(path, names)):
                same = True  # it is listed again next time, which costs less than to write this down
                state[1:4] = self._settled(look)
            self._same[1][number] = same
        return same

    def _settled(self, look: Look) -> Look:
        """A look that can be relied upon: what has just been written may be written again at the same moment."""
        return look if max(look[:2]) < self.started - FRESH else UNSEEN

    # What is new -----------------------------------------------------------------------------------------------------

    def close(self, fresh: Mapping[str, Fresh], digests: Mapping[str, str], names: Names) -> bool:
        """Write down what is new. Whether anything had to be written; a failure is nobody's loss."""
        if not fresh and not self._refreshed:
            return False
        now, changed = self._texts(fresh, digests)
        around, altered = self._around(fresh, names)
        kept = {
            path: ([self._files[n][0] for n in entry[2]], [self._folders[n][0] for n in entry[3]], entry)
            for path, entry in self._entries.items()
            if path not in fresh and os.path.lexists(path)
        }
        kept = {path: one for path, one in kept.items() if changed.isdisjoint(one[0]) and altered.isdisjoint(one[1])}
        rows: dict[str, list[Any]] = {}
        texts, folders = _Numbers(), _Numbers()
        for path, (on, below, entry) in list(kept.items())[-max(ENTRIES - len(fresh), 0) :]:
            rows[path] = [entry[0], entry[1], texts.of(on), folders.of(below), entry[4]]
        for path, one in list(fresh.items())[-ENTRIES:]:
            if all(now[file][1] != MIXED for file in (path, *one.rests.files)):
                on = [path, *sorted(one.rests.files - {path})]
                rows[path] = [one.shown, one.real, texts.of(on), folders.of(sorted(one.rests.folders)), one.told]
        body = json.dumps(
            {
                "files": [[path, *now[path][0], now[path][1]] for path in texts.known],
                "folders": [[path, *around[path][0], around[path][1]] for path in folders.known],
                "entries": rows,
            },
            separators=(",", ":"),
        ).encode("ascii")
        from freezelint import files

        try:
            files.replace(self.path, self._head(body) + b"\n" + body)
        except OSError:  # full, read-only, or gone
            return False
        return True

    def _texts(
        self, fresh: Mapping[str, Fresh], digests: Mapping[str, str]
    ) -> tuple[dict[str, tuple[Look, str]], set[str]]:
        """The state of every file that is told of, and which of them are not as the book had them."""
        now: dict[str, tuple[Look, str]] = {}
        changed: set[str] = set()
        numbers = {state[0]: number for number, state in enumerate(self._files)}
        for path, number in numbers.items():
            _, *look, known = self._files[number]
            now[path] = (look[0], look[1], look[2]), known
            if self._same[0].get(number) is False:
                changed.add(path)
        for path in {path for key, one in fresh.items() for path in (key, *one.rests.files)}:
            if path in numbers and path not in changed:
                known = self._files[numbers[path]][4]
                if digests[path] == known if path in digests else self._same_file(numbers[path]):
                    continue
            now[path] = self._settled(_look(path)), digests.get(path) or digest_of(path)
            changed.add(path)
        return now, changed

    def _around(self, fresh: Mapping[str, Fresh], names: Names) -> tuple[dict[str, tuple[Look, Any]], set[str]]:
        """The same of folders."""
        now: dict[str, tuple[Look, Any]] = {}
        altered: set[str] = set()
        asked = {path for one in fresh.values() for path in one.rests.folders}
        numbers = {state[0]: number for number, state in enumerate(self._folders)}
        for path in asked & numbers.keys():
            self._same_folder(numbers[path])
        for path, number in numbers.items():
            _, *look, known = self._folders[number]
            if self._same[1].get(number) is False:
                altered.add(path)
                look, known = list(self._settled(_look(path))), dict(kinds(path, known))
            now[path] = (look[0], look[1], look[2]), known
        for path in asked:
            told = now.get(path)
            if told is None:
                now[path] = self._settled(_look(path)), names[path]
            elif any(told[1].get(name, seen) != seen for name, seen in names[path].items()):
                altered.add(path)
                now[path] = self._settled(_look(path)), {**told[1], **names[path]}
            else:
                told[1].update(names[path])
        return now, altered


@dataclass
class _Numbers:
    """Paths, numbered in the order in which they are first met."""

    known: dict[str, int] = field(default_factory=dict)

    def of(self, paths: Iterable[str]) -> list[int]:
        return [self.known.setdefault(path, len(self.known)) for path in paths]


def _look(path: str) -> Look:
    """The times and the size of a file or folder."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return UNSEEN
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size
