"""Statements. A block takes worlds and gives worlds; what ended early passes by what follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import libcst as cst

from freezelint.static.interpreter import Interpreter
from freezelint.static.world import Flow, World, thawed

Handler = Callable[[Interpreter, Any, World], list[World]]
HANDLERS: dict[type, Handler] = {}  # by kind of statement; `statements` says which


def block(it: Interpreter, body: Sequence[Any], worlds: list[World]) -> list[World]:
    """Run statements in every world that has not left the block."""
    ordered = 0
    for statement in body:
        running = [w for w in worlds if w.flow is Flow.NORMAL]
        if not running:
            break
        left = [w for w in worlds if w.flow is not Flow.NORMAL]
        after: list[World] = []
        if len(running) not in (1, ordered):
            running.sort(key=thawed)
            ordered = len(running)
        allowed = it.fuel // 2  # what one statement may take in all worlds; those that come after are not looked at
        for world in running:
            try:
                after += _run(it, statement, world)
            except RecursionError:  # thousands of `elif`; what follows is looked at all the same
                after.append(world)
            if it.fuel < allowed:
                break
        # Worlds that ran side by side through a statement are no more alike than before it.
        worlds = it.merge(left + after) if len(after) > len(running) else left + after
    return worlds


def _run(it: Interpreter, statement: Any, world: World) -> list[World]:
    it.burn()
    if isinstance(statement, cst.SimpleStatementLine):
        worlds = [world]
        for small in statement.body:
            handler = HANDLERS.get(type(small))
            if handler:
                left = [w for w in worlds if w.flow is not Flow.NORMAL]
                worlds = [after for w in worlds if w.flow is Flow.NORMAL for after in handler(it, small, w)] + left
        return worlds
    handler = HANDLERS.get(type(statement))  # a small one, too: `if x: y = 1` has no line in between
    return handler(it, statement, world) if handler else [world]
