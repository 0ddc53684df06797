"""Frameworks that call the user's code: which hook runs when, and what the framework does in between."""

from __future__ import annotations

import libcst as cst

from freezelint.knowledge.rows import TrainerRow
from freezelint.static import arguments, calls, classes, functions, trainers
from freezelint.static.arguments import Args
from freezelint.static.evaluate import new_list
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.modules import ClassInfo
from freezelint.static.values import Const, Func, Instance, Obj, Opt, Ref, Sched, Sym, Table, Tensor, Value
from freezelint.static.world import World, serial
from freezelint.trace import events as ev
from freezelint.trace.regions import Part, leaves
from freezelint.trace.state import find
from freezelint.trace.tri import NO, UNSURE

# LightningModule hooks in the order in which fit() calls them; two epochs of two steps stand for any number.
_SETUP = ("prepare_data", "setup", "configure_model")
_BEFORE = ("on_fit_start", "on_train_start")
_EPOCH = ("on_train_epoch_start",)
_BATCH = ("on_train_batch_start",)
_AFTER_BATCH = ("on_train_batch_end",)
_AFTER_EPOCH = (
    "on_train_epoch_end",
    "training_epoch_end",
    "on_validation_epoch_start",
    "validation_step",
    "on_validation_epoch_end",
)


