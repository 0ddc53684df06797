"""One check, from paths to a report: discover, read, analyse, suppress, filter, put in order."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from freezelint import suppress
from freezelint.config import Config, Settings, group_of
from freezelint.finding import Finding, Severity, Site, by_cause, in_order, place_of
from freezelint.notices import INTERNAL_ERROR, NOTICES, UNUSED_SUPPRESSION
from freezelint.pages import pages
from freezelint.report.base import Report, Suppressed
from freezelint.static.checked import Checked, together
from freezelint.static.notebook import Cell, relocate
from freezelint.static.project import Source, discover, display_path, read

if TYPE_CHECKING:
    from freezelint.trace.check import Rule

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

    def add(self, other: Batch) -> None:
        """Take in what analysing other files gave."""
        self.results += other.results
        self.notices += other.notices
        self.comments |= other.comments
        self.cells |= other.cells


def _no_progress(number: int, total: int, file: Path) -> None:
    """Nobody asked how far it is."""


def check(
    paths: Iterable[Path],
    config: Settings,
    *,
    jobs: int = 1,
    trace: Trace | None = None,
    progress: Progress = _no_progress,
    instead: Mapping[str, Source] = MappingProxyType({}),
) -> Report:
    """Check files and folders. The report does not depend on `jobs`; tracing needs one process.

    `instead` holds, by real path, what some files are to be taken for, whatever is on disk; it needs one process, too.
    """
    files = list(discover(paths, config))
    rules = _rules(files, config)
    if jobs > 1 and len(files) > 1 and trace is None and not instead:
        batch = _in_processes(files, rules, jobs, progress)
        return _report(batch, config, rules, len(files))

    def look(file: Path) -> Source | Finding:
        return instead.get(os.path.realpath(file)) or read(file)

    batch = _analyse(_read_in_turn(files, progress, look), rules, trace, look)
    return _report(batch, config, rules, len(files), look)


def _read_in_turn(files: Sequence[Path], progress: Progress, look: Reader) -> Iterator[Source | Finding]:
    for number, file in enumerate(files, 1):
        progress(number, len(files), file)
        yield look(file)


def check_text(source: Source | Finding, config: Settings, *, trace: Trace | None = None) -> Report:
    """Check text that is not on disk under the name it has there, such as an editor's unsaved file."""
    file = Path(source.path if isinstance(source, Source) else source.site.path)
    rules = _rules([file], config)

    def look(other: Path) -> Source | Finding:
        return source if str(other) == str(file) else read(other)

    return _report(_analyse([source], rules, trace), config, rules, 1, look)


def _rules(files: Iterable[Path], config: Settings) -> dict[str, Rule]:
    """Every rule that is switched on for one of the files."""
    rules: dict[str, Rule] = {}
    for settings in {config.within(folder) for folder in {file.parent for file in files}}:
        rules |= settings.rules()
    return dict(sorted(rules.items()))


def _analyse(
    readings: Iterable[Source | Finding], rules: dict[str, Rule], trace: Trace | None, look: Reader = read
) -> Batch:
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
                yield reading

    readable = sources()
    first = next(readable, None)
    if first is None:
        return batch  # nothing to parse: the parser is not even imported
    try:
        from freezelint.fixes.ways import mend
        from freezelint.static.analyse import analyse

        batch.results += analyse(_chained(first, readable), rules, trace=trace, mend=mend, read=look)
    except Exception as error:
        batch.notices.append(_internal_error(latest, error))
        for _ in readable:  # files that were not reached still have to be readable
            pass
    return batch


def _chained(first: Source, rest: Iterator[Source]) -> Iterator[Source]:
    yield first
    yield from rest


