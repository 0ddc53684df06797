"""What the rules hear of an attribute that was written."""

from __future__ import annotations

import re
from typing import Any

import libcst as cst

from freezelint.static.evaluate import source
from freezelint.static.interpreter import Interpreter
from freezelint.static.modules import Module
from freezelint.static.values import Const, Copy, Sym, Tensor, Value
from freezelint.static.world import World
from freezelint.trace import events as ev
from freezelint.trace.regions import Region
from freezelint.trace.tri import YES, Tri


def wrote_on_copy(
    it: Interpreter, owner: Copy | Tensor, name: str, value: Value, node: cst.CSTNode, world: World
) -> None:
    """Something was written on a tensor. A copy of a parameter that got a name is a tensor in its own right."""
    base = written_on(node)
    if isinstance(owner, Copy) and (owner.how == "state_dict()" or not isinstance(base, cst.Name)):
        region = frozenset(p for _, p in owner.members)
        wrote(it, "copy", name, value, node, world, region=region, how=owner.how)
    else:
        wrote(it, "tensor", name, value, node, world)


def written_on(node: cst.CSTNode) -> cst.CSTNode | None:
    """The expression before the dot: `p.data` of `p.data.requires_grad = ...` and of `p.data.requires_grad_(...)`."""
    target: Any = node.target if isinstance(node, (cst.AssignTarget, cst.AnnAssign)) else node
    if isinstance(target, cst.Call):
        if isinstance(target.func, cst.Name) and target.args:  # setattr(p.data, ...)
            return target.args[0].value
        target = target.func
    return target.value if isinstance(target, cst.Attribute) else None


def wrote(
    it: Interpreter,
    target: str,
    name: str,
    value: Value,
    node: cst.CSTNode,
    world: World,
    *,
    region: Region = frozenset(),
    surely: Tri = YES,
    own: bool = False,
    how: str = "",
) -> None:
    """Tell the rules of an attribute that was written."""
    base = written_on(node)
    text = f"{source(it, base)}.{name}" if base is not None else name
    shown = repr(value.value) if isinstance(value, Const) else value.text if isinstance(value, Sym) else ""
    it.emit(
        world,
        ev.WroteAttribute(
            site=it.place(node),
            lap=it.lap(world),
            target=target,
            name=name,
            value=shown,
            region=region,
            surely=surely,
            text=text,
            own=own or (target == "unknown" and _mentioned(it.scope.module, name)),
            how=how,
        ),
    )


def _mentioned(module: Module, name: str) -> bool:
    """Whether a file does more with a name than assign it as an attribute: reads it, declares it, passes it on."""
    known = module.mentioned.get(name)
    if known is None:
        said = re.search(rf"(?<!\.)\b{name}\b|\.{name}\b(?!\s*(:[^=\n]*)?=(?!=))", module.text)
        known = module.mentioned[name] = said is not None
    return known
