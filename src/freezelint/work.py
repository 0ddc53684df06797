"""From files to results: what is known of them, and for the others the analysis, in one process or in several."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from freezelint import suppress
from freezelint.finding import Finding, Severity, Site
from freezelint.notices import INTERNAL_ERROR
from freezelint.static.asked import UNSURE, Names, Rests
from freezelint.static.checked import Checked
from freezelint.static.notebook import Cell
from freezelint.static.prefilter import idle
from freezelint.static.project import Real, Source, display_path, read, shown

if TYPE_CHECKING:
    from freezelint.cache import Cache
    from freezelint.cache.book import Book, Fresh
    from freezelint.finding import Fix
    from freezelint.trace.repair import Repair

Trace = Callable[[str], None]
Reader = Callable[[Path], "Source | Finding"]
Progress = Callable[[int, int, Path], None]  # the number of a file, of how many, and which

REPORT_IT = "this is a fault of freezelint, please report it"


@dataclass
class Batch:
    """What analysing some files gave, and the suppression comments by file (also of files with none)."""

    results: list[Checked] = field(default_factory=list)
    notices: list[Finding] = field(default_factory=list)  # of files that could not be checked
    comments: dict[str, suppress.Suppressions] = field(default_factory=dict)
    cells: dict[str, tuple[Cell, ...]] = field(default_factory=dict)  # of notebooks
    # For the cache: what the results rest on, by the name of the file; what was read; what names in folders were.
    rests: dict[str, Rests] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    names: Names = field(default_factory=dict)

    def add(self, other: Batch) -> None:
        """Take in what analysing other files gave."""
        self.results += other.results
        self.notices += other.notices
        self.comments |= other.comments
        self.cells |= other.cells
        self.rests |= other.rests
        for path, seen in other.digests.items():
            self.digests[path] = _agreed(self.digests.get(path, seen), seen)
        for folder, names in other.names.items():
            mine = self.names.setdefault(folder, {})
            for name, kind in names.items():
                mine[name] = kind if mine.get(name, kind) == kind else UNSURE


def _agreed(digest: str, other: str) -> str:
    from freezelint.cache.book import MIXED

    return digest if digest == other else MIXED


def forget() -> None:
    """Look at the disk again: in a program that goes on running, files come and go."""
    if "freezelint.static.modules" in sys.modules:
        from freezelint.static import folders

        folders.forget()


def no_progress(number: int, total: int, file: Path) -> None:
    """Nobody asked how far it is."""


@dataclass(frozen=True)
class Place:
    """Where a file is, and what it is called: its absolute path, its real path, and the name that findings use."""

    path: str
    real: str
    shown: str


Places = Mapping[Path, Place]


def places(files: Iterable[Path], real_path: Real) -> Places:
    """Where some files are."""
    here, found = os.getcwd(), {}
    for file in files:
        path = os.path.normpath(os.path.join(here, file))
        found[file] = Place(path, real_path(file), shown(path, here))
    return found


def results(files: Places, slugs: Collection[str], jobs: int, progress: Progress, cache: Cache | None = None) -> Batch:
    """What there is to say of some files, which are read from disk."""
    if cache is None:
        return _anew(list(files), slugs, jobs, progress, noted=False)
    book = cache.book(slugs)
    batch, rest = _known(book, files)
    if rest:
        new = _anew(rest, slugs, jobs, progress, noted=True)
        if cache.prepare() and book.close(_fresh(new, (files[file] for file in rest)), new.digests, new.names):
            cache.tidy()
        batch.add(new)
    else:
        book.close({}, {}, {})
    return batch


def _known(book: Book, files: Places) -> tuple[Batch, list[Path]]:
    """What still holds of what was found before, and the files of which nothing is known."""
    from freezelint.cache.coding import cells_of, unpacked

    known = book.known({place.path: (place.shown, place.real) for place in files.values()})
    batch, rest = Batch(), []
    for file, place in files.items():
        told = known.get(place.path)
        if told is None:
            rest.append(file)
            continue
        batch.comments[place.shown] = suppress.NOTHING
        if told:
            batch.results.append(unpacked(place.shown, told))
            batch.cells[place.shown] = cells_of(told)
            if "marked" in told:
                source = read(file)
                batch.comments[place.shown] = suppress.parse(source.text if isinstance(source, Source) else "")
    return batch, rest


def _fresh(new: Batch, files: Iterable[Place]) -> dict[str, Fresh]:
    """What was found out anew, as it is written down. A fault of freezelint is not."""
    from freezelint.cache.book import Fresh
    from freezelint.cache.coding import packed

    by_name = {place.shown: place for place in files}
    fresh = {}
    for one in new.results:
        if not any(finding.rule == INTERNAL_ERROR for finding in one.findings):
            place, marked = by_name[one.path], new.comments[one.path] is not suppress.NOTHING
            told = packed(one, new.cells.get(one.path, ()), marked)
            fresh[place.path] = Fresh(place.shown, place.real, new.rests[one.path], told)
    return fresh


def _anew(files: Sequence[Path], slugs: Collection[str], jobs: int, progress: Progress, *, noted: bool) -> Batch:
    if jobs > 1 and len(files) > 1:
        return _in_processes(files, slugs, jobs, progress, noted)
    return _analyse_files(files, slugs, noted, progress)


def _analyse_files(
    files: Sequence[Path], slugs: Collection[str], noted: bool, progress: Progress = no_progress
) -> Batch:
    """The work of one process. Rules hold functions, so they travel by name."""
    if not noted:
        return analyse(in_turn(files, progress, read), slugs)
    from freezelint.cache.book import Witness
    from freezelint.static.asked import Ledger

    look, ledger = Witness(read), Ledger()
    batch = analyse(in_turn(files, progress, look), slugs, look=look)
    batch.rests = {one.path: ledger.rests(one.asked) for one in batch.results}
    batch.digests, batch.names = look.digests, ledger.names
    for one in batch.results:
        one.asked.clear()
    return batch


def in_turn(files: Sequence[Path], progress: Progress, look: Reader) -> Iterator[Source | Finding]:
    """The files, read one after the other."""
    for number, file in enumerate(files, 1):
        progress(number, len(files), file)
        yield look(file)


def analyse(
    readings: Iterable[Source | Finding], slugs: Collection[str], trace: Trace | None = None, look: Reader = read
) -> Batch:
    """What there is to say of some texts; `look` gives the files that they import."""
    batch = Batch()
    latest = "."

    def sources() -> Iterator[Source]:
        nonlocal latest
        for reading in readings:
            if isinstance(reading, Finding):
                batch.notices.append(reading)
                batch.comments[reading.site.path] = suppress.NOTHING
            else:
                latest = reading.path
                batch.comments[reading.path] = suppress.parse(reading.text)
                if reading.cells:
                    batch.cells[reading.path] = reading.cells
                if idle(reading.text):
                    batch.results.append(Checked(reading.path))
                else:
                    yield reading

    readable = sources()
    first = next(readable, None)
    if first is None:
        return batch  # nothing to parse: the parser is not even imported
    try:
        from freezelint.static.analyse import analyse
        from freezelint.trace.check import all_rules

        rules = {slug: rule for slug, rule in all_rules().items() if slug in slugs}
        batch.results += analyse(_chained(first, readable), rules, trace=trace, mend=_mend, read=look)
    except Exception as error:
        batch.notices.append(_internal_error(latest, error))
        for _ in readable:  # files that were not reached still have to be readable
            pass
    return batch


def _mend(repair: Repair, site: object) -> Fix | None:
    """The fix that a rule describes. Most checks ask for none, and need not import the ways there are."""
    from freezelint.fixes.ways import mend

    return mend(repair, site)


def _chained(first: Source, rest: Iterator[Source]) -> Iterator[Source]:
    yield first
    yield from rest


def _in_processes(files: Sequence[Path], slugs: Collection[str], jobs: int, progress: Progress, noted: bool) -> Batch:
    """Analyse stretches of the list side by side. Imports are followed on disk, so no stretch needs another."""
    from freezelint.processes import Pool

    size = max(1, -(-len(files) // (jobs * 4)))
    stretches = [files[start : start + size] for start in range(0, len(files), size)]
    whole = Batch()
    lost: list[Path] = []
    try:
        with Pool(min(jobs, len(stretches))) as pool:
            pending = [(stretch, pool.begin(_analyse_files, stretch, tuple(slugs), noted)) for stretch in stretches]
            for number, (stretch, future) in enumerate(pending):
                progress(number * size + 1, len(files), stretch[0])
                try:
                    whole.add(future.result())
                except Exception:  # its process died, by one of the files or by want of memory
                    lost += stretch
    except (OSError, ImportError, NotImplementedError):  # processes cannot be started here
        return _analyse_files(files, slugs, noted, progress)
    for file in lost:
        try:
            with Pool(1) as pool:
                whole.add(pool.begin(_analyse_files, [file], tuple(slugs), noted).result())
        except Exception as error:
            whole.notices.append(_internal_error(display_path(file), error))
    return whole


def _internal_error(path: str, error: Exception) -> Finding:
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    return Finding(INTERNAL_ERROR, Severity.ERROR, f"{what}{where}: {REPORT_IT}", Site(path, 1, 1, 1, 1))
