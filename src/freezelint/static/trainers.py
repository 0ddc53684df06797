"""Trainers that are handed a model: transformers' and what is built on it, and Lightning's with its callbacks."""

from __future__ import annotations

import re
from dataclasses import replace

import libcst as cst

from freezelint.knowledge import look_up
from freezelint.knowledge.rows import AdapterRow, Arg, CheckpointingRow, TrainerRow
from freezelint.static import (
    adapters,
    arguments,
    assumptions,
    calls,
    classes,
    evaluate,
    forward,
    functions,
    library,
    lifecycles,
    modes,
)
from freezelint.static.arguments import Args
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.modules import ClassInfo
from freezelint.static.values import Cls, Const, Func, Instance, Items, Obj, Opt, Sym, Tensor, Tuple, Value
from freezelint.static.world import World, serial
from freezelint.trace import events as ev
from freezelint.trace.run import Run
from freezelint.trace.tri import NO


def built(it: Interpreter, row: TrainerRow, name: str, args: Args, node: cst.CSTNode, world: World) -> Obj:
    """A trainer: an object that keeps what it is given."""
    number = serial()
    world.heap[number] = Instance(name, attrs=given(row, args))
    return Obj(number)


def given(row: TrainerRow, args: Args) -> dict[str, Value]:
    """The arguments of a trainer by their names."""
    attrs = {**dict(zip(row.fields, args.pos, strict=False)), **args.kw}
    if args.more:
        attrs[adapters.MORE] = Const(True)
    return attrs


def row_of(it: Interpreter, record: Instance, world: World) -> TrainerRow | None:
    """The trainer that an object is, or that its class is built on."""
    row = look_up(record.kind) if record.cls is None else None
    if record.cls is not None:
        rows = (look_up(e) for e in classes.order(it, record.cls, world) if isinstance(e, str))
        row = next((r for r in rows if isinstance(r, TrainerRow)), None)
    return row if isinstance(row, TrainerRow) else None


def method(it: Interpreter, owner: Obj, name: str, args: Args, node: cst.Call, world: World) -> Outcomes | None:
    """A method of a trainer, or one that a library's class gives a class of the project; None when it is neither."""
    record = world.heap.get(owner.serial)
    if not isinstance(record, Instance) or record.part is not None:
        return None
    row = row_of(it, record, world)
    if row is None:
        return _inherited(it, record, name, args, node, world)
    if name == "add_callback" and args.pos:
        known = evaluate.items_of(record.attrs.get("callbacks", Const(None)), world) or Items()
        callbacks = evaluate.new_list(world, (*known.items, args.pos[0]), known.more)
        world.heap[owner.serial] = replace(record, attrs={**record.attrs, "callbacks": callbacks})
        return [(Const(None), world)]
    if row.lifecycle == "transformers" and name == "train":
        return [(Sym(("trained", id(node))), after) for after in transformers(it, owner, row, node, world)]
    if row.lifecycle == "lightning" and name == "fit" and (args.pos or "model" in args.kw):
        module = args.get(0, "model")
        found = world.heap.get(module.serial) if isinstance(module, Obj) else None
        if isinstance(found, Instance) and found.cls is not None and isinstance(module, Obj):
            if _given(owner, world):
                entries = classes.order(it, found.cls, world)
                it.made |= {lifecycles.fit_of(entry) for entry in entries if isinstance(entry, ClassInfo)}
            return [(Sym(("fit", id(node))), after) for after in lifecycles.lightning(it, module, node, world, owner)]
    if row.lifecycle == "transformers" and name == "get_train_dataloader":
        return [(Sym(("fresh", serial()), "dataloader"), world)]
    return None


def _inherited(
    it: Interpreter, record: Instance, name: str, args: Args, node: cst.Call, world: World
) -> Outcomes | None:
    """A method that a library's base class is known to have (`BaseFinetuning.freeze`)."""
    if record.cls is None:
        return None
    for entry in classes.order(it, record.cls, world):
        row = look_up(f"{entry}.{name}") if isinstance(entry, str) and not entry.startswith("builtins.") else None
        if row is not None:
            return library.of_row(it, row, f"{entry}.{name}", args, node, world)
    return None


