"""Comparisons: of constants, of unknowns, and of the elements of a loop, which a comparison tells apart."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import libcst as cst

from freezelint.static import assumptions, calls, order
from freezelint.static.evaluate import evaluate_all, fresh, items_of, source, strings
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.values import Cond, Const, Elem, Ids, Params, Ref, Sym, Table, Tensor, Tuple, Value
from freezelint.static.world import World
from freezelint.trace.regions import BATCHNORM, Test

_ORDER: dict[type, Callable[[Any, Any], bool]] = {
    cst.LessThan: operator.lt,
    cst.LessThanEqual: operator.le,
    cst.GreaterThan: operator.gt,
    cst.GreaterThanEqual: operator.ge,
}


def comparison(it: Interpreter, node: cst.Comparison, world: World) -> Outcomes:
    nodes = [node.left, *(c.comparator for c in node.comparisons)]
    done: Outcomes = []
    for values, after in evaluate_all(it, nodes, world):
        if len(node.comparisons) == 1:
            done.append((compare(it, node, node.comparisons[0].operator, values[0], values[1], after), after))
        elif any(isinstance(v, Elem) for v in values):
            elem = next(v for v in values if isinstance(v, Elem))
            done.append((opaque(it, elem, node), after))
        else:
            done.append((Sym(("chain", id(node), tuple(values))), after))
    return done


def opaque(it: Interpreter, elem: Elem, node: cst.CSTNode) -> Cond:
    """A test of a loop's element that cannot be looked into; the same text on the same tree splits it the same way."""
    text = source(it, node)
    return Cond(elem.loop, "test", test=Test("opaque", (text,), text))


def compare(it: Interpreter, node: cst.CSTNode, op: cst.BaseCompOp, left: Value, right: Value, world: World) -> Value:
    """One comparison."""
    negative = isinstance(op, (cst.NotEqual, cst.NotIn, cst.IsNot))
    if isinstance(left, Elem) or isinstance(right, Elem) or isinstance(left, Cond) or isinstance(right, Cond):
        found = _compare_element(it, node, op, left, right, world)
        return assumptions.negated(found, world) if negative else found
    if isinstance(op, (cst.Equal, cst.NotEqual, cst.Is, cst.IsNot)):
        same = equal(left, right, exact=isinstance(op, (cst.Is, cst.IsNot)))
        if same is not None:
            return Const(same is not negative)
        if isinstance(left, Tensor) or isinstance(right, Tensor):
            return Tensor()
        pair = (left, right) if isinstance(right, Const) else (right, left)
        found = Sym(("eq", *pair))
        return Sym(("not", found)) if negative else found
    if isinstance(op, (cst.In, cst.NotIn)):
        inside = _inside(left, right, world)
        if inside is not None:
            return Const(inside is not negative)
        known = strings(right, world) if isinstance(right, (Ref, Tuple)) else None
        found = Sym(("in", left, Tuple(tuple(Const(k) for k in known)) if known is not None else right))
        return Sym(("not", found)) if negative else found
    if isinstance(left, Const) and isinstance(right, Const) and type(op) in _ORDER:
        try:
            return Const(_ORDER[type(op)](left.value, right.value))
        except TypeError:
            return fresh()
    return Sym(("cmp", type(op).__name__, left, right))


def equal(left: Value, right: Value, exact: bool) -> bool | None:
    if isinstance(left, Const) and isinstance(right, Const):
        return bool(left.value is right.value) if exact and left.value is None else left.value == right.value
    if isinstance(left, Sym) or isinstance(right, Sym):
        return True if left == right and not exact else None
    if isinstance(left, Const) or isinstance(right, Const):
        return None if isinstance(left, Tensor) or isinstance(right, Tensor) else False
    return True if left == right else None


def _inside(left: Value, right: Value, world: World) -> bool | None:
    if not isinstance(left, Const):
        return None
    if isinstance(right, Const) and isinstance(right.value, str) and isinstance(left.value, str):
        return left.value in right.value
    if isinstance(right, Ref) and isinstance(table := world.heap.get(right.serial), Table):
        return True if left.value in table.items else None if table.more else False
    known = items_of(right, world)
    if known is not None and all(isinstance(i, Const) for i in known.items):
        found = left in known.items
        return True if found else None if known.more else False
    return None


