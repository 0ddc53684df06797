"""`--fix` and `--diff`: which fixes are made, the check of what they lead to, and the writing.

Nothing is taken on trust. The files with their fixes are checked again before anything is written, together with what
imports them: a fix whose finding stays, or that leads to another one, is left out, and told with the reason.
"""

from __future__ import annotations

import io
import os
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from freezelint import api, files, suppress
from freezelint.config import Settings
from freezelint.finding import Edit, Finding
from freezelint.fixes import edits as editing
from freezelint.report.base import Report, place
from freezelint.static.project import Source, decode, opened

SAFE = "safe"
MOST_STEPS = 3  # of fixes that one fix asks for
SAME = "an equal line is suppressed, or in the baseline"
CHANGED = "the file has changed since it was read"

Key = tuple[str, str, int | None, int]  # rule, path, cell, line


class Unwritable(ValueError):
    """Why a file cannot be written, in words that follow `not fixed:`."""


@dataclass(frozen=True)
class Draft:
    """One file: its bytes when the fixes were planned, and the text that it is to have."""

    path: str
    data: bytes
    encoding: str
    before: str
    text: str

    @cached_property
    def source(self) -> Source:
        """What it is checked as."""
        source = Source(self.path, self.text)
        if self.path.endswith(".ipynb"):
            program = opened(source)
            if not isinstance(program, Source):
                raise Unwritable("the notebook would be broken")
            return program
        return source

    def after(self, edits: Iterable[Edit]) -> Draft:
        try:
            text = editing.applied(self.text, edits, self.path.endswith(".ipynb"))
            if text.encode(self.encoding).decode(self.encoding) != text:
                raise Unwritable(f"its encoding, {self.encoding}, has no such text")
        except UnicodeError:
            raise Unwritable(f"its encoding, {self.encoding}, has no such text") from None
        except editing.Clash as clash:
            raise Unwritable(str(clash)) from None
        return replace(self, text=text)

    @cached_property
    def guarded(self) -> frozenset[tuple[int | None, int]]:
        """The lines, by cell, of statements that a suppression comment speaks for."""
        source = self.source
        comments = suppress.parse(source.text)
        targets = {d.target for d in comments.directives if d.target is not None and not d.fault}
        lines = {n for start, end in comments.statements for n in range(start, end + 1) if _meets(start, end, targets)}
        if not source.cells:
            return frozenset((None, line) for line in lines)
        return frozenset((c.number, n - c.first + 1) for c in source.cells for n in lines if c.first <= n <= c.last)


def _meets(start: int, end: int, targets: Iterable[int]) -> bool:
    return any(start <= target <= end for target in targets)


@dataclass
class Plan:
    """What is to be written, the findings that go with it, and those whose fix is left out, with why."""

    drafts: dict[str, Draft] = field(default_factory=dict)
    fixed: list[Finding] = field(default_factory=list)
    left: list[tuple[Finding, str]] = field(default_factory=list)

    @property
    def changes(self) -> list[Draft]:
        """The files that differ from what they were."""
        return [draft for _, draft in sorted(self.drafts.items()) if draft.text != draft.before]

    def diff(self) -> Iterator[str]:
        for draft in self.changes:
            yield from editing.diff(draft.path, draft.before, draft.text)

    def write(self) -> list[str]:
        """Write the changes, each file whole or not at all; the paths of those written."""
        written = []
        for draft in self.changes:
            try:
                self._write(draft)
                written.append(draft.path)
            except (OSError, Unwritable) as error:
                why = str(error) if isinstance(error, Unwritable) else f"cannot be written: {error.strerror or error}"
                self.left += [(finding, why) for finding in self.fixed if finding.site.path == draft.path]
                self.fixed = [finding for finding in self.fixed if finding.site.path != draft.path]
        return written

    @staticmethod
    def _write(draft: Draft) -> None:
        path = Path(draft.path)
        if path.read_bytes() != draft.data:
            raise Unwritable(CHANGED)
        if not os.access(path, os.W_OK):
            raise Unwritable("the file is read-only")
        files.replace(path, draft.text.encode(draft.encoding))


