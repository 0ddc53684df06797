"""Python's functions that look into an object: isinstance, type, getattr, setattr, hasattr, super."""

from __future__ import annotations

from typing import Any

import libcst as cst

from freezelint.static import attributes, branches, calls, classes, comparisons, elements, evaluate, writing
from freezelint.static.arguments import Args
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.values import NONE, Cls, Cond, Const, Elem, Instance, Lib, Mod, Obj, Super, Sym, Value
from freezelint.static.world import World
from freezelint.trace.regions import BY_NAME, Test


def isinstance_(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    value, kinds = args.get(0), args.get(1)
    if isinstance(value, Elem) and value.what == "module" and kinds is not None:
        names = calls.layer_kinds(it, kinds, world)
        text = evaluate.source(it, node)
        if names is not None:
            return [(Cond(value.loop, "test", test=Test("layer", names, text)), world)]
        return [(comparisons.opaque(it, value, node), world)]
    if isinstance(value, Elem):
        return [(comparisons.opaque(it, value, node), world)]
    if isinstance(value, Obj) and kinds is not None:
        record = world.heap.get(value.serial)
        if isinstance(record, Instance):
            known = _is_instance(it, record, value, kinds, world)
            if known is not None:
                return [(Const(known), world)]
    if isinstance(value, Const) and isinstance(kinds, Lib) and kinds.name in _PLAIN:
        return [(Const(isinstance(value.value, _PLAIN[kinds.name])), world)]
    if isinstance(kinds, Cls) and isinstance(value, Obj):
        record = world.heap.get(value.serial)
        if isinstance(record, Instance) and record.cls is not None:
            return [(Const(kinds.info in classes.order(it, record.cls, world)), world)]
    return [(Sym(("isinstance", value, kinds)), world)]


_PLAIN: dict[str, Any] = {
    "builtins.str": str,
    "builtins.int": int,
    "builtins.float": float,
    "builtins.bool": bool,
    "builtins.list": list,
    "builtins.dict": dict,
    "builtins.tuple": tuple,
}


def _is_instance(it: Interpreter, record: Instance, value: Obj, kinds: Value, world: World) -> bool | None:
    names = calls.layer_kinds(it, kinds, world)
    if names is None or record.part is None:
        return None
    if record.cls is None and not record.symbolic and record.part.layers is not None:
        kind = record.part.layers.get(value.path)
        own = kind.kind if kind is not None else record.kind if not value.path else None
        if own is not None:
            return Test("layer", names).of_layer(own).value == "yes" or own in names
    return None


def type_(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    value = args.get(0)
    if isinstance(value, Elem) and value.what == "module":
        return [(Elem(value.loop, "class"), world)]
    record = world.heap.get(value.serial) if isinstance(value, Obj) else None
    if isinstance(record, Instance) and record.cls is not None:
        return [(Cls(record.cls), world)]
    return [(Sym(("type", value)), world)]


def getattr_(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    owner, name = args.get(0), args.get(1)
    if owner is not None and isinstance(name, Const) and isinstance(name.value, str) and name.value.isidentifier():
        return attributes.get(it, owner, name.value, node, world)
    if isinstance(owner, Lib):
        return [(Sym(("registry", owner.name, name)), world)]
    if it.hypothetical and isinstance(name, Sym) and isinstance(owner, Obj) and (members := it.members(owner, world)):
        # Some part of it: what code out of view may unfreeze by name is why a frozen part is held.
        return [(elements.some_of(it, elements.sliced(members, BY_NAME), world), world)]
    done: Outcomes = []
    for known, after in branches.named(it, name if name is not None else NONE, node, world) if owner else ():
        if known.isidentifier() and isinstance(owner, (Mod, Cls, Obj)):
            done += attributes.get(it, owner, known, node, after)
        else:
            done.append((Sym(("getattr", owner, name)), after))
    return done or [(Sym(("getattr", owner, name)), world)]


def setattr_(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    owner, name, value = args.get(0), args.get(1), args.get(2)
    if owner is not None and value is not None and isinstance(name, Const) and isinstance(name.value, str):
        writing.put(it, owner, name.value, value, node, world)
    elif owner is not None and not isinstance(value, (Const, Cond)):
        calls.escape(it, Args([owner]), "setattr()", node, world)  # a part of it was replaced
    return [(NONE, world)]


def hasattr_(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    owner, name = args.get(0), args.get(1)
    if isinstance(owner, Elem):
        if owner.what == "module" and isinstance(name, Const) and name.value in attributes.PARAMETER_NAMES:
            return [(Const(True), world)]  # what has none is not meant by what follows
        return [(comparisons.opaque(it, owner, node), world)]
    record = world.heap.get(owner.serial) if isinstance(owner, Obj) else None
    if isinstance(record, Instance) and isinstance(name, Const) and not record.symbolic:
        path = f"{owner.path}.{name.value}" if isinstance(owner, Obj) and owner.path else str(name.value)
        if path in record.attrs:
            return [(Const(True), world)]
        if record.cls is not None and classes.member(it, record.cls, str(name.value), world):
            return [(Const(True), world)]
        layers = record.part.layers if record.part is not None else None
        if layers:
            known = path in layers or any(k.startswith(path + ".") for k in layers)
            if known or (record.part is not None and record.cls is None and name.value != "module"):
                return [(Const(known), world)]
        if name.value == "module":
            return [(Const(False), world)]
        whole = isinstance(owner, Obj) and not owner.path and not owner.worn
        if whole and record.cls is not None and classes.lacks(it, record.cls, path, world):
            return [(Const(False), world)]
    return [(Sym(("hasattr", owner, name)), world)]


def super_(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    cls, owner = it.scope.cls, it.scope.owner
    named = args.get(0)
    if isinstance(named, Cls):
        cls = named.info
    if len(args.pos) > 1:
        owner = args.pos[1]
    if cls is not None and owner is not None:
        return [(Super(owner, cls), world)]
    return [(Sym(("super", id(node))), world)]
