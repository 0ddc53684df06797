"""Tensors: what operations on them give, whether it has a graph, and where that is cut."""

from __future__ import annotations

import re

import libcst as cst

from freezelint.static.arguments import Args, deep
from freezelint.static.interpreter import Interpreter
from freezelint.static.values import Elem, Params, Tensor, Value
from freezelint.static.world import World
from freezelint.trace import events as ev
from freezelint.trace.tri import NO, UNSURE, YES

_LOSS = re.compile(r"(?i)(loss|criterion|crit$|objective|bce|mse|cross_?entropy|nll|\bce$)")


def is_loss(text: str) -> bool:
    """Whether a name or expression says that it is a loss."""
    return bool(_LOSS.search(text))


def inputs(it: Interpreter, args: Args, world: World) -> list[Value]:
    """What a tensor operation computes with: its positional arguments, and tensors given by name. Settings are not."""
    values = deep(Args(args.pos), world)
    for value in values:
        use_directly(it, value, world)
    return values + [v for v in deep(Args([], args.kw), world) if isinstance(v, Tensor)]


def use_directly(it: Interpreter, value: Value, world: World) -> None:
    """A parameter that is computed with, without a forward of its layer: a gradient may reach it that way."""
    if isinstance(value, (Params, Elem)) and world.state.is_recording() is not NO:
        it.reached |= it.regions_in(value, world)


def computed(world: World, tensor: Tensor) -> Tensor:
    """What a tensor operation returns under the grad mode in force."""
    recording = world.state.is_recording()
    if recording is YES:
        return tensor
    if recording is UNSURE:
        return Tensor(tensor.uses, UNSURE, loose=tensor.loose)
    mode = world.state.switched_off()
    assert mode is not None
    why = ev.Cut(mode.text, mode.site, mode)
    # Whatever else went in has lost its graph too.
    return Tensor(
        frozenset(ev.Use(u.serial, u.cut or why) for u in tensor.uses),
        YES if tensor.uses else tensor.complete,
        inference=mode if mode.kind == "inference_mode" else None,
    )


def cut(it: Interpreter, tensor: Tensor, how: str, node: cst.CSTNode) -> Tensor:
    """A tensor without its graph."""
    why = ev.Cut(how, it.place(node))
    # Whatever else went in has lost its graph too.
    return Tensor(
        frozenset(ev.Use(u.serial, u.cut or why) for u in tensor.uses), YES if tensor.uses else tensor.complete
    )
