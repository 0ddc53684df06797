"""Operators: arithmetic, sums of losses and of lists, `not`, `and` and `or`."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import libcst as cst

from freezelint.static import assumptions, elements, tensors
from freezelint.static.evaluate import evaluate, evaluate_all, fresh, items_of, new_list, source
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.values import Cond, Const, Elem, Params, Ref, Sym, Tensor, Tuple, Value, tensor_of
from freezelint.static.world import World
from freezelint.trace import events as ev
from freezelint.trace.run import Run
from freezelint.trace.tri import NO, YES

_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    cst.Add: operator.add,
    cst.Subtract: operator.sub,
    cst.Multiply: operator.mul,
    cst.FloorDivide: operator.floordiv,
    cst.Divide: operator.truediv,
    cst.Modulo: operator.mod,
}


def operation(it: Interpreter, node: cst.BinaryOperation, world: World) -> Outcomes:
    done: Outcomes = []
    for (left, right), after in evaluate_all(it, [node.left, node.right], world):
        if isinstance(node.operator, cst.Add):
            summed(it, ((node.left, left), (node.right, right)), node, after)
            if isinstance(left, Ref) and (layers := elements.stack(it, right, after)) is not None:
                right = new_list(after, (layers,))
        done.append((binary(it, type(node.operator), left, right, after), after))
    return done


def summed(
    it: Interpreter, operands: tuple[tuple[cst.BaseExpression, Value], ...], node: cst.CSTNode, world: World
) -> None:
    """Tell the rules of a term without a graph in a sum of losses."""
    for at, (term, value) in enumerate(operands):
        other = operands[1 - at][1]
        if not isinstance(value, Tensor) or not isinstance(other, Tensor) or other.uses == value.uses:
            continue
        if not value.uses or value.loose or value.complete is not YES or world.state.is_recording() is NO:
            continue
        passes = [(use, world.state.passes.get(use.serial)) for use in value.uses]
        if all(ran is not None and (ran.cut(use) is not None or Run(world.state).inert(ran)) for use, ran in passes):
            text = source(it, term)
            if tensors.is_loss(text) or tensors.is_loss(source(it, node)):
                it.emit(world, ev.AddTerm(site=it.place(node), lap=it.lap(world), uses=value.uses, text=text))


def _is_zero(value: Value) -> bool:
    """Whether a number is 0, or a counter in the lap in which it still is."""
    key = value.key if isinstance(value, Sym) else None
    return value == Const(0) or (isinstance(key, tuple) and key[0] == "counter" and key[-1] == 0 and len(key) == 6)


def binary(it: Interpreter, kind: type, left: Value, right: Value, world: World) -> Value:
    """`left <kind> right`."""
    if isinstance(left, Const) and isinstance(right, Const) and kind in _ARITHMETIC:
        simple = (int, float) if not isinstance(left.value, str) else (str,)
        if isinstance(left.value, simple) and isinstance(right.value, simple) and not isinstance(left.value, bool):
            try:
                result = _ARITHMETIC[kind](left.value, right.value)
                return Const(result) if not isinstance(result, str) or len(result) < 1000 else fresh()
            except (ArithmeticError, TypeError, ValueError):
                return fresh()
    if kind is cst.Modulo and isinstance(right, (Sym, Const)) and _is_zero(left):  # the first of every so many steps
        return Const(0)
    if isinstance(left, Elem) and left.what == "index" and isinstance(right, Const) and isinstance(right.value, int):
        if kind is cst.Add:
            return Elem(left.loop, "index", left.offset + right.value)
    if isinstance(left, Elem) or isinstance(right, Elem):
        elem = left if isinstance(left, Elem) else right
        return Elem(elem.loop, "derived")  # type: ignore[attr-defined]
    if isinstance(left, Tensor) or isinstance(right, Tensor):
        tensors.use_directly(it, left, world)
        tensors.use_directly(it, right, world)
        return tensors.computed(world, tensor_of((left, right)))
    if kind is cst.Add and isinstance(left, Params) and isinstance(right, Params):
        return Params(
            (*left.members, *right.members),
            filtered=left.filtered and right.filtered,
            unsure=left.unsure or right.unsure,
        )
    if kind is cst.Add and isinstance(left, (Ref, Params, Tuple)) and isinstance(right, (Ref, Params, Tuple)):
        first, second = items_of(left, world), items_of(right, world)
        if first is not None and second is not None:
            return new_list(world, (*first.items, *second.items), first.more or second.more)
    return Sym(("op", kind.__name__, left, right))


def unary(it: Interpreter, node: cst.UnaryOperation, world: World) -> Outcomes:
    done: Outcomes = []
    for value, after in evaluate(it, node.expression, world):
        if isinstance(node.operator, cst.Not):
            done.append((assumptions.negated(value, after), after))
        elif (
            isinstance(value, Const) and isinstance(value.value, (int, float)) and isinstance(node.operator, cst.Minus)
        ):
            done.append((Const(-value.value), after))
        elif isinstance(value, (Tensor, Elem)):
            done.append((value if isinstance(value, Tensor) else Elem(value.loop, "derived"), after))
        else:
            done.append((Sym(("unary", type(node.operator).__name__, value)), after))
    return done


def boolean(it: Interpreter, node: cst.BooleanOperation, world: World) -> Outcomes:
    done: Outcomes = []
    conjunction = isinstance(node.operator, cst.And)
    for left, after in evaluate(it, node.left, world):
        truth = assumptions.truth(left, after)
        if truth is not None and truth is not conjunction:
            done.append((left, after))
            continue
        for right, then in evaluate(it, node.right, after):
            if truth is not None:
                done.append((right, then))
            elif isinstance(left, Cond) and isinstance(right, Cond) and left.loop == right.loop:
                done.append((Cond(left.loop, "and" if conjunction else "or", (left, right)), then))
            elif isinstance(left, Cond) and assumptions.truth(right, then) is conjunction:
                done.append((left, then))
            elif not conjunction and isinstance(left, Sym) and not isinstance(right, (Const, Sym, Cond)):
                done.append((right, then))  # `model or default()`: what is known of it
            else:
                done.append((Sym(("and" if conjunction else "or", left, right)), then))
    return done
