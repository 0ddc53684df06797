"""Adapters (PEFT), settings objects, gradient checkpointing: what library calls do to a model as a whole."""

from __future__ import annotations

import re
from dataclasses import replace

import libcst as cst

from freezelint.knowledge.peft import HEADS_OF_TASK, MORE_TRAINS
from freezelint.knowledge.rows import AdapterRow, CheckpointingRow, FreezeRow, RecordRow, ThawRow
from freezelint.static import arguments, assumptions, calls, forward, tensors
from freezelint.static.arguments import Args
from freezelint.static.evaluate import strings
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.values import (
    NONE,
    Const,
    Instance,
    Lib,
    Members,
    Nothing,
    Obj,
    Opt,
    Params,
    Ref,
    Sym,
    Table,
    Tensor,
    Tuple,
    Value,
)
from freezelint.static.world import World, serial
from freezelint.trace import events as ev
from freezelint.trace.regions import Layer, Part, Test, leaves
from freezelint.trace.state import Pass, find
from freezelint.trace.tri import NO, UNSURE, YES, Tri

MORE = "**"  # the attribute that says that settings came from an unknown dictionary


def record(it: Interpreter, row: RecordRow, name: str, args: Args, node: cst.CSTNode, world: World) -> Obj:
    """An object of settings."""
    attrs = {**dict(zip(row.fields, args.pos, strict=False)), **args.kw}
    written = {a.keyword.value: a.value for a in getattr(node, "args", ()) if a.keyword is not None}
    for field, value in attrs.items():
        nothing(it, field, value, written.get(field, node), world)
    if args.more:
        attrs[MORE] = Const(True)
    number = serial()
    world.heap[number] = Instance(name, attrs=attrs, row=it.place(node))
    return Obj(number)


def nothing(it: Interpreter, field: str, value: Value, node: cst.CSTNode, world: World) -> None:
    """Tell the rules of a setting that is the None of a method which works in place."""
    if isinstance(value, Nothing):
        it.emit(
            world,
            ev.WroteAttribute(
                site=it.place(node), lap=it.lap(world), target="setting", name=field, value="None", text=value.text
            ),
        )


def setting(config: Value | None, name: str, world: World) -> Value | None:
    """A setting of a known object or dictionary: None where it was left out, an unknown where it may have been."""
    found = world.heap.get(config.serial) if isinstance(config, (Obj, Ref)) else None
    if isinstance(found, Instance) and found.part is None:
        value = found.attrs.get(name)
        return Sym(("setting", name)) if value is None and MORE in found.attrs else value
    if isinstance(found, Table):
        value = found.items.get(name)
        return Sym(("setting", name)) if value is None and found.more else value
    if isinstance(config, Sym):
        return Sym(("attr", config, name), f"{config.text}.{name}")
    return Sym(("setting", name))


