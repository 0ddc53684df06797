"""Loops that count through layers: `for i in range(n): x = self.blocks[i](x)`.

The index stands for every layer at once, as the element of `for block in self.blocks` does. A loop that runs layers
runs all of them, whatever its bound is called; one that does something else to them, such as a freeze, does it to those
it counts to, which are all only when it says `range(len(blocks))`.
"""

from __future__ import annotations

import libcst as cst

from freezelint.static import elements
from freezelint.static.evaluate import evaluate
from freezelint.static.interpreter import Interpreter
from freezelint.static.modules import dotted
from freezelint.static.values import Elem, Instance, Items, Members, Obj, Ref, Value
from freezelint.static.world import World, serial

_ALTERS = ("parameters", "requires_grad", "eval", "train", "freeze")


def over(it: Interpreter, node: cst.For, world: World) -> tuple[Value, int] | None:
    """What a loop over `range(...)` binds when its body takes layers by that index, and the loop."""
    counts = isinstance(node.iter, cst.Call) and dotted(node.iter.func) == "range" and isinstance(node.target, cst.Name)
    if not counts:
        return None
    taken = _indexed(node.body, node.target.value)  # type: ignore[attr-defined]
    for indexed in taken:
        layers = _layers(it, indexed, world)
        if layers is not None:
            length = _length(node.iter)  # type: ignore[arg-type]
            whole = any(length == dotted(one) for one in taken) or not _alters(it.scope.module.code(node.body))
            loop = serial()
            it.stretches[loop] = "" if whole else f"[{it.scope.module.code(node.iter)}]"
            world.elements[loop] = _reached(it, layers, loop)
            return Elem(loop, "index"), loop
    return None


def _length(counted: cst.Call) -> str:
    """The layers whose number `range(len(layers))` counts to, "" for any other bound."""
    of = counted.args[0].value if len(counted.args) == 1 else None
    measures = isinstance(of, cst.Call) and dotted(of.func) == "len" and len(of.args) == 1
    return dotted(of.args[0].value) if measures else ""  # type: ignore[union-attr]


def element(it: Interpreter, owner: Obj | Ref, key: Elem, world: World) -> Elem | None:
    """`owner[i]`: the layers that the index stands for."""
    members = _held(it, owner, world) if key.what == "index" and not key.offset else None
    if members is None:
        return None
    loop = serial()
    world.elements[loop] = _reached(it, members, key.loop)
    return Elem(loop, "module")


def unknown(it: Interpreter, owner: Ref, world: World) -> Obj | None:
    """`layers[i]` of a list of layers, with an index that is not known: any of them."""
    members = _held(it, owner, world)
    return elements.some_of(it, elements.sliced(members, "[i]"), world) if members else None


def _reached(it: Interpreter, members: Members, loop: int) -> Members:
    """Of some layers those that a loop counts to."""
    stretch = it.stretches.get(loop, "")
    return elements.sliced(members, stretch) if stretch else members


def _layers(it: Interpreter, node: cst.BaseExpression, world: World) -> Members | None:
    values = [value for value, _ in evaluate(it, node, world.fork())]
    held = (_held(it, value, world) for value in values if isinstance(value, (Obj, Ref)))
    return next((members for members in held if members is not None), None)


def _held(it: Interpreter, owner: Obj | Ref, world: World) -> Members | None:
    """The parameters of the layers in a Sequential, a ModuleList or a plain list of them; None of anything else."""
    record = world.heap.get(owner.serial)
    if isinstance(owner, Ref):
        items = record.items if isinstance(record, Items) and not record.more else ()
        layers = [it.as_module(item, world) for item in items if isinstance(item, Obj)]
        if not layers or len(layers) < len(items) or None in layers:
            return None
        return tuple(dict.fromkeys(m for layer in layers if layer is not None for m in it.members(layer, world)))
    if not isinstance(record, Instance) or it.as_module(owner, world) is None:
        return None
    holds = record.kind in ("Sequential", "ModuleList") if not owner.path else elements.numbered(it, owner, world)
    return it.members(owner, world) if holds else None


def _indexed(node: cst.CSTNode, name: str) -> list[cst.BaseExpression]:
    """What a body takes `[name]` of, names and attributes only."""
    known = _known.get(id(node))
    if known is None or known[0] is not node:
        found: list[cst.BaseExpression] = []
        pending = [node]
        while pending:
            inner = pending.pop()
            if isinstance(inner, cst.Subscript) and len(inner.slice) == 1 and dotted(inner.value):
                index = inner.slice[0].slice
                if isinstance(index, cst.Index) and isinstance(index.value, cst.Name) and index.value.value == name:
                    found.append(inner.value)
            pending += inner.children
        known = _known[id(node)] = (node, found)
    return known[1]


_known: dict[int, tuple[cst.CSTNode, list[cst.BaseExpression]]] = {}


def _alters(text: str) -> bool:
    return any(word in text for word in _ALTERS)
