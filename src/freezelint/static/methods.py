"""Method calls on values that are no instances of project classes: modules, parameters, optimizers, tensors, lists."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import libcst as cst

from freezelint.knowledge import look_up
from freezelint.knowledge.peft import UNWRAPS
from freezelint.knowledge.rows import AdapterRow, CheckpointingRow, HarmlessRow, InputsRow
from freezelint.knowledge.transformers import METHODS_OF_MODELS
from freezelint.static import (
    adapters,
    arguments,
    attributes,
    branches,
    calls,
    classes,
    containers,
    forward,
    library,
    lifecycles,
    loading,
    modes,
    optimizers,
    tensors,
    trainers,
    zoo,
)
from freezelint.static.arguments import Args
from freezelint.static.attributes import head_of
from freezelint.static.evaluate import source, strings
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.library import harmless
from freezelint.static.subscripts import item
from freezelint.static.values import (
    NONE,
    Cls,
    Cond,
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
    leaf_of,
    may_have_graph,
    tensor_of,
)
from freezelint.static.world import World, serial
from freezelint.static.writing import (
    attach,
    flagged,
    names_loss,
    put,
    rebind,
    set_flag,
    written_into,
    wrote,
    wrote_on_copy,
)
from freezelint.trace import events as ev
from freezelint.trace.regions import BATCHNORM, Test, View
from freezelint.trace.tri import NO, UNSURE, YES

_SAME = frozenset(
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
_MEDDLES = re.compile(
    r"freez|froze|train|eval|grad|tun|fix|lock|_bn|mode|adapter|lora|peft|prune|quant|load|resize|wrap"
)
_CUT_METHODS = {
    name: f".{name}()"
    for name in (
        "detach",
        "detach_",
        "numpy",
        "item",
        "tolist",
        "argmax",
        "argmin",
        "argsort",
        "eq",
        "ne",
        "gt",
        "lt",
        "ge",
        "le",
        "new_tensor",
        "long",
        "int",
        "bool",
        "bincount",
    )
}
_FILLS = frozenset({"copy_", "set_", "swap_"})  # methods that put given values into a parameter
_BLENDS = frozenset({"add_", "lerp_"})  # methods that make a copy follow another network
# Methods that compute with their arguments; those of all others are shapes, places and the like.
_MIXING = frozenset(
    {
        "add",
        "sub",
        "mul",
        "div",
        "matmul",
        "mm",
        "bmm",
        "dot",
        "pow",
        "lerp",
        "addmm",
        "copy",
        "masked_scatter",
        "scatter",
        "scatter_add",
        "index_add",
        "index_copy",
        "where",
        "__add__",
        "__mul__",
    }
)
_MEASURES = frozenset({"size", "dim", "numel", "stride", "data_ptr", "element_size", "register_hook", "retain_grad"})


def call(
    it: Interpreter, owner: Value, name: str, args: Args, node: cst.Call, world: World, called: Sym | None = None
) -> Outcomes:
    """`owner.name(*args)`."""
    if name == "requires_grad_" and isinstance(flag := args.get(0, "requires_grad"), Sym):
        if branches.truth(flag, world) is None:
            cases = branches.settled(it, flag, node, world)
            return [out for to, w in cases for out in call(it, owner, name, Args([to]), node, w, called)]
    if isinstance(owner, Super):
        return _super(it, owner, name, args, node, world)
    if name == "__setattr__" and len(args.pos) == 2 and not args.kw:
        return calls.call(it, Lib("builtins.setattr"), Args([owner, *args.pos]), node, world)
    if isinstance(owner, Obj):
        module = it.as_module(owner, world)
        if module is not None:
            return on_module(it, module, name, args, node, world)
        handled = trainers.method(it, owner, name, args, node, world)
        if handled is not None:
            return handled
        return calls.unknown(it, name, args, node, world, escapes=not harmless(name))
    if isinstance(owner, Sym):
        return _on_unknown(it, owner, name, args, node, world)
    handler = _HANDLERS.get(type(owner))
    return handler(it, owner, name, args, node, world) if handler else calls.unknown(it, name, args, node, world)


# Modules -------------------------------------------------------------------------------------------------------------


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
    if name in _SAME:
        return [(owner, world)]
    if name == "state_dict":
        kept = args.kw.get("keep_vars")
        return [(StateDict(it.members(owner, world), isinstance(kept, Const) and kept.value is True), world)]
    if name == "load_state_dict":
        loading.load(it, owner, args, node, world)
        return [(Sym(("fresh", serial()), "incompatible keys"), world)]
    if name == "apply":
        return _apply(it, owner, it.members(owner, world), args, node, world)
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
    return _other(it, owner, name, args, node, world)


def _freeze(it: Interpreter, owner: Obj, name: str, node: cst.Call, world: World) -> Outcomes:
    """LightningModule.freeze() and unfreeze(): flags and mode; of another library it is not known what they do."""
    record = world.heap.get(owner.serial)
    if isinstance(record, Instance) and record.cls is not None and classes.is_lightning(it, record.cls, world):
        on = name == "unfreeze"
        set_flag(it, it.members(owner, world), Const(on), node, world, how="framework")
        return modes.switch(it, owner, "train" if on else "eval", Args(), node, world)
    it.emit(world, ev.Escape(site=it.place(node), lap=it.lap(world), region=it.region(owner, world), by=f"{name}()"))
    return [(NONE, world)]


def _apply(it: Interpreter, owner: Value, members: Any, args: Args, node: cst.Call, world: World) -> Outcomes:
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


def _other(it: Interpreter, owner: Obj, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
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
    if name == "get_input_embeddings" and not owner.path and (path := zoo.embedding_of(world.heap[owner.serial])):
        return attributes.get(it, owner, path, node, world)
    if name in UNWRAPS and owner.worn:
        return [(Obj(owner.serial, owner.path), world)]
    if harmless(name) or name.startswith(("get_", "register_", "_get", "named_", "buffers", "print", "is_", "num_")):
        if name.startswith("get_") and any(isinstance(v, (Obj, Params)) for v in args.all()):
            return calls.unknown(it, name, args, node, world)
        return [(Sym(("call", Sym(("attr", owner, name)), tuple(args.all()))), world)]
    it.turns += 1
    if _MEDDLES.search(name.lower()):
        it.emit(
            world, ev.Escape(site=it.place(node), lap=it.lap(world), region=it.region(owner, world), by=f"{name}()")
        )
        return calls.unknown(it, name, args, node, world)
    if args.pos or args.kw:
        calls.escape(it, args, name, node, world)
        return forward.part_of(it, owner, args, node, world, name)
    return [(Sym(("fresh", serial()), f"{name}()"), world)]


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
    return on_module(it, module, name, args, node, world, override=False)


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


# Parameters and loop elements ----------------------------------------------------------------------------------------


def _on_params(it: Interpreter, owner: Params, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    if name == "requires_grad_" and owner.piece:
        asked = args.get(0, "requires_grad") or Const(True)
        wrote(it, "piece", "requires_grad", asked, node, world, region=owner.region, how=owner.piece)
        return [(owner, world)]
    if name == "requires_grad_" and owner.single:
        set_flag(it, owner.members, args.get(0, "requires_grad") or Const(True), node, world, how="method")
        return [(owner, world)]
    if name in ("detach", "clone") and owner.single:
        return [(Copy(owner.members, f".{name}()"), world)]
    if name in _FILLS and owner.single:
        it.emit(world, ev.LoadWeights(site=it.place(node), lap=it.lap(world), region=owner.region))
    if name in ("items", "values", "keys") and owner.named:
        return [(owner if name == "items" else replace(owner, named=False), world)]
    if name in ("append", "extend") and not owner.single:
        added = containers.closed(args.pos[0], world) if args.pos else NONE
        if isinstance(added, Params):
            rebind(
                it,
                node,
                replace(
                    owner,
                    members=tuple(dict.fromkeys((*owner.members, *added.members))),
                    unsure=owner.unsure or added.unsure,
                ),
                world,
            )
        return [(NONE, world)]
    return [(Sym(("fresh", serial())), world)]


def _on_element(it: Interpreter, owner: Elem, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    members = world.elements.get(owner.loop, ())
    if owner.what in ("param", "maybe", "filtered"):
        if name == "requires_grad_":
            set_flag(it, members, args.get(0, "requires_grad") or Const(True), node, world, how="method")
            return [(owner, world)]
        if name in ("detach", "clone"):
            return [(Copy(members, f".{name}()"), world)]
        if name in _FILLS or name in _BLENDS:
            written_into(it, frozenset(p for _, p in members), args.pos, node, world)
        return [(Elem(owner.loop, "derived"), world)]
    if owner.what == "module":
        return _on_module_element(it, owner, name, args, node, world)
    first = args.get(0)
    if owner.what in ("name", "classname") and name in ("startswith", "endswith", "find", "lower", "strip", "split"):
        words = strings(first, world) if first is not None else None
        if name in ("startswith", "endswith") and words:
            if owner.what == "name":
                quoted = ", ".join(f'"{w}"' for w in words)
                return [(Cond(owner.loop, "test", test=Test(name, words, f"name.{name}({quoted})")), world)]
            return [(Cond(owner.loop, "test", test=Test("layer", _kinds(words[0]), source(it, node))), world)]
        if name == "find" and words:
            return [(Elem(owner.loop, f"found:{owner.what}:{words[0]}"), world)]
        if name in ("lower", "strip"):
            return [(owner, world)]
        if name == "split" and owner.what == "name" and words == (".",):
            return [(Elem(owner.loop, "parts"), world)]
    return [(Elem(owner.loop, "derived"), world)]


def _kinds(word: str) -> tuple[str, ...]:
    return tuple(k for k in BATCHNORM if word in k) or (word,)


def _on_module_element(it: Interpreter, owner: Elem, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    members = world.elements.get(owner.loop, ())
    region = frozenset(p for _, p in members)
    site, lap = it.place(node), it.lap(world)
    if name in ("eval", "train"):
        to = NO if name == "eval" else modes.asked(args, world)
        it.emit(world, ev.SetMode(site=site, lap=lap, region=region, training=to, by=name, within=it.within))
        return [(owner, world)]
    if name in ("parameters", "named_parameters"):
        return [(Params(members, named=name == "named_parameters"), world)]
    if name == "requires_grad_":
        set_flag(it, members, args.get(0, "requires_grad") or Const(True), node, world, how="method")
        return [(owner, world)]
    if name in ("modules", "children", "named_modules", "named_children"):
        return [(Modules(owner, name.removeprefix("named_"), named=name.startswith("named_")), world)]
    if name == "apply":
        return _apply(it, owner, members, args, node, world)
    if name in _SAME:
        return [(owner, world)]
    if _MEDDLES.search(name.lower()):
        it.emit(world, ev.Escape(site=site, lap=lap, region=region, by=f"{name}()"))
    return [(Elem(owner.loop, "derived"), world)]


# Optimizers, schedulers, tensors, copies -----------------------------------------------------------------------------


def _on_tensor(it: Interpreter, owner: Tensor, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    if name == "backward":
        backward(it, owner, node, world)
        return [(NONE, world)]
    if name in _CUT_METHODS:
        return [(tensors.cut(it, owner, _CUT_METHODS[name], node), world)]
    if name == "requires_grad_":
        target = "loss" if owner.uses or owner.complete is not YES else "tensor"
        asked = args.get(0, "requires_grad") or Const(True)
        wrote(it, target, name, asked, node, world)
        if asked == Const(False):
            return [(owner, world)]
        leaf = leaf_of(owner, it.place(node), names_loss(it, node))
        rebind(it, node, leaf, world)
        return [(leaf, world)]
    if name in _MEASURES:
        return [(Sym(("of tensor", name, serial()), name), world)]
    if name in ("new_zeros", "new_ones", "new_full", "new_empty"):
        return [(Tensor(), world)]
    mixed = tensors.inputs(it, args, world) if name.rstrip("_") in _MIXING else arguments.deep(args, world)
    others = [v for v in mixed if isinstance(v, Tensor) or name.rstrip("_") in _MIXING]
    return [(tensors.computed(world, tensor_of((owner, *others))), world)]


def backward(it: Interpreter, loss: Value, node: cst.Call, world: World) -> None:
    """`loss.backward()`."""
    text = source(it, node)
    if isinstance(loss, Tensor):
        complete = loss.complete if loss.uses else UNSURE
        it.emit(
            world,
            ev.Backward(
                site=it.place(node),
                lap=it.lap(world),
                uses=loss.uses,
                complete=complete,
                forced=loss.forced,
                loose=loss.loose,
                label=text,
            ),
        )
    else:
        it.emit(
            world, ev.Backward(site=it.place(node), lap=it.lap(world), uses=frozenset(), complete=UNSURE, label=text)
        )


def _on_copy(it: Interpreter, owner: Copy, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    if name in (_FILLS | _BLENDS) and owner.how != ".clone()":
        written_into(it, frozenset(p for _, p in owner.members), args.pos, node, world, blends=name in _BLENDS)
    if name == "requires_grad_" and owner.how == "state_dict()":
        wrote_on_copy(it, owner, name, args.get(0, "requires_grad") or Const(True), node, world)
    return [(owner if name != "numel" else Sym(("fresh", serial())), world)]


def _on_state_dict(it: Interpreter, owner: StateDict, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    if name in ("items", "values", "keys"):
        return [(owner if name == "keys" else Sym((f"state {name}", owner)), world)]
    return [(owner if name == "copy" else Sym(("fresh", serial())), world)]


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


# Unknowns ------------------------------------------------------------------------------------------------------------

_ASKS_MODULE = frozenset({"parameters", "named_parameters", "modules", "named_modules", "named_children"})


def _on_unknown(it: Interpreter, owner: Sym, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    """A method of something unknown. Some names leave no doubt that it is a module, an optimizer, a loss."""
    if name in ("add_argument", "parse_args", "parse_known_args"):
        return _options(it, owner, name, args, world)
    known = owner in it.symbolic or _is_child(it, owner)
    if name in ("startswith", "endswith") and len(args.pos) == 1:
        words = strings(args.pos[0], world)
        if words is not None:
            return [(Sym((name, owner, words)), world)]
    if name == "get" and not known and 1 <= len(args.pos) <= 2 and isinstance(args.pos[0], Const):
        if isinstance(args.pos[0].value, str):  # the option that `owner["name"]` is
            return [(item(it, owner, args.pos[0], node, world), world)]
    if name in ("lower", "upper", "strip") and not args.pos:
        return [(Sym(("text", name, owner), f"{owner.text}.{name}()"), world)]
    if isinstance(owner.key, tuple) and owner.key[0] == "groups" and name in ("append", "extend"):
        optimizers.add_group(it, owner.key[1], args.get(0), node, world)
        return [(NONE, world)]
    if (
        name in _ASKS_MODULE
        or (name == "children" and not args.pos)
        or (name == "apply" and args.pos)
        or (name in ("requires_grad_", "state_dict", "load_state_dict", "zero_grad", "forward") and known)
    ):
        module = it.as_module(owner, world)
        assert module is not None
        return on_module(it, module, name, args, node, world)
    if name in ("train", "eval") and _is_mode_call(owner, args, known):
        module = it.as_module(owner, world)
        assert module is not None
        modes.switch(it, module, name, args, node, world)
        return [(owner, world)]
    if name in _SAME or name == "requires_grad_":
        if name == "requires_grad_" and not known and (names_loss(it, node) or not may_have_graph(owner)):
            asked = args.get(0, "requires_grad") or Const(True)
            wrote(it, "unknown", name, asked, node, world, surely=UNSURE, how="call")
            if asked != Const(False):
                flagged(it, owner, node, world)
            return [(_named_by(it, node, world) or owner, world)]
        if name == "requires_grad_":
            module = it.as_module(owner, world)
            assert module is not None
            set_flag(
                it, it.members(module, world), args.get(0, "requires_grad") or Const(True), node, world, how="method"
            )
        return [(owner, world)]
    if name == "step":
        return _step(it, owner, args, node, world)
    if name in ("backward", "manual_backward"):
        given = args.pos[0] if args.pos else None
        loss = given if isinstance(given, (Tensor, Sym)) else owner
        backward(it, loss, node, world)
        return [(NONE, world)]
    if name == "zero_grad":
        it.emit(world, ev.ZeroGrad(site=it.place(node), lap=it.lap(world), set_to_none=optimizers.none_set(args)))
        return [(NONE, world)]
    if name == "prepare" and args.pos:
        return [(Tuple(tuple(args.pos)) if len(args.pos) > 1 else args.pos[0], world)]
    if (
        name in ("scale", "prepare_model", "prepare_optimizer", "unwrap_model", "setup_module", "setup_optimizers")
        and args.pos
    ):
        return [(args.pos[0], world)]
    if name == "setup" and args.pos:
        return [(Tuple(tuple(args.pos)) if len(args.pos) > 1 else args.pos[0], world)]
    if name in ("clip_grad_norm_", "clip_grad_value_") and args.pos and isinstance(args.pos[0], Params):
        return library.call(it, f"torch.nn.utils.{name}", args, node, world)
    if name in _ONLY_USES and args.pos and not known:
        return [(Sym(("fresh", serial()), name), world)]
    if owner.kind:
        handled = lifecycles.method(it, owner, name, args, node, world)
        if handled is not None:
            return handled
    if known and not harmless(name):
        module = it.as_module(owner, world)
        if module is not None:
            return _other(it, module, name, args, node, world)
    text = f"{owner.text}.{name}" if owner.text else name
    if not known and not may_have_graph(owner) and not any(may_have_graph(v) for v in arguments.deep(args, world)):
        key = owner.key
        if isinstance(key, tuple) and key[0] in ("item", "unpack", "batch", "of data"):
            return [(Sym(("of data", serial()), text), world)]
    return calls.unknown(it, text, args, node, world, escapes=not harmless(name))


def _options(it: Interpreter, owner: Sym, name: str, args: Args, world: World) -> Outcomes:
    """A command line parser: options are unknown, but their defaults are how most people run a program."""
    if name == "add_argument":
        flags = [a.value for a in args.pos if isinstance(a, Const) and isinstance(a.value, str)]
        long = next((f for f in flags if f.startswith("--")), flags[0] if flags else "")
        dest = args.kw.get("dest")
        key = dest.value if isinstance(dest, Const) else long.lstrip("-").replace("-", "_")
        default = args.kw.get("default")
        if default is not None:
            it.defaults[owner, key] = default
        return [(Sym(("fresh", serial())), world)]
    parsed = Sym(("parsed", owner), "args", kind="argparse.Namespace")
    return [(parsed if name == "parse_args" else Tuple((parsed, Sym(("fresh", serial())))), world)]


def _named_by(it: Interpreter, node: cst.Call, world: World) -> Value | None:
    """What the variable that a method is called on holds now."""
    variable = node.func.value if isinstance(node.func, cst.Attribute) else None
    return it.locals(world).get(variable.value) if isinstance(variable, cst.Name) else None


# What accelerate, fabric and loggers are handed a model or its parameters for, and leave as they are.
_ONLY_USES = frozenset(
    {
        "accumulate",
        "no_sync",
        "no_backward_sync",
        "get_state_dict",
        "clip_gradients",
        "clip_grad_norm_",
        "clip_grad_value_",
        "register_for_checkpointing",
        "save_model",
        "unscale_",
    }
)


def _is_child(it: Interpreter, owner: Sym) -> bool:
    key = owner.key
    if isinstance(key, tuple) and key[0] == "attr":
        base = key[1]
        return base in it.symbolic or (isinstance(base, Sym) and _is_child(it, base)) or isinstance(base, Obj)
    return False


def _is_mode_call(owner: Sym, args: Args, known: bool) -> bool:
    """`x.train()`, `x.train(mode)`, `x.eval()` of what is `known` as a module, or not surely something else."""
    if len(args.pos) > 1 or (args.kw and set(args.kw) != {"mode"}) or args.more:
        return False
    if owner.kind and owner.kind != "member" and not known:
        return False
    if args.pos and not isinstance(args.pos[0], (Const, Sym, Cond)):
        return False
    return not (args.pos and isinstance(args.pos[0], Const) and not isinstance(args.pos[0].value, bool))


def _step(it: Interpreter, owner: Sym, args: Args, node: cst.Call, world: World) -> Outcomes:
    """`x.step(...)`: a scaler's step of an optimizer, an unknown optimizer's, or a scheduler's."""
    site, lap = it.place(node), it.lap(world)
    given = args.pos[0] if args.pos else None
    if isinstance(given, Opt):
        it.emit(world, ev.Step(site=site, lap=lap, optimizer=given.serial))
    elif (isinstance(given, Sym) and "opt" in given.text.lower()) or "opt" in owner.text.lower():
        if "sched" not in owner.text.lower():
            it.emit(world, ev.Step(site=site, lap=lap, optimizer=0))
    return [(Sym(("fresh", serial())), world)]


def _on_lib(it: Interpreter, owner: Lib, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    return calls.unknown(it, f"{owner.name}.{name}", args, node, world)


_HANDLERS: dict[type, Any] = {
    Params: _on_params,
    Elem: _on_element,
    Opt: optimizers.method,
    Sched: optimizers.on_scheduler,
    Method: optimizers.on_attribute,
    Tensor: _on_tensor,
    Copy: _on_copy,
    StateDict: _on_state_dict,
    Cls: _on_class,
    GradMode: _on_grad_mode,
    Modules: _on_modules,
    Lib: _on_lib,
    Ref: containers.method,
    Const: containers.of_constant,
    Tuple: containers.method,
}
