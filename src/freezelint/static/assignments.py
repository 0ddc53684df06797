"""Assignments: what `x = v`, `x: T = v` and `x += v` bind, for every kind of target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import libcst as cst

from freezelint.static import branches, containers, subscripts, tensors, writing
from freezelint.static.evaluate import evaluate, evaluate_all, items_of, label, new_list
from freezelint.static.interpreter import Interpreter
from freezelint.static.operators import binary, summed
from freezelint.static.values import (
    Const,
    Elem,
    Instance,
    Items,
    Obj,
    Params,
    Ref,
    Sym,
    Tensor,
    Tuple,
    Value,
    tensor_of,
)
from freezelint.static.world import World, serial
from freezelint.trace import events as ev


def assign(it: Interpreter, target: Any, value: Value, node: cst.CSTNode, world: World) -> None:
    """Bind `target` to `value`."""
    if isinstance(target, cst.Name):
        names = it.locals(world)
        if target.value in it.globals_of(world):
            names = world.own(it.scope.module.path)
        before = names.get(target.value)
        if isinstance(before, Obj) and isinstance(value, Obj) and before.serial != value.serial:
            _rebound(it, target.value, before, value, node, world)
        names[target.value] = value
        label(it, value, target.value, world)
    elif isinstance(target, cst.Attribute):
        for owner, _ in evaluate(it, target.value, world)[:1]:
            writing.put(it, owner, target.attr.value, value, node, world)
    elif isinstance(target, cst.Subscript):
        index = target.slice[0].slice if len(target.slice) == 1 else None
        held = target.value
        if isinstance(index, cst.Index) and isinstance(held, cst.Attribute) and held.attr.value == "_modules":
            for (owner, key), _ in evaluate_all(it, [held.value, index.value], world)[:1]:
                if isinstance(key, Const) and isinstance(key.value, str):
                    writing.put(it, owner, key.value, value, node, world)
        elif isinstance(index, cst.Index):
            for (owner, key), _ in evaluate_all(it, [target.value, index.value], world)[:1]:
                subscripts.put_item(it, owner, key, value, node, world)
    elif isinstance(target, (cst.Tuple, cst.List)):
        _unpack(it, target, value, node, world)
    elif isinstance(target, (cst.Element, cst.StarredElement)):
        assign(it, target.value, value, node, world)


def _rebound(it: Interpreter, name: str, before: Obj, now: Obj, node: cst.CSTNode, world: World) -> None:
    """Tell the rules of a variable that holds another model of the same kind."""
    records = [world.heap.get(one.serial) for one in (before, now)]
    kinds = [record.kind for record in records if isinstance(record, Instance) and record.part is not None]
    if before.path or now.path or len(kinds) < 2 or kinds[0] != kinds[1]:
        return
    old, new = it.region(before, world), it.region(now, world)
    if old and new and not old & new:
        it.emit(world, ev.Rebind(site=it.place(node), lap=it.lap(world), name=name, old=old, new=new, turn=it.turns))


def _unpack(it: Interpreter, target: Any, value: Value, node: cst.CSTNode, world: World) -> None:
    elements = target.elements
    starred = next((i for i, e in enumerate(elements) if isinstance(e, cst.StarredElement)), None)
    items: Sequence[Value] | None = None
    if isinstance(value, Tuple):
        items = value.items
    elif (known := items_of(value, world)) is not None and not known.more and not isinstance(value, Params):
        items = known.items
    if items is not None and starred is not None and len(items) >= len(elements) - 1:
        after = len(elements) - starred - 1
        middle = new_list(world, items[starred : len(items) - after])
        items = [*items[:starred], middle, *items[len(items) - after :]]
    if items is not None and len(items) == len(elements):
        for element, item in zip(elements, items, strict=False):
            assign(it, element.value, item, node, world)
        return
    if isinstance(value, Elem) and len(elements) == 2 and value.what in ("param", "module"):
        # `for name, p in ...` over something whose items are not known to be pairs
        assign(it, elements[0].value, Elem(value.loop, "name"), node, world)
        assign(it, elements[1].value, value, node, world)
        return
    for at, element in enumerate(elements):
        text = element.value.value if isinstance(element.value, cst.Name) else ""
        part: Value = value if isinstance(value, Tensor) else Sym(("unpack", value, at), text)
        if isinstance(value, Elem):
            part = Elem(value.loop, "derived")
        assign(it, element.value, part, node, world)


def assignment(it: Interpreter, node: cst.Assign, world: World) -> list[World]:
    done = []
    for value, after in evaluate(it, node.value, world):
        flag = isinstance(value, Sym) and any(_is_flag(it, t.target, after) for t in node.targets)
        for given, then in branches.settled(it, value, node.value, after) if flag else ((value, after),):
            it.assigning = node.value
            for target in node.targets:
                assign(it, target.target, given, target, then)
            done.append(then)
    return done


def _is_flag(it: Interpreter, target: cst.BaseExpression, world: World) -> bool:
    """Whether a target is surely the flag of a parameter."""
    if not isinstance(target, cst.Attribute) or target.attr.value != "requires_grad":
        return False
    owner = evaluate(it, target.value, world)[0][0]
    return isinstance(owner, Params) or (isinstance(owner, Elem) and owner.what in ("param", "maybe", "filtered"))


def annotated(it: Interpreter, node: cst.AnnAssign, world: World) -> list[World]:
    if node.value is None:
        return [world]
    done = []
    for value, after in evaluate(it, node.value, world):
        it.assigning = node.value
        assign(it, node.target, value, node, after)
        done.append(after)
    return done


_AUGMENTED: dict[type, type] = {
    cst.AddAssign: cst.Add,
    cst.SubtractAssign: cst.Subtract,
    cst.MultiplyAssign: cst.Multiply,
    cst.DivideAssign: cst.Divide,
    cst.FloorDivideAssign: cst.FloorDivide,
    cst.ModuloAssign: cst.Modulo,
}


def augmented(it: Interpreter, node: cst.AugAssign, world: World) -> list[World]:
    done = []
    for (old, new), after in evaluate_all(it, [node.target, node.value], world):
        kind = _AUGMENTED.get(type(node.operator))
        if isinstance(old, Elem) and old.what == "index":
            value: Value = old  # a counter over the loop's elements
        elif isinstance(old, Ref) and kind is cst.Add:
            added = items_of(containers.closed(new, after), after)
            record = items_of(old, after)
            if added is not None and record is not None:
                after.heap[old.serial] = Items(
                    (*record.items, *(containers.closed(i, after) for i in added.items)), record.more or added.more
                )
            value = old
        elif isinstance(old, Tensor) or isinstance(new, Tensor):
            if kind is cst.Add and isinstance(node.target, (cst.Name, cst.Attribute)):
                summed(it, ((node.target, old), (node.value, new)), node, after)
            value = tensors.computed(after, tensor_of((old, new)))
        else:
            value = binary(it, kind, old, new, after) if kind else Sym(("fresh", serial()))
        if not (isinstance(node.target, cst.Attribute) and isinstance(old, Tensor) and not old.uses):
            assign(it, node.target, value, node, after)
        done.append(after)
    return done
