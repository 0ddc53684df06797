"""Weights that are loaded: how strictly, whether anyone looks at what was missing, and where they come from."""

from __future__ import annotations

import re

import libcst as cst

from freezelint.static import assumptions, classes
from freezelint.static.arguments import Args
from freezelint.static.interpreter import Interpreter
from freezelint.static.values import Instance, Obj, Sym
from freezelint.static.world import World
from freezelint.trace import events as ev
from freezelint.trace.tri import YES, Tri

_LIGHTNING = r"\[\s*[\"'](?:hyper_parameters|pytorch-lightning_version|hparams_name)[\"']\s*\]"


def load(it: Interpreter, owner: Obj, args: Args, node: cst.Call, world: World) -> None:
    """`owner.load_state_dict(weights, strict=...)`."""
    strict = args.get(1, "strict")
    given = args.get(0, "state_dict")
    plain = isinstance(given, Sym) and _as_saved(it, node)
    it.emit(
        world,
        ev.LoadWeights(
            site=it.place(node),
            lap=it.lap(world),
            region=it.region(owner, world),
            strict=YES if strict is None else Tri.of(assumptions.truth(strict, world)),
            ignored=it.unused is node,
            plain=plain,
            foreign="Lightning" if plain and _of_lightning(it, owner, node, world) else "",
        ),
    )


def _root(node: cst.BaseExpression) -> str:
    """The variable that an expression begins with."""
    while isinstance(node, (cst.Subscript, cst.Attribute, cst.Call)):
        node = node.func if isinstance(node, cst.Call) else node.value
    return node.value if isinstance(node, cst.Name) else ""


def _as_saved(it: Interpreter, node: cst.Call) -> bool:
    """Whether nothing in the file takes names out of the weights, renames them or puts others in."""
    if not node.args:
        return False
    name = re.escape(_root(node.args[0].value))
    changes = rf"\b{name}\.(pop|items|update)\(|\bdel {name}\[|\b{name}(\[[^\]]*\])+\s*=[^=]|\bin (list\()?{name}\b"
    return bool(name) and re.search(changes, it.scope.module.text) is None


def _of_lightning(it: Interpreter, owner: Obj, node: cst.Call, world: World) -> bool:
    """Whether Lightning's checkpoint of a whole LightningModule is loaded into what was a child of it."""
    given = node.args[0].value
    if not isinstance(given, cst.Subscript) or not _key(given, "state_dict"):
        return False
    name = re.escape(_root(given))
    if not name or re.search(rf"\b{name}{_LIGHTNING}", it.scope.module.text) is None:
        return False
    record = world.heap.get(owner.serial)
    if not isinstance(record, Instance) or record.symbolic:
        return False
    return record.cls is None or not classes.is_lightning(it, record.cls, world)


def _key(node: cst.Subscript, key: str) -> bool:
    index = node.slice[0].slice if len(node.slice) == 1 else None
    value = index.value if isinstance(index, cst.Index) else None
    return isinstance(value, cst.SimpleString) and value.evaluated_value == key
