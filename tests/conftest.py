"""What several tests share: a small made-up rulebook and an analyser that finds what a line says it should."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from freezelint import work
from freezelint.finding import Finding, Severity, Site
from freezelint.static.checked import Checked
from freezelint.static.project import Source
from freezelint.trace import check as rulebook
from freezelint.trace.check import Rule

FAULT = re.compile(r"FAULT\((?P<slug>[\w-]+)(?::(?P<lines>\d+))?\)")


def made_up(slug: str, group: str, severity: Severity) -> Rule:
    return Rule(slug, group, severity, (), "both", lambda run, event: iter(()), f"What {slug} finds.\n\nWhy\nBecause.")


RULES = {
    rule.slug: rule
    for rule in (
        made_up("left-frozen", "mode", Severity.ERROR),
        made_up("left-in-eval", "mode", Severity.WARNING),
        made_up("style-matter", "optimizer", Severity.INFO),
    )
}


def analyse(
    sources: Iterable[Source], rules: dict[str, Rule], *, trace: Callable[[str], None] | None = None, **more: Any
) -> list[Checked]:
    """A finding where a line says FAULT(slug), or FAULT(slug:lines) for one that spans several lines."""
    results = []
    for source in sources:
        results.append(Checked(source.path))
        if trace is not None:
            trace(f"saw {source.path}")
        for number, line in enumerate(source.lines, 1):
            for fault in FAULT.finditer(line):
                slug = fault["slug"]
                end = number + int(fault["lines"] or 1) - 1
                site = Site(source.path, number, fault.start() + 1, end, fault.end() + 1)
                if slug == "crash":
                    raise RuntimeError("the analyser fell over")
                if slug in rules:
                    results[-1].findings.append(
                        Finding(slug, rules[slug].severity, f"{slug} here", site, source_line=line)
                    )
    return results


@pytest.fixture
def made_up_rules(monkeypatch: pytest.MonkeyPatch) -> dict[str, Rule]:
    """Replace the rulebook and the analyser by made-up ones."""
    fake = types.ModuleType("freezelint.static.analyse")
    fake.analyse = analyse  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    monkeypatch.setattr(work, "idle", lambda text: False)  # made-up rules find what the real ones do not look for
    pretend(monkeypatch, RULES)
    return RULES


def pretend(monkeypatch: pytest.MonkeyPatch, rules: dict[str, Rule]) -> None:
    """Let these be all rules there are."""
    monkeypatch.setattr(rulebook, "all_rules", lambda: rules)
    monkeypatch.setattr(rulebook, "catalogue", lambda: {slug: (rule.group, rule.off) for slug, rule in rules.items()})
    monkeypatch.setattr(rulebook, "rule_of", rules.get)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
