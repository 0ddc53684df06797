"""How a rule is declared and found: one decorated generator a file, whose docstring is its page.

A rule file's name is its slug (`unfreeze_not_in_optimizer.py` is `unfreeze-not-in-optimizer`), its folder is its group.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from freezelint.finding import Severity

if TYPE_CHECKING:
    from freezelint.trace.run import Excuse, Fault, Run

Check = Callable[["Run", Any], Iterator["Fault | Excuse"]]

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

HEADINGS = ("What happens", "Why", "Bad", "Good", "Confirm", "References")


@dataclass(frozen=True)
class Rule:
    """One fault: its name, what it listens to, how bad it is, which witness can see it, and its page."""

    slug: str
    group: str
    severity: Severity
    on: tuple[type, ...]
    sides: str
    check: Check
    page: str
    off: bool = False  # only on request: what it tells is a choice, or a matter of taste
    yields_to: tuple[str, ...] = ()  # rules that tell more of the same fault, where they speak of the same place

    @property
    def summary(self) -> str:
        """The first line of the page."""
        return self.page.strip().splitlines()[0]

    def section(self, heading: str) -> str:
        """The text below one heading of the page, without the heading; empty when the page has none."""
        lines, inside = [], False
        for line in self.page.splitlines():
            title = line.strip().rstrip(":")
            if title in HEADINGS and not line.startswith(" "):
                inside = title == heading
            elif inside:
                lines.append(line)
        return "\n".join(lines).strip("\n")


def rule(
    on: tuple[type, ...] | type,
    severity: Severity,
    sides: str = "both",
    yields_to: tuple[str, ...] = (),
    off: bool = False,
) -> Callable[[Check], Rule]:
    """Declare the generator below as a rule. `sides` is "both", "static" or "live"; `off` rules run on request only."""
    kinds = on if isinstance(on, tuple) else (on,)

    def declare(check: Check) -> Rule:
        module = check.__module__
        *_, group, name = module.split(".")
        page = (sys.modules[module].__doc__ or "").strip()
        return Rule(name.replace("_", "-"), group, severity, kinds, sides, check, page, off, yields_to)

    return declare


@cache
def all_rules() -> dict[str, Rule]:
    """Every rule of the package by slug, found by walking `freezelint.rules`."""
    import freezelint.rules

    walked = pkgutil.walk_packages(freezelint.rules.__path__, "freezelint.rules.")
    found = [_declared(info.name) for info in walked if not info.ispkg]
    return {rule.slug: rule for rule in sorted(found, key=lambda rule: rule.slug)}


@cache
def rule_of(slug: str) -> Rule | None:
    """One rule, without the cost of importing the others."""
    listed = catalogue().get(slug)
    return _declared(f"freezelint.rules.{listed[0]}.{slug.replace('-', '_')}") if listed else None


def _declared(name: str) -> Rule:
    module = importlib.import_module(name)
    declared = [value for value in vars(module).values() if isinstance(value, Rule)]
    if len(declared) != 1:
        raise TypeError(f"{name} must declare exactly one rule, it declares {len(declared)}")
    return declared[0]


_OFF = re.compile(r"^@rule\([^)]*\boff=True", re.MULTILINE)


@cache
def catalogue() -> Mapping[str, tuple[str, bool]]:
    """The group of every rule and whether it is off, by slug: what can be told without importing any."""
    import freezelint.rules

    found = {}
    for file in sorted(file for top in freezelint.rules.__path__ for file in Path(top).glob("*/*.py")):
        if file.name != "__init__.py":
            off = _OFF.search(file.read_text(encoding="utf-8")) is not None
            found[file.stem.replace("_", "-")] = (file.parent.name, off)
    return found
