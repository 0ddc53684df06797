"""What iterating a value goes over: the items of a short known list one by one, or parts of a model in one pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import libcst as cst

from freezelint.static import order
from freezelint.static.interpreter import Interpreter
from freezelint.static.values import (
    Const,
    Copy,
    Elem,
    Instance,
    Items,
    Members,
    Modules,
    Obj,
    Params,
    Ref,
    StateDict,
    Sym,
    Table,
    Tuple,
    Value,
)
from freezelint.static.world import World, serial
from freezelint.trace import events as ev
from freezelint.trace.regions import Part, Test

UNROLLED = 16  # children or items that are taken one by one; longer lists are taken as one element


def unrolled(it: Interpreter, value: Value, world: World, node: cst.CSTNode) -> tuple[Value, ...] | None:
    """The items of a short list whose items are all known."""
    if isinstance(value, Const) and isinstance(value.value, str):
        return None
    if isinstance(value, Modules):
        return children(it, value, world)
    items: Items | None = None
    if isinstance(value, Tuple):
        items = Items(value.items)
    elif isinstance(value, Ref):
        record = world.heap.get(value.serial)
        if isinstance(record, Table) and not record.more:
            items = Items(tuple(Const(k) for k in record.items))
        elif isinstance(record, Items) and not record.more:
            items = record
    elif isinstance(value, Obj):
        items = contained(it, value, world)
    if items is None or items.more or len(items.items) > UNROLLED:
        return None
    if any(isinstance(i, Params) and not i.single for i in items.items):
        return None  # a list made of whole parameter lists: its items are parameters
    return items.items


def contained(it: Interpreter, value: Obj, world: World) -> Items | None:
    """The modules of a Sequential or ModuleList in order."""
    record = world.heap.get(value.serial)
    numbered = _numbered(it, value, world)
    if numbered is not None:
        return Items(numbered)
    if not isinstance(record, Instance) or value.path or record.kind not in ("Sequential", "ModuleList"):
        return None
    known = record.part is not None and record.part.layers is not None
    return Items(tuple(v for k, v in record.attrs.items() if k.isdigit()), not known)


def numbered(it: Interpreter, value: Obj, world: World) -> bool:
    """Whether a part of a library's model is a Sequential or ModuleList."""
    return _numbered(it, value, world) is not None


def _numbered(it: Interpreter, value: Obj, world: World) -> tuple[Value, ...] | None:
    """The children of a part of a library's model that is a Sequential or ModuleList: they have numbers for names."""
    record = world.heap.get(value.serial)
    if not value.path or not isinstance(record, Instance) or record.row is None:
        return None
    found = child_list(it, value, world)
    return tuple(child for _, child in found) if found and all(name.isdigit() for name, _ in found) else None


def children(it: Interpreter, value: Modules, world: World) -> tuple[Value, ...] | None:
    """`children()` or `named_children()` of a module whose children are all known, one by one."""
    if value.how != "children" or not isinstance(value.owner, Obj):
        return None
    found = child_list(it, value.owner, world)
    if found is None or len(found) > UNROLLED:
        return None
    found = found[value.start : value.stop]
    if value.named:
        return tuple(Tuple((Const(name), child)) for name, child in found)
    return tuple(child for _, child in found)


def child_list(it: Interpreter, owner: Obj, world: World) -> list[tuple[str, Obj]] | None:
    """The direct children of a module by name, None when there may be others."""
    record = world.heap.get(owner.serial)
    if not isinstance(record, Instance) or record.part is None:
        return None
    stem = owner.path + "." if owner.path else ""
    attached = {
        k[len(stem) :]: v
        for k, v in record.attrs.items()
        if k.startswith(stem)
        and isinstance(v, Obj)
        and it.as_module(v, world) is not None
        and "." not in k[len(stem) :]
    }
    names: list[str] = []
    if record.part.layers is None:
        if record.row is None:
            return None
        return None
    if record.row is not None and not owner.path and getattr(record.row, "children", None):
        names = list(record.row.children)
    else:
        for where in record.part.layers:
            if where.startswith(stem) and where != owner.path:
                first = where[len(stem) :].split(".")[0]
                if first and first not in names:
                    names.append(first)
    names += [n for n in attached if n not in names]
    return [(n, attached.get(n) or Obj(owner.serial, stem + n)) for n in names]


