"""Calls: a row of knowledge, a function of the project inlined, or an escape into code that is not in view."""

from __future__ import annotations

from dataclasses import replace

import libcst as cst

from freezelint.knowledge import look_up
from freezelint.knowledge.rows import ContainerRow, LayerRow
from freezelint.static import classes, functions, tensors
from freezelint.static.arguments import Args, deep
from freezelint.static.evaluate import fresh, items_of
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.values import (
    Cls,
    Cond,
    Const,
    Elem,
    Func,
    GradMode,
    Items,
    Lib,
    Method,
    Obj,
    Opt,
    Partial,
    Ref,
    Sched,
    Sym,
    Tensor,
    Value,
    tensor_of,
)
from freezelint.static.world import World, serial
from freezelint.trace import events as ev
from freezelint.trace.regions import BATCHNORM
from freezelint.trace.tri import UNSURE, YES


def call(it: Interpreter, func: Value, args: Args, node: cst.Call, world: World) -> Outcomes:
    """`func(*args)`."""
    from freezelint.static import bare, branches, forward, library, methods

    if isinstance(func, Func):
        return functions.inline(it, func, args, node, world)
    if isinstance(func, Cls):
        return classes.create(it, func.info, args, node, world)
    if isinstance(func, Lib):
        return library.call(it, func.name, args, node, world)
    if isinstance(func, Method):
        return methods.call(it, func.owner, func.name, args, node, world)
    if isinstance(func, Obj):
        return forward.run(it, func, args, node, world)
    if isinstance(func, Partial):
        merged = Args([*func.args, *args.pos], {**dict(func.kwargs), **args.kw}, args.more)
        return call(it, func.func, merged, node, world)
    if isinstance(func, GradMode):
        return [(args.pos[0] if args.pos else func, world)]
    if isinstance(func, Tensor):
        return [(tensors.computed(world, tensor_of((func, *deep(args, world)))), world)]
    if isinstance(func, (Cond, Const)) and isinstance(node.func, cst.Attribute):
        if node.func.attr.value == "requires_grad":
            bare.named_not_called(it, "flag", "call", node, world)
    if isinstance(func, Elem):
        if func.what == "module":
            return forward.element(it, func, args, node, world)
        return [(Elem(func.loop, "derived"), world)]
    if isinstance(func, Sym):
        options = either(func)
        if options:
            return [done for option in options for done in call(it, option, args, node, world.fork())]
        if isinstance(func.key, tuple) and func.key[0] == "registry":
            _, base, key = func.key  # models.__dict__[arch](...)
            found: Outcomes = []
            for name, after in branches.named(it, key, node, world):
                found += library.call(it, f"{base}.{name or '*'}", args, node, after)
            return found
        if isinstance(func.key, tuple) and func.key[0] == "attr" and func not in it.symbolic:
            return methods.call(it, func.key[1], func.key[2], args, node, world, called=func)
        if it.is_symbolic_module(func, world):
            module = it.as_module(func, world)
            assert module is not None
            return forward.run(it, module, args, node, world)
        return unknown(it, func.text, args, node, world)
    return unknown(it, "", args, node, world)


def either(func: Value) -> list[Value]:
    """The few builders that a value may be, where worlds that differed in it have met; none where it may be more."""
    if isinstance(func, (Func, Cls, Lib)):
        return [func]
    if not isinstance(func, Sym) or not isinstance(func.key, tuple) or func.key[0] != "either":
        return []
    first, second = either(func.key[1]), either(func.key[2])
    return list(dict.fromkeys([*first, *second])) if first and second and len(first) + len(second) <= 6 else []


def unknown(
    it: Interpreter, text: str, args: Args, node: cst.CSTNode, world: World, *, escapes: bool = True, kind: str = ""
) -> Outcomes:
    """A call of code that is not in view: what it is given is forgotten; tensors in, a tensor out."""
    it.turns += escapes
    if escapes:
        escape(it, args, text, node, world)
    if any(isinstance(v, Tensor) and v.uses for v in deep(args, world)):
        # What is called a loss and is given no model computes with what it is given, and with nothing else.
        plain = tensors.is_loss(text) and not any(it.regions_in(v, world) for v in args.all())
        return [(tensors.computed(world, tensor_of(tensors.inputs(it, args, world), YES if plain else UNSURE)), world)]
    elem = next((value for value in args.all() if isinstance(value, Elem)), None)
    return [(fresh(f"{text}(...)" if text else "", kind, elem), world)]


def escape(it: Interpreter, args: Args, by: str, node: cst.CSTNode, world: World) -> None:
    """Forget what is known of everything that goes out with these arguments."""
    from freezelint.static import optimizers

    for value in args.all():
        record = world.heap.get(value.serial) if isinstance(value, Ref) else None
        if isinstance(value, Ref) and isinstance(record, Items):  # it may grow there
            world.heap[value.serial] = replace(record, more=True)
    for value in deep(args, world):
        if isinstance(value, Sched):  # its lists may be brought up to date there
            optimizers.attach(it, value, node, world)
        elif isinstance(value, Opt):  # it may get a scheduler there
            optimizers.attach(it, Sched(value.serial, by, serial()), node, world)
    region = frozenset(part for value in args.all() for part in it.regions_in(value, world))
    if not region:
        return
    it.emit(world, ev.Escape(site=it.place(node), lap=it.lap(world), region=region, by=by))
    for value in deep(args, world):
        if isinstance(value, Opt):
            it.emit(
                world,
                ev.AddParamGroup(
                    site=it.place(node), lap=it.lap(world), optimizer=value.serial, region=frozenset(), complete=UNSURE
                ),
            )


def layer_kinds(it: Interpreter, value: Value, world: World) -> tuple[str, ...] | None:
    """The layer class names that `isinstance(m, value)` accepts, None when that is not known."""
    known = items_of(value, world)
    if known is not None:
        found: list[str] = []
        for item in known.items:
            kinds = layer_kinds(it, item, world)
            if kinds is None:
                return None
            found += kinds
        return tuple(found) if not known.more else None
    if isinstance(value, Lib):
        last = value.name.rpartition(".")[2]
        row = look_up(value.name)
        if isinstance(row, LayerRow):
            return (row.kind,)
        if isinstance(row, ContainerRow) or last in ("_BatchNorm", "_ConvNd", "_NormBase", "_DropoutNd", "DropPath"):
            return (last,)
        if "BatchNorm" in last or last in ("FrozenBatchNorm2d",):
            return (last,) if last in BATCHNORM or "Frozen" in last else ("BatchNorm2d",)
        return (last,) if last[:1].isupper() else None
    if isinstance(value, Cls):
        base = classes.layer_base(it, value.info, world)
        return (base or value.info.name,)
    return None