def plan(report: Report, config: Settings, *, unsafe: bool = False) -> Plan:
    """The fixes of a report that hold, whichever way they come together; a second plan after them finds nothing."""
    return _Planner(report, config, unsafe).plan()


class _Planner:
    def __init__(self, report: Report, config: Settings, unsafe: bool) -> None:
        from freezelint.static.imports import Graph

        self.graph = Graph()
        self.config = config
        self.unsafe = unsafe
        self.made = Plan()
        self.wanted = [f for f in report.findings if self._allowed(f)]
        self.known = {one.finding.fingerprint for one in report.suppressed}
        self.checked = {os.path.realpath(path): path for path in report.checked}
        self.why: dict[str, dict[Key, tuple[Finding, str]]] = {}  # by file, what was tried and left out

    def _allowed(self, finding: Finding) -> bool:
        return finding.fix is not None and (self.unsafe or finding.fix.applicability == SAFE)

    def plan(self) -> Plan:
        named = set(self.checked.values())
        paths: dict[str, None] = {}
        for finding in self.wanted:
            path = finding.site.path
            if path not in named or any(edit.path != path for edit in finding.fix.edits):  # type: ignore[union-attr]
                self.made.left.append((finding, "outside of what is checked"))
            elif path not in paths:
                try:
                    self.made.drafts[path] = _draft(path)
                    paths[path] = None
                except (OSError, Unwritable) as error:
                    self.made.left.append((finding, str(error)))
        scopes = {path: self._scope(path) for path in paths}
        again = True
        while again:  # what is made in one file may be what another waits for
            again = any([self._mend(path, scope) for path, scope in scopes.items()])
        for path in paths:
            self.made.left += self.why[path].values()
        # Not by fingerprint: of a few files the condition of a finding may be another one than of them all.
        told = {_told(finding) for finding in (*self.made.fixed, *(finding for finding, _ in self.made.left))}
        for finding in self.wanted:
            if _told(finding) not in told:
                self.made.left.append((finding, SAME if finding.fingerprint in self.known else CHANGED))
        return self.made

    def _scope(self, path: str) -> list[Path]:
        """A file, and those among the checked ones that lead to it."""
        real = os.path.realpath(path)
        above = self.graph.importers(map(Path, self.checked), [Path(real)])
        return [Path(path), *(Path(self.checked[str(file)]) for file in above if str(file) in self.checked)]

    def _mend(self, path: str, scope: Sequence[Path]) -> bool:
        """Make what can be made in one file; whether that is anything."""
        before = self._findings(scope, {})
        why: dict[Key, tuple[Finding, str]] = {}
        changed, together = False, True
        while True:
            open_ones = [f for f in before if f.site.path == path and self._open(f) and _key(f) not in why]
            group = _apart(open_ones) if together else open_ones[:1]
            if not group:
                self.why[path] = why
                return changed
            after, reason = self._try(path, scope, group, before)
            if after is not None:
                self.made.fixed += group
                before, changed, why = after, True, {}
            elif len(group) > 1:
                together = False
            else:
                why[_key(group[0])] = (group[0], reason)

    def _open(self, finding: Finding) -> bool:
        return self._allowed(finding) and finding.fingerprint not in self.known

    def _try(
        self, path: str, scope: Sequence[Path], group: Sequence[Finding], before: Sequence[Finding]
    ) -> tuple[list[Finding] | None, str]:
        """The findings once these fixes are made, or why they are not.

        What a fix leads to is mended along with it, where that can be done: a filter for an optimizer that is given
        parameters which are frozen at last.
        """
        draft, why = self.made.drafts[path], ""
        steps: list[list[Edit]] = []
        todo = list(group)
        while len(steps) < MOST_STEPS:
            steps.append([edit for finding in todo if finding.fix for edit in finding.fix.edits])
            try:
                draft = self._edited(draft, steps[-1])
            except Unwritable as error:
                return None, why or str(error)
            after = self._findings(scope, {path: draft})
            reason, added = _worse(group, steps, before, after)
            if not reason:
                self.made.drafts[path] = draft
                return after, ""
            why, todo = why or reason, _apart(added)
            if not added or len(todo) < len(added) or any(f.site.path != path or not self._open(f) for f in added):
                break
        return None, why

    @staticmethod
    def _edited(draft: Draft, edits: Sequence[Edit]) -> Draft:
        from freezelint.fixes.ways import readable

        if any((edit.cell, line) in draft.guarded for edit in edits for line in _lines(edit)):
            raise Unwritable("a suppression comment stands there")
        new = draft.after(edits)
        if not readable(new.source.text):
            raise Unwritable("the file would be no valid Python")
        return new

    def _findings(self, scope: Sequence[Path], other: dict[str, Draft]) -> list[Finding]:
        drafts = self.made.drafts | other
        instead = {os.path.realpath(path): draft.source for path, draft in drafts.items()}
        return list(api.check(scope, self.config, instead=instead).findings)


