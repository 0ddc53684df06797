"""Items: what `x[i]`, `x[i] = v` and `x[a:b]` mean for each kind of value."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import libcst as cst

from freezelint.static import assumptions, elements, evaluate, indexed, optimizers, order
from freezelint.static.children import attach
from freezelint.static.interpreter import Interpreter
from freezelint.static.names import settle
from freezelint.static.values import (
    NONE,
    Const,
    Copy,
    Elem,
    Instance,
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
    tensor_of,
)
from freezelint.static.world import World
from freezelint.trace import events as ev
from freezelint.trace.tri import NO


def _part(owner: Tensor, world: World) -> Tensor:
    """A part of a tensor, which is a tensor of its own: made under the grad mode in force."""
    made = owner.inference is not None and world.state.is_recording() is not NO
    return replace(owner, inference=None) if made else owner


def item(it: Interpreter, owner: Value, key: Value, node: cst.CSTNode, world: World) -> Value:
    """`owner[key]`."""
    index = key.value if isinstance(key, Const) else None
    if isinstance(owner, Tensor):
        return _part(owner, world)
    if isinstance(owner, (Obj, Ref)) and isinstance(key, Elem) and (layer := indexed.element(it, owner, key, world)):
        return layer
    if isinstance(owner, Obj):
        return _module_item(it, owner, index, world) or Sym(("item", owner, key))
    if isinstance(owner, Tuple) and isinstance(index, int) and -len(owner.items) <= index < len(owner.items):
        return owner.items[index]
    if isinstance(owner, Ref):
        record = world.heap.get(owner.serial)
        if (
            isinstance(record, Items)
            and isinstance(index, int)
            and not record.more
            and -len(record.items) <= index < len(record.items)
        ):
            found = record.items[index]
            if isinstance(found, Elem) and found.what == "name":
                return Sym(("item", owner, key))  # one of the names that a loop has left in a list
            return found if not isinstance(found, Params) or found.single else some(found, f"[{index}]")
        if isinstance(record, Items) and len(record.items) == 1 and isinstance(record.items[0], (Tensor, Params)):
            found = record.items[0]
            return found if isinstance(found, Tensor) else some(found, "[...]")
        if isinstance(record, Items) and index is None and (any_of := indexed.unknown(it, owner, world)) is not None:
            return any_of
        if isinstance(record, Table) and index in record.items:
            return settle(it, record.items[index], world)
        if isinstance(record, Table) and record.items and all(isinstance(v, Tensor) for v in record.items.values()):
            return tensor_of(record.items.values())
    if isinstance(owner, StateDict) and not owner.keep_vars:
        return Copy(owner.members, "state_dict()")  # the value of one of them, which one is not asked
    if isinstance(owner, Params):
        return some(owner, f"[{index}]") if not owner.single else replace(owner, piece="[...]")
    if isinstance(owner, Elem):
        return Elem(owner.loop, "head" if owner.what == "parts" and index == 0 else "derived")
    if isinstance(owner, Modules) and isinstance(index, int):
        known = elements.children(it, owner, world)
        if known is not None and -len(known) <= index < len(known):
            return known[index]
    if isinstance(owner, Lib):
        # models.__dict__[arch], a registry of the library
        base = owner.name.removesuffix(".__dict__")
        return Lib(f"{base}.{index}") if isinstance(index, str) else Sym(("registry", base, key))
    if isinstance(owner, Sym) and isinstance(index, int) and index < 0 and it.in_module(owner):
        return Sym(("slice", owner, f"[{index}]"))
    if isinstance(owner, Sym) and isinstance(index, int):
        return Sym(("attr", owner, str(index)), f"{owner.text}[{index}]" if owner.text else "")
    return Sym(("item", owner, key), f"{owner.text}[...]" if isinstance(owner, Sym) and owner.text else "")


def some(params: Params, text: str) -> Params:
    return Params(elements.sliced(params.members, text), single=True)


def _module_item(it: Interpreter, owner: Obj, index: Any, world: World) -> Value | None:
    record = world.heap.get(owner.serial)
    if not isinstance(record, Instance) or record.part is None or index is None or isinstance(index, bool):
        return None
    if isinstance(index, int) and index < 0:
        known = elements.child_list(it, owner, world)
        if known is None or len(known) < -index:
            return None
        return known[index][1]
    path = f"{owner.path}.{index}" if owner.path else str(index)
    return record.attrs.get(path) or Obj(owner.serial, path)


def put_item(it: Interpreter, owner: Value, key: Value, value: Value, node: cst.CSTNode, world: World) -> None:
    """`owner[key] = value`."""
    index = key.value if isinstance(key, Const) else None
    if isinstance(owner, Obj):
        module = it.as_module(value, world) if isinstance(value, Obj) else None
        if module is not None and index is not None:
            if isinstance(index, int) and index < 0:
                existing = _module_item(it, owner, index, world)
                index = existing.path.rpartition(".")[2] if isinstance(existing, Obj) and existing.path else index
            attach(it, owner, str(index), module, node, world)
        elif it.as_module(owner, world) is not None:
            region = it.region(owner, world)
            it.emit(world, ev.Escape(site=it.place(node), lap=it.lap(world), region=region, by="[...] = ..."))
    elif isinstance(owner, Sym) and (regrouped := optimizers.of_groups(owner)) is not None:
        if index == "params" or not isinstance(index, str):
            optimizers.regrouped(it, regrouped, node, world)
    elif isinstance(owner, Sym):
        # `model[1] = nn.Linear(...)`, `self.classifier[1] = ...` of a model that is not in view
        joins = isinstance(value, Obj) and it.as_module(value, world) is not None and it.in_module(owner)
        known = it.as_module(owner, world) if joins or owner in it.symbolic else None
        if known is not None:
            put_item(it, known, key, value, node, world)
    elif isinstance(owner, Ref):
        record = world.heap.get(owner.serial)
        if isinstance(record, Table):
            if index is not None or key == NONE:
                world.heap[owner.serial] = replace(record, items={**record.items, index: value})
            else:
                world.heap[owner.serial] = replace(record, more=True)
        elif isinstance(record, Items):
            if isinstance(index, int) and not record.more and -len(record.items) <= index < len(record.items):
                items = list(record.items)
                items[index] = value
                world.heap[owner.serial] = replace(record, items=tuple(items))
            else:
                world.heap[owner.serial] = replace(record, items=(*record.items, value), more=True)


def sliced(
    it: Interpreter, owner: Value, low: Value, high: Value, step: Value, node: cst.CSTNode, world: World
) -> Value:
    """`owner[low:high:step]`."""
    bounds: list[Any] = [b.value if isinstance(b, Const) else "?" for b in (low, high, step)]
    known = all(b is None or isinstance(b, int) for b in bounds)
    text = "[" + ":".join("" if b is None else str(b) for b in bounds[:2]) + "]"
    if isinstance(owner, Tensor):
        return _part(owner, world)
    if isinstance(owner, Sym) and (word := assumptions.known_word(owner, world)) is not None:
        owner = word
    if isinstance(owner, Modules):
        if known and bounds[2] is None and owner.start is None and owner.stop is None:
            return replace(owner, start=bounds[0], stop=bounds[1])
        whole = it.as_module(owner.owner, world) if not owner.named else None
        if whole is not None:  # some of them
            return elements.some_of(it, elements.sliced(it.members(whole, world), text), world)
        return owner
    if isinstance(owner, Params) and not owner.single:
        return _stretch(it, owner, bounds, text, world)
    if isinstance(owner, Params):
        return replace(owner, piece=text)
    record = world.heap.get(owner.serial) if isinstance(owner, (Ref, Obj)) else None
    if isinstance(owner, Tuple) and known:
        return Tuple(owner.items[slice(*bounds)])
    if isinstance(record, Items):
        if known and not record.more and not any(isinstance(i, Params) and not i.single for i in record.items):
            return evaluate.new_list(world, record.items[slice(*bounds)])
        alone = len(record.items) == 1 and not record.more
        inner = [
            _stretch(it, i, bounds if alone else ["?"], text, world) if isinstance(i, Params) else i
            for i in record.items
        ]
        return evaluate.new_list(world, inner, True)
    if isinstance(owner, Obj) and isinstance(record, Instance) and record.part is not None:
        children = elements.child_list(it, owner, world)
        if children is not None and known:
            chosen = children[slice(*bounds)]
            return elements.some_of(it, tuple(m for _, child in chosen for m in it.members(child, world)), world)
        return elements.some_of(it, elements.sliced(it.members(owner, world), text), world)
    if isinstance(owner, Const) and isinstance(owner.value, (str, tuple)) and known:
        return Const(owner.value[slice(*bounds)])
    return Sym(("slice", owner, text))


def _stretch(it: Interpreter, params: Params, bounds: list[Any], text: str, world: World) -> Params:
    """Some of a list of parameters by their place: just those where the order is known, else an unnamed half."""
    known = order.stretch(it, params, bounds[0], bounds[1], world, text) if bounds[2:] == [None] else None
    members = known if known is not None else elements.sliced(params.members, text)
    return replace(params, members=members, iterator=None, of=None)
