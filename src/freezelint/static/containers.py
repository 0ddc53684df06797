"""Methods of lists, dictionaries and strings, and of ModuleList and its kin."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import libcst as cst

from freezelint.static import calls, evaluate
from freezelint.static.arguments import Args
from freezelint.static.children import attach
from freezelint.static.elements import use
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.values import (
    NONE,
    Const,
    Elem,
    Instance,
    Items,
    Nothing,
    Obj,
    Params,
    Ref,
    Sym,
    Table,
    Tuple,
    Value,
)
from freezelint.static.world import World, serial

_TEXT = frozenset(
    {
        "lower",
        "upper",
        "strip",
        "startswith",
        "endswith",
        "replace",
        "split",
        "rsplit",
        "join",
        "title",
        "lstrip",
        "rstrip",
        "removeprefix",
        "removesuffix",
        "find",
        "count",
        "isdigit",
    }
)


def closed(value: Value, world: World) -> Value:
    """A value as it is kept beyond a loop: an element of the loop becomes the parameters it stands for now."""
    if isinstance(value, Elem) and value.what in ("param", "maybe", "filtered"):
        return Params(
            world.elements.get(value.loop, ()), filtered=value.what == "filtered", unsure=value.what == "maybe"
        )
    if isinstance(value, Tuple):
        return Tuple(tuple(closed(v, world) for v in value.items))
    if isinstance(value, Ref):
        record = world.heap.get(value.serial)
        if isinstance(record, Table) and any(isinstance(v, (Elem, Ref, Tuple)) for v in record.items.values()):
            ref = Ref(serial())
            world.heap[ref.serial] = Table({k: closed(v, world) for k, v in record.items.items()}, record.more)
            return ref
        if isinstance(record, Items) and any(isinstance(v, Elem) for v in record.items):
            ref = Ref(serial())
            world.heap[ref.serial] = Items(tuple(closed(v, world) for v in record.items), record.more)
            return ref
    return value


def method(it: Interpreter, owner: Ref | Tuple, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    """A method of a list, tuple or dictionary."""
    fresh = Sym(("fresh", serial()))
    if isinstance(owner, Tuple):
        return [(fresh, world)]
    record = world.heap.get(owner.serial)
    first = closed(args.pos[0], world) if args.pos else None
    if isinstance(record, Items):
        if name in ("extend", "update") and isinstance(first, Params):
            use(it, first, f"{name}()", node, world)
        given = _of_list(it, owner, record, name, first, args, world)
        return [(Nothing(None, evaluate.source(it, node)) if given is NONE else given, world)]
    if isinstance(record, Table):
        if name == "items":
            rows: list[Value] = [Tuple((Const(k), v)) for k, v in record.items.items()]
            return [(evaluate.new_list(world, rows, record.more), world)]
        if name == "values":
            return [(evaluate.new_list(world, list(record.items.values()), record.more), world)]
        if name == "keys":
            return [(evaluate.new_list(world, [Const(k) for k in record.items], record.more), world)]
        if name in ("get", "pop", "setdefault") and isinstance(first, Const):
            if first.value in record.items:
                return [(record.items[first.value], world)]
            if not record.more and name != "setdefault":
                return [(args.pos[1] if len(args.pos) > 1 else NONE, world)]
            return [(Sym(("item", owner, first)), world)]
        if name == "update":
            other = world.heap.get(first.serial) if isinstance(first, Ref) else None
            items, more = dict(record.items), record.more or first is not None
            if isinstance(other, Table):
                items.update(other.items)
                more = record.more or other.more
            items.update(args.kw)
            world.heap[owner.serial] = replace(record, items=items, more=more)
            return [(NONE, world)]
        if name == "copy":
            ref = Ref(serial())
            world.heap[ref.serial] = record
            return [(ref, world)]
    return [(fresh, world)]


def _of_list(
    it: Interpreter, owner: Ref, record: Items, name: str, first: Value | None, args: Args, world: World
) -> Value:
    if name in ("append", "add", "appendleft") and first is not None:
        world.heap[owner.serial] = replace(record, items=(*record.items, first))
    elif name in ("extend", "update") and first is not None:
        known = evaluate.items_of(first, world)
        if known is None:
            world.heap[owner.serial] = replace(record, more=True)
        else:
            world.heap[owner.serial] = Items((*record.items, *known.items), record.more or known.more)
    elif name == "insert" and len(args.pos) == 2:
        world.heap[owner.serial] = Items((closed(args.pos[1], world), *record.items), record.more)
    elif name == "copy":
        return evaluate.new_list(world, record.items, record.more)
    elif name in ("pop", "popleft") and record.items and not record.more:
        at = first.value if isinstance(first, Const) and isinstance(first.value, int) else -1
        if -len(record.items) <= at < len(record.items):
            items = list(record.items)
            value = items.pop(at)
            world.heap[owner.serial] = replace(record, items=tuple(items))
            return value
    elif name in ("clear",):
        world.heap[owner.serial] = Items()
    elif name in ("remove", "sort", "reverse", "pop", "popleft"):
        world.heap[owner.serial] = replace(record, more=True)
    return (
        NONE
        if name in ("append", "extend", "insert", "clear", "remove", "sort", "reverse")
        else Sym(("fresh", serial()))
    )


def of_modules(it: Interpreter, owner: Obj, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    """`append`, `extend`, `values`... of ModuleList, Sequential and ModuleDict."""
    record = world.heap.get(owner.serial)
    if not isinstance(record, Instance):
        return [(NONE, world)]
    stem = owner.path + "." if owner.path else ""
    children = {k[len(stem) :]: v for k, v in record.attrs.items() if k.startswith(stem)}
    more = record.part is None or record.part.layers is None
    if name == "values":
        return [(evaluate.new_list(world, list(children.values()), more), world)]
    if name == "items":
        return [(evaluate.new_list(world, [Tuple((Const(k), v)) for k, v in children.items()], more), world)]
    if name == "keys":
        return [(evaluate.new_list(world, [Const(k) for k in children], more), world)]
    added: list[Value] = []
    if name in ("append", "insert") and args.pos:
        added = [args.pos[-1]]
    elif args.pos:
        known = evaluate.items_of(args.pos[0], world)
        added = list(known.items) if known else []
    count = sum(1 for k in children if k.isdigit())
    for value in added:
        module = it.as_module(value, world)
        if module is not None:
            attach(it, owner, str(count), module, node, world)
            count += 1
    return [(owner, world)]


def of_constant(it: Interpreter, owner: Const, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    """A method of a string."""
    text: Any = owner.value
    if isinstance(text, str):
        known = [a.value for a in args.pos if isinstance(a, Const)]
        if name == "format" and len(known) == len(args.pos) and not args.kw and len(text) < 500:
            try:
                return [(Const(text.format(*known)), world)]
            except (IndexError, ValueError, KeyError, AttributeError, TypeError):
                pass
        if name in _TEXT and name != "join" and len(known) == len(args.pos) and not args.kw:
            try:
                result = getattr(text, name)(*known)
            except (TypeError, ValueError):
                return [(Sym(("fresh", serial())), world)]
            if isinstance(result, list):
                return [(evaluate.new_list(world, [Const(r) for r in result]), world)]
            new = Const(result)
            if not args.pos:
                it.choices.derived(new, owner)
            return [(new, world)]
        if name == "join" and args.pos:
            words = evaluate.strings(args.pos[0], world)
            if words is not None and isinstance(args.pos[0], Ref):
                return [(Const(text.join(words)), world)]
        if any(isinstance(a, Elem) for a in args.pos):
            elem = next(a for a in args.pos if isinstance(a, Elem))
            return [(Elem(elem.loop, "derived"), world)]
    return calls.unknown(it, name, args, node, world, escapes=False)
