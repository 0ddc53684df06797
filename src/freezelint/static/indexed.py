"""Loops that count through layers: `for i in range(n): x = self.blocks[i](x)`.

The index stands for every layer at once, as the element of `for block in self.blocks` does. A loop that runs layers
runs all of them, whatever its bound is called; one that does something else to them, such as a freeze, does it to those
it counts to, which are all only when it says `range(len(blocks))`.
"""

from __future__ import annotations

import libcst as cst

from freezelint.static.interpreter import Interpreter
from freezelint.static.modules import dotted
from freezelint.static.values import Elem, Instance, Members, Obj, Value
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
            text = it.scope.module.code(node.iter)
            all_of = [f"range(len({dotted(one)}))" for one in taken]
            whole = text in all_of or not _alters(it.scope.module.code(node.body))
            loop = serial()
            it.stretches[loop] = "" if whole else f"[{text}]"
            world.elements[loop] = _members(it, layers, loop, world)
            return Elem(loop, "index"), loop
    return None


def element(it: Interpreter, owner: Obj, key: Elem, world: World) -> Elem | None:
    """`owner[i]`: the layers that the index stands for."""
    if key.what != "index" or key.offset or not _holds_layers(it, owner, world):
        return None
    loop = serial()
    world.elements[loop] = _members(it, owner, key.loop, world)
    return Elem(loop, "module")


def _members(it: Interpreter, owner: Obj, loop: int, world: World) -> Members:
    from freezelint.static import loops

    stretch = it.stretches.get(loop, "")
    members = it.members(owner, world)
    return loops.sliced(members, stretch) if stretch else members


def _layers(it: Interpreter, node: cst.BaseExpression, world: World) -> Obj | None:
    from freezelint.static.evaluate import evaluate

    for value, _ in evaluate(it, node, world.fork()):
        if isinstance(value, Obj) and _holds_layers(it, value, world):
            return value
    return None


def _holds_layers(it: Interpreter, owner: Obj, world: World) -> bool:
    from freezelint.static import loops

    record = world.heap.get(owner.serial)
    if not isinstance(record, Instance) or it.as_module(owner, world) is None:
        return False
    return (not owner.path and record.kind in ("Sequential", "ModuleList")) or loops.numbered(it, owner, world)


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
