"""What the check of one file gives, and how those of several files come together. Needs no parser."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from freezelint.finding import Finding, Site
from freezelint.static.asked import Asked


@dataclass
class Checked:
    """What the check of one file gave. It depends on that file and on those it led to, not on what else is checked."""

    path: str
    findings: list[Finding] = field(default_factory=list)
    excused: set[tuple[str, Site]] = field(default_factory=set)  # what looks like a fault, and is none: rule, place
    made: set[tuple[str, str]] = field(default_factory=set)  # classes it makes an instance of, by file and name, and
    # `Net.fit` for one that it has a trainer with callbacks run
    alone: dict[tuple[str, str], list[Finding]] = field(default_factory=dict)  # true of what nobody makes
    asked: Asked = field(default_factory=Asked)


def together(results: Iterable[Checked]) -> list[Finding]:
    """The findings of some files that are checked together, in no order."""
    listed = list(results)
    made = {cls for one in listed for cls in one.made}
    return [
        finding
        for one in listed
        for findings in (one.findings, *(found for cls, found in one.alone.items() if cls not in made))
        for finding in findings
    ]
