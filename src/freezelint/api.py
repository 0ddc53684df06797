"""One check, from paths to a report: discover, read, analyse, suppress, filter, put in order."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache as remembered
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from freezelint import suppress, work
from freezelint.config import Config, Settings, group_of
from freezelint.finding import Finding, Site, by_cause, in_order, one_story, place_of
from freezelint.notices import INTERNAL_ERROR, NOTICES, UNUSED_SUPPRESSION
from freezelint.pages import Pages
from freezelint.report.base import Report, Suppressed
from freezelint.static.checked import together
from freezelint.static.notebook import relocate
from freezelint.static.project import Real, Source, discover, read
from freezelint.survey import survey, survey_repository
from freezelint.work import Batch, Progress, Reader, Trace

if TYPE_CHECKING:
    from freezelint.cache import Cache

__all__ = ["Report", "check", "check_text", "survey", "survey_repository"]


def check(
    paths: Iterable[Path],
    config: Settings,
    *,
    jobs: int = 1,
    trace: Trace | None = None,
    progress: Progress = work.no_progress,
    instead: Mapping[str, Source] = MappingProxyType({}),
    cache: Cache | None = None,
) -> Report:
    """Check files and folders. The report depends neither on `jobs` nor on `cache`; tracing needs one process.

    `instead` holds, by real path, what some files are to be taken for, whatever is on disk; it needs one process, too.
    """
    real_path = Real()
    files = list(discover(paths, config, real_path=real_path))
    slugs = _slugs(files, config)
    if trace is None and not instead:
        places = work.places(files, real_path)
        return _report(work.results(places, slugs, jobs, progress, cache), config, slugs, len(files))

    def look(file: Path) -> Source | Finding:
        return instead.get(os.path.realpath(file)) or read(file)

    batch = work.analyse(work.in_turn(files, progress, look), slugs, trace, look)
    return _report(batch, config, slugs, len(files), look)


def check_text(source: Source | Finding, config: Settings, *, trace: Trace | None = None) -> Report:
    """Check text that is not on disk under the name it has there, such as an editor's unsaved file."""
    file = Path(source.path if isinstance(source, Source) else source.site.path)
    slugs = _slugs([file], config)

    def look(other: Path) -> Source | Finding:
        return source if str(other) == str(file) else read(other)

    return _report(work.analyse([source], slugs, trace), config, slugs, 1, look)


def _slugs(files: Iterable[Path], config: Settings) -> frozenset[str]:
    """Every rule that is switched on for one of the files."""
    settings = {config.within(Path(folder)) for folder in {os.path.dirname(file) for file in files}}
    return frozenset(slug for one in settings for slug in one.slugs())


def _report(batch: Batch, config: Settings, slugs: frozenset[str], files: int, look: Reader = read) -> Report:
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

    @remembered
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
        Pages(slugs),
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
    return by_cause(_best_told(kept.values()))


def _best_told(findings: Collection[Finding]) -> Iterator[Finding]:
    """Without what another finding tells more of, though it was seen from another file."""
    from freezelint.trace.check import rule_of

    there: dict[str, list[Finding]] = {}
    for finding in findings:
        there.setdefault(finding.rule, []).append(finding)
    for slug, listed in there.items():
        rule = rule_of(slug)
        others = [other for better in (rule.yields_to if rule else ()) for other in there.get(better, ())]
        yield from (one for one in listed if not any(one_story(one, other) for other in others))


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
    by_settings: dict[Config, dict[str, suppress.Suppressions]] = {}
    for path, suppressions in comments.items():
        if suppressions.directives:
            by_settings.setdefault(config.within(Path(path).parent), {})[path] = suppressions
    for settings, told in by_settings.items():
        if settings.wants(UNUSED_SUPPRESSION):
            from freezelint.trace.check import catalogue

            known = {*catalogue(), *NOTICES}
            active = {slug for slug in known if settings.wants(slug, group_of(slug))}
            yield from suppress.unused(told, outcome, known=known, active=active)


def _wanted(finding: Finding, config: Config) -> bool:
    group = group_of(finding.rule)
    if not config.wants(finding.rule, group):
        return False
    ignored = config.ignored_in(Path(finding.site.path)) if config.per_file_ignores else frozenset()
    return finding.rule == INTERNAL_ERROR or not ignored & {finding.rule, group}
