"""Values of expressions. Every function returns the outcomes: a list of (value, world)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import libcst as cst

from freezelint.static import attributes, branches, calls, loops, order, subscripts
from freezelint.static.interpreter import Interpreter, Outcomes, settle
from freezelint.static.values import (
    NONE,
    Cond,
    Const,
    Elem,
    Func,
    Ids,
    Instance,
    Items,
    Obj,
    Params,
    Ref,
    Sym,
    Table,
    Tensor,
    Tuple,
    Value,
    tensor_of,
)
from freezelint.static.world import World, serial
from freezelint.trace import events as ev
from freezelint.trace.regions import BATCHNORM, Test
from freezelint.trace.run import Run
from freezelint.trace.tri import NO, YES

LONGEST = 400  # items of a literal that are looked at one by one


def evaluate(it: Interpreter, node: cst.BaseExpression, world: World) -> Outcomes:
    """What `node` can be, in each world its evaluation leads to."""
    it.burn()
    handler = _HANDLERS.get(type(node))
    return handler(it, node, world) if handler else [(unknown(node), world)]


def evaluate_all(it: Interpreter, nodes: Sequence[cst.BaseExpression], world: World) -> list[tuple[list[Value], World]]:
    """The values of several expressions, left to right."""
    done: list[tuple[list[Value], World]] = [([], world)]
    for node in nodes:
        done = [([*values, value], after) for values, here in done for value, after in evaluate(it, node, here)]
    return done


def unknown(node: cst.CSTNode, text: str = "") -> Sym:
    """An unknown that is the same whenever this expression is evaluated."""
    return Sym(("node", id(node)), text)


def fresh(text: str = "", kind: str = "") -> Sym:
    """An unknown that equals no other."""
    return Sym(("fresh", serial()), text, kind)


def source(it: Interpreter, node: cst.CSTNode) -> str:
    """The source of a small node on one line."""
    module = it.scope.module
    text = module.sources.get(id(node))
    if text is None:
        bare: Any = node
        # A pattern is no expression, and some need their parentheses.
        stripped = isinstance(node, cst.BaseExpression) and not isinstance(node, (cst.Tuple, cst.GeneratorExp))
        if stripped and bare.lpar:
            bare = bare.with_changes(lpar=(), rpar=())  # parentheses that say nothing
        text = module.sources[id(node)] = " ".join(module.tree.code_for_node(bare).split())
    return text


def label(it: Interpreter, value: Value, name: str, world: World) -> None:
    """Call a new model after the first name it is bound to, as its author does; its children after it."""
    record = world.heap.get(value.serial) if isinstance(value, Obj) and not value.path else None
    whole = record.part if isinstance(record, Instance) else value.parameter if isinstance(value, Params) else None
    if whole is None:
        return
    # What a constructor called `self.head` is `net.head` once the instance has a name of its own.
    inner = whole.label.removeprefix("self.")
    renamed = name != whole.label != inner and name.endswith(f".{inner}")
    if not renamed and not whole.label.startswith("("):
        return
    old, whole.label = whole.label, name
    for part in whole.below():
        part.label = part.label.replace(old, name, 1)
    if isinstance(record, Instance):
        for path, child in record.attrs.items():
            label(it, child, f"{name}.{path}", world)


_CONSTANTS: dict[str, Value] = {"True": Const(True), "False": Const(False), "None": NONE}


def _name(it: Interpreter, node: cst.Name, world: World) -> Outcomes:
    constant = _CONSTANTS.get(node.value)  # libcst has no node of its own for these
    if constant is not None:
        return [(constant, world)]
    return [(settle(it, it.name(node.value, world), world), world)]


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
        for args, then in calls.arguments(it, node.args, after):
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


_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    cst.Add: operator.add,
    cst.Subtract: operator.sub,
    cst.Multiply: operator.mul,
    cst.FloorDivide: operator.floordiv,
    cst.Divide: operator.truediv,
    cst.Modulo: operator.mod,
}


def _binary(it: Interpreter, node: cst.BinaryOperation, world: World) -> Outcomes:
    done: Outcomes = []
    for (left, right), after in evaluate_all(it, [node.left, node.right], world):
        if isinstance(node.operator, cst.Add):
            summed(it, ((node.left, left), (node.right, right)), node, after)
            if isinstance(left, Ref) and (layers := loops.stack(it, right, after)) is not None:
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
            if calls.is_loss(text) or calls.is_loss(source(it, node)):
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
        calls.use_directly(it, left, world)
        calls.use_directly(it, right, world)
        return calls.computed(world, tensor_of((left, right)))
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


def items_of(value: Value, world: World) -> Items | None:
    """The items of a list, tuple or parameter list, None for anything else."""
    if isinstance(value, Tuple):
        return Items(value.items)
    if isinstance(value, Ref):
        record = world.heap.get(value.serial)
        return record if isinstance(record, Items) else None
    if isinstance(value, Params) and not value.single:
        return Items((replace(value, iterator=None),))
    return None


def new_list(world: World, items: Sequence[Value], more: bool = False) -> Ref:
    """A new list in the heap."""
    ref = Ref(serial())
    world.heap[ref.serial] = Items(tuple(items), more)
    return ref


def _unary(it: Interpreter, node: cst.UnaryOperation, world: World) -> Outcomes:
    done: Outcomes = []
    for value, after in evaluate(it, node.expression, world):
        if isinstance(node.operator, cst.Not):
            done.append((branches.negated(value, after), after))
        elif (
            isinstance(value, Const) and isinstance(value.value, (int, float)) and isinstance(node.operator, cst.Minus)
        ):
            done.append((Const(-value.value), after))
        elif isinstance(value, (Tensor, Elem)):
            done.append((value if isinstance(value, Tensor) else Elem(value.loop, "derived"), after))
        else:
            done.append((Sym(("unary", type(node.operator).__name__, value)), after))
    return done


def _boolean(it: Interpreter, node: cst.BooleanOperation, world: World) -> Outcomes:
    done: Outcomes = []
    conjunction = isinstance(node.operator, cst.And)
    for left, after in evaluate(it, node.left, world):
        truth = branches.truth(left, after)
        if truth is not None and truth is not conjunction:
            done.append((left, after))
            continue
        for right, then in evaluate(it, node.right, after):
            if truth is not None:
                done.append((right, then))
            elif isinstance(left, Cond) and isinstance(right, Cond) and left.loop == right.loop:
                done.append((Cond(left.loop, "and" if conjunction else "or", (left, right)), then))
            elif isinstance(left, Cond) and branches.truth(right, then) is conjunction:
                done.append((left, then))
            elif not conjunction and isinstance(left, Sym) and not isinstance(right, (Const, Sym, Cond)):
                done.append((right, then))  # `model or default()`: what is known of it
            else:
                done.append((Sym(("and" if conjunction else "or", left, right)), then))
    return done


_ORDER: dict[type, Callable[[Any, Any], bool]] = {
    cst.LessThan: operator.lt,
    cst.LessThanEqual: operator.le,
    cst.GreaterThan: operator.gt,
    cst.GreaterThanEqual: operator.ge,
}


def _comparison(it: Interpreter, node: cst.Comparison, world: World) -> Outcomes:
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
        return branches.negated(found, world) if negative else found
    if isinstance(op, (cst.Equal, cst.NotEqual, cst.Is, cst.IsNot)):
        same = _same(left, right, exact=isinstance(op, (cst.Is, cst.IsNot)))
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


def _same(left: Value, right: Value, exact: bool) -> bool | None:
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


def strings(value: Value, world: World) -> tuple[str, ...] | None:
    """The strings of a constant or of a list or tuple of constants."""
    if isinstance(value, Const):
        return (value.value,) if isinstance(value.value, str) else None
    known = items_of(value, world)
    if known is None and isinstance(value, Ref) and isinstance(table := world.heap.get(value.serial), Table):
        return tuple(k for k in table.items if isinstance(k, str)) if not table.more else None
    if known is None or known.more or not known.items:
        return None
    if not all(isinstance(i, Const) and isinstance(i.value, str) for i in known.items):
        return None
    return tuple(i.value for i in known.items)  # type: ignore[attr-defined]


def _compare_element(
    it: Interpreter, node: cst.CSTNode, op: cst.BaseCompOp, left: Value, right: Value, world: World
) -> Value:
    text = source(it, node)
    if isinstance(left, Cond) and isinstance(right, Const) and isinstance(right.value, bool):
        return left if right.value else branches.negated(left, world)
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
            return counts if isinstance(op, (cst.LessThan, cst.LessThanEqual)) else branches.negated(counts, world)
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
                done.append((case.cond if yes.value else branches.negated(case.cond, after), after))
            else:
                done.append((yes if yes == no else fresh(), after))
    return done


def _lambda(it: Interpreter, node: cst.Lambda, world: World) -> Outcomes:
    scope = it.scope
    info = it.function(scope.module, node, scope.cls)
    return [(Func(info, scope.frame), world)]


def _sequence(it: Interpreter, node: Any, world: World) -> Outcomes:
    elements = node.elements[:LONGEST]
    more = len(node.elements) > LONGEST
    done: Outcomes = []
    for values, after in evaluate_all(it, [e.value for e in elements], world):
        items: list[Value] = []
        open_end = more
        for element, value in zip(elements, values, strict=False):
            if not isinstance(element, cst.StarredElement):
                items.append(value)
            elif (known := loops.spread(it, value, after, element)) is not None:
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
    from freezelint.static import execute

    done = evaluate(it, node.value, world)
    for value, after in done:
        execute.assign(it, node.target, value, node, after)
    return done


def _await(it: Interpreter, node: Any, world: World) -> Outcomes:
    return evaluate(it, node.expression, world)


def _yield(it: Interpreter, node: cst.Yield, world: World) -> Outcomes:
    if node.value is None:
        return [(unknown(node), world)]
    inner = node.value.item if isinstance(node.value, cst.From) else node.value
    return [(Sym(("yield", id(node))), after) for _, after in evaluate(it, inner, world)]


def flag_of(it: Interpreter, region: Any, world: World) -> Value:
    """`p.requires_grad` of one parameter."""
    from freezelint.trace.run import Run

    flags = {Run(world.state).flag(leaf) for part in region for leaf in part.leaves()}
    if len(flags) == 1:
        flag = next(iter(flags))
        if flag.value != "unsure":
            return Const(flag is not NO)
    return fresh("requires_grad")


_HANDLERS: dict[type, Callable[[Interpreter, Any, World], Outcomes]] = {
    cst.Name: _name,
    cst.Attribute: _attribute,
    cst.Call: _call,
    cst.Subscript: _subscript,
    cst.Integer: _number,
    cst.Float: _number,
    cst.SimpleString: _string,
    cst.ConcatenatedString: _concatenated,
    cst.FormattedString: _formatted,
    cst.BinaryOperation: _binary,
    cst.UnaryOperation: _unary,
    cst.BooleanOperation: _boolean,
    cst.Comparison: _comparison,
    cst.IfExp: _conditional,
    cst.Lambda: _lambda,
    cst.Tuple: _sequence,
    cst.List: _sequence,
    cst.Set: _sequence,
    cst.Dict: _dict,
    cst.NamedExpr: _named,
    cst.Await: _await,
    cst.Yield: _yield,
    cst.ListComp: loops.comprehension,
    cst.GeneratorExp: loops.comprehension,
    cst.SetComp: loops.comprehension,
    cst.DictComp: loops.dict_comprehension,
}