def _compare_element(
    it: Interpreter, node: cst.CSTNode, op: cst.BaseCompOp, left: Value, right: Value, world: World
) -> Value:
    text = source(it, node)
    if isinstance(left, Cond) and isinstance(right, Const) and isinstance(right.value, bool):
        return left if right.value else assumptions.negated(left, world)
    elem = left if isinstance(left, Elem) else right if isinstance(right, Elem) else None
    if elem is None:
        loop = left.loop if isinstance(left, Cond) else right.loop  # type: ignore[attr-defined]
        return Cond(loop, "test", test=Test("opaque", (text,), text))
    if isinstance(op, (cst.In, cst.NotIn)):
        if right is elem and isinstance(left, Const) and isinstance(left.value, str):
            if elem.what == "name":
                return Cond(elem.loop, "test", test=Test("in", (left.value,), f'"{left.value}" in name'))
            if elem.what == "classname":
                return _layer_test(elem, tuple(k for k in BATCHNORM if left.value in k) or (left.value,), text)
        if left is elem and elem.what in ("name", "id", "param"):
            if isinstance(right, Ids):
                return Cond(elem.loop, "member", (right,))
            if isinstance(right, Params):
                return Cond(elem.loop, "member", (Ids(right.members, right.unsure),))
            known = strings(right, world)
            if known is not None and elem.what == "name":
                return Cond(elem.loop, "test", test=Test("equals", known, text))
        if left is elem and elem.what == "head" and (heads := strings(right, world)) is not None:
            return Cond(elem.loop, "test", test=Test("startswith", tuple(f"{k}." for k in heads), text))
    if isinstance(op, (cst.Is, cst.IsNot)) and elem.what == "name" and isinstance(right, Const) and right.value:
        return Const(False)  # a name is made anew: it is equal to a literal, and never the same object
    if isinstance(op, (cst.Equal, cst.NotEqual, cst.Is, cst.IsNot)):
        other = right if left is elem else left
        known = strings(other, world)
        if known is not None and elem.what == "name":
            return Cond(elem.loop, "test", test=Test("equals", known, text))
        if known is not None and elem.what == "head":
            return Cond(elem.loop, "test", test=Test("startswith", tuple(f"{k}." for k in known), text))
        if known is not None and elem.what == "classname":
            return _layer_test(elem, known, text)
        if elem.what == "class":
            kinds = calls.layer_kinds(it, other, world)
            if kinds is not None:
                return _layer_test(elem, kinds, text)
    counted = it.orders.get(elem.loop) if elem.what == "index" and left is elem and type(op) in _ORDER else None
    if counted is not None and isinstance(right, Const) and isinstance(right.value, int):
        count = right.value - elem.offset + isinstance(op, (cst.LessThanEqual, cst.GreaterThan))
        test = order.before(counted, max(count, 0), text)
        if test is not None:
            counts = Cond(elem.loop, "test", test=test)
            return counts if isinstance(op, (cst.LessThan, cst.LessThanEqual)) else assumptions.negated(counts, world)
    if elem.what.startswith("found:") and isinstance(op, (cst.Equal, cst.NotEqual)):
        _, of, word = elem.what.split(":", 2)  # `classname.find("BatchNorm") != -1`: found is the negation of == -1
        test = (
            Test("in", (word,), f'"{word}" in name')
            if of == "name"
            else Test("layer", tuple(k for k in BATCHNORM if word in k) or (word,), text)
        )
        return Cond(elem.loop, "not", (Cond(elem.loop, "test", test=test),))
    if elem.what == "index" and left is elem and isinstance(right, Const) and isinstance(right.value, int):
        bound = right.value - elem.offset
        first = {cst.LessThan: bound, cst.LessThanEqual: bound + 1}.get(type(op), 0)
        first = first or {cst.GreaterThan: -bound - 1, cst.GreaterThanEqual: -bound}.get(type(op), 0)
        return Cond(elem.loop, "test", test=Test("opaque", (text,), text, first))
    return opaque(it, elem, node)


def _layer_test(elem: Elem, kinds: tuple[str, ...], text: str) -> Cond:
    return Cond(elem.loop, "test", test=Test("layer", kinds, text))
