"""Functions of the project, which are run in place: their arguments bound, under the grad mode of their decorators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import libcst as cst

from freezelint.knowledge import look_up
from freezelint.knowledge.rows import GradModeRow, Row
from freezelint.static import calls, evaluate, execute, summaries
from freezelint.static.arguments import Args
from freezelint.static.evaluate import new_list
from freezelint.static.interpreter import CALL_DEPTH, Interpreter, Outcomes, OutOfFuel, Scope
from freezelint.static.modules import Place
from freezelint.static.values import NONE, Const, Func, GradMode, Lib, Obj, Ref, Sym, Table, Value
from freezelint.static.world import Flow, World, serial
from freezelint.trace import events as ev
from freezelint.trace.tri import NO, UNSURE, YES


def inline(it: Interpreter, func: Func, args: Args, node: cst.CSTNode, world: World) -> Outcomes:
    """Run a function of the project in place."""
    info = func.info
    if isinstance(func.bound, Obj) and func.bound.worn:  # a method knows nothing of what its object is wrapped in
        func = replace(func, bound=Obj(func.bound.serial, func.bound.path))
    if len(it.running) >= CALL_DEPTH or it.running.count(info) > 1:
        return calls.unknown(it, info.name, args, node, world, escapes=info not in it.running)
    it.called.add(id(info.node))
    positional = [func.bound, *args.pos] if func.bound is not None else list(args.pos)
    given = [*positional, *args.kw.values()]
    if not summaries.untouched(it, func, given, world):
        return _run(it, func, positional, args, node, world)
    remembered = summaries.from_memory(it, func, given, world)
    if remembered is not None:
        return remembered
    before, floor, guarded = world.state, it.floor, it.guarded
    about = summaries.known(it, info)
    kept = world.fork() if about.plain else world
    try:
        if about.plain:
            it.floor = max(floor, it.fuel - summaries.FUEL)
        outcomes = _run(it, func, positional, args, node, world)
    except OutOfFuel:
        if it.fuel < floor:
            raise
        about.costly, it.guarded = True, guarded
        return summaries.given_up(it, func, given, kept)
    finally:
        it.floor = floor
    summaries.learn(it, func, given, before, outcomes)
    return outcomes


def _run(it: Interpreter, func: Func, positional: list[Value], args: Args, node: cst.CSTNode, world: World) -> Outcomes:
    info = func.info
    before = it.scope
    frame = serial()
    outer = () if func.frame is None else (func.frame, *(before.outer if before.frame == func.frame else ()))
    it.scope = Scope(info.module, frame, outer, info, info.cls, func.bound)
    stack, laps = world.stack, world.laps
    it.running.append(info)
    it.callers.append(Place(before.module, node))
    try:
        bound = bind(it, func, positional, args, world)
        world.own(frame).update(bound)
        world.stack = (*stack, frame)
        modes = grad_modes(it, info, world)
        for mode, place in modes:
            it.emit(world, ev.EnterGradMode(site=place, enabled=mode.enabled, kind=mode.kind, how="decorator"))
        if isinstance(info.node, cst.Lambda):
            outcomes = evaluate.evaluate(it, info.node.body, world)
            for value, after in outcomes:
                after.result, after.flow = value, Flow.RETURN
            worlds = [after for _, after in outcomes]
        else:
            worlds = execute.block(it, info.node.body.body, [world])
    finally:
        it.running.pop()
        it.callers.pop()
        it.scope = before
    ended = [w for w in worlds if w.flow is Flow.RAISE]
    kept = [w for w in worlds if w.flow is not Flow.RAISE]
    done: list[World] = []
    for after in kept or ended[:1]:
        if after.flow is Flow.NORMAL:
            after.result = NONE
        if after.flow is not Flow.RAISE:
            after.flow = Flow.NORMAL
        for _ in modes:
            it.emit(after, ev.ExitGradMode(site=it.place(node)))
        after.stack, after.laps = stack, laps
        if frame not in it.closures:
            after.names.pop(frame, None)
        done.append(after)
    outcomes = []
    for after in it.merge(done):
        value, after.result = after.result, NONE
        outcomes.append((value, after))
    return outcomes


def bind(it: Interpreter, func: Func, positional: list[Value], args: Args, world: World) -> dict[str, Value]:
    """The frame of a call: parameters bound to arguments, defaults, or unknowns."""
    params = func.info.node.params
    names: dict[str, Value] = {}
    plain = [*params.posonly_params, *params.params]
    keywords = dict(args.kw)
    for at, param in enumerate(plain):
        name = param.name.value
        if at < len(positional):
            names[name] = positional[at]
        elif name in keywords:
            names[name] = keywords.pop(name)
        else:
            names[name] = _default(it, func, param, args.more, world)
    for param in params.kwonly_params:
        name = param.name.value
        names[name] = keywords.pop(name) if name in keywords else _default(it, func, param, args.more, world)
    if isinstance(params.star_arg, cst.Param):
        names[params.star_arg.name.value] = new_list(world, positional[len(plain) :], args.more)
    if params.star_kwarg is not None:
        ref = Ref(serial())
        world.heap[ref.serial] = Table(dict(keywords), args.more)
        names[params.star_kwarg.name.value] = ref
    return names


def _default(it: Interpreter, func: Func, param: cst.Param, more: bool, world: World) -> Value:
    name = param.name.value
    if param.default is None or more:
        return Sym(("arg", id(param), serial()), name)
    scope, it.scope = it.scope, Scope(func.info.module, None, (), None, func.info.cls)
    try:
        value, after = evaluate.evaluate(it, param.default, world)[0]
        return value if after is world else Sym(("arg", id(param), serial()), name)
    finally:
        it.scope = scope


def grad_modes(it: Interpreter, info: Any, world: World) -> list[tuple[GradMode, Any]]:
    """The grad modes a function's decorators put it under, with the decorator."""
    if isinstance(info.node, cst.Lambda) or not info.node.decorators:
        return []
    found = []
    scope, it.scope = it.scope, Scope(info.module)
    try:
        for decorator in info.node.decorators:
            value, _ = evaluate.evaluate(it, decorator.decorator, world)[0]
            if isinstance(value, Lib):
                row = look_up(value.name)
                value = grad_mode(row, Args(), value) if row is not None else value
            if isinstance(value, GradMode):
                found.append((value, Place(info.module, decorator)))
    finally:
        it.scope = scope
    return found


def grad_mode(row: Row, args: Args, otherwise: Value) -> Value:
    """The grad mode a row makes."""
    if not isinstance(row, GradModeRow):
        return otherwise
    if row.enabled is not None:
        first = args.get(0, "mode")
        if row.kind == "inference_mode" and isinstance(first, Const) and first.value is False:
            return GradMode(row.kind, YES)
        return GradMode(row.kind, YES if row.enabled else NO)
    mode = args.get(0, "mode")
    known = mode.value if isinstance(mode, Const) and isinstance(mode.value, bool) else None
    return GradMode(row.kind, YES if known else NO if known is False else UNSURE)
