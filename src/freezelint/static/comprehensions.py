"""Comprehensions and generator expressions, and what of their elements is left outside of them."""

from __future__ import annotations

from typing import Any

import libcst as cst

from freezelint.static import assignments, assumptions, branches, elements, evaluate
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.loops import item_of
from freezelint.static.modules import names_in
from freezelint.static.values import Cond, Elem, Ids, Members, Params, Ref, Sym, Table, Tensor, Tuple, Value, tensor_of
from freezelint.static.world import World, serial
from freezelint.trace import events as ev


def comprehension(it: Interpreter, node: Any, world: World) -> Outcomes:
    """List, set and generator comprehensions."""
    lazy = isinstance(node, cst.GeneratorExp)
    before = dict(it.locals(world))
    done: Outcomes = []
    for items, more, after in _generate(it, node.for_in, node.elt, world):
        value = _collected(it, items, more, lazy, node, after)
        done.append((value, after))
        _restore(it, node.for_in, before, after)
    return done or [(evaluate.unknown(node), world)]


def _restore(it: Interpreter, clause: cst.CompFor, before: dict[str, Value], world: World) -> None:
    """Comprehension variables do not leak."""
    names = it.locals(world)
    for name in names_in(clause.target):
        if name in before:
            names[name] = before[name]
        else:
            names.pop(name, None)
    if clause.inner_for_in is not None:
        _restore(it, clause.inner_for_in, before, world)


def _collected(it: Interpreter, items: list[Value], more: bool, lazy: bool, node: cst.CSTNode, world: World) -> Value:
    params = [i for i in items if isinstance(i, Params)]
    apart = not lazy and any(p.iterator is not None for p in params)  # a list of generators is no list of parameters
    if items and len(params) == len(items) and not more and not apart:
        members = tuple(dict.fromkeys(m for p in params for m in p.members))
        iterator = None
        if lazy:
            iterator = serial()
            it.emit(
                world,
                ev.TakeParams(
                    site=it.place(node), lap=it.lap(world), iterator=iterator, text=evaluate.source(it, node)
                ),
            )
        return Params(
            members,
            named=all(p.named for p in params),
            iterator=iterator,
            filtered=all(p.filtered for p in params),
            unsure=any(p.unsure for p in params),
        )
    if len(items) == 1 and isinstance(items[0], Ids) and not more:
        return items[0]
    conds = [i for i in items if isinstance(i, Cond)]
    if len(conds) == len(items) == 1:
        return conds[0]
    if items and all(isinstance(i, Tensor) for i in items):
        return evaluate.new_list(world, (tensor_of(items),), True)
    return evaluate.new_list(world, items, more)


def _generate(
    it: Interpreter, clause: cst.CompFor, elt: cst.BaseExpression, world: World
) -> list[tuple[list[Value], bool, World]]:
    done: list[tuple[list[Value], bool, World]] = []
    for value, after in evaluate.evaluate(it, clause.iter, world):
        known = elements.unrolled(it, value, after, clause.iter)
        if known is not None:
            rows: list[tuple[list[Value], bool, World]] = [([], False, after)]
            for item in known:
                nxt = []
                for got, more, w in rows:
                    assignments.assign(it, clause.target, item, clause, w)
                    for new, new_more, w2 in _filtered(it, clause, 0, elt, w):
                        nxt.append(([*got, *new], more or new_more, w2))
                rows = nxt[:8]
            done += rows
            continue
        element = elements.one_pass(it, value, after, clause.iter)
        if element is not None:
            binding, loop = element
            assignments.assign(it, clause.target, binding, clause, after)
            everything = after.elements.get(loop, ())
            for got, more, w in _filtered(it, clause, 0, elt, after):
                done.append(([_closed(v, loop, everything, w) for v in got], more, w))
                w.elements.pop(loop, None)
            continue
        item = item_of(value, ("item", id(clause)), after)
        assignments.assign(it, clause.target, item, clause, after)
        for got, _, w in _filtered(it, clause, 0, elt, after):
            done.append((got, True, w))
    return done


