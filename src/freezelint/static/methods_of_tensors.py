"""Methods of tensors: `backward()`, what cuts a graph, and what computes on."""

from __future__ import annotations

import libcst as cst

from freezelint.static import arguments, tensors
from freezelint.static.arguments import Args
from freezelint.static.evaluate import source
from freezelint.static.flags import names_loss, rebind
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.values import NONE, Const, Sym, Tensor, Value, leaf_of, tensor_of
from freezelint.static.world import World, serial
from freezelint.static.written import wrote
from freezelint.trace import events as ev
from freezelint.trace.tri import UNSURE, YES

_CUT_METHODS = {
    name: f".{name}()"
    for name in (
        "detach",
        "detach_",
        "numpy",
        "item",
        "tolist",
        "argmax",
        "argmin",
        "argsort",
        "eq",
        "ne",
        "gt",
        "lt",
        "ge",
        "le",
        "new_tensor",
        "long",
        "int",
        "bool",
        "bincount",
    )
}

# Methods that compute with their arguments; those of all others are shapes, places and the like.
_MIXING = frozenset(
    {
        "add",
        "sub",
        "mul",
        "div",
        "matmul",
        "mm",
        "bmm",
        "dot",
        "pow",
        "lerp",
        "addmm",
        "copy",
        "masked_scatter",
        "scatter",
        "scatter_add",
        "index_add",
        "index_copy",
        "where",
        "__add__",
        "__mul__",
    }
)

_MEASURES = frozenset({"size", "dim", "numel", "stride", "data_ptr", "element_size", "register_hook", "retain_grad"})


def on_tensor(it: Interpreter, owner: Tensor, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    if name == "backward":
        backward(it, owner, node, world)
        return [(NONE, world)]
    if name in _CUT_METHODS:
        return [(tensors.cut(it, owner, _CUT_METHODS[name], node), world)]
    if name == "requires_grad_":
        target = "loss" if owner.uses or owner.complete is not YES else "tensor"
        asked = args.get(0, "requires_grad") or Const(True)
        wrote(it, target, name, asked, node, world)
        if asked == Const(False):
            return [(owner, world)]
        leaf = leaf_of(owner, it.place(node), names_loss(it, node))
        rebind(it, node, leaf, world)
        return [(leaf, world)]
    if name in _MEASURES:
        return [(Sym(("of tensor", name, serial()), name), world)]
    if name in ("new_zeros", "new_ones", "new_full", "new_empty"):
        return [(Tensor(), world)]
    mixed = tensors.inputs(it, args, world) if name.rstrip("_") in _MIXING else arguments.deep(args, world)
    others = [v for v in mixed if isinstance(v, Tensor) or name.rstrip("_") in _MIXING]
    return [(tensors.computed(world, tensor_of((owner, *others))), world)]


def backward(it: Interpreter, loss: Value, node: cst.Call, world: World) -> None:
    """`loss.backward()`."""
    text = source(it, node)
    if isinstance(loss, Tensor):
        complete = loss.complete if loss.uses else UNSURE
        it.emit(
            world,
            ev.Backward(
                site=it.place(node),
                lap=it.lap(world),
                uses=loss.uses,
                complete=complete,
                forced=loss.forced,
                loose=loss.loose,
                label=text,
            ),
        )
    else:
        it.emit(
            world, ev.Backward(site=it.place(node), lap=it.lap(world), uses=frozenset(), complete=UNSURE, label=text)
        )
