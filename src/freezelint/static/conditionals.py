"""`if`: which of its branches run in which world, and over which elements of a loop."""

from __future__ import annotations

import re
from dataclasses import replace

import libcst as cst

from freezelint.static import assumptions, branches, execute
from freezelint.static.evaluate import evaluate, source
from freezelint.static.interpreter import Interpreter, OutOfFuel
from freezelint.static.modules import dotted
from freezelint.static.values import (
    Const,
    Members,
)
from freezelint.static.world import Flow, World
from freezelint.trace.regions import TooFine


def if_(it: Interpreter, node: cst.If, world: World, chained: bool = False) -> list[World]:
    done: list[World] = []
    if not chained:
        _chooses(it, node, world)
    cases = branches.split(it, node.test, world)
    if len(cases) > 1 and _counts_none(node.test):
        cases = [case for case in cases if not case.truth] or cases
    for case in cases:
        if case.truth is None:
            done += _both(it, node, case)
            continue
        if case.truth is False and len(cases) == 1:
            _suppose(it, node.body, case.world)
        if case.truth:
            done += execute.block(it, node.body.body, [case.world])
        elif node.orelse is not None:
            done += _else(it, node.orelse, case.world)
        else:
            if chained:
                _stray(it, node.test, case.world)
            done.append(case.world)
    return done


def _chooses(it: Interpreter, node: cst.If, world: World) -> None:
    """Note the words of an `if ... elif ...` that decides about a model: the tests are run up to the first that holds,
    and their words are alternatives all the same."""
    asked, words = it.choices.of(node, it.scope.module)
    if asked is not None:
        for value, _ in evaluate(it, asked, world.fork()):
            if isinstance(value, Const) and isinstance(value.value, str):
                it.choices.note(source(it, asked), value, words)


def _stray(it: Interpreter, test: cst.BaseExpression, world: World) -> None:
    """Mark the world of an option that has no name in `if ... elif ...`: no user of the program goes there."""
    here = it.place(test)
    for key, assumption in world.assumed.items():
        if assumption.at == here and not assumption.truth and assumptions.words_of(key):
            world.assumed[key] = replace(assumption, stray=True)


_COUNT = re.compile(r"(^|\.)(n|num|nb)_\w+$")


def _counts_none(test: cst.BaseExpression) -> bool:
    """`num_classes == 0`: how one asks for a model without a head, to take its features; nobody who trains does."""
    if not isinstance(test, cst.Comparison) or len(test.comparisons) != 1:
        return False
    operator, other = test.comparisons[0].operator, test.comparisons[0].comparator
    zero = isinstance(operator, cst.Equal) and isinstance(other, cst.Integer) and other.value == "0"
    return zero and bool(_COUNT.search(dotted(test.left)))


SUPPOSED_FUEL = 500  # for a branch that is only looked at for its excuses

_UNFREEZES = re.compile(r"unfreeze|requires_grad")


def _suppose(it: Interpreter, body: cst.BaseSuite, world: World) -> None:
    """Look at a branch that this world rules out, for the excuses it gives, when the worlds that would take it may be
    among those that are no longer looked at: `unfreeze()` is why a frozen part is held."""
    if world.twins and _UNFREEZES.search(it.scope.module.code(body)):
        world.twins = {}  # this may be the branch that they would take
    if it.limit > 1 or it.hypothetical or id(body) in it.harmless:
        return
    if not _UNFREEZES.search(it.scope.module.code(body)):
        it.harmless.add(id(body))
        return
    supposed = world.fork()
    floor, it.floor, it.hypothetical = it.floor, max(it.floor, it.fuel - SUPPOSED_FUEL), True
    try:
        execute.block(it, body.body, [supposed])
    except (OutOfFuel, TooFine):
        if it.fuel < floor:
            raise
    finally:
        it.floor, it.hypothetical = floor, False


def _else(it: Interpreter, node: cst.If | cst.Else, world: World) -> list[World]:
    return (
        if_(it, node, world, chained=True) if isinstance(node, cst.If) else execute.block(it, node.body.body, [world])
    )


def _both(it: Interpreter, node: cst.If, case: branches.Case) -> list[World]:
    """A test of a loop's element: the body runs for some elements, the rest for the others, in the same world."""
    assert case.cond is not None
    loop, world = case.cond.loop, case.world
    before = world.elements[loop]
    branches.select(it, case.cond, case.yes, before, node.test, world, _sets_flag(it, node.body))
    worlds: list[tuple[World, Members]] = []
    if case.yes:
        world.elements[loop] = case.yes
        for after in execute.block(it, node.body.body, [world]):
            worlds.append((after, _survivors(after, loop)))
    else:
        worlds.append((world, ()))
    done: list[World] = []
    for after, kept in worlds:
        if case.no and node.orelse is not None:
            after.elements[loop] = case.no
            for then in _else(it, node.orelse, after):
                done.append(_rejoined(then, loop, (*kept, *_survivors(then, loop))))
        else:
            done.append(_rejoined(after, loop, (*kept, *case.no)))
    return done


_SETS_FLAG = re.compile(r"requires_grad\s*=[^=]|requires_grad_\(|[\"']requires_grad[\"']")


def _sets_flag(it: Interpreter, node: cst.CSTNode) -> bool:
    """Whether a block sets flags itself."""
    return _SETS_FLAG.search(it.scope.module.code(node)) is not None


def _survivors(world: World, loop: int) -> Members:
    """The elements that go on with the rest of the loop's body."""
    if world.flow in (Flow.CONTINUE, Flow.BREAK, Flow.RETURN):
        world.flow = Flow.NORMAL
        return ()
    return world.elements.get(loop, ()) if world.flow is Flow.NORMAL else ()


def _rejoined(world: World, loop: int, members: Members) -> World:
    world.elements[loop] = tuple(dict.fromkeys(members))
    if not members and world.flow is Flow.NORMAL:
        world.flow = Flow.CONTINUE
    return world