def adapt(
    it: Interpreter, row: AdapterRow, name: str, module: Obj, config: Value | None, args: Args, node: cst.CSTNode,
    world: World,
) -> Obj:  # fmt: skip
    """Hang an adapter in a model: its own parameters train, the others are frozen but for what the settings spare."""
    site, lap = it.place(node), it.lap(world)
    members = it.members(module, world)
    base = frozenset(part for _, part in members)
    record_ = world.heap[module.serial]
    assert isinstance(record_, Instance)
    label = record_.part.label.strip("()") if record_.part is not None else "the model"
    names = ("lora_A.default.weight", "lora_B.default.weight") if _is_lora(config, world) else ()
    own = Part(f"the adapter of {label}", layers={"": Layer("Adapter", names)} if names else None)
    number = serial()
    world.heap[number] = Instance("adapter", part=own)
    hung = f"{module.path}.adapter".lstrip(".")
    while hung in record_.attrs:
        hung += "_"
    world.heap[module.serial] = replace(record_, attrs={**record_.attrs, hung: Obj(number)})
    by = name.rpartition(".")[2] if not name.endswith(".from_pretrained") else ".".join(name.split(".")[-2:])
    trains = Tri.of(assumptions.truth(setting(config, "inference_mode", world) or Const(False), world))
    trains = YES if trains is NO else NO if trains is YES else UNSURE
    if row.trains is not None:
        asked = args.at(row.trains)
        trains = NO if asked is None and not args.more else UNSURE if asked is None else Tri.of(
            assumptions.truth(asked, world)
        )  # fmt: skip
    kept = spared(config, world) if row.config is not None else () if trains is NO else None
    settings = world.heap.get(config.serial) if isinstance(config, Obj) else None
    region = frozenset({own})
    it.emit(
        world,
        ev.CreateModule(
            site=site, lap=lap, region=region, kind="adapter", pretrained=YES if row.loaded else NO
        ),
    )  # fmt: skip
    it.emit(
        world,
        ev.Wrap(
            site=site, lap=lap, region=base | region, kind="PEFT", adapter=region, spared=kept or (),
            settings=_targets(config, world),
            said=settings.row if isinstance(settings, Instance) else None,
        ),
    )  # fmt: skip
    biases = row.config is not None and setting(config, "bias", world) not in (None, Const("none"))
    for part, to in _flags(members, kept, biases):
        it.emit(world, ev.SetRequiresGrad(site=site, lap=lap, region=part, to=to, how="framework", by=by))
    if trains is not YES:
        it.emit(world, ev.SetRequiresGrad(site=site, lap=lap, region=region, to=trains, how="framework", by=by))
    return Obj(module.serial, module.path, f"{module.worn}{row.prefix}")


def configures(config: Value | None, world: World) -> bool:
    """Whether a value is the settings of an adapter."""
    found = world.heap.get(config.serial) if isinstance(config, Obj) else None
    return isinstance(found, Instance) and found.kind.startswith("peft.")


def _is_lora(config: Value | None, world: World) -> bool:
    found = world.heap.get(config.serial) if isinstance(config, Obj) else None
    return isinstance(found, Instance) and "Lora" in found.kind


def _targets(config: Value | None, world: World) -> tuple[tuple[str, str], ...]:
    """The layers that the adapter is hung in: all, where that is not said in so many words."""
    value = setting(config, "target_modules", world)
    words = strings(value, world) if value is not None and not isinstance(value, Const) else None
    return (("target_modules", ",".join(words) if words else "" if value in (None, NONE) else "*"),)


def spared(config: Value | None, world: World) -> tuple[str, ...] | None:
    """The modules that stay trainable beside the adapter; None when that is not known."""
    for name, harmless in MORE_TRAINS.items():
        value = setting(config, name, world)
        if name != "bias" and value is not None and not (isinstance(value, Const) and value.value in harmless):
            return None
    task = setting(config, "task_type", world)
    if isinstance(task, Lib):
        kind = task.name.removesuffix(".value").rpartition(".")[2]
    elif task is None or isinstance(task, Const):
        kind = str(task.value) if isinstance(task, Const) else ""
    else:
        return None
    saved = setting(config, "modules_to_save", world)
    if saved is None or saved == NONE:
        return HEADS_OF_TASK.get(kind, ())
    words = strings(saved, world)
    return (*words, *HEADS_OF_TASK.get(kind, ())) if words is not None else None


def _flags(members: Members, kept: tuple[str, ...] | None, biases: bool = False) -> list[tuple[frozenset[Part], Tri]]:
    """What becomes of the flags of the base model; `biases` when its biases may train too."""
    if kept is None:
        return [(frozenset(part for _, part in members), UNSURE)]
    if biases:
        test, left = Test("in", ("bias",), '"bias" in name'), []
        unsure: set[Part] = set()
        for view, part in members:
            passing, failing = part.split(test, view)
            unsure.update(passing)
            left += [(view, p) for p in failing]
        return [*_flags(tuple(left), kept), *([(frozenset(unsure), UNSURE)] if unsure else [])]
    if not kept:
        return [(frozenset(part for _, part in members), NO)]
    # A module is spared when its path ends with one of the names, and all below it with it.
    test = Test("regex", tuple(rf"(^|[\w.]*){re.escape(name)}\." for name in kept), "modules_to_save")
    found: dict[Tri, set[Part]] = {NO: set(), YES: set(), UNSURE: set()}
    for view, part in members:
        passing, failing = part.split(test, view)
        found[NO].update(failing)
        for some in passing:
            found[YES if some.names else UNSURE].add(some)
    return [(frozenset(parts), to) for to, parts in found.items() if parts]


