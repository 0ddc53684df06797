"""Methods of something unknown. Some names leave no doubt that it is a module, an optimizer, a loss."""

from __future__ import annotations

import libcst as cst

from freezelint.static import (
    arguments,
    calls,
    library,
    lifecycles,
    methods_of_modules,
    methods_of_tensors,
    modes,
    optimizers,
)
from freezelint.static.arguments import Args
from freezelint.static.evaluate import strings
from freezelint.static.flags import flagged, names_loss, set_flag
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.library import harmless
from freezelint.static.subscripts import item
from freezelint.static.values import NONE, Cond, Const, Obj, Opt, Params, Sym, Tensor, Tuple, Value, may_have_graph
from freezelint.static.world import World, serial
from freezelint.static.written import wrote
from freezelint.trace import events as ev
from freezelint.trace.tri import UNSURE

_ASKS_MODULE = frozenset({"parameters", "named_parameters", "modules", "named_modules", "named_children"})
_CHANGES_LIST = ("append", "extend", "insert", "clear", "update", "pop", "remove")


def on_unknown(it: Interpreter, owner: Sym, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
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
    if name in _CHANGES_LIST and (regrouped := optimizers.of_groups(owner)) is not None:
        optimizers.regrouped(it, regrouped, node, world)
        return [(NONE, world)]
    if (
        name in _ASKS_MODULE
        or (name == "children" and not args.pos)
        or (name == "apply" and args.pos)
        or (name in ("requires_grad_", "state_dict", "load_state_dict", "zero_grad", "forward", "add_module") and known)
    ):
        module = it.as_module(owner, world)
        assert module is not None
        return methods_of_modules.on_module(it, module, name, args, node, world)
    if name in ("train", "eval") and _is_mode_call(owner, args, known):
        module = it.as_module(owner, world)
        assert module is not None
        modes.switch(it, module, name, args, node, world)
        return [(owner, world)]
    if name in methods_of_modules.SAME or name == "requires_grad_":
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
        methods_of_tensors.backward(it, loss, node, world)
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
            return methods_of_modules.other(it, module, name, args, node, world)
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