# transformers --------------------------------------------------------------------------------------------------------


def transformers(it: Interpreter, owner: Obj, row: TrainerRow, node: cst.CSTNode, world: World) -> list[World]:
    """`Trainer.train()`: the optimizer over what requires grad now, then epochs of steps in train mode."""
    record = world.heap[owner.serial]
    value = record.attrs.get("model")
    if value is None and isinstance(build := record.attrs.get("model_init"), Func):
        outcomes = calls.call(it, build, Args(), node, world)  # type: ignore[arg-type]
    else:
        outcomes = [(value if value is not None else Const(None), world)]
    done: list[World] = []
    for model, here in outcomes[:4]:
        module = it.as_module(model, here)
        if module is None:
            done.append(here)
            continue
        done += _train(it, owner, row, module, node, here)
    return it.merge(done)


def _train(it: Interpreter, owner: Obj, row: TrainerRow, module: Obj, node: cst.CSTNode, world: World) -> list[World]:
    module = _prepared(it, owner, row, module, node, world)
    running = [world]
    done: list[tuple[World, Opt | None]] = []
    for w in running:
        done += _optimizer(it, owner, module, node, w)
    ended: list[World] = []
    for start, optimizer in done[:4]:
        site = it.place(node)
        running = _callbacks(it, owner, module, optimizer, "on_train_begin", 0, node, [start])
        for lap in range(2):
            for w in running:
                w.laps = (lap,)
            running = _callbacks(it, owner, module, optimizer, "on_epoch_begin", lap, node, running)
            if row.calls_train:
                args = Args([Const(True)])
                running = [
                    a for w in running for _, a in modes.switch(it, module, "train", args, node, w, by="framework")
                ]
            running = _callbacks(it, owner, module, optimizer, "on_step_begin", lap, node, running)
            stepped: list[World] = []
            for w in running:
                for loss, after in _loss(it, owner, module, lap, node, w):
                    lifecycles.backward(it, loss, node, after)
                    if optimizer is not None:
                        it.emit(after, ev.Step(site=site, lap=lap, optimizer=optimizer.serial, by="transformers"))
                    it.emit(after, ev.ZeroGrad(site=site, lap=lap, region=it.region(module, after)))
                    stepped.append(after)
            running = it.merge(stepped)
            for name in ("on_step_end", "on_epoch_end"):
                running = _callbacks(it, owner, module, optimizer, name, lap, node, running)
        for w in running:
            w.laps = ()
        ended += running
    return it.merge(ended)


def _prepared(it: Interpreter, owner: Obj, row: TrainerRow, module: Obj, node: cst.CSTNode, world: World) -> Obj:
    """What the trainer does to its model: hang an adapter in, switch on checkpointing."""
    record = world.heap[owner.serial]
    config = record.attrs.get(row.adapts) if row.adapts else None
    if config is not None and adapters.configures(config, world):
        given = AdapterRow(Arg(-1), Arg(-1))
        module = adapters.adapt(it, given, "peft.get_peft_model", module, config, Args(), node, world)
        region = it.region(module, world)
        it.emit(world, ev.OpenInputs(site=it.place(node), lap=it.lap(world), region=region))
        attrs = {k: v for k, v in record.attrs.items() if k != row.adapts}
        world.heap[owner.serial] = replace(record, attrs={**attrs, "model": module})
    settings = record.attrs.get("args")
    wanted = adapters.setting(settings, "gradient_checkpointing", world) if settings is not None else None
    asked = isinstance(wanted, Sym) and bool(re.search(r"\bif [\w.]*gradient_checkpointing:", it.scope.module.text))
    if isinstance(wanted, Const):
        asked = wanted.value is True
    elif asked and wanted is not None and assumptions.truth(wanted, world) is False:
        asked = False
    if asked and not row.adapts:  # TRL's trainers enable the gradients of inputs themselves
        kind = adapters.setting(settings, "gradient_checkpointing_kwargs", world)
        adapters.checkpointing(it, CheckpointingRow(), module, kind, node, world, "Trainer")
    return module


