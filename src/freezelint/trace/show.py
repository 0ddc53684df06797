"""Printing a trace, one event a line, for `--trace` and for tests of the vocabulary."""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from typing import Any

from freezelint.trace.events import Event, Use
from freezelint.trace.regions import Part
from freezelint.trace.wording import describe


def show(event: Event) -> str:
    """`SetRequiresGrad(model.layer4, to=no)`: the kind, its regions, and what is not at its default."""
    words = []
    for item in fields(event):
        value = getattr(event, item.name)
        if item.name in ("site", "lap") or value == item.default:
            continue
        words.append(_word(value) if item.name == "region" else f"{item.name}={_word(value)}")
    return f"{type(event).__name__}({', '.join(words)})"


def _word(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, frozenset) and any(isinstance(v, Part) for v in value):
        return describe(value)
    if isinstance(value, Use):
        return f"#{value.serial}" + (f" cut by {value.cut.how}" if value.cut else "")
    if isinstance(value, frozenset) and value:
        return ", ".join(sorted(_word(v) for v in value))
    if isinstance(value, Event):
        return type(value).__name__
    if isinstance(value, frozenset):
        return "nothing"
    if isinstance(value, tuple):
        return "[" + ", ".join(_word(v) for v in value) + "]"
    return str(value) if isinstance(value, (str, int, float)) or value is None else f"<{type(value).__name__}>"