def trainer(it: Interpreter, row: TrainerRow, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    """A framework's trainer is built; what it will train is remembered."""
    if row.lifecycle:
        return [(trainers.built(it, row, name, args, node, world), world)]
    return calls.unknown(it, name, args, node, world, escapes=False, kind=name)


def method(it: Interpreter, owner: Sym, name: str, args: Args, node: cst.Call, world: World) -> Outcomes | None:
    """A method of a framework's object; None when nothing is known of it."""
    return None


def fit_of(cls: ClassInfo) -> tuple[str, str]:
    """What stands for a class as a trainer with callbacks of its own runs it, among the classes that are made."""
    file, name = cls.key
    return file, f"{name}.fit"


def lightning(it: Interpreter, owner: Obj, node: cst.CSTNode, world: World, trainer: Obj | None = None) -> list[World]:
    """`Trainer.fit(module)` as LightningModule sees it, with automatic optimization, and the trainer's callbacks."""
    record = world.heap.get(owner.serial)
    manual = isinstance(record, Instance) and record.attrs.get("automatic_optimization") == Const(False)
    if trainer is None:
        trainer = Obj(serial())
        world.heap[trainer.serial] = Instance("lightning.pytorch.Trainer")
    trainers.remember(world, owner, "trainer", trainer)
    worlds: list[tuple[World, list[Opt] | None, list[Sched]]] = []
    running = [world]
    for name in _SETUP:
        running = trainers.tell(it, trainer, owner, name, 0, node, _each(it, owner, name, node, running))
    for w in running:
        for value, after in hook(it, owner, "configure_optimizers", Args(), node, w):
            optimizers = optimizers_in(value, after)
            if optimizers:
                trainers.remember(after, trainer, "optimizers", new_list(after, optimizers))
            none = value == Const(None)  # said by the module: nothing trains, features are gathered
            worlds.append((after, None if none else optimizers, schedulers_in(value, after)))
    done: list[World] = []
    for start, known, schedulers in worlds[:8]:
        _awakened(it, owner, node, start)
        running = [start]
        for name in _BEFORE:
            running = trainers.tell(it, trainer, owner, name, 0, node, _each(it, owner, name, node, running))
        for lap in range(2):
            for w in running:
                w.laps = (lap,)
            for name in (*_EPOCH, *_BATCH):
                running = trainers.tell(it, trainer, owner, name, lap, node, running)
                running = _each(it, owner, name, node, running)
            stepped: list[World] = []
            for w in running:
                for loss, after in hook(it, owner, "training_step", Args([Tensor(), Sym(("batch", lap))]), node, w):
                    if isinstance(loss, Ref) and isinstance(table := after.heap.get(loss.serial), Table):
                        loss = table.items.get("loss", loss)
                    if manual or known is None:
                        stepped.append(after)
                        continue
                    backward(it, loss, node, after)
                    for optimizer in known:
                        it.emit(
                            after, ev.Step(site=it.place(node), lap=lap, optimizer=optimizer.serial, by="lightning")
                        )
                        it.emit(after, ev.ZeroGrad(site=it.place(node), lap=lap, optimizer=optimizer.serial))
                    stepped.append(after)
            running = it.merge(stepped)
            for name in (*_AFTER_BATCH, *_AFTER_EPOCH):
                running = trainers.tell(it, trainer, owner, name, lap, node, _each(it, owner, name, node, running))
            for w in running if not manual else ():
                for one in schedulers:
                    event = ev.StepScheduler(
                        site=it.place(node), lap=lap, optimizer=one.optimizer, scheduler=one.serial
                    )
                    it.emit(w, event)
        for w in running:
            w.laps = ()
        done += running
    return it.merge(done)


def _awakened(it: Interpreter, owner: Obj, node: cst.CSTNode, world: World) -> None:
    """Lightning before 2.2, which `pytorch_lightning` may be, puts everything in train mode when it starts to fit."""
    record = world.heap.get(owner.serial)
    entries = classes.order(it, record.cls, world) if isinstance(record, Instance) and record.cls is not None else []
    modules = [it.scope.module, *(entry.module for entry in entries if isinstance(entry, ClassInfo))]
    if not any("pytorch_lightning" in one.text or it.modules.older(one.file, "lightning", 2, 2) for one in modules):
        return
    asleep = [part for part in leaves(it.region(owner, world)) if _came_in_eval(world, part)]
    if asleep:
        event = ev.SetMode(
            site=it.place(node), lap=it.lap(world), region=frozenset(asleep), training=UNSURE, by="framework"
        )
        it.emit(world, event)


def _came_in_eval(world: World, part: Part) -> bool:
    fact = find(world.state.mode, part)
    return fact is not None and fact.value is NO and isinstance(fact.event, ev.CreateModule)


def backward(it: Interpreter, loss: Value, node: cst.CSTNode, world: World) -> None:
    """The backward that a framework calls on the loss it was given."""
    known = isinstance(loss, Tensor) and bool(loss.uses)
    it.emit(
        world,
        ev.Backward(
            site=it.place(node),
            lap=it.lap(world),
            uses=loss.uses if isinstance(loss, Tensor) else frozenset(),
            complete=loss.complete if isinstance(loss, Tensor) and known else UNSURE,
            forced=loss.forced if isinstance(loss, Tensor) else None,
            loose=isinstance(loss, Tensor) and loss.loose,
        ),
    )


def hook(it: Interpreter, owner: Obj, name: str, args: Args, node: cst.CSTNode, world: World) -> Outcomes:
    """Call a method of the user's class if it defines it."""
    record = world.heap.get(owner.serial)
    if isinstance(record, Instance) and record.cls is not None:
        found = classes.member(it, record.cls, name, world)
        if found is not None and isinstance(found[0], cst.FunctionDef):
            func = Func(it.function(found[1].module, found[0], found[1]), bound=owner)
            return functions.inline(it, func, args, node, world)
    return [(Sym(("no hook", name)), world)]


def _each(it: Interpreter, owner: Obj, name: str, node: cst.CSTNode, worlds: list[World]) -> list[World]:
    return it.merge([after for w in worlds for _, after in hook(it, owner, name, Args(), node, w)])


def optimizers_in(value: Value, world: World) -> list[Opt]:
    """The optimizers that `configure_optimizers` returns in one of its many shapes."""
    return list(dict.fromkeys(v for v in arguments.inside(value, world, 4) if isinstance(v, Opt)))


def schedulers_in(value: Value, world: World) -> list[Sched]:
    """The schedulers beside them, which Lightning steps at the end of an epoch, or of a batch."""
    return list(dict.fromkeys(v for v in arguments.inside(value, world, 4) if isinstance(v, Sched)))