def _optimizer(
    it: Interpreter, owner: Obj, module: Obj, node: cst.CSTNode, world: World
) -> list[tuple[World, Opt | None]]:
    """The optimizer that is given, or made by a method of the class, or by the trainer: over what requires grad."""
    record = world.heap[owner.serial]
    if record.cls is not None:
        for name in ("create_optimizer", "create_optimizer_and_scheduler", "get_decay_parameter_names"):
            found = classes.member(it, record.cls, name, world)
            if found is not None and isinstance(found[0], cst.FunctionDef):
                func = Func(it.function(found[1].module, found[0], found[1]), bound=owner)
                outcomes = functions.inline(it, func, Args(more=True), node, world)
                return [(w, _known(world=w, owner=owner, value=value)) for value, w in outcomes]
    known = _known(owner=owner, world=world, value=record.attrs.get("optimizers"))
    if known is not None:
        return [(world, known)]
    if "optimizers" in record.attrs or "optimizer_cls_and_kwargs" in record.attrs or adapters.MORE in record.attrs:
        return [(world, None)]
    run = Run(world.state)
    leaves = [leaf for part in sorted(it.region(module, world), key=lambda p: p.serial) for leaf in part.leaves()]
    held = frozenset(leaf for leaf in leaves if run.flag(leaf) is not NO)
    number = serial()
    it.emit(
        world,
        ev.BuildOptimizer(
            site=it.place(node),
            lap=it.lap(world),
            optimizer=number,
            kind="AdamW",
            groups=(held,),
            filtered=True,
            label="Trainer's AdamW",
            by="transformers",
        ),
    )
    record = world.heap[owner.serial]
    world.heap[owner.serial] = replace(record, attrs={**record.attrs, "optimizer": Opt(number)})
    return [(world, Opt(number))]


def _known(owner: Obj, world: World, value: Value | None) -> Opt | None:
    kept = world.heap[owner.serial].attrs.get("optimizer")
    given = [v for v in arguments.inside(value, world, 4) if isinstance(v, Opt)] if value is not None else []
    return kept if isinstance(kept, Opt) else given[0] if given else None


def _loss(it: Interpreter, owner: Obj, module: Obj, lap: int, node: cst.CSTNode, world: World) -> Outcomes:
    """One training step's loss: by the class's own `compute_loss`, or out of the model."""
    record = world.heap[owner.serial]
    batch = Sym(("batch", lap), "inputs")
    if record.cls is not None:
        if classes.member(it, record.cls, "training_step", world) is not None:
            return [(Sym(("fresh", serial())), world)]
        found = classes.member(it, record.cls, "compute_loss", world)
        if found is not None and isinstance(found[0], cst.FunctionDef):
            func = Func(it.function(found[1].module, found[0], found[1]), bound=owner)
            outcomes = functions.inline(it, func, Args([module, batch]), node, world)
            return [(v.items[0] if isinstance(v, Tuple) and v.items else v, w) for v, w in outcomes]
    outcomes = forward.run(it, module, Args([], {}, more=True), node, world)
    return [(_first(value, after), after) for value, after in outcomes]


def _first(value: Value, world: World) -> Value:
    found = [v for v in arguments.inside(value, world) if isinstance(v, Tensor) and v.uses]
    return found[0] if found else value


