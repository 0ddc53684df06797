"""Expressions: what each kind of them comes to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import libcst as cst

from freezelint.static import (
    arguments,
    assignments,
    assumptions,
    attributes,
    branches,
    calls,
    comparisons,
    comprehensions,
    elements,
    operators,
    subscripts,
)
from freezelint.static.evaluate import Handler, evaluate, evaluate_all, fresh, new_list, unknown
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.names import in_scope, settle
from freezelint.static.values import NONE, Cond, Const, Func, Params, Ref, Sym, Table, Tensor, Tuple, Value
from freezelint.static.world import World, serial

LONGEST = 400  # items of a literal that are looked at one by one

_CONSTANTS: dict[str, Value] = {"True": Const(True), "False": Const(False), "None": NONE}


def _name(it: Interpreter, node: cst.Name, world: World) -> Outcomes:
    constant = _CONSTANTS.get(node.value)  # libcst has no node of its own for these
    if constant is not None:
        return [(constant, world)]
    return [(settle(it, in_scope(it, node.value, world), world), world)]


def _number(it: Interpreter, node: Any, world: World) -> Outcomes:
    return [(_literal(it, node, (int, float, complex)), world)]


def _literal(it: Interpreter, node: Any, kinds: type | tuple[type, ...]) -> Value:
    """The value of a literal; libcst compiles it anew each time it is asked, so it is kept."""
    constants = it.scope.module.constants
    value: Value | None = constants.get(id(node))
    if value is None:
        try:
            evaluated = node.evaluated_value
        except (ValueError, SyntaxError):
            evaluated = None
        value = constants[id(node)] = Const(evaluated) if isinstance(evaluated, kinds) else unknown(node)
    return value


def _string(it: Interpreter, node: Any, world: World) -> Outcomes:
    return [(_literal(it, node, str), world)]


def _formatted(it: Interpreter, node: cst.FormattedString, world: World) -> Outcomes:
    parts = [p for p in node.parts if isinstance(p, cst.FormattedStringExpression)]
    done: Outcomes = []
    for values, after in evaluate_all(it, [p.expression for p in parts], world):
        if all(isinstance(v, Const) for v in values) and not any(p.format_spec or p.conversion for p in parts):
            texts = iter(str(v.value) for v in values if isinstance(v, Const))
            done.append(
                (
                    Const(
                        "".join(p.value if isinstance(p, cst.FormattedStringText) else next(texts) for p in node.parts)
                    ),
                    after,
                )
            )
        else:
            done.append((Sym(("format", id(node), tuple(values))), after))
    return done


def _concatenated(it: Interpreter, node: cst.ConcatenatedString, world: World) -> Outcomes:
    done: Outcomes = []
    for values, after in evaluate_all(it, [node.left, node.right], world):
        known = [v.value for v in values if isinstance(v, Const) and isinstance(v.value, str)]
        done.append((Const("".join(known)) if len(known) == 2 else unknown(node), after))
    return done


def _attribute(it: Interpreter, node: cst.Attribute, world: World) -> Outcomes:
    done: Outcomes = []
    for owner, after in evaluate(it, node.value, world):
        if node.attr.value in attributes.HEADS and attributes.missing(it, owner, node.attr.value, node, after):
            done.append((unknown(node), after))  # it raises: nothing that comes of it is worth a second word
            continue
        done += attributes.get(it, owner, node.attr.value, node, after)
    return done


def _call(it: Interpreter, node: cst.Call, world: World) -> Outcomes:
    done: Outcomes = []
    for func, after in evaluate(it, node.func, world):
        for args, then in arguments.given(it, node.args, after):
            done += calls.call(it, func, args, node, then)
    return done


def _subscript(it: Interpreter, node: cst.Subscript, world: World) -> Outcomes:
    done: Outcomes = []
    index = node.slice[0].slice if len(node.slice) == 1 else None
    named: Any = node.value
    if isinstance(named, cst.Attribute) and named.attr.value == "_modules":  # a module's items are its children, too
        named = named.value
    for owner, after in evaluate(it, named, world):
        if isinstance(index, cst.Index):
            for key, then in evaluate(it, index.value, after):
                for chosen, there in branches.choose(it, owner, key, index.value, then):
                    done.append((subscripts.item(it, owner, chosen, node, there), there))
        elif isinstance(index, cst.Slice):
            bounds = [b for b in (index.lower, index.upper, index.step) if b is not None]
            for values, then in evaluate_all(it, bounds, after):
                given = iter(values)
                low, high, step = (
                    next(given) if b is not None else NONE for b in (index.lower, index.upper, index.step)
                )
                done.append((subscripts.sliced(it, owner, low, high, step, node, then), then))
        else:
            piece = replace(owner, piece="[...]") if isinstance(owner, Params) and owner.single else None
            whole = owner if isinstance(owner, Tensor) else piece
            done.append((whole or Sym(("item", owner, id(node))), after))
    return done


def _conditional(it: Interpreter, node: cst.IfExp, world: World) -> Outcomes:
    done: Outcomes = []
    for case in branches.split(it, node.test, world):
        if case.truth is not None:
            done += evaluate(it, node.body if case.truth else node.orelse, case.world)
            continue
        for (yes, no), after in evaluate_all(it, [node.body, node.orelse], case.world):
            if (
                isinstance(case.cond, Cond)
                and isinstance(yes, Const)
                and isinstance(no, Const)
                and yes.value is not no.value
                and isinstance(yes.value, bool)
                and isinstance(no.value, bool)
            ):
                done.append((case.cond if yes.value else assumptions.negated(case.cond, after), after))
            else:
                done.append((yes if yes == no else fresh(), after))
    return done


def _lambda(it: Interpreter, node: cst.Lambda, world: World) -> Outcomes:
    scope = it.scope
    info = it.function(scope.module, node, scope.cls)
    return [(Func(info, scope.frame), world)]


def _sequence(it: Interpreter, node: Any, world: World) -> Outcomes:
    written = node.elements[:LONGEST]
    more = len(node.elements) > LONGEST
    done: Outcomes = []
    for values, after in evaluate_all(it, [e.value for e in written], world):
        items: list[Value] = []
        open_end = more
        for element, value in zip(written, values, strict=False):
            if not isinstance(element, cst.StarredElement):
                items.append(value)
            elif (known := elements.spread(it, value, after, element)) is not None:
                items += known.items
                open_end = open_end or known.more
            else:
                open_end = True
        if isinstance(node, cst.Tuple) and not open_end:
            done.append((Tuple(tuple(items)), after))
        else:
            done.append((new_list(after, items, open_end), after))
    return done


def _dict(it: Interpreter, node: cst.Dict, world: World) -> Outcomes:
    pairs = [e for e in node.elements[:LONGEST] if isinstance(e, cst.DictElement)]
    starred = [e for e in node.elements if isinstance(e, cst.StarredDictElement)]
    done: Outcomes = []
    for values, after in evaluate_all(it, [x for e in pairs for x in (e.key, e.value)], world):
        items: dict[Any, Value] = {}
        more = bool(starred) or len(node.elements) > LONGEST
        for key, value in zip(values[::2], values[1::2], strict=False):
            if isinstance(key, Const):
                items[key.value] = value
            else:
                more = True
        ref = Ref(serial())
        after.heap[ref.serial] = Table(items, more)
        done.append((ref, after))
    return done


def _named(it: Interpreter, node: cst.NamedExpr, world: World) -> Outcomes:
    done = evaluate(it, node.value, world)
    for value, after in done:
        assignments.assign(it, node.target, value, node, after)
    return done


def _await(it: Interpreter, node: Any, world: World) -> Outcomes:
    return evaluate(it, node.expression, world)


def _yield(it: Interpreter, node: cst.Yield, world: World) -> Outcomes:
    if node.value is None:
        return [(unknown(node), world)]
    inner = node.value.item if isinstance(node.value, cst.From) else node.value
    return [(Sym(("yield", id(node))), after) for _, after in evaluate(it, inner, world)]


KINDS: dict[type, Handler] = {
    cst.Name: _name,
    cst.Attribute: _attribute,
    cst.Call: _call,
    cst.Subscript: _subscript,
    cst.Integer: _number,
    cst.Float: _number,
    cst.SimpleString: _string,
    cst.ConcatenatedString: _concatenated,
    cst.FormattedString: _formatted,
    cst.BinaryOperation: operators.operation,
    cst.UnaryOperation: operators.unary,
    cst.BooleanOperation: operators.boolean,
    cst.Comparison: comparisons.comparison,
    cst.IfExp: _conditional,
    cst.Lambda: _lambda,
    cst.Tuple: _sequence,
    cst.List: _sequence,
    cst.Set: _sequence,
    cst.Dict: _dict,
    cst.NamedExpr: _named,
    cst.Await: _await,
    cst.Yield: _yield,
    cst.ListComp: comprehensions.comprehension,
    cst.GeneratorExp: comprehensions.comprehension,
    cst.SetComp: comprehensions.comprehension,
    cst.DictComp: comprehensions.dict_comprehension,
}