def freeze(it: Interpreter, row: FreezeRow, name: str, args: Args, node: cst.CSTNode, world: World) -> Outcomes:
    """A library function that freezes the model it is given."""
    value = args.at(row.model)
    module = it.as_module(value, world) if value is not None else None
    if module is None:
        return calls.unknown(it, name, args, node, world)
    region, site, lap = it.region(module, world), it.place(node), it.lap(world)
    it.emit(
        world,
        ev.SetRequiresGrad(
            site=site, lap=lap, region=region, to=NO, how="framework", by=name.rpartition(".")[2]
        ),
    )  # fmt: skip
    if row.checkpoints is not None:
        asked = args.at(row.checkpoints)
        wanted = True if asked is None else assumptions.truth(asked, world)
        if wanted is not False:
            it.emit(world, ev.Checkpoint(site=site, lap=lap, region=region, reentrant=UNSURE))
            it.emit(world, ev.OpenInputs(site=site, lap=lap, region=region))
    return [(value if value is not None else module, world)]


def thaw(it: Interpreter, row: ThawRow, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    """Flags of modules in a list, in a container or alone; and a group for them in an optimizer."""
    value = args.at(row.modules)
    given = arguments.inside(value, world) if value is not None else []
    modules = [module for v in given if (module := it.as_module(v, world)) is not None]
    if not modules or len(modules) < len(given):
        return calls.unknown(it, name, args, node, world)
    region, site, lap = frozenset(p for m in modules for p in it.region(m, world)), it.place(node), it.lap(world)
    by = name.rpartition(".")[2]
    if not row.on:
        # BatchNorm's weights stay trainable by default; which those are is not always known.
        keeps = assumptions.truth(args.get(1, "train_bn") or Const(True), world)
        left = {p for p in region if keeps is not False and p.has("batchnorm") is not NO}
        for parts, to in ((region - left, NO), (frozenset(left), UNSURE)):
            if parts:
                it.emit(world, ev.SetRequiresGrad(site=site, lap=lap, region=parts, to=to, how="framework", by=by))
        still = frozenset(p for p in region - left if p.has("batchnorm") is not NO)
        if still:  # Lightning stops the running statistics of those as well (`freeze_module`)
            stops = ev.WroteAttribute(
                site=site,
                lap=lap,
                target="module",
                name="track_running_stats",
                value="False",
                region=still,
                how="framework",
            )
            it.emit(world, stops)
        return [(NONE, world)]
    it.emit(world, ev.SetRequiresGrad(site=site, lap=lap, region=region, to=YES, how="framework", by=by))
    optimizer = args.at(row.optimizer) if row.optimizer is not None else None
    if isinstance(optimizer, Opt):
        held = world.state.optimizers.get(optimizer.serial)
        added = frozenset(p for p in region if held is None or held.holds(p) is not YES)  # it drops those it has
        it.emit(world, ev.AddParamGroup(site=site, lap=lap, optimizer=optimizer.serial, region=added, has_lr=YES))
    elif row.optimizer is not None:
        it.emit(world, ev.Escape(site=site, lap=lap, region=region, by=by))
    return [(NONE, world)]


def checkpointing(
    it: Interpreter, row: CheckpointingRow, owner: Obj, settings: Value | None, node: cst.CSTNode, world: World,
    by: str = "",
) -> None:  # fmt: skip
    """`model.gradient_checkpointing_enable(...)`."""
    # Until version 5 of transformers it was reentrant by default, and no input was made to require grad.
    old = it.modules.older(it.scope.module.file, "transformers", 5)
    reentrant = YES if old else NO
    if settings is not None and settings != NONE and not isinstance(settings, Sym):
        said = setting(settings, "use_reentrant", world)
        asked = assumptions.truth(said, world) if said is not None else None
        reentrant = reentrant if said is None else YES if asked and old else NO if asked is False else UNSURE
    it.emit(
        world,
        ev.Checkpoint(
            site=it.place(node),
            lap=it.lap(world),
            region=it.region(owner, world),
            reentrant=reentrant,
            on=row.on,
            by=by,
        ),
    )


def rerun(it: Interpreter, args: Args, sequential: bool, node: cst.Call, world: World) -> Outcomes:
    """`checkpoint(function, *args)`: the function runs; reentrant, nothing in it gets a gradient when no input has
    one. `use_reentrant` has to be said; left out, it is true."""
    function = args.get(0, "functions" if sequential else "function")
    inputs = args.pos[2 if sequential else 1 :]
    if function is None:
        return calls.unknown(it, "checkpoint", args, node, world)
    if sequential:
        given = args.kw.get("input")
        inputs = [given] if given is not None else inputs
    said = args.kw.get("use_reentrant")
    reentrant = YES if said is None and not args.more else UNSURE if said is None else Tri.of(
        assumptions.truth(said, world)
    )  # fmt: skip
    kept = {k: v for k, v in args.kw.items() if k not in _OWN}
    if sequential and not isinstance(function, Obj):
        return [(forward.through(it, serial(), Args(inputs), world), world)]
    outcomes = calls.call(it, function, Args(list(inputs), kept, args.more), node, world)
    values = arguments.deep(Args(list(inputs)), world)
    if reentrant is not YES or not values or any(_may_require_grad(it, v, world) for v in values):
        return outcomes
    how = f"{'checkpoint_sequential' if sequential else 'checkpoint'}(use_reentrant=True)"
    return [(_cut(it, value, how, node, after), after) for value, after in outcomes]


_OWN = frozenset({"use_reentrant", "preserve_rng_state", "context_fn", "determinism_check", "debug", "early_stop",
                  "segments", "input", "functions", "function"})  # fmt: skip


def _cut(it: Interpreter, value: Value, how: str, node: cst.CSTNode, world: World) -> Value:
    if isinstance(value, Tensor) and world.state.is_recording() is YES:
        return tensors.cut(it, value, how, node)
    if isinstance(value, Tuple):
        return Tuple(tuple(_cut(it, item, how, node, world) for item in value.items))
    return value


def _may_require_grad(it: Interpreter, value: Value, world: World) -> bool:
    """Whether an argument of a checkpointed function may be a tensor that requires grad."""
    if isinstance(value, Const):
        return False
    if isinstance(value, Params):
        return True
    if isinstance(value, Tensor):
        if value.loose or value.complete is not YES:
            return True
        for use in value.uses:
            ran = world.state.passes.get(use.serial)
            if ran is None:
                return True
            if ran.cut(use) is None and not _all_frozen(ran):
                return True
        return not value.uses
    if not isinstance(value, Sym) or not _of_batch(value):
        return True
    return f"{value.text.partition('.')[0]}.requires_grad" in it.scope.module.text


def _of_batch(value: object) -> bool:
    """Whether something comes out of a loop over something unknown, as the tensors of a batch do."""
    key = value.key if isinstance(value, Sym) else None
    if not isinstance(key, tuple) or len(key) < 2:
        return False
    if key[0] == "item" and isinstance(key[1], int):
        return True
    if key[0] == "call":
        return any(_of_batch(part) for part in key[1:] if not isinstance(part, int))
    return key[0] in ("unpack", "attr", "item") and _of_batch(key[1])


def _all_frozen(ran: object) -> bool:
    assert isinstance(ran, Pass)
    return all(
        leaf.has("params") is NO or ((fact := find(ran.grad, leaf)) is not None and fact.value is NO)
        for leaf in leaves(ran.event.region)
    )