def _draft(path: str) -> Draft:
    data = Path(path).read_bytes()
    source = decode(data, path)
    if not isinstance(source, Source):
        raise Unwritable(source.message)
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    if source.text.encode(encoding) != data:
        raise Unwritable(f"its encoding, {encoding}, would not give back the same bytes")
    return Draft(path, data, encoding, source.text, source.text)


def _key(finding: Finding) -> Key:
    site = finding.site
    return finding.rule, site.path, site.cell, site.line


def _told(finding: Finding) -> tuple[str, str, int | None, str]:
    """What stays the same of a finding while lines move."""
    return finding.rule, finding.site.path, finding.site.cell, " ".join(finding.source_line.split())


def _lines(edit: Edit) -> Iterable[int]:
    """The lines that an edit changes; a line that is added below another leaves that one as it is."""
    if (edit.line, edit.column) == (edit.end_line, edit.end_column) and edit.text.startswith(("\r", "\n")):
        return ()
    return range(edit.line, edit.end_line + 1)


def _apart(findings: Iterable[Finding]) -> list[Finding]:
    """Findings whose fixes touch no line of each other's."""
    chosen: list[Finding] = []
    taken: list[Edit] = []
    for finding in findings:
        edits = finding.fix.edits if finding.fix else ()
        if not editing.overlap(taken, edits):
            chosen.append(finding)
            taken += edits
    return chosen


def _worse(
    group: Sequence[Finding], steps: Sequence[Sequence[Edit]], before: Iterable[Finding], after: Iterable[Finding]
) -> tuple[str, list[Finding]]:
    """Why the fixes of a group are not made, and what they lead to; empty when all is well."""
    added = []
    there = Counter(map(_key, before))
    left: Counter[Key] = Counter()
    told = {key for finding in before for key in _story(finding)}
    for finding in after:
        rule, path, cell, line = _key(finding)
        for edits in reversed(steps):
            line = _line_before(edits, path, cell, line)
        key = (rule, path, cell, line)
        left[key] += 1
        if key not in told or (left[key] > there[key] and there[key]):
            added.append(finding)
    if added:
        return f"it would lead to {added[0].rule} in {place(added[0].site)}: {added[0].message}", added
    for key, number in Counter(map(_key, group)).items():
        if left[key] > there[key] - number:
            return "the finding would stay", []
    return "", []


def _story(finding: Finding) -> Iterator[Key]:
    for site in (finding.site, *finding.related):
        yield finding.rule, site.path, site.cell, site.line


def _line_before(edits: Iterable[Edit], path: str, cell: int | None, line: int) -> int:
    """The line that a line after some edits was before them."""
    shift = 0
    for edit in sorted((e for e in edits if (e.path, e.cell) == (path, cell)), key=lambda e: (e.line, e.column)):
        grown = edit.text.count("\n") + edit.text.count("\r") - edit.text.count("\r\n")
        first = edit.line + shift
        if line < first:
            break
        if line <= first + grown:
            return min(edit.line + line - first, edit.end_line)
        shift += grown - (edit.end_line - edit.line)
    return line - shift
