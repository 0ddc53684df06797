"""What freezelint says: a Finding, at a Site, with the sites of its story. Knows neither libcst nor torch."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace


class Severity(enum.IntEnum):
    """How bad a finding is; ordered, so that `severity >= WARNING` reads as it should."""

    INFO = 1
    WARNING = 2
    ERROR = 3

    def __str__(self) -> str:
        return self.name.lower()

    @classmethod
    def parse(cls, text: str) -> Severity:
        """The severity called `text`; ValueError when there is none."""
        try:
            return cls[text.upper()]
        except KeyError:
            raise ValueError(f"unknown severity {text!r}: use error, warning or info") from None


@dataclass(frozen=True, order=True)
class Site:
    """A stretch of source. Lines and columns are 1-based, `end_column` is exclusive; `cell` is a 0-based code cell."""

    path: str
    line: int
    column: int = 1
    end_line: int = 0
    end_column: int = 0
    cell: int | None = None
    message: str = field(default="", compare=False)

    def note(self, message: str) -> Site:
        """The same place with a word on what happened there."""
        return replace(self, message=message)


@dataclass(frozen=True)
class Edit:
    """Replace what stands between two places of one file (as in Site) by `text`."""

    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    text: str
    cell: int | None = None


@dataclass(frozen=True)
class Fix:
    """A change that mends a finding; `applicability` is "safe" or "unsafe"."""

    applicability: str
    message: str
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One fault, placed on the line that the user has to change.

    `related` tells the story in order (frozen here, optimizer built there); `when` names the condition under which
    the fault exists, or is None when it always does; `confirm` says how to see it at run time.
    """

    rule: str
    severity: Severity
    message: str
    site: Site
    related: tuple[Site, ...] = ()
    when: str | None = None
    confirm: str = ""
    fix: Fix | None = None
    source_line: str = ""
    about: Site | None = None  # the cause that this is a sign of; findings of one rule about one cause are told as one

    @property
    def fingerprint(self) -> str:
        """An identity that survives moved lines and cells: rule, file and the text of the line, not its number."""
        return _hash(self.rule, self.site.path, " ".join(self.source_line.split()), self.when or "")

    @property
    def content(self) -> str:
        """What is left of the fingerprint when the file is renamed."""
        return _hash(self.rule, " ".join(self.source_line.split()), self.when or "")


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Findings as every report lists them."""
    return sorted(findings, key=place_of)


def place_of(finding: Finding) -> tuple[str, int, int, int, str, str]:
    """What findings are ordered by: path, cell, place, rule."""
    site = finding.site
    return site.path, -1 if site.cell is None else site.cell, site.line, site.column, finding.rule, finding.message


def one_story(one: Finding, other: Finding) -> bool:
    """Whether the place of one finding is part of the other's story."""
    return one.site in (other.site, other.about, *other.related) or other.site in (one.site, one.about, *one.related)


def by_cause(findings: Iterable[Finding]) -> list[Finding]:
    """One finding for each rule and cause: the first in the order of reports, with the other places in its story."""
    told: dict[object, Finding] = {}
    for finding in in_order(findings):
        key = (finding.rule, finding.about or finding.site)
        first = told.get(key)
        # What shows only where its cause stands says less than what shows where the harm is switched on.
        if first is not None and first.site == first.about and finding.site != finding.about:
            first, finding = finding, first
        if first is None:
            told[key] = finding
        elif finding.site in {first.site, *first.related}:
            told[key] = first
        else:
            told[key] = replace(first, related=(*first.related, finding.site.note("and here")))
    return list(told.values())
