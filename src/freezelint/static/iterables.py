"""Python's functions over iterables, as far as parameters, modules and tests flow through them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import libcst as cst

from freezelint.static import assumptions, branches, calls, comparisons, comprehensions, elements, evaluate
from freezelint.static.arguments import Args
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.subscripts import some
from freezelint.static.values import (
    Cond,
    Const,
    Elem,
    Func,
    Ids,
    Items,
    Lib,
    Modules,
    Obj,
    Params,
    Ref,
    StateDict,
    Sym,
    Table,
    Tensor,
    Tuple,
    Value,
)
from freezelint.static.world import World, serial
from freezelint.trace import events as ev
from freezelint.trace.regions import Test


def _items(it: Interpreter, value: Value | None, node: cst.CSTNode, world: World) -> Items | None:
    """What iterating a value yields, as far as it is known."""
    if value is None:
        return Items()
    if isinstance(value, Params):
        elements.use(it, value, "list()", node, world)
        return Items((replace(value, iterator=None),))
    if isinstance(value, Modules):
        known = elements.children(it, value, world)
        return Items(known) if known is not None else None
    if isinstance(value, Sym) and value.kind == "map":
        _consumed(it, value, node, world)
        return Items((), True)
    known_items = evaluate.items_of(value, world)
    if known_items is not None:
        return known_items
    unrolled = elements.unrolled(it, value, world, node)
    return Items(unrolled) if unrolled is not None else None


def _consumed(it: Interpreter, value: Sym, node: cst.CSTNode, world: World) -> None:
    """`list(map(fn, parameters))`: now fn runs on each, as in a loop."""
    func, over = value.key[1:3]  # type: ignore[index]
    element = elements.one_pass(it, over, world, node)
    if element is not None:
        binding, loop = element
        calls.call(it, func, Args([binding]), node, world)  # type: ignore[arg-type]
        world.elements.pop(loop, None)


def list_(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    value = args.get(0)
    if isinstance(value, (Modules, Ids)):
        return [(value, world)]
    known = _items(it, value, node, world)
    if known is not None:
        return [(evaluate.new_list(world, known.items, known.more), world)]
    return [
        (value if isinstance(value, (Tensor, Sym)) and value is not None else evaluate.new_list(world, (), True), world)
    ]


def in_other_order(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    """What is in a list, in an order that is not known."""
    return [(_reordered(value, after), after) for value, after in list_(it, args, node, world)]


def reversed_(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    done: Outcomes = []
    for value, after in list_(it, args, node, world):
        record = after.heap.get(value.serial) if isinstance(value, Ref) else None
        if isinstance(value, Ref) and isinstance(record, Items) and not record.more:
            after.heap[value.serial] = replace(record, items=record.items[::-1])
        done.append((_reordered(value, after), after))
    return done


def _reordered(value: Value, world: World) -> Value:
    record = world.heap.get(value.serial) if isinstance(value, Ref) else None
    if isinstance(value, Ref) and isinstance(record, Items):
        items = tuple(replace(i, of=None) if isinstance(i, Params) else i for i in record.items)
        world.heap[value.serial] = replace(record, items=items)
    return value


def tuple_(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    done: Outcomes = []
    for value, after in list_(it, args, node, world):
        known = after.heap.get(value.serial) if isinstance(value, Ref) else None
        if isinstance(known, Items) and not known.more and not any(isinstance(i, Params) for i in known.items):
            value = Tuple(known.items)
        done.append((value, after))
    return done


def filter_(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    func, value = args.get(0), args.get(1)
    if isinstance(value, Ref):
        record = world.heap.get(value.serial)
        if isinstance(record, Items) and record.items and all(isinstance(i, Params) for i in record.items):
            members = tuple(dict.fromkeys(m for i in record.items for m in i.members))  # type: ignore[attr-defined]
            value = Params(members, named=all(i.named for i in record.items))  # type: ignore[attr-defined]
    element = elements.one_pass(it, value, world, node) if value is not None else None
    if element is None or not isinstance(func, (Func, Lib)):
        return calls.unknown(it, "filter", args, node, world, escapes=False)
    binding, loop = element
    done: Outcomes = []
    members = world.elements[loop]
    for cond, after in calls.call(it, func, Args([binding]), node, world):
        if isinstance(cond, (Sym, Elem)) and assumptions.truth(cond, after) is None:  # some pass, nobody knows which
            text = evaluate.source(it, node)
            cond = Cond(loop, "test", test=Test("opaque", (text,), text))
        if isinstance(cond, Cond) and cond.loop == loop:
            yes, _, maybe = branches.partition(cond, members, after)
            branches.select(it, cond, (*yes, *maybe), members, node, after)
            flag = comprehensions.tests_flag(cond)
            # What passes a test of flags that are not known is for the optimizer to say: it keeps it as `perhaps`.
            chosen, unsure = (*yes, *maybe), bool(maybe) and cond.op != "flag"
        else:
            known = assumptions.truth(cond, after)
            chosen, unsure, flag = (members, known is None, False) if known is not False else ((), False, False)
        after.elements.pop(loop, None)
        iterator = serial()
        it.emit(
            after,
            ev.TakeParams(site=it.place(node), lap=it.lap(after), iterator=iterator, text=evaluate.source(it, node)),
        )
        named = isinstance(value, Params) and value.named
        was = isinstance(value, Params) and value.filtered
        done.append(
            (
                Params(
                    chosen,
                    named=named,
                    iterator=iterator,
                    filtered=flag or was,
                    unsure=unsure or (isinstance(value, Params) and value.unsure),
                ),
                after,
            )
        )
    return done


def map_(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    func, value = args.get(0), args.get(1)
    if isinstance(value, Params) and isinstance(func, Lib) and func.name == "builtins.id":
        elements.use(it, value, "map(id, ...)", node, world)
        return [(Ids(value.members, value.unsure), world)]
    if isinstance(value, Ref) and isinstance(func, Lib) and func.name == "builtins.id":
        record = world.heap.get(value.serial)
        if isinstance(record, Items) and all(isinstance(i, Params) for i in record.items):
            members = tuple(m for i in record.items for m in i.members)  # type: ignore[attr-defined]
            return [(Ids(members, record.more), world)]
    if isinstance(func, Func) and isinstance(value, (Params, Modules)):
        # Nothing happens until it is consumed, and nobody consumes a bare statement; `list(map(...))` does.
        return [(Sym(("map", func, value, serial()), "map(...)", kind="map"), world)]
    known = _items(it, value, node, world) if value is not None else None
    if (
        known is not None
        and not known.more
        and func is not None
        and len(known.items) <= elements.UNROLLED
        and not any(isinstance(i, Params) for i in known.items)
    ):
        rows: list[tuple[list[Value], World]] = [([], world)]
        for item in known.items:
            rows = [([*got, out], w2) for got, w in rows for out, w2 in calls.call(it, func, Args([item]), node, w)]
        return [(evaluate.new_list(w, got), w) for got, w in rows]
    return calls.unknown(it, "map", args, node, world, escapes=False)


def enumerate_(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    value = args.get(0)
    start = args.get(1, "start")
    first = start.value if isinstance(start, Const) and isinstance(start.value, int) else 0
    known = elements.unrolled(it, value, world, node) if value is not None else None
    if known is not None:
        return [(evaluate.new_list(world, [Tuple((Const(at), item)) for at, item in enumerate(known, first)]), world)]
    stacked = value is not None and elements.stack(it, value, world) is not None
    if stacked or isinstance(value, (Params, Modules, StateDict, Obj)) or _of_params(value, world):
        return [(Sym(("enumerate", value, first)), world)]
    return [(Sym(("enumerated", value)), world)]


def _of_params(value: Value | None, world: World) -> bool:
    record = world.heap.get(value.serial) if isinstance(value, Ref) else None
    return isinstance(record, Items) and bool(record.items) and all(isinstance(i, Params) for i in record.items)


def zip_(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    modules = next((v for v in args.pos if isinstance(v, Modules) and v.how == "modules"), None)
    params = next((v for v in args.pos if isinstance(v, Params) and not v.single), None)
    if len(args.pos) == 2 and modules is not None and params is not None:
        texts = [evaluate.source(it, arg.value) for arg in node.args]
        if isinstance(args.pos[0], Params):
            texts.reverse()
        it.emit(world, ev.ZipApart(site=it.place(node), lap=it.lap(world), modules=texts[0], parameters=texts[1]))
        return [(Sym(("apart", serial())), world)]  # which parameter a module meets is chance
    lists = [elements.unrolled(it, v, world, node) for v in args.pos]
    if lists and all(items is not None for items in lists):
        rows = [Tuple(tuple(row)) for row in zip(*[items for items in lists if items is not None], strict=False)]
        return [(evaluate.new_list(world, rows), world)]
    return [(Sym(("zip", tuple(args.pos))), world)]


def any_(it: Interpreter, args: Args, node: cst.Call, world: World, every: bool = False) -> Outcomes:
    value = args.get(0)
    if isinstance(value, Cond):
        return [(value, world)]
    if isinstance(value, Sym) and value.kind == "map":
        _consumed(it, value, node, world)
    if isinstance(value, Ref) and isinstance(record := world.heap.get(value.serial), Items) and record.items:
        asked = [comparisons.opaque(it, i, node) if isinstance(i, Elem) else i for i in record.items]
        conds = [i for i in asked if isinstance(i, Cond)]
        if len(conds) == len(record.items) and len({c.loop for c in conds}) == 1:
            if len(conds) == 1 and conds[0].test is not None and conds[0].test.kind == "opaque":
                return [(conds[0], world)]
            tests = [c.test for c in conds if c.test is not None and c.op == "test"]
            if not every and len(tests) == len(conds) and len({t.kind for t in tests}) == 1:
                args_ = tuple(dict.fromkeys(a for t in tests for a in t.args))
                text = f"any of {', '.join(map(repr, args_[:4]))} {tests[0].kind} name"
                return [(Cond(conds[0].loop, "test", test=Test(tests[0].kind, args_, text)), world)]
            joined = conds[0]
            for cond in conds[1:]:
                joined = Cond(joined.loop, "and" if every else "or", (joined, cond))
            return [(joined, world)]
        known = [assumptions.truth(i, world) for i in record.items]
        decisive = not every
        if decisive in known:
            return [(Const(decisive), world)]
        if not record.more and all(k is (not decisive) for k in known):
            return [(Const(not decisive), world)]
    return [(Sym(("any", value, serial())), world)]


def all_(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    return any_(it, args, node, world, every=True)


def dict_(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    ref = Ref(serial())
    first = args.get(0)
    if isinstance(first, Params) and first.named:
        elements.use(it, first, "dict()", node, world)
        return [(replace(first, iterator=None), world)]
    items: dict[Any, Value] = {}
    more = args.more
    if isinstance(first, Ref) and isinstance(record := world.heap.get(first.serial), Table):
        items, more = dict(record.items), more or record.more
    elif (
        isinstance(first, Ref)
        and isinstance(record := world.heap.get(first.serial), Items)
        and not record.more
        and all(isinstance(i, Tuple) and len(i.items) == 2 and isinstance(i.items[0], Const) for i in record.items)
    ):
        items = {i.items[0].value: i.items[1] for i in record.items}  # type: ignore[attr-defined]
    elif isinstance(first, Modules) and first.named and (children := elements.children(it, first, world)) is not None:
        items = {pair.items[0].value: pair.items[1] for pair in children}  # type: ignore[attr-defined]
    elif first is not None:
        more = True
    items.update(args.kw)
    world.heap[ref.serial] = Table(items, more)
    return [(ref, world)]


def next_(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    value = args.get(0)
    if isinstance(value, Params):
        return [(some(replace(value, iterator=None), "next()"), world)]
    if isinstance(value, Tensor):
        return [(value, world)]
    if isinstance(value, Modules):
        known = elements.children(it, value, world)
        if known:
            return [(known[0], world)]
    return [(Sym(("fresh", serial())), world)]


def chain(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    items: list[Value] = []
    more = args.more
    for value in args.pos:
        known = evaluate.items_of(value, world)
        if known is None:
            more = True
        else:
            items += known.items
            more = more or known.more
    params = [i for i in items if isinstance(i, Params) and not i.single]
    if items and len(params) == len(items):
        iterator = serial()
        it.emit(
            world,
            ev.TakeParams(site=it.place(node), lap=it.lap(world), iterator=iterator, text=evaluate.source(it, node)),
        )
        members = tuple(dict.fromkeys(m for p in params for m in p.members))
        return [
            (
                Params(
                    members,
                    iterator=iterator,
                    filtered=all(p.filtered for p in params),
                    unsure=more or any(p.unsure for p in params),
                ),
                world,
            )
        ]
    return [(evaluate.new_list(world, items, more), world)]


def chain_from(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    known = evaluate.items_of(args.pos[0], world) if args.pos else None
    return chain(it, Args(list(known.items) if known else [], {}, known is None or known.more), node, world)