def one_pass(it: Interpreter, value: Value, world: World, node: cst.CSTNode) -> tuple[Value, int] | None:
    """What one pass over parameters or modules binds, and the loop whose elements it stands for."""
    loop = serial()
    if isinstance(value, Params):
        use(it, value, "a loop", node, world)
        world.elements[loop] = value.members
        param = Elem(loop, "maybe" if value.unsure else "param")
        return (Tuple((Elem(loop, "name"), param)) if value.named else param), loop
    if isinstance(value, StateDict):
        world.elements[loop] = value.members
        return Elem(loop, "name"), loop
    if isinstance(value, Sym) and isinstance(value.key, tuple) and value.key[0] in ("state items", "state values"):
        state = value.key[1]
        world.elements[loop] = state.members
        tensor: Value = Elem(loop, "param") if state.keep_vars else Copy(state.members, "state_dict()")
        return (Tuple((Elem(loop, "name"), tensor)) if value.key[0] == "state items" else tensor), loop
    if isinstance(value, Modules) and isinstance(value.owner, (Obj, Elem)):
        members = (
            it.members(value.owner, world) if isinstance(value.owner, Obj) else world.elements.get(value.owner.loop, ())
        )
        if value.start or value.stop:
            members = sliced(members, f"[{value.start or ''}:{value.stop or ''}] of children()")
        world.elements[loop] = members
        module = Elem(loop, "module")
        return (Tuple((Elem(loop, "name"), module)) if value.named else module), loop
    if isinstance(value, Obj):
        module_of = it.as_module(value, world)
        record = world.heap.get(value.serial)
        if (
            module_of is not None
            and isinstance(record, Instance)
            and (
                record.kind in ("Sequential", "ModuleList", "symbolic", "slice")
                or _numbered(it, value, world) is not None
            )
        ):
            world.elements[loop] = it.members(module_of, world)
            return Elem(loop, "module"), loop
        return None
    if (layers := stack(it, value, world)) is not None:
        world.elements[loop] = it.members(layers, world)
        return Elem(loop, "module"), loop
    if isinstance(value, Sym) and isinstance(value.key, tuple) and value.key[0] == "enumerate":
        inner = one_pass(it, value.key[1], world, node)
        if inner is None:
            return None
        binding, loop = inner
        start = value.key[2]
        counted = _listed(value.key[1], world)
        if counted is not None:
            it.orders[loop] = order.names(it, counted, world)
        return Tuple((Elem(loop, "index", start), binding)), loop
    if isinstance(value, Sym) and isinstance(value.key, tuple) and value.key[0] == "zip":
        pairs = [one_pass(it, inner, world, node) for inner in value.key[1]]
        known = [pair for pair in pairs if pair is not None]
        parameters = any(isinstance(inner, Params) for inner in value.key[1])
        if known and (len(known) == len(pairs) or not parameters):
            bound = (pair[0] if pair is not None else Sym(("fresh", serial())) for pair in pairs)
            return Tuple(tuple(bound)), known[0][1]
        return None
    if isinstance(value, Ref):
        record = world.heap.get(value.serial)
        if isinstance(record, Items) and record.items and all(isinstance(i, Params) for i in record.items):
            found: list[Any] = [m for i in record.items for m in i.members]  # type: ignore[attr-defined]
            world.elements[loop] = tuple(dict.fromkeys(found))
            named = all(i.named for i in record.items)  # type: ignore[attr-defined]
            return (Tuple((Elem(loop, "name"), Elem(loop, "param"))) if named else Elem(loop, "param")), loop
        if (
            isinstance(record, Items)
            and record.items
            and all(it.as_module(i, world) for i in record.items if isinstance(i, (Obj, Sym)))
        ):
            modules = [it.as_module(i, world) for i in record.items if isinstance(i, (Obj, Sym))]
            if modules and len(modules) == len(record.items) and any(isinstance(i, Obj) for i in record.items):
                world.elements[loop] = tuple(dict.fromkeys(m for o in modules if o for m in it.members(o, world)))
                return Elem(loop, "module"), loop
    return None


def _listed(value: Value, world: World) -> Obj | None:
    """The module whose parameters a value lists, all and in order."""
    record = world.heap.get(value.serial) if isinstance(value, Ref) else None
    if isinstance(record, Items) and len(record.items) == 1 and not record.more:
        value = record.items[0]
    return value.of if isinstance(value, Params) and not value.filtered and not value.single else None


def sliced(members: Members, text: str) -> Members:
    """Some of these, chosen by position: an unnamed half of each part."""
    test = Test("opaque", (text,), text)
    return tuple((view, half) for view, part in members for half in part.split(test, view)[0])


STACKS = frozenset(
    {"layer", "layers", "block", "blocks", "h", "resblocks", "stages", "encoder_layers", "decoder_layers"}
)


def stack(it: Interpreter, value: Value, world: World) -> Obj | None:
    """The list of layers that an attribute of a model is whose children are not known, or a stretch of one."""
    key = value.key if isinstance(value, Sym) else None
    if not isinstance(value, Sym) or not isinstance(key, tuple) or key[0] not in ("attr", "slice"):
        return None
    if key[0] == "slice":
        return it.as_module(value, world) if stack(it, key[1], world) is not None else None
    return it.as_module(value, world) if key[2] in STACKS and it.in_module(value) else None


def use(it: Interpreter, value: Params, by: str, node: cst.CSTNode, world: World) -> None:
    """A one-shot iterator over parameters is consumed."""
    if value.iterator is not None:
        it.emit(world, ev.UseParams(site=it.place(node), lap=it.lap(world), iterator=value.iterator, by=by))


def spread(it: Interpreter, value: Value, world: World, node: cst.CSTNode) -> Items | None:
    """What `*value` puts into a list or call."""
    if isinstance(value, Params):
        use(it, value, "an unpacking", node, world)
        return Items((replace(value, iterator=None),))
    known = unrolled(it, value, world, node)
    if known is not None:
        return Items(known)
    if (layers := stack(it, value, world)) is not None:
        return Items((layers,))
    if isinstance(value, Modules) and isinstance(value.owner, Obj):
        members = it.members(value.owner, world)
        if value.start or value.stop:
            members = sliced(members, f"[{value.start or ''}:{value.stop or ''}] of children()")
        return Items((some_of(it, members, world),))
    if isinstance(value, Ref) and isinstance(record := world.heap.get(value.serial), Items):
        return record
    return None


def some_of(it: Interpreter, members: Members, world: World) -> Obj:
    """A module made of parts of other models."""
    number = serial()
    world.heap[number] = Instance("slice", part=Part("(slice)", layers={}), shares=members)
    return Obj(number)
