"""Forwards: what calling a module does, and the methods of a model that run it under another name."""

from __future__ import annotations

from dataclasses import replace

import libcst as cst

from freezelint.static import arguments, calls, classes, functions, tensors
from freezelint.static.arguments import Args
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.values import Elem, Func, Instance, Obj, Ref, Sym, Tensor, Tuple, Value, tensor_of
from freezelint.static.world import World, serial
from freezelint.trace import events as ev
from freezelint.trace.regions import Region
from freezelint.trace.tri import UNSURE, YES


def run(it: Interpreter, owner: Obj, args: Args, node: cst.CSTNode, world: World) -> Outcomes:
    """`module(x)`, or the call of an instance that is no Module."""
    record = world.heap.get(owner.serial)
    if not isinstance(record, Instance) or record.part is None:
        if isinstance(record, Instance) and record.cls is not None:
            found = classes.member(it, record.cls, "__call__", world)
            if found is not None and isinstance(found[0], cst.FunctionDef):
                func = Func(it.function(found[1].module, found[0], found[1]), bound=owner)
                return functions.inline(it, func, args, node, world)
        return calls.unknown(it, "", args, node, world)
    own = classes.member(it, record.cls, "__call__", world) if record.cls is not None and not owner.path else None
    if own is not None and isinstance(own[0], cst.FunctionDef):  # instead of nn.Module's
        func = Func(it.function(own[1].module, own[0], own[1]), bound=owner)
        return functions.inline(it, func, args, node, world)
    number = serial()
    label = record.part.label + (f".{owner.path}" if owner.path else "")
    region = it.region(owner, world)
    it.emit(
        world,
        ev.Forward(
            site=it.place(node),
            lap=it.lap(world),
            serial=number,
            label=label,
            region=region,
            foreign=_is_foreign(it, region, world),
        ),
    )
    if record.cls is not None and not owner.path:
        found = classes.member(it, record.cls, "forward", world)
        if found is not None and isinstance(found[0], cst.FunctionDef):
            func = Func(it.function(found[1].module, found[0], found[1]), bound=owner)
            bare = frozenset(part for part in region if part.is_bare)
            outside, it.reached = it.reached, set()
            done = functions.inline(it, func, args, node, world)
            direct, it.reached = bare & it.reached, it.reached | outside
            return [
                (_with(it, direct, _result(value, number, args, after), node, after), after) for value, after in done
            ]
    _inference(it, owner, args, node, world)
    return [(through(it, number, args, world), world)]


_SAVE_INPUTS = ("Linear", "Bilinear", "LayerNorm", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "Conv1d", "Conv2d")
_HAND_ON = ("Flatten", "Identity")


def _inference(it: Interpreter, owner: Obj, args: Args, node: cst.CSTNode, world: World) -> None:
    """Tell the rules of a tensor out of inference mode that a layer would have to keep for its backward."""
    made = next((v.inference for v in args.pos if isinstance(v, Tensor) and v.inference is not None), None)
    if made is None or world.state.is_recording() is not YES:
        return
    first = _first(owner, world)
    if first is not None:
        region = it.region(first, world)
        it.emit(world, ev.UseInference(site=it.place(node), lap=it.lap(world), region=region, mode=made))


def _first(owner: Obj, world: World) -> Obj | None:
    """The layer that a layer or a Sequential gives its input to, where that is one which keeps it."""
    record = world.heap.get(owner.serial)
    if not isinstance(record, Instance) or owner.path or record.cls is not None or record.part is None:
        return None
    if record.kind == "Sequential":
        for child in record.attrs.values():
            inner = world.heap.get(child.serial) if isinstance(child, Obj) else None
            if not isinstance(inner, Instance) or not isinstance(child, Obj):
                return None
            if inner.kind not in _HAND_ON:
                return _first(child, world)
        return None
    return owner if record.kind in _SAVE_INPUTS else None


def _is_foreign(it: Interpreter, region: Region, world: World) -> bool:
    """Whether a method of a model runs what is not known to be a part of it: a plain list of layers, an argument."""
    owner = it.scope.owner
    own = it.as_module(owner, world) if isinstance(owner, Obj) else None
    return own is not None and not region <= it.region(own, world)


def through(it: Interpreter, number: int, args: Args, world: World) -> Tensor:
    """The output of a forward whose inside is not looked at."""
    inputs = tensor_of(tensors.inputs(it, args, world))
    return tensors.computed(
        world, Tensor(inputs.uses | {ev.Use(number)}, inputs.complete, loose=inputs.loose, packed=inputs.packed)
    )


def _result(value: Value, number: int, args: Args, world: World) -> Value:
    """What a class's own forward returned; where it got lost, the output of the forward as a whole."""
    if isinstance(value, Tensor):
        return value if value.uses else Tensor(frozenset({ev.Use(number)}), UNSURE)
    if isinstance(value, (Tuple, Ref, Obj)):
        if any(isinstance(v, Tensor) and v.uses for v in arguments.inside(value, world)):
            return value
    return Tensor(frozenset({ev.Use(number)}), UNSURE) if isinstance(value, (Sym, Tuple, Ref)) else value


def _with(it: Interpreter, direct: Region, value: Value, node: cst.CSTNode, world: World) -> Value:
    """What a forward returned, with the way back to the bare parameters that it computed with."""
    if not direct or not isinstance(value, Tensor):
        return value
    number = serial()
    it.emit(world, ev.Forward(site=it.place(node), lap=it.lap(world), serial=number, region=direct))
    return replace(value, uses=value.uses | {ev.Use(number)})


def element(it: Interpreter, func: Elem, args: Args, node: cst.CSTNode, world: World) -> Outcomes:
    """A module out of a loop over modules is run."""
    number = serial()
    region = frozenset(p for _, p in world.elements.get(func.loop, ()))
    it.emit(world, ev.Forward(site=it.place(node), lap=it.lap(world), serial=number, region=region))
    return [(through(it, number, args, world), world)]


def part_of(it: Interpreter, owner: Obj, args: Args, node: cst.CSTNode, world: World, text: str) -> Outcomes:
    """A library model run through one of its methods (`forward_features`, `encode_image`, `generate`)."""
    number = serial()
    it.emit(
        world,
        ev.Forward(site=it.place(node), lap=it.lap(world), serial=number, label=text, region=it.region(owner, world)),
    )
    out = through(it, number, args, world)
    return [(out if out.complete is YES else Tensor(out.uses, UNSURE, loose=out.loose), world)]
