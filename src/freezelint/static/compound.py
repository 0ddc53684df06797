"""`with`, `try` and `match`."""

from __future__ import annotations

from dataclasses import replace

import libcst as cst

from freezelint.static import assignments, assumptions, execute
from freezelint.static.comparisons import equal
from freezelint.static.evaluate import evaluate, source
from freezelint.static.interpreter import Interpreter
from freezelint.static.values import (
    Const,
    GradMode,
    Sym,
    Tuple,
    Value,
)
from freezelint.static.world import Flow, World
from freezelint.trace import events as ev


def with_(it: Interpreter, node: cst.With, world: World) -> list[World]:
    worlds: list[tuple[World, int]] = [(world, 0)]
    for item in node.items:
        entered: list[tuple[World, int]] = []
        for w, count in worlds:
            for value, after in evaluate(it, item.item, w):
                if isinstance(value, GradMode):
                    it.emit(
                        after,
                        ev.EnterGradMode(
                            site=it.place(item.item), lap=it.lap(after), enabled=value.enabled, kind=value.kind
                        ),
                    )
                    entered.append((after, count + 1))
                    continue
                if item.asname is not None:
                    assignments.assign(it, item.asname.name, value, item, after)
                entered.append((after, count))
        worlds = entered
    done: list[World] = []
    for count in sorted({c for _, c in worlds}):
        for after in execute.block(it, node.body.body, [w for w, c in worlds if c == count]):
            for _ in range(count):
                it.emit(after, ev.ExitGradMode(site=it.place(node)))
            done.append(after)
    return done


def try_(it: Interpreter, node: cst.Try, world: World) -> list[World]:
    """The body as if nothing went wrong; handlers run beside it for the faults written in them, and are forgotten."""
    before = world.fork() if node.handlers else None
    it.guarded += bool(node.handlers)
    worlds = execute.block(it, node.body.body, [world])
    it.guarded -= bool(node.handlers)
    if before is not None:
        failed = [w for w in worlds if w.flow is not Flow.RAISE]
        for handler in node.handlers:
            aside = before.fork()
            if handler.name is not None:
                assignments.assign(it, handler.name.name, Sym(("error", id(handler))), handler, aside)
            it.caught += 1
            caught = execute.block(it, handler.body.body, [aside])
            it.caught -= 1
            if not failed:
                worlds = caught
    if node.orelse is not None:
        worlds = execute.block(it, node.orelse.body.body, worlds)
    if node.finalbody is not None:
        done: list[World] = []
        for after in worlds:
            flow, result = after.flow, after.result
            after.flow = Flow.NORMAL
            for final in execute.block(it, node.finalbody.body.body, [after]):
                if final.flow is Flow.NORMAL:
                    final.flow, final.result = flow, result
                done.append(final)
        worlds = done
    return worlds


def match_(it: Interpreter, node: cst.Match, world: World) -> list[World]:
    done: list[World] = []
    for value, after in evaluate(it, node.subject, world):
        open_worlds = [after]
        for case in node.cases:
            nxt: list[World] = []
            for w in open_worlds:
                known = _matches(it, case.pattern, value, w)
                key, text = _as_test(it, case.pattern, node.subject, value, w)
                known = assumptions.truth(key, w) if known is None else known
                if known is False:
                    nxt.append(w)
                    continue
                if known is None:
                    other = w.fork()
                    for outcome, there in ((True, w), (False, other)):
                        assumptions.assume(it, key, outcome, case.pattern, there)
                        there.assumed[key] = replace(there.assumed[key], text=text)
                    nxt.append(other)
                done += execute.block(it, case.body.body, [w])
            open_worlds = nxt
        done += open_worlds
    return done


def _as_test(
    it: Interpreter, pattern: cst.MatchPattern, subject: cst.BaseExpression, value: Value, world: World
) -> tuple[Sym, str]:
    """The comparison that a case of constants is, and how it would be written; else a test of its own."""
    patterns = [p.pattern for p in pattern.patterns] if isinstance(pattern, cst.MatchOr) else [pattern]
    wanted = [evaluate(it, p.value, world)[0][0] for p in patterns if isinstance(p, cst.MatchValue)]
    asked = source(it, subject)
    if len(wanted) < len(patterns) or not all(isinstance(w, Const) for w in wanted):
        return Sym(("match", value, id(pattern))), f"{asked} matches {source(it, pattern)}"
    if len(wanted) == 1:
        return Sym(("eq", value, wanted[0])), f"{asked} == {source(it, pattern)}"
    words = ", ".join(source(it, p) for p in patterns)
    return Sym(("in", value, Tuple(tuple(wanted)))), f"{asked} in ({words})"


def _matches(it: Interpreter, pattern: cst.MatchPattern, value: Value, world: World) -> bool | None:
    if isinstance(pattern, cst.MatchAs) and pattern.pattern is None:
        if pattern.name is not None:
            assignments.assign(it, pattern.name, value, pattern, world)
        return True
    if isinstance(pattern, cst.MatchValue):
        wanted = evaluate(it, pattern.value, world)[0][0]
        return equal(value, wanted, exact=False)
    if isinstance(pattern, cst.MatchOr):
        known = [_matches(it, p.pattern, value, world) for p in pattern.patterns]
        return True if True in known else None if None in known else False
    return None
