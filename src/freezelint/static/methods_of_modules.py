"""Methods of modules: those of nn.Module, and what those of a library model may do to it."""

from __future__ import annotations

import re
from typing import Any

import libcst as cst

from freezelint.knowledge import look_up
from freezelint.knowledge.peft import UNWRAPS
from freezelint.knowledge.rows import AdapterRow, CheckpointingRow, HarmlessRow, InputsRow
from freezelint.knowledge.transformers import METHODS_OF_MODELS
from freezelint.static import (
    adapters,
    attributes,
    calls,
    classes,
    containers,
    forward,
    loading,
    modes,
    optimizers,
    trainers,
    zoo,
)
from freezelint.static.arguments import Args
from freezelint.static.attributes import head_of
from freezelint.static.children import attach
from freezelint.static.evaluate import source
from freezelint.static.flags import set_flag
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.library import harmless
from freezelint.static.values import NONE, Const, Elem, Instance, Lib, Modules, Obj, Params, StateDict, Sym, Value
from freezelint.static.world import World, serial
from freezelint.static.writing import put
from freezelint.trace import events as ev
from freezelint.trace.regions import View

SAME = frozenset(
    {
        "to",
        "cuda",
        "cpu",
        "half",
        "float",
        "double",
        "bfloat16",
        "type",
        "compile",
        "share_memory",
        "xpu",
        "to_empty",
        "contiguous",
        "ipu",
        "mps",
        "npu",
        "to_device",
    }
)

# A method of a model that is not in view and is called like this may change what trains.
MEDDLES = re.compile(
    r"freez|froze|train|eval|grad|tun|fix|lock|_bn|mode|adapter|lora|peft|prune|quant|load|resize|wrap"
)


def on_module(
    it: Interpreter, owner: Obj, name: str, args: Args, node: cst.Call, world: World, *, override: bool = True
) -> Outcomes:
    """A method of nn.Module, or one of a library model."""
    site, lap = it.place(node), it.lap(world)
    if name in ("parameters", "named_parameters"):
        iterator = serial()
        it.emit(world, ev.TakeParams(site=site, lap=lap, iterator=iterator, text=source(it, node)))
        members = it.members(owner, world)
        if owner.worn:
            members = tuple((View(f"{owner.worn}{view.prefix}".strip("."), view.below), p) for view, p in members)
        of = None if owner.worn or args.pos or args.kw else owner
        return [(Params(members, named=name == "named_parameters", iterator=iterator, of=of), world)]
    if name in ("modules", "named_modules", "children", "named_children"):
        return [(Modules(owner, name.removeprefix("named_"), named=name.startswith("named_")), world)]
    if name in ("train", "eval"):
        return modes.switch(it, owner, name, args, node, world, override=override)
    if name == "requires_grad_":
        set_flag(it, it.members(owner, world), args.get(0, "requires_grad") or Const(True), node, world, how="method")
        return [(owner, world)]
    if name in SAME:
        return [(owner, world)]
    if name == "state_dict":
        kept = args.kw.get("keep_vars")
        return [(StateDict(it.members(owner, world), isinstance(kept, Const) and kept.value is True), world)]
    if name == "load_state_dict":
        loading.load(it, owner, args, node, world)
        return [(Sym(("fresh", serial()), "incompatible keys"), world)]
    if name == "apply":
        return apply(it, owner, it.members(owner, world), args, node, world)
    if name == "zero_grad":
        to_none = optimizers.none_set(args)
        it.emit(world, ev.ZeroGrad(site=site, lap=lap, region=it.region(owner, world), set_to_none=to_none))
        return [(NONE, world)]
    if name in ("forward", "__call__"):
        return forward.run(it, owner, args, node, world)
    if name == "get_submodule" and args.pos and isinstance(args.pos[0], Const):
        return [(Obj(owner.serial, f"{owner.path}.{args.pos[0].value}".strip(".")), world)]
    if name in ("add_module", "register_module") and len(args.pos) == 2 and isinstance(args.pos[0], Const):
        child = it.as_module(args.pos[1], world)
        if child is not None:
            attach(it, owner, str(args.pos[0].value), child, node, world)
        return [(NONE, world)]
    if name == "register_parameter" and len(args.pos) == 2 and isinstance(args.pos[0], Const):
        put(it, owner, str(args.pos[0].value), args.pos[1], node, world)
        return [(NONE, world)]
    if name in ("freeze", "unfreeze") and not args.pos:
        return _freeze(it, owner, name, node, world)
    if name == "optimizers" and (known := trainers.optimizers(owner, world)) is not None:
        return [(known, world)]
    if name in ("append", "extend", "insert", "values", "items", "keys", "update"):
        return containers.of_modules(it, owner, name, args, node, world)
    return other(it, owner, name, args, node, world)