def _in_processes(files: Sequence[Path], rules: Collection[str], jobs: int, progress: Progress) -> Batch:
    """Analyse stretches of the list side by side. Imports are followed on disk, so no stretch needs another."""
    size = max(1, -(-len(files) // (jobs * 4)))
    stretches = [files[start : start + size] for start in range(0, len(files), size)]
    whole = Batch()
    with ProcessPoolExecutor(min(jobs, len(stretches))) as pool:
        pending = [(stretch, pool.submit(_analyse_files, stretch, tuple(rules))) for stretch in stretches]
        for number, (stretch, future) in enumerate(pending):
            progress(number * size + 1, len(files), stretch[0])
            whole.add(_result(stretch, future))
    return whole


def _analyse_files(files: Sequence[Path], slugs: Collection[str]) -> Batch:
    """The work of one process. Rules hold functions, so they travel by name."""
    from freezelint.trace.check import all_rules

    rules = {slug: rule for slug, rule in all_rules().items() if slug in slugs}
    return _analyse((read(file) for file in files), rules, None)


def _result(files: Sequence[Path], future: Future[Batch]) -> Batch:
    try:
        return future.result()
    except BrokenProcessPool as error:
        return Batch(notices=[_internal_error(display_path(file), error) for file in files])


def _internal_error(path: str, error: Exception) -> Finding:
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    return Finding(INTERNAL_ERROR, Severity.ERROR, f"{what}{where}: {REPORT_IT}", Site(path, 1, 1, 1, 1))


def _report(batch: Batch, config: Settings, rules: dict[str, Rule], files: int, look: Reader = read) -> Report:
    checked = dict(batch.comments)
    # A file that was only followed through an import is spoken for by its own comments, too; and it may be excluded.
    found = _once([*batch.notices, *together(batch.results)])
    findings = [f for f in found if f.site.path in checked or not _excluded(f, config)]
    followed = {f.site.path for f in findings} - checked.keys()
    comments = checked | {path: _comments_of(look(Path(path))) for path in followed}
    outcome = suppress.apply(findings, comments)
    kept = outcome.kept + list(_unused(checked, outcome, config))

    def settings(finding: Finding) -> Config:
        return config.within(Path(finding.site.path).parent)

    def shown(finding: Finding) -> bool:
        return finding.severity >= settings(finding).severity and _wanted(finding, settings(finding))

    def placed(finding: Finding) -> Finding:
        cells = batch.cells.get(finding.site.path)
        return relocate(finding, cells) if cells else finding

    @cache
    def lines_in(path: str, number: int | None) -> Sequence[str]:
        source = look(Path(path))
        if not isinstance(source, Source):
            return ()
        cell = next((c for c in source.cells if c.number == number), None)
        return source.lines[cell.first - 1 : cell.last] if cell else source.lines

    return Report(
        in_order(placed(finding) for finding in kept if shown(finding)),
        files,
        [
            Suppressed(placed(finding), "comment", comment.reason)
            for finding, comment in sorted(outcome.suppressed, key=lambda pair: place_of(pair[0]))
            if shown(finding)
        ],
        lambda site: lines_in(site.path, site.cell),
        pages(rules),
        fails=lambda finding: finding.severity >= settings(finding).fail_on,
        checked=frozenset(checked),
        excused=frozenset(place for one in batch.results for place in one.excused),
    )


def _once(findings: Iterable[Finding]) -> list[Finding]:
    """One finding for each rule and place, though several files may lead there: the one that asks for least."""
    kept: dict[tuple[str, Site], Finding] = {}
    for finding in findings:
        key = (finding.rule, finding.site)
        kept[key] = min(kept.get(key, finding), finding, key=_asks)
    return by_cause(kept.values())


def _asks(finding: Finding) -> tuple[object, ...]:
    """How much a finding asks for; no two that differ are equal, so that the order of files makes no difference."""
    return (
        finding.when is not None,
        finding.when or "",
        finding.message,
        len(finding.related),
        [(step, step.message) for step in finding.related],
        repr((finding.fix, finding.about, finding.severity)),
    )


def _excluded(finding: Finding, config: Settings) -> bool:
    path = Path(finding.site.path)
    return finding.rule != INTERNAL_ERROR and config.within(path.parent).excludes(path)


def _comments_of(source: Source | Finding) -> suppress.Suppressions:
    return suppress.parse(source.text) if isinstance(source, Source) else suppress.NOTHING


def _unused(
    comments: dict[str, suppress.Suppressions], outcome: suppress.Outcome, config: Settings
) -> Iterator[Finding]:
    from freezelint.trace.check import all_rules

    known = {*all_rules(), *NOTICES}
    by_settings: dict[Config, dict[str, suppress.Suppressions]] = {}
    for path, suppressions in comments.items():
        if suppressions.directives:
            by_settings.setdefault(config.within(Path(path).parent), {})[path] = suppressions
    for settings, told in by_settings.items():
        if settings.wants(UNUSED_SUPPRESSION):
            active = {slug for slug in known if settings.wants(slug, group_of(slug))}
            yield from suppress.unused(told, outcome, known=known, active=active)


def _wanted(finding: Finding, config: Config) -> bool:
    group = group_of(finding.rule)
    if not config.wants(finding.rule, group):
        return False
    ignored = config.ignored_in(Path(finding.site.path)) if config.per_file_ignores else frozenset()
    return finding.rule == INTERNAL_ERROR or not ignored & {finding.rule, group}
