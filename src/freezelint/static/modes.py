"""train() and eval(): who is reached, and the overrides on the way."""

from __future__ import annotations

import libcst as cst

from freezelint.static import assumptions, branches, classes, functions
from freezelint.static.arguments import Args
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.values import Const, Func, Instance, Obj
from freezelint.static.world import World
from freezelint.trace import events as ev
from freezelint.trace.regions import leaves
from freezelint.trace.state import find
from freezelint.trace.tri import NO, UNSURE, YES, Tri


def asked(args: Args, world: World) -> Tri:
    """The mode that `train(mode)` asks for."""
    value = args.get(0, "mode")
    return YES if value is None else Tri.of(assumptions.truth(value, world))


def switch(
    it: Interpreter,
    owner: Obj,
    name: str,
    args: Args,
    node: cst.CSTNode,
    world: World,
    *,
    override: bool = True,
    by: str = "",
) -> Outcomes:
    """`owner.train(mode)` or `owner.eval()`: every module below, then what overrides of `train` below make of it.

    `override` is False for `super().train()`, which must not come back to the owner's own override. As in torch,
    children hear of it through their `train`, never through an `eval` of their own.
    """
    if name == "train":
        value = args.get(0, "mode")
        if value is not None and assumptions.truth(value, world) is None and by != "framework":
            # Which mode depends on a test: decide it as an `if` would, so that later tests agree.
            done: Outcomes = []
            for case in branches.decide(it, value, node, world):
                if case.truth is None:
                    done += _switch(it, owner, UNSURE, name, node, case.world, override, by)
                else:
                    done += _switch(it, owner, Tri.of(case.truth), name, node, case.world, override, by)
            return done
    training = asked(args, world) if name == "train" else NO
    return _switch(it, owner, training, name, node, world, override, by)


def _switch(
    it: Interpreter, owner: Obj, training: Tri, name: str, node: cst.CSTNode, world: World, override: bool, by: str
) -> Outcomes:
    own = _override(it, owner, world) if override else None
    if own is not None:
        return [(owner, after) for _, after in functions.inline(it, own, Args([_mode(training)]), node, world)]
    children = _deciding(it, owner, world)
    apart = {leaf for child, _ in children for leaf in leaves(it.region(child, world))}
    region = it.region(owner, world)
    if apart or world.state.pinned:
        region = frozenset(
            part
            for part in (leaves(region) if apart & set(leaves(region)) or world.state.pinned else region)
            if part not in apart and find(world.state.pinned, part) is None
        )
    if region:
        it.emit(
            world,
            ev.SetMode(
                site=it.place(node),
                lap=it.lap(world),
                region=region,
                training=training,
                by=by or name,
                within=it.within,
                via=it.callers[-1] if it.callers else None,
            ),
        )
    worlds = [world]
    for _, func in children:
        worlds = [after for w in worlds for _, after in functions.inline(it, func, Args([_mode(training)]), node, w)]
    return [(owner, w) for w in worlds]


def _deciding(it: Interpreter, owner: Obj, world: World) -> list[tuple[Obj, Func]]:
    """The modules below that have a `train` of their own, without those below one of them: it passes the mode on."""
    found: list[tuple[Obj, Func]] = []
    passed: set[int] = set()
    for child in it.submodules(owner, world)[1:]:
        func = _override(it, child, world)
        if child.serial in passed or func is None or any(info is func.info for info in it.running):
            continue
        found.append((child, func))
        passed |= {below.serial for below in it.submodules(child, world)}
    return found


def _mode(training: Tri) -> Const:
    return Const(training is not NO)


def _override(it: Interpreter, owner: Obj, world: World) -> Func | None:
    """The owner's own `train`, when a class of the project defines one that can be called like nn.Module's."""
    record = world.heap.get(owner.serial)
    if not isinstance(record, Instance) or record.cls is None or owner.path:
        return None
    found = classes.member(it, record.cls, "train", world)
    if found is None or not isinstance(found[0], cst.FunctionDef):
        return None
    required = [p for p in found[0].params.params if p.default is None]
    if len(required) > 2 or len(found[0].params.params) < 2:  # a training loop called `train`, or a TypeError
        return None
    return Func(it.function(found[1].module, found[0], found[1]), bound=owner)
