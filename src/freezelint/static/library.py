"""Calls of library functions and classes: each row of knowledge becomes values and events."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import libcst as cst

from freezelint.knowledge import canonical, look_up
from freezelint.knowledge.rows import (
    AdapterRow,
    CheckpointRow,
    ClipRow,
    ContainerRow,
    CopyRow,
    FamilyRow,
    FreezeRow,
    GradModeRow,
    HarmlessRow,
    LayerRow,
    ModuleBase,
    NewTensorRow,
    OptimizerRow,
    RecordRow,
    Row,
    SameRow,
    SchedulerRow,
    TensorRow,
    ThawRow,
    TrainerRow,
    WrapRow,
)
from freezelint.static import (
    adapters,
    assumptions,
    builtin,
    calls,
    evaluate,
    functions,
    lifecycles,
    optimizers,
    tensors,
    zoo,
)
from freezelint.static.arguments import Args
from freezelint.static.elements import use
from freezelint.static.evaluate import source
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.values import (
    NONE,
    Const,
    Copy,
    Elem,
    GradMode,
    Instance,
    Items,
    Obj,
    Params,
    Ref,
    Sym,
    Table,
    Tensor,
    Tuple,
    Value,
    leaf_of,
    tensor_of,
)
from freezelint.static.world import World, serial
from freezelint.trace import events as ev
from freezelint.trace.regions import Layer, Part, Region, View
from freezelint.trace.run import Run
from freezelint.trace.tri import NO, UNSURE, YES, Tri

# What is passed to these cannot change what trains: reports, logs, checks, data.
_HARMLESS = re.compile(
    r"(^|\.)(print|log\w*|summary|info|debug|warn\w*|save\w*|count\w*|num_\w*|get_(num|n_|lr)\w*|plot\w*|show\w*|watch|"
    r"write\w*|add_(scalar|graph|histogram|image)\w*|isinstance|repr|format|profile\w*|flop\w*|get_model_complexity\w*|"
    r"assert\w*|check_\w*|dump\w*|export\w*|pprint|register_\w*|append|track\w*|update_(ema|meter)\w*|device|"
    r"setup_logger|seed\w*|visuali[sz]e\w*|synchronize|barrier|hasattr|id|getsize|len|type|is_\w+|"
    r"\w*Pipeline\.from_pretrained)$"
)


def harmless(name: str) -> bool:
    """Whether a function's name says that it only reads what it is given."""
    return bool(_HARMLESS.search(name))