def _filtered(
    it: Interpreter, clause: cst.CompFor, at: int, elt: cst.BaseExpression, world: World
) -> list[tuple[list[Value], bool, World]]:
    if at == len(clause.ifs):
        if clause.inner_for_in is not None:
            return _generate(it, clause.inner_for_in, elt, world)
        return [([value], False, after) for value, after in evaluate.evaluate(it, elt, world)]
    done: list[tuple[list[Value], bool, World]] = []
    for value, after in evaluate.evaluate(it, clause.ifs[at].test, world):
        known = assumptions.truth(value, after)
        if known is None:
            value = branches.of_element(it, value, clause.ifs[at].test, after)
        if known is False:
            done.append(([], False, after))
        elif isinstance(value, Cond) and value.loop in after.elements:
            members = after.elements[value.loop]
            yes, _, maybe = branches.partition(value, members, after)
            branches.select(it, value, (*yes, *maybe), members, clause.ifs[at].test, after)
            after.elements[value.loop] = (*yes, *maybe)
            for got, more, w in _filtered(it, clause, at + 1, elt, after):
                flag = tests_flag(value)
                done.append(([_marked(v, flag, bool(maybe) and value.op != "flag") for v in got], more, w))
        else:
            for got, more, w in _filtered(it, clause, at + 1, elt, after):
                unknown = known is None and not _of_emptiness(clause.ifs[at].test)
                done.append((got, more or unknown, w))
    return done


def _of_emptiness(test: cst.BaseExpression) -> bool:
    """Whether a filter drops only what is empty, as of parameter groups: nothing is lost with that."""
    if isinstance(test, cst.Comparison) and len(test.comparisons) == 1:
        target = test.comparisons[0]
        zero = isinstance(target.comparator, cst.Integer) and target.comparator.value == "0"
        if not zero or not isinstance(target.operator, (cst.GreaterThan, cst.NotEqual)):
            return False
        test = test.left
        return isinstance(test, cst.Call) and isinstance(test.func, cst.Name) and test.func.value == "len"
    if isinstance(test, cst.Call) and isinstance(test.func, cst.Name):
        return test.func.value == "len"
    return isinstance(test, cst.Subscript)


def tests_flag(cond: Cond) -> bool:
    """Whether a condition only keeps what requires grad."""
    return cond.op == "flag" or (cond.op == "and" and any(tests_flag(c) for c in cond.args))


def _marked(value: Value, flag: bool, unsure: bool) -> Value:
    if isinstance(value, Params):
        return Params(
            value.members, value.named, value.single, value.iterator, value.filtered or flag, value.unsure or unsure
        )
    if isinstance(value, Elem) and value.what in ("param", "maybe") and (flag or unsure):
        return Elem(value.loop, "maybe" if unsure else "filtered" if flag else value.what)
    if isinstance(value, Tuple):
        return Tuple(tuple(_marked(v, flag, unsure) for v in value.items))
    return value


def _closed(value: Value, loop: int, everything: Members, world: World) -> Value:
    """A comprehension's element seen from outside: the parameters it stood for."""
    members = world.elements.get(loop, everything)
    if isinstance(value, Elem) and value.loop == loop:
        if value.what in ("param", "maybe", "filtered"):
            return Params(members, filtered=value.what == "filtered", unsure=value.what == "maybe")
        if value.what in ("name", "id"):
            return Ids(members)
        return Sym(("elements", loop, value.what))
    if isinstance(value, Tuple) and len(value.items) == 2:
        first, second = value.items
        if isinstance(first, Elem) and isinstance(second, Elem) and first.what == "name" and second.loop == loop:
            if second.what in ("param", "maybe", "filtered"):
                return Params(members, named=True, filtered=second.what == "filtered", unsure=second.what == "maybe")
    if isinstance(value, Cond) and value.loop == loop:
        return Sym(("any", value.op, serial()))
    return value


def dict_comprehension(it: Interpreter, node: cst.DictComp, world: World) -> Outcomes:
    """A dictionary comprehension: its values matter only when they are parameters."""
    before = dict(it.locals(world))
    done: Outcomes = []
    for items, _, after in _generate(it, node.for_in, node.value, world):
        ref = Ref(serial())
        after.heap[ref.serial] = Table({}, True)
        _restore(it, node.for_in, before, after)
        only = items[0] if len(items) == 1 else None
        done.append((only if isinstance(only, Params) else ref, after))
    return done or [(evaluate.unknown(node), world)]
