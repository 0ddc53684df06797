"""What a report is made of: the outcome of one check, and the interface of a format."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from freezelint.finding import Finding, Severity, Site

# Each name is a module of this package with a function `render(report, style)`.
FORMATS = ("text", "json")

# Where the page of a rule is, relative to the project.
RULE_PAGE = "docs/rules/{}.md"


def no_lines(site: Site) -> Sequence[str]:
    """The lines around a site whose file is not at hand."""
    return ()


@dataclass(frozen=True)
class Report:
    """The outcome of one check. `lines_of` gives the lines of the file (or cell) that a site lies in, or none."""

    findings: Sequence[Finding]
    files: int = 0
    suppressed: int = 0
    lines_of: Callable[[Site], Sequence[str]] = no_lines

    @property
    def worst(self) -> Severity | None:
        """The highest severity found."""
        return max((finding.severity for finding in self.findings), default=None)

    def statistics(self) -> list[tuple[str, int]]:
        """How often each rule fired, the most frequent first."""
        return sorted(Counter(f.rule for f in self.findings).items(), key=lambda item: (-item[1], item[0]))


@dataclass(frozen=True)
class Style:
    """How a format for people looks; formats for programs pay no heed to it."""

    color: bool = False
    brief: bool = False  # one line a finding, no source, no summary
    statistics: bool = False


Render = Callable[[Report, Style], Iterator[str]]


def renderer(name: str) -> Render:
    """The function that writes one of FORMATS, as pieces of text that end where their lines end."""
    render: Render = importlib.import_module(f"freezelint.report.{name}").render
    return render
