"""Statements: what runs each kind of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import libcst as cst

from freezelint.static import assignments, bare, compound, conditionals, loops
from freezelint.static.evaluate import evaluate
from freezelint.static.execute import Handler
from freezelint.static.interpreter import Interpreter
from freezelint.static.modules import bindings
from freezelint.static.names import imported
from freezelint.static.values import NONE, Cls, Const, Func, Tuple, Value
from freezelint.static.world import Flow, World


def _return(it: Interpreter, node: cst.Return, world: World) -> list[World]:
    if node.value is None:
        world.flow, world.result = Flow.RETURN, NONE
        return [world]
    done = []
    for value, after in evaluate(it, node.value, world):
        after.result = value
        if after.flow is Flow.NORMAL:
            after.flow = Flow.RETURN
        done.append(after)
    return done


def _leave(flow: Flow) -> Callable[[Interpreter, Any, World], list[World]]:
    def leave(it: Interpreter, node: Any, world: World) -> list[World]:
        world.flow = flow
        return [world]

    return leave


def _import(it: Interpreter, node: cst.Import | cst.ImportFrom, world: World) -> list[World]:
    names = it.locals(world)
    for name, what in bindings(node):
        names[name] = imported(it, it.scope.module, *what)
    return [world]


def _delete(it: Interpreter, node: cst.Del, world: World) -> list[World]:
    return [world]


def _global(it: Interpreter, node: cst.Global, world: World) -> list[World]:
    names = it.locals(world)
    declared = getattr(names.get("\0global"), "items", ())  # none where worlds have met that differ in them
    names["\0global"] = Tuple((*declared, *(Const(n.name.value) for n in node.names)))
    return [world]


def _assert(it: Interpreter, node: cst.Assert, world: World) -> list[World]:
    """What a false assertion ends, as `else: assert False` ends a program with a wrong option, never trains."""
    after = [after for _, after in evaluate(it, node.test, world)]
    if isinstance(node.test, cst.Name) and node.test.value == "False":
        for one in after:
            one.flow = Flow.RAISE
    return after


def _function(it: Interpreter, node: cst.FunctionDef, world: World) -> list[World]:
    scope = it.scope
    if scope.frame is not None:
        it.closures.add(scope.frame)
    func: Value = Func(it.function(scope.module, node, scope.cls), scope.frame)
    it.locals(world)[node.name.value] = func
    return [world]


def _class(it: Interpreter, node: cst.ClassDef, world: World) -> list[World]:
    it.locals(world)[node.name.value] = Cls(it.cls(it.scope.module, node))
    return [world]


KINDS: dict[type, Handler] = {
    cst.Expr: bare.expression,
    cst.Assign: assignments.assignment,
    cst.AnnAssign: assignments.annotated,
    cst.AugAssign: assignments.augmented,
    cst.Return: _return,
    cst.Break: _leave(Flow.BREAK),
    cst.Continue: _leave(Flow.CONTINUE),
    cst.Raise: _leave(Flow.RAISE),
    cst.Import: _import,
    cst.ImportFrom: _import,
    cst.Del: _delete,
    cst.Global: _global,
    cst.Assert: _assert,
    cst.If: conditionals.if_,
    cst.For: loops.body,
    cst.While: loops.repeat,
    cst.With: compound.with_,
    cst.Try: compound.try_,
    cst.TryStar: compound.try_,
    cst.FunctionDef: _function,
    cst.ClassDef: _class,
    cst.Match: compound.match_,
}