def _freeze(it: Interpreter, owner: Obj, name: str, node: cst.Call, world: World) -> Outcomes:
    """LightningModule.freeze() and unfreeze(): flags and mode; of another library it is not known what they do."""
    record = world.heap.get(owner.serial)
    if isinstance(record, Instance) and record.cls is not None and classes.is_lightning(it, record.cls, world):
        on = name == "unfreeze"
        set_flag(it, it.members(owner, world), Const(on), node, world, how="framework")
        return modes.switch(it, owner, "train" if on else "eval", Args(), node, world)
    it.emit(world, ev.Escape(site=it.place(node), lap=it.lap(world), region=it.region(owner, world), by=f"{name}()"))
    return [(NONE, world)]


def apply(it: Interpreter, owner: Value, members: Any, args: Args, node: cst.Call, world: World) -> Outcomes:
    """`module.apply(fn)`: fn runs on every module, as a loop over modules() would."""
    func = args.get(0, "fn")
    if func is None:
        return [(owner, world)]
    loop = serial()
    world.elements[loop] = members
    done: Outcomes = []
    for _, after in calls.call(it, func, Args([Elem(loop, "module")]), node, world):
        after.elements.pop(loop, None)
        done.append((owner, after))
    return done


def other(it: Interpreter, owner: Obj, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    """A method that is not nn.Module's: of a library model, of a base class, or of a symbolic module."""
    row = look_up(f"{METHODS_OF_MODELS}.{name}")
    if isinstance(row, CheckpointingRow):
        adapters.checkpointing(it, row, owner, args.at(row.settings), node, world)
        return [(NONE, world)]
    if isinstance(row, HarmlessRow):
        return [(NONE, world)]
    if isinstance(row, InputsRow):
        it.emit(world, ev.OpenInputs(site=it.place(node), lap=it.lap(world), region=it.region(owner, world)))
        return [(NONE, world)]
    if isinstance(row, AdapterRow) and row.config is not None and adapters.configures(args.at(row.config), world):
        adapters.adapt(it, row, name, owner, args.at(row.config), args, node, world)
        return [(NONE, world)]
    if name == "get_classifier" and not owner.path and (head := head_of(world.heap[owner.serial], world)[1]):
        return attributes.get(it, owner, head, node, world)
    if name == "reset_classifier" and not owner.path and (head := head_of(world.heap[owner.serial], world)[1]):
        return _new_head(it, owner, head, args, node, world)
    if name == "get_input_embeddings" and not owner.path and (path := zoo.embedding_of(world.heap[owner.serial])):
        return attributes.get(it, owner, path, node, world)
    if name in UNWRAPS and owner.worn:
        return [(Obj(owner.serial, owner.path), world)]
    if harmless(name) or name.startswith(("get_", "register_", "_get", "named_", "buffers", "print", "is_", "num_")):
        if name.startswith("get_") and any(isinstance(v, (Obj, Params)) for v in args.all()):
            return calls.unknown(it, name, args, node, world)
        return [(Sym(("call", Sym(("attr", owner, name)), tuple(args.all()))), world)]
    it.turns += 1
    if MEDDLES.search(name.lower()):
        it.emit(
            world, ev.Escape(site=it.place(node), lap=it.lap(world), region=it.region(owner, world), by=f"{name}()")
        )
        return calls.unknown(it, name, args, node, world)
    if args.pos or args.kw:
        calls.escape(it, args, name, node, world)
        return forward.part_of(it, owner, args, node, world, name)
    return [(Sym(("fresh", serial()), f"{name}()"), world)]


def _new_head(it: Interpreter, owner: Obj, head: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    """`reset_classifier(10)` of timm: a new layer in place of the head, or none at all for no classes."""
    none = args.get(0, "num_classes") == Const(0)
    made = Lib("torch.nn.Identity" if none else "torch.nn.Linear")
    done: Outcomes = []
    for value, after in calls.call(it, made, Args([]), node, world):
        put(it, owner, head, value, node, after)
        done.append((NONE, after))
    return done