def _callbacks(
    it: Interpreter, owner: Obj, module: Obj, optimizer: Opt | None, name: str, lap: int, node: cst.CSTNode,
    worlds: list[World],
) -> list[World]:  # fmt: skip
    """A hook of every callback that the trainer was given."""
    for number in range(_count(owner, worlds)):
        done: list[World] = []
        for w in worlds:
            callback, here = _callback(it, owner, number, node, w)
            record = here.heap.get(callback.serial) if isinstance(callback, Obj) else None
            found = classes.member(it, record.cls, name, here) if isinstance(record, Instance) and record.cls else None
            if found is None or not isinstance(found[0], cst.FunctionDef):
                done.append(here)
                continue
            func = Func(it.function(found[1].module, found[0], found[1]), bound=callback)
            state: list[Value] = [Sym(("trainer", what, lap), what) for what in ("args", "state", "control")]
            kw: dict[str, Value] = {"model": module, "optimizer": optimizer or Sym(("fresh", serial()), "optimizer")}
            done += [after for _, after in functions.inline(it, func, Args(state, kw, more=True), node, here)]
        worlds = it.merge(done)
    return worlds


# Lightning -----------------------------------------------------------------------------------------------------------

# What the library's base class does when a hook of Lightning runs: (hook, the method it calls, with the optimizer?).
_FINETUNING = {"setup": "freeze_before_training", "on_train_epoch_start": "finetune_function"}


def remember(world: World, owner: Obj, name: str, value: Value) -> None:
    """Keep a value under an attribute that the framework sets."""
    record = world.heap[owner.serial]
    world.heap[owner.serial] = replace(record, attrs={**record.attrs, name: value})


def optimizers(owner: Obj, world: World) -> Value | None:
    """What `LightningModule.optimizers()` gives: the only one, or the list of them; None out of a known trainer."""
    record = world.heap.get(owner.serial)
    trainer = record.attrs.get("trainer") if isinstance(record, Instance) and not owner.path else None
    found = world.heap.get(trainer.serial) if isinstance(trainer, Obj) else None
    if not isinstance(found, Instance) or "optimizers" not in found.attrs:
        return None
    held = evaluate.items_of(found.attrs["optimizers"], world)
    return held.items[0] if held is not None and len(held.items) == 1 else found.attrs["optimizers"]


def tell(
    it: Interpreter, owner: Obj, module: Obj, name: str, lap: int, node: cst.CSTNode, worlds: list[World]
) -> list[World]:
    """A hook of every callback that a Lightning trainer was given."""
    for number in range(_count(owner, worlds)):
        done: list[World] = []
        for w in worlds:
            callback, here = _callback(it, owner, number, node, w)
            record = here.heap.get(callback.serial) if isinstance(callback, Obj) else None
            if not isinstance(record, Instance) or record.cls is None:
                done.append(here)
                continue
            args = Args([owner, module], more=True)
            found = classes.member(it, record.cls, name, here)
            own = _FINETUNING.get(name) if found is None else None
            if own is not None:
                found = classes.member(it, record.cls, own, here)
                optimizers = evaluate.items_of(here.heap[owner.serial].attrs.get("optimizers", Const(None)), here)
                args = Args([module])
                if name != "setup":
                    held = optimizers.items if optimizers is not None else ()
                    args = Args([module, Sym(("trainer", "epoch", lap), "epoch"), *held[:1]], more=True)
            if found is None or not isinstance(found[0], cst.FunctionDef):
                done.append(here)
                continue
            func = Func(it.function(found[1].module, found[0], found[1]), bound=callback)
            done += [after for _, after in functions.inline(it, func, args, node, here)]
        worlds = it.merge(done)
    return worlds


def _count(owner: Obj, worlds: list[World]) -> int:
    return max((len(_given(owner, w)) for w in worlds), default=0)


def _given(owner: Obj, world: World) -> tuple[Value, ...]:
    known = evaluate.items_of(world.heap[owner.serial].attrs.get("callbacks", Const(None)), world)
    return known.items[:6] if known is not None else ()


def _callback(it: Interpreter, owner: Obj, number: int, node: cst.CSTNode, world: World) -> tuple[Value, World]:
    """A callback; one that is given as a class is made."""
    items = _given(owner, world)
    if number >= len(items):
        return Const(None), world
    value = items[number]
    if isinstance(value, Cls):
        return classes.create(it, value.info, Args(), node, world)[0]
    return value, world
