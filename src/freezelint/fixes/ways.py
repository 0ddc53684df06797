"""From what a rule says of the mending to a fix: the ways there are, by name. What fits no way has no fix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import libcst as cst

from freezelint.finding import Edit, Fix
from freezelint.fixes import lines, words
from freezelint.fixes.view import Unfit, View
from freezelint.static.modules import Module, Place
from freezelint.trace.repair import Repair

Way = Callable[[View, Any, Repair], list[Edit]]

WAYS: Mapping[str, Way] = {
    way.__name__: way
    for way in (
        words.argument,
        words.assign,
        words.call,
        words.mode,
        words.return_self,
        words.setter,
        words.spell,
        words.star,
        lines.add_group,
        lines.eval_again,
        lines.move_below,
        lines.only_trainable,
    )
}


@lru_cache(maxsize=2)
def _view(module: Module) -> View:
    """The findings of a file come one after the other."""
    return View(module)


def mend(repair: Repair, site: object) -> Fix | None:
    """The fix that a rule describes for a place, None when it cannot be written there."""
    if not isinstance(site, Place):
        return None
    module: Module = site.module
    if module.recovered:  # a file that is no valid Python is not written
        return None
    try:
        edits = WAYS[repair.how](_view(module), site.node, repair)
    except Unfit:
        return None
    return Fix("safe" if repair.safe else "unsafe", repair.message, tuple(edits))


def readable(text: str) -> bool:
    """Whether a text is Python that can be checked."""
    try:
        cst.parse_module(text)
    except (cst.ParserSyntaxError, RecursionError):
        return False
    return True