def call(it: Interpreter, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    """A call of the library object `name`."""
    name = canonical(name)
    if name.startswith("builtins.") or name in builtin.FUNCTIONS:
        return builtin.call(it, name, args, node, world)
    models = zoo.build(it, name, args, node, world)
    if models is not None:
        return models
    row = look_up(name)
    if row is None:
        return _unlisted(it, name, args, node, world)
    return of_row(it, row, name, args, node, world)


def _unlisted(it: Interpreter, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    last = name.rpartition(".")[2]
    if last[:1].isupper() and not last.isupper():  # a class: an instance of it, which may keep what it is given
        if name.startswith("torch.nn.") or name.startswith("torchmetrics."):
            return [(layer(it, LayerRow(last), args, node, world), world)]
        return calls.unknown(it, last, args, node, world, escapes=not harmless(name), kind=name)
    if name.startswith(("numpy.", "torch.utils.data.", "torchvision.transforms.", "matplotlib.", "tqdm.")) or name in (
        "tqdm",
        "tqdm.tqdm",
    ):
        if args.pos and "tqdm" in name:
            return [(args.pos[0], world)]
        return calls.unknown(it, name, args, node, world, escapes=False)
    if name.startswith("torch.nn.functional.") or (name.startswith("torch.") and name.count(".") == 1):
        return [(tensors.computed(world, tensor_of(tensors.inputs(it, args, world))), world)]
    return calls.unknown(it, name, args, node, world, escapes=not harmless(name))


def of_row(it: Interpreter, row: Row, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    """What a row says the call does."""
    site, lap = it.place(node), it.lap(world)
    match row:
        case LayerRow():
            return [(layer(it, row, args, node, world), world)]
        case ContainerRow():
            return [(container(it, row, args, node, world), world)]
        case ModuleBase():
            return [(opened(it, name, node, world), world)]
        case FamilyRow():
            return calls.unknown(it, name, args, node, world)
        case OptimizerRow():
            return optimizers.build(it, row, name.rpartition(".")[2], args, node, world)
        case SchedulerRow():
            return optimizers.scheduler(it, row, name, args, node, world)
        case GradModeRow():
            mode = functions.grad_mode(row, args, NONE)
            assert isinstance(mode, GradMode)
            return [(GradMode(mode.kind, mode.enabled, site), world)]
        case WrapRow():
            wrapped = args.at(row.module)
            module = it.as_module(wrapped, world) if wrapped is not None else None
            if module is not None:
                region = it.region(module, world)
                said = _said(it, row.settings, args, node)
                it.emit(world, ev.Wrap(site=site, lap=lap, region=region, kind=row.kind, settings=said))
                if row.prefix:
                    wrapped = Obj(module.serial, module.path, f"{row.prefix}{module.worn}")
            return [(wrapped if wrapped is not None else Sym(("fresh", serial())), world)]
        case RecordRow():
            return [(adapters.record(it, row, name, args, node, world), world)]
        case AdapterRow():
            given = args.at(row.model)
            module = it.as_module(given, world) if given is not None else None
            if module is None:
                return calls.unknown(it, name, args, node, world)
            config = args.at(row.config) if row.config is not None else None
            return [(adapters.adapt(it, row, name, module, config, args, node, world), world)]
        case FreezeRow():
            return adapters.freeze(it, row, name, args, node, world)
        case ThawRow():
            return adapters.thaw(it, row, name, args, node, world)
        case CheckpointRow():
            return adapters.rerun(it, args, row.sequential, node, world)
        case SameRow():
            if row.every and len(args.pos) > 1:
                return [(Tuple(tuple(args.pos)), world)]
            value = args.at(row.arg)
            if row.moves and isinstance(value, Obj):
                for part in it.region(value, world):
                    part.traits[row.moves] = YES
            return [(value if value is not None else Sym(("fresh", serial())), world)]
        case CopyRow():
            return [(copied(it, args.at(row.arg), node, world), world)]
        case HarmlessRow():
            return calls.unknown(it, name, args, node, world, escapes=False, kind=name)
        case ClipRow():
            given = args.at(row.params)
            if isinstance(given, Params):
                use(it, given, name.rpartition(".")[2], node, world)
                if not given.unsure:
                    it.emit(world, ev.ClipGradients(site=site, lap=lap, region=given.region))
            return [(Tensor(), world)]
        case TensorRow():
            result = tensor_of(tensors.inputs(it, args, world))
            unknown = result.loose and not result.uses
            if row.cut and not (row.keeps and isinstance(args.get(0), Tensor)):
                result = tensors.cut(it, result, row.cut, node)
            if row.packs is not None:
                result = replace(result, packed=row.packs)
            asked = args.kw.get("requires_grad")
            if asked is not None and not _is_false(asked):
                loss = tensors.is_loss(evaluate.source(it, node))
                if unknown and loss:
                    result = Tensor(complete=UNSURE)
                return [(leaf_of(result, site, loss), world)]
            return [(tensors.computed(world, result), world)]
        case NewTensorRow():
            asked = args.kw.get("requires_grad")
            return [(Tensor(loose=asked is not None and not _is_false(asked)), world)]
        case TrainerRow():
            return lifecycles.trainer(it, row, name, args, node, world)
    return calls.unknown(it, name, args, node, world)


def _said(it: Interpreter, wanted: tuple[str, ...], args: Args, node: cst.Call) -> tuple[tuple[str, str], ...]:
    """Arguments as source says them; "**" for those that may be among unknown ones."""
    said = {arg.keyword.value: source(it, arg.value) for arg in node.args if arg.keyword is not None}
    return tuple((name, said[name]) for name in wanted if name in said) + ((("**", ""),) if args.more else ())


# Modules -------------------------------------------------------------------------------------------------------------


def layer(it: Interpreter, row: LayerRow, args: Args, node: cst.CSTNode, world: World) -> Obj:
    """A layer of torch.nn."""
    params = tuple(p for p in row.params if not _is_false(args.kw.get(row.optional.get(p, ""))))
    rate = None
    if row.rate is not None:
        given = args.at(row.rate)
        rate = given.value if isinstance(given, Const) and isinstance(given.value, (int, float)) else None
        rate = 0.5 if given is None else rate
    if row.kind.startswith(("BatchNorm", "SyncBatchNorm")) and _is_false(args.kw.get("track_running_stats")):
        return _new(it, "BatchNorm without statistics", Layer("BatchNormWithoutStatistics", params), node, world)
    traits = {}
    if row.kind.startswith("Embedding") and row.freezes is None and isinstance(cap := args.get(3, "max_norm"), Const):
        traits = {"max_norm": Tri.of(cap.value is not None)}
    if row.freezes is None:
        return _new(it, row.kind, Layer(row.kind, params, rate), node, world, traits=traits)
    made = _new(it, row.kind, Layer(row.kind, params, rate), node, world, pretrained=YES)
    asked = args.at(row.freezes)
    known = True if asked is None and not args.more else assumptions.truth(asked, world) if asked is not None else None
    if known is not False:
        event = ev.SetRequiresGrad(
            site=it.place(node),
            lap=it.lap(world),
            region=it.region(made, world),
            to=NO if known else UNSURE,
            how="from_pretrained",
            given=asked is not None,
            turn=it.turns,
        )
        it.emit(world, event)
    return made


def _is_false(value: Value | None) -> bool:
    return isinstance(value, Const) and value.value is False


def _new(
    it: Interpreter, kind: str, what: Layer, node: cst.CSTNode, world: World, pretrained: Tri = NO, traits: Any = None
) -> Obj:
    number = serial()
    part = Part(f"({kind})", layers={"": what}, traits=traits)
    world.heap[number] = Instance(kind, part=part)
    it.emit(
        world,
        ev.CreateModule(
            site=it.place(node), lap=it.lap(world), region=frozenset({part}), kind=kind, pretrained=pretrained
        ),
    )
    return Obj(number)


def parameter(it: Interpreter, args: Args, node: cst.CSTNode, world: World) -> Params:
    """`nn.Parameter(...)`."""
    part = Part("(parameter)", layers={"": Layer("Parameter", ("",))}, names=frozenset({""}))
    it.sources[part] = frozenset(p for value in args.pos[:1] for p in _inside(it, value, world))
    it.emit(world, ev.CreateModule(site=it.place(node), lap=it.lap(world), region=frozenset({part}), kind="Parameter"))
    flag = args.get(1, "requires_grad")
    if flag is not None:
        to = Tri.of(flag.value) if isinstance(flag, Const) and isinstance(flag.value, bool) else UNSURE
        it.emit(world, ev.SetRequiresGrad(site=it.place(node), lap=it.lap(world), region=frozenset({part}), to=to))
    return Params(((View(), part),), single=True)


def _inside(it: Interpreter, value: Value, world: World) -> Region:
    """The parameters that a tensor is made of, as far as that is written in one expression."""
    if isinstance(value, Copy):
        return frozenset(p for _, p in value.members)
    if isinstance(value, Sym) and isinstance(value.key, tuple):
        return frozenset(p for v in value.key if isinstance(v, Value) for p in _inside(it, v, world))
    return it.regions_in(value, world) if isinstance(value, (Params, Elem)) else frozenset()


def opened(it: Interpreter, name: str, node: cst.CSTNode, world: World, *, trainable: bool = True) -> Obj:
    """A library module whose inside is not known: trainable, in train mode."""
    number = serial()
    part = Part(f"({name.rpartition('.')[2]})")
    world.heap[number] = Instance(name, part=part)
    it.emit(world, ev.CreateModule(site=it.place(node), lap=it.lap(world), region=frozenset({part}), kind=name))
    return Obj(number)


def container(it: Interpreter, row: ContainerRow, args: Args, node: cst.CSTNode, world: World) -> Obj:
    """Sequential, ModuleList, ModuleDict over the modules they are given."""
    kind = {"args": "Sequential", "list": "ModuleList", "dict": "ModuleDict"}[row.how]
    number = serial()
    attrs: dict[str, Value] = {}
    more = args.more
    items: list[Value] = list(args.pos)
    if items and isinstance(items[0], Ref):
        record = world.heap.get(items[0].serial)
        if isinstance(record, Items):
            items, more = list(record.items), more or record.more
            if items and all(
                isinstance(i, Tuple) and len(i.items) == 2 for i in items
            ):  # OrderedDict([(name, m), ...])
                for pair in items:
                    key, value = pair.items  # type: ignore[attr-defined]
                    attrs[str(key.value) if isinstance(key, Const) else f"?{len(attrs)}"] = value
                items = []
        elif isinstance(record, Table):
            attrs.update({str(k): v for k, v in record.items.items()})
            more, items = more or record.more, []
    for at, item in enumerate(items):
        attrs[str(at)] = item
    known = {k: m for k, v in attrs.items() if (m := it.as_module(v, world)) is not None}
    more = more or len(known) < len(attrs)
    world.heap[number] = Instance(kind, part=Part(f"({kind})", layers=None if more else {}), attrs=known)
    return Obj(number)


def copied(it: Interpreter, value: Value | None, node: cst.CSTNode, world: World) -> Value:
    """A deep copy: another network with the same flags and modes as far as they are known."""
    module = it.as_module(value, world) if value is not None else None
    if module is None:
        return value if isinstance(value, (Const, Tuple, Ref)) else Sym(("fresh", serial()))
    record = world.heap[module.serial]
    number = serial()
    part = Part("(copy)", layers=record.part.layers if not module.path else None) if record.part else None
    world.heap[number] = Instance(
        record.kind, record.cls if not module.path else None, part, symbolic=record.symbolic, row=record.row
    )
    copies: dict[str, Value] = {}
    for path, attr in record.attrs.items():
        if module.path:
            break
        copies[path] = copied(it, attr, node, world) if isinstance(attr, Obj) and it.as_module(attr, world) else attr
    world.heap[number] = Instance(
        record.kind, record.cls if not module.path else None, part, copies, record.symbolic, record.row
    )
    if part is not None and not record.symbolic and part.layers != {}:
        run = Run(world.state)
        flags = {run.flag(leaf) for leaf in record.part.leaves()}
        modes = {run.mode(leaf) for leaf in record.part.leaves()}
        region = frozenset({part})
        it.emit(
            world,
            ev.CreateModule(
                site=it.place(node),
                lap=it.lap(world),
                region=region,
                kind="copy",
                training=modes.pop() if len(modes) == 1 else UNSURE,
            ),
        )
        to = flags.pop() if len(flags) == 1 else UNSURE
        if to is not YES:
            it.emit(world, ev.SetRequiresGrad(site=it.place(node), lap=it.lap(world), region=region, to=to, how="copy"))
    return Obj(number)


def tables(world: World, ref: Ref) -> Any:
    """The heap record behind a reference."""
    return world.heap.get(ref.serial)
