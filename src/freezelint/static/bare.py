"""Expressions that are statements: what was named, compared or made lazily there has no effect, and is told."""

from __future__ import annotations

from typing import Any

import libcst as cst

from freezelint.static import written
from freezelint.static.evaluate import evaluate, source
from freezelint.static.interpreter import Interpreter
from freezelint.static.values import (
    NONE,
    Const,
    Copy,
    Elem,
    GradMode,
    Obj,
    Sym,
    Value,
)
from freezelint.static.world import World
from freezelint.trace import events as ev


def expression(it: Interpreter, node: cst.Expr, world: World) -> list[World]:
    if isinstance(node.value, cst.GeneratorExp):  # nobody consumes it, so nothing in it happens
        _tell(it, node.value, NONE, world)
        return [world]
    done = []
    before, it.unused = it.unused, node.value
    outcomes = evaluate(it, node.value, world)
    it.unused = before
    for value, after in outcomes:
        _tell(it, node.value, value, after)
        done.append(after)
    return done


def _tell(it: Interpreter, node: cst.BaseExpression, value: Value, world: World) -> None:
    """An expression whose value nobody takes: what was named, compared or made lazily has no effect."""
    if isinstance(node, cst.Attribute):
        what = {
            "eval": "mode",
            "train": "mode",
            "requires_grad_": "flag",
            "no_grad": "grad-mode",
            "inference_mode": "grad-mode",
            "enable_grad": "grad-mode",
        }.get(node.attr.value)
        if what == "mode":
            owner = evaluate(it, node.value, world)[0][0]
            it.bare[id(node)] = isinstance(owner, (Sym, Elem)) or (
                isinstance(owner, Obj) and it.as_module(owner, world) is not None
            )
            if not it.bare[id(node)]:
                return
            named_not_called(it, what, node.attr.value, node, world, region=it.regions_in(owner, world))
        elif what == "flag" or (what == "grad-mode" and source(it, node).startswith("torch.")):
            named_not_called(it, what, node.attr.value, node, world)
    elif (
        isinstance(node, cst.Comparison)
        and isinstance(node.left, cst.Attribute)
        and node.left.attr.value == "requires_grad"
        and isinstance(node.comparisons[0].operator, (cst.Equal, cst.Is))
    ):
        named_not_called(it, "flag", "comparison", node, world)
    elif (
        isinstance(node, cst.UnaryOperation)
        and isinstance(node.operator, cst.Not)
        and isinstance(node.expression, cst.Attribute)
        and node.expression.attr.value == "requires_grad"
    ):
        named_not_called(it, "flag", "not", node, world)
    elif isinstance(value, GradMode) and isinstance(node, cst.Call):
        if value.kind == "set_grad_enabled":
            it.emit(
                world,
                ev.EnterGradMode(
                    site=it.place(node),
                    lap=it.lap(world),
                    enabled=value.enabled,
                    kind=value.kind,
                    how="statement",
                    inside=it.scope.function.name if it.scope.function and it.scope.cls else "",
                ),
            )
        elif not source(it, node.func).endswith("__enter__"):
            named_not_called(it, "grad-mode", value.kind, node, world)
    elif isinstance(node, (cst.GeneratorExp, cst.Call)) and "requires_grad" in (text := source(it, node)):
        lazy = isinstance(node, cst.GeneratorExp) or (isinstance(value, Sym) and value.kind == "map")
        if lazy and ("requires_grad_(" in text or "setattr" in text):
            named_not_called(it, "flag", "lazy", node, world)
        elif isinstance(value, Copy) and isinstance(node, cst.Call) and value.how != "state_dict()":
            # What the setter returns is not kept: `p.detach().requires_grad_(False)` as a statement.
            to = evaluate(it, node.args[0].value, world)[0][0] if node.args else Const(True)
            if isinstance(node.func, cst.Attribute) and node.func.attr.value == "requires_grad_":
                written.wrote_on_copy(it, value, "requires_grad_", to, node, world)


def named_not_called(
    it: Interpreter, what: str, name: str, node: cst.CSTNode, world: World, region: Any = frozenset()
) -> None:
    """Tell the rules of something that was named and had to be called, assigned or consumed."""
    it.emit(
        world,
        ev.NamedButNotCalled(
            site=it.place(node), lap=it.lap(world), what=what, name=name, text=source(it, node), region=region
        ),
    )
