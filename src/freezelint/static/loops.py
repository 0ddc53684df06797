"""Loops. A loop over parameters or modules of a model is one pass over a region; a short known list is unrolled; any
other loop runs two laps, so that what goes wrong in the second epoch shows."""

from __future__ import annotations

from typing import Any

import libcst as cst

from freezelint.static import arguments, assignments, branches, elements, evaluate, execute, indexed
from freezelint.static.interpreter import Interpreter
from freezelint.static.values import Const, Elem, Ref, Sym, Tensor, Tuple, Value, tensor_of
from freezelint.static.world import Flow, World, merge

LAPS = 2


def body(it: Interpreter, node: cst.For | cst.While, world: World) -> list[World]:
    """Run a `for` loop."""
    assert isinstance(node, cst.For)
    done: list[World] = []
    for value, after in evaluate.evaluate(it, node.iter, world):
        done += _over(it, node, value, after)
    return it.merge(_left(it, node, merge(done)))


def _over(it: Interpreter, node: cst.For, value: Value, world: World) -> list[World]:
    items = elements.unrolled(it, value, world, node.iter)
    if items is not None:
        worlds = [world]
        for item in items:
            worlds = it.merge([after for w in worlds for after in _lap(it, node, item, w)])
        return worlds
    before = set(world.elements)
    element = elements.one_pass(it, value, world, node.iter) or indexed.over(it, node, world)
    if element is not None:
        binding, loop = element
        if not world.elements.get(loop):
            return [world]
        names = it.locals(world)
        for counter in counters(node):
            if isinstance(names.get(counter), Const):
                names[counter] = Elem(loop, "index")
        worlds = _lap(it, node, binding, world)
        for after in worlds:
            for inner in after.elements.keys() - before:
                del after.elements[inner]
        return worlds
    return _laps(it, node, world, value)


def item_of(value: Value | None, key: Any, world: World) -> Value:
    """What one lap over something unknown binds: tensors where it holds any."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Sym) and isinstance(value.key, tuple):
        what = value.key[0]
        if what == "zip":
            return Tuple(tuple(item_of(v, (*key, at), world) for at, v in enumerate(value.key[1])))
        if what == "groups":  # one of an optimizer's
            return Sym(("group", value, key))
        if what == "enumerated":
            return Tuple((Sym(("counter", *key), "i"), item_of(value.key[1], (*key, 1), world)))
    if isinstance(value, (Ref, Tuple)):
        held = arguments.inside(value, world)
        if any(isinstance(v, Tensor) for v in held):
            return tensor_of(held)
    return Sym(key)


def counters(node: cst.For | cst.While) -> frozenset[str]:
    """The names that a loop's body counts with (`i += 1`)."""
    found = _counters.get(id(node))
    if found is None or found[0] is not node:
        names: set[str] = set()
        pending: list[Any] = [node.body]
        while pending:
            inner = pending.pop()
            if isinstance(inner, cst.AugAssign):
                if isinstance(inner.target, cst.Name):
                    names.add(inner.target.value)
            elif isinstance(
                inner,
                (cst.IndentedBlock, cst.SimpleStatementLine, cst.If, cst.Else, cst.For, cst.While, cst.With, cst.Try),
            ):
                pending += inner.children
        found = _counters[id(node)] = (node, frozenset(names))
    return found[1]


_counters: dict[int, tuple[Any, frozenset[str]]] = {}


def _lap(it: Interpreter, node: cst.For, item: Value, world: World) -> list[World]:
    if world.flow is not Flow.NORMAL:
        return [world]
    assignments.assign(it, node.target, item, node, world)
    worlds = execute.block(it, node.body.body, [world])
    for after in worlds:
        if after.flow is Flow.CONTINUE:
            after.flow = Flow.NORMAL
    return worlds


def _laps(it: Interpreter, node: cst.For | cst.While, world: World, over: Value | None) -> list[World]:
    worlds = [world]
    outer = world.laps
    for lap in range(LAPS):
        running: list[World] = []
        for w in worlds:
            if w.flow is not Flow.NORMAL:
                running.append(w)
                continue
            w.laps = (*outer, lap)
            names = it.locals(w)
            for counter in counters(node):
                start = names.get(counter)
                if isinstance(start, Const):
                    names[counter] = Sym(("counter", id(node), lap, outer, counter, start.value), counter)
            if isinstance(node, cst.For):
                item = item_of(over, ("item", id(node), lap, outer), w)
                assignments.assign(it, node.target, item, node, w)
            running.append(w)
        worlds = execute.block(it, node.body.body, running)
        for after in worlds:
            if after.flow is Flow.CONTINUE:
                after.flow = Flow.NORMAL
        worlds = it.merge(worlds)
    for after in worlds:
        after.laps = outer
    return worlds


def _left(it: Interpreter, node: cst.For | cst.While, worlds: list[World]) -> list[World]:
    """After the loop: `else` runs where it was not broken out of."""
    if node.orelse is not None:
        normal = [w for w in worlds if w.flow is Flow.NORMAL]
        others = [w for w in worlds if w.flow is not Flow.NORMAL]
        # Two laps stand for any number, so a loop that only breaks in view may still run to its end.
        worlds = execute.block(it, node.orelse.body.body, normal) + others
    for after in worlds:
        if after.flow is Flow.BREAK:
            after.flow = Flow.NORMAL
    return worlds


def repeat(it: Interpreter, node: cst.While, world: World) -> list[World]:
    """Run a `while` loop: two laps, or none where its test is false from the start."""
    done: list[World] = []
    for case in branches.split(it, node.test, world):
        if case.truth is False:
            done.append(case.world)
        else:
            done += _laps(it, node, case.world, None)
    return it.merge(_left(it, node, merge(done)))
