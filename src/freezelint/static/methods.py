"""Method calls on values that are no instances of project classes: which file knows the methods of which kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import libcst as cst

from freezelint.static import (
    assumptions,
    branches,
    calls,
    classes,
    containers,
    forward,
    methods_of_modules,
    methods_of_parameters,
    methods_of_tensors,
    methods_of_unknowns,
    optimizers,
    trainers,
)
from freezelint.static.arguments import Args
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.library import harmless
from freezelint.static.values import (
    NONE,
    Cls,
    Const,
    Copy,
    Elem,
    GradMode,
    Instance,
    Lib,
    Method,
    Modules,
    Obj,
    Opt,
    Params,
    Ref,
    Sched,
    StateDict,
    Super,
    Sym,
    Tensor,
    Tuple,
    Value,
)
from freezelint.static.world import World, serial
from freezelint.trace import events as ev
from freezelint.trace.tri import UNSURE


def call(
    it: Interpreter, owner: Value, name: str, args: Args, node: cst.Call, world: World, called: Sym | None = None
) -> Outcomes:
    """`owner.name(*args)`."""
    if name == "requires_grad_" and isinstance(flag := args.get(0, "requires_grad"), Sym):
        if assumptions.truth(flag, world) is None:
            cases = branches.settled(it, flag, node, world)
            return [out for to, w in cases for out in call(it, owner, name, Args([to]), node, w, called)]
    if isinstance(owner, Super):
        return _super(it, owner, name, args, node, world)
    if name == "__setattr__" and len(args.pos) == 2 and not args.kw:
        return calls.call(it, Lib("builtins.setattr"), Args([owner, *args.pos]), node, world)
    if isinstance(owner, Obj):
        module = it.as_module(owner, world)
        if module is not None:
            return methods_of_modules.on_module(it, module, name, args, node, world)
        handled = trainers.method(it, owner, name, args, node, world)
        if handled is not None:
            return handled
        return calls.unknown(it, name, args, node, world, escapes=not harmless(name))
    if isinstance(owner, Sym):
        return methods_of_unknowns.on_unknown(it, owner, name, args, node, world)
    handler = _HANDLERS.get(type(owner))
    return handler(it, owner, name, args, node, world) if handler else calls.unknown(it, name, args, node, world)


def _super(it: Interpreter, owner: Super, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    """`super().name(...)` where no class of the project defines it."""
    module = it.as_module(owner.owner, world) if isinstance(owner.owner, Obj) else None
    if name == "__init__":
        record = world.heap.get(owner.owner.serial) if isinstance(owner.owner, Obj) else None
        row = trainers.row_of(it, record, world) if isinstance(record, Instance) else None
        if row is not None and row.lifecycle and isinstance(record, Instance) and isinstance(owner.owner, Obj):
            world.heap[owner.owner.serial] = replace(record, attrs={**record.attrs, **trainers.given(row, args)})
            return [(NONE, world)]
        calls.escape(it, args, "super().__init__()", node, world)
        return [(NONE, world)]
    if module is None:
        return calls.unknown(it, name, args, node, world)
    if name in ("__setattr__", "__getattr__", "extra_repr", "__repr__"):
        return [(Sym(("fresh", serial())), world)]
    if name in ("forward", "__call__"):
        return forward.part_of(it, module, args, node, world, "super().forward")
    return methods_of_modules.on_module(it, module, name, args, node, world, override=False)


def _on_class(it: Interpreter, owner: Cls, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    if name in ("from_pretrained", "load_from_checkpoint", "from_config", "_from_config"):
        done: Outcomes = []
        for value, after in classes.create(it, owner.info, Args(more=True), node, world):
            if isinstance(value, Obj) and it.as_module(value, after) is not None:
                region = it.region(value, after)
                if name in ("from_pretrained", "load_from_checkpoint"):
                    it.emit(after, ev.LoadWeights(site=it.place(node), lap=it.lap(after), region=region))
                if name == "from_pretrained":
                    it.emit(
                        after,
                        ev.SetMode(
                            site=it.place(node), lap=it.lap(after), region=region, training=UNSURE, by="framework"
                        ),
                    )
            done.append((value, after))
        return done
    return calls.unknown(it, name, args, node, world)


def _on_grad_mode(it: Interpreter, owner: GradMode, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    if name == "__enter__":
        it.emit(
            world,
            ev.EnterGradMode(
                site=it.place(node), lap=it.lap(world), enabled=owner.enabled, kind=owner.kind, how="statement"
            ),
        )
    return [(NONE, world)]


def _on_modules(it: Interpreter, owner: Modules, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    return [(owner, world)]


def _on_lib(it: Interpreter, owner: Lib, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    return calls.unknown(it, f"{owner.name}.{name}", args, node, world)


_HANDLERS: dict[type, Any] = {
    Params: methods_of_parameters.on_params,
    Elem: methods_of_parameters.on_element,
    Opt: optimizers.method,
    Sched: optimizers.on_scheduler,
    Method: optimizers.on_attribute,
    Tensor: methods_of_tensors.on_tensor,
    Copy: methods_of_parameters.on_copy,
    StateDict: methods_of_parameters.on_state_dict,
    Cls: _on_class,
    GradMode: _on_grad_mode,
    Modules: _on_modules,
    Lib: _on_lib,
    Ref: containers.method,
    Const: containers.of_constant,
    Tuple: containers.method,
}
