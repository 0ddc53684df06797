"""What a report is made of: the outcome of one check, and the interface of a format."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from freezelint.finding import Finding, Severity, Site

# Each name is a module of this package with a function `render(report, style)`.
FORMATS = ("text", "json", "sarif", "github", "gitlab", "junit", "markdown", "html")

# Where the page of a rule is, relative to the project.
RULE_PAGE = "docs/rules/{}.md"


def no_lines(site: Site) -> Sequence[str]:
    """The lines around a site whose file is not at hand."""
    return ()


def at_least_a_warning(finding: Finding) -> bool:
    """What fails where nothing was configured."""
    return finding.severity >= Severity.WARNING


@dataclass(frozen=True)
class Suppressed:
    """A finding that counts for nothing: by a "comment" in its file, or by the "baseline"."""

    finding: Finding
    by: str
    reason: str = ""


@dataclass(frozen=True)
class Fixed:
    """What the baseline lists and is found no longer."""

    rule: str
    path: str


@dataclass(frozen=True)
class Page:
    """What a report can tell of a rule, or of a notice, which has neither group nor severity."""

    slug: str
    summary: str
    group: str = ""
    severity: Severity | None = None
    text: str = ""
    markdown: str = ""


@dataclass(frozen=True)
class Report:
    """The outcome of one check. `lines_of` gives the lines of the file (or cell) that a site lies in, or none."""

    findings: Sequence[Finding]
    files: int = 0
    suppressed: Sequence[Suppressed] = ()
    lines_of: Callable[[Site], Sequence[str]] = no_lines
    pages: Mapping[str, Page] = field(default_factory=dict)  # of the rules that were applied, by slug
    fixed: Sequence[Fixed] = ()
    fails: Callable[[Finding], bool] = at_least_a_warning  # does it make the exit status 1?
    checked: Collection[str] = ()  # the paths of the files
    excused: frozenset[tuple[str, Site]] = frozenset()  # (rule, place): looked at, and right after all

    @property
    def failed(self) -> bool:
        """Whether something was found that makes the exit status 1."""
        return any(map(self.fails, self.findings))

    def statistics(self) -> list[tuple[str, int]]:
        """How often each rule fired, the most frequent first."""
        return sorted(Counter(f.rule for f in self.findings).items(), key=lambda item: (-item[1], item[0]))


def identities(findings: Iterable[Finding]) -> Iterator[tuple[Finding, str]]:
    """Findings with a name that no other finding of the report has, and that stays the same when lines move."""
    met: Counter[str] = Counter()
    for finding in findings:
        met[finding.fingerprint] += 1
        count = met[finding.fingerprint]
        yield finding, finding.fingerprint if count == 1 else f"{finding.fingerprint}-{count}"


def place(site: Site) -> str:
    """`path:line:column`, with the cell in between for a notebook; not yet escaped."""
    cell = "" if site.cell is None else f":cell {site.cell}"
    return f"{site.path}{cell}:{site.line}:{site.column}"


def told(finding: Finding) -> str:
    """The message with its condition."""
    return f"{finding.message} (when {finding.when})" if finding.when else finding.message


def in_cell(site: Site) -> str:
    """What a message begins with where a format knows of files and lines only: a line of a cell is none of the file."""
    return "" if site.cell is None else f"cell {site.cell}, line {site.line}: "


def how_to_fix(finding: Finding) -> str:
    """The fix in words, with the options that make it; empty when there is none."""
    if finding.fix is None:
        return ""
    how = "--fix" if finding.fix.applicability == "safe" else "--fix --unsafe-fixes, for it changes training"
    return f"{finding.fix.message} ({how})"


@dataclass(frozen=True)
class Style:
    """How a format for people looks; formats for programs pay no heed to it."""

    color: bool = False
    brief: bool = False  # one line a finding, no source, no summary
    statistics: bool = False
    columns: int = 0  # of the terminal, 0 where there is none


Render = Callable[[Report, Style], Iterator[str]]


def renderer(name: str) -> Render:
    """The function that writes one of FORMATS, as pieces of text that end where their lines end."""
    render: Render = importlib.import_module(f"freezelint.report.{name}").render
    return render
