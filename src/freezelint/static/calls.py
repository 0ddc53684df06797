"""Calls: a row of knowledge, a function of the project inlined, or an escape into code that is not in view."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

import libcst as cst

from freezelint.knowledge import look_up
from freezelint.knowledge.rows import Arg, ContainerRow, GradModeRow, LayerRow, Row
from freezelint.static import classes, evaluate, execute, loops, summaries
from freezelint.static.evaluate import fresh, items_of, new_list
from freezelint.static.interpreter import CALL_DEPTH, Interpreter, Outcomes, OutOfFuel, Scope
from freezelint.static.modules import Place
from freezelint.static.values import (
    NONE,
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
    Params,
    Partial,
    Ref,
    Sched,
    Sym,
    Table,
    Tensor,
    Tuple,
    Value,
    tensor_of,
)
from freezelint.static.world import Flow, World, serial
from freezelint.trace import events as ev
from freezelint.trace.regions import BATCHNORM
from freezelint.trace.tri import NO, UNSURE, YES

_LOSS = re.compile(r"(?i)(loss|criterion|crit$|objective|bce|mse|cross_?entropy|nll|\bce$)")


def is_loss(text: str) -> bool:
    """Whether a name or expression says that it is a loss."""
    return bool(_LOSS.search(text))


@dataclass
class Args:
    """Evaluated arguments; `more` when some came from unknown `*args` or `**kwargs`."""

    pos: list[Value] = field(default_factory=list)
    kw: dict[str, Value] = field(default_factory=dict)
    more: bool = False

    def get(self, position: int, name: str = "") -> Value | None:
        """The argument at a position or under a name."""
        if name and name in self.kw:
            return self.kw[name]
        return self.pos[position] if 0 <= position < len(self.pos) else None

    def at(self, arg: Arg) -> Value | None:
        """The argument a row means."""
        return self.get(arg.position, arg.name)

    def all(self) -> list[Value]:
        """Every argument."""
        return [*self.pos, *self.kw.values()]


def arguments(it: Interpreter, nodes: Any, world: World) -> list[tuple[Args, World]]:
    """The arguments of a call, left to right."""
    done: list[tuple[Args, World]] = [(Args(), world)]
    for arg in nodes:
        grown: list[tuple[Args, World]] = []
        for args, here in done:
            for value, after in evaluate.evaluate(it, arg.value, here):
                new = Args(list(args.pos), dict(args.kw), args.more)
                if arg.star == "*":
                    known = loops.spread(it, value, after, arg)
                    if known is not None:
                        new.pos += known.items
                        new.more = new.more or known.more
                    else:
                        new.more = True
                elif arg.star == "**":
                    table = after.heap.get(value.serial) if isinstance(value, Ref) else None
                    if isinstance(table, Table):
                        new.kw.update({str(k): v for k, v in table.items.items()})
                        new.more = new.more or table.more
                    else:
                        new.more = True
                elif arg.keyword is not None:
                    new.kw[arg.keyword.value] = value
                else:
                    new.pos.append(value)
                grown.append((new, after))
        done = grown
    return done


def call(it: Interpreter, func: Value, args: Args, node: cst.Call, world: World) -> Outcomes:
    """`func(*args)`."""
    from freezelint.static import branches, classes, forward, library, methods

    if isinstance(func, Func):
        return inline(it, func, args, node, world)
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
        return [(computed(world, tensor_of((func, *deep(args, world)))), world)]
    if isinstance(func, (Cond, Const)) and isinstance(node.func, cst.Attribute):
        if node.func.attr.value == "requires_grad":
            from freezelint.static.bare import named_not_called

            named_not_called(it, "flag", "call", node, world)
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


def deep(args: Args, world: World) -> list[Value]:
    """The arguments and what lists, tuples and dictionaries among them hold."""
    found: list[Value] = []
    for value in args.all():
        found += inside(value, world)
    return found


def inside(value: Value, world: World, depth: int = 3) -> list[Value]:
    """A value, or what it holds."""
    if isinstance(value, Tuple) and depth:
        return [x for item in value.items for x in inside(item, world, depth - 1)]
    if isinstance(value, Ref) and depth:
        record = world.heap.get(value.serial)
        if isinstance(record, Items):
            return [x for item in record.items for x in inside(item, world, depth - 1)]
        if isinstance(record, Table):
            return [x for item in record.items.values() for x in inside(item, world, depth - 1)]
    return [value]


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


def _without_graph(tensor: Tensor, why: ev.Cut) -> Tensor:
    """All uses cut; whatever else went in has lost its graph too, so that nothing more is to be known."""
    uses = frozenset(ev.Use(u.serial, u.cut or why) for u in tensor.uses)
    return Tensor(uses, YES if uses else tensor.complete)


def unknown(
    it: Interpreter, text: str, args: Args, node: cst.CSTNode, world: World, *, escapes: bool = True, kind: str = ""
) -> Outcomes:
    """A call of code that is not in view: what it is given is forgotten; tensors in, a tensor out."""
    it.turns += escapes
    if escapes:
        escape(it, args, text, node, world)
    values = deep(args, world)
    tensors = [v for v in values if isinstance(v, Tensor)]
    if any(t.uses for t in tensors):
        # What is called a loss and is given no model computes with what it is given, and with nothing else.
        plain = is_loss(text) and not any(it.regions_in(v, world) for v in args.all())
        return [(computed(world, tensor_of(inputs(it, args, world), YES if plain else UNSURE)), world)]
    return [(fresh(f"{text}(...)" if text else "", kind), world)]


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


# Functions of the project --------------------------------------------------------------------------------------------


def inline(it: Interpreter, func: Func, args: Args, node: cst.CSTNode, world: World) -> Outcomes:
    """Run a function of the project in place."""
    info = func.info
    if isinstance(func.bound, Obj) and func.bound.worn:  # a method knows nothing of what its object is wrapped in
        func = replace(func, bound=Obj(func.bound.serial, func.bound.path))
    if len(it.running) >= CALL_DEPTH or it.running.count(info) > 1:
        return unknown(it, info.name, args, node, world, escapes=info not in it.running)
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


def is_params(value: Value | None) -> bool:
    """Whether a value is a list or generator of parameters."""
    return isinstance(value, Params) and not value.single
