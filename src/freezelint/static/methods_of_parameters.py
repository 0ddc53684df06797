"""Methods of parameters, of their copies, and of the element that a loop goes over."""

from __future__ import annotations

from dataclasses import replace

import libcst as cst

from freezelint.static import containers, methods_of_modules, modes
from freezelint.static.arguments import Args
from freezelint.static.evaluate import source, strings
from freezelint.static.flags import rebind, set_flag
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.values import NONE, Cond, Const, Copy, Elem, Modules, Params, StateDict, Sym
from freezelint.static.world import World, serial
from freezelint.static.writing import written_into
from freezelint.static.written import wrote, wrote_on_copy
from freezelint.trace import events as ev
from freezelint.trace.regions import BATCHNORM, Test
from freezelint.trace.tri import NO

_FILLS = frozenset({"copy_", "set_", "swap_"})  # methods that put given values into a parameter

_BLENDS = frozenset({"add_", "lerp_"})  # methods that make a copy follow another network


def on_params(it: Interpreter, owner: Params, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
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


def on_element(it: Interpreter, owner: Elem, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
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
        return methods_of_modules.apply(it, owner, members, args, node, world)
    if name in methods_of_modules.SAME:
        return [(owner, world)]
    if methods_of_modules.MEDDLES.search(name.lower()):
        it.emit(world, ev.Escape(site=site, lap=lap, region=region, by=f"{name}()"))
    return [(Elem(owner.loop, "derived"), world)]


def on_copy(it: Interpreter, owner: Copy, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    if name in (_FILLS | _BLENDS) and owner.how != ".clone()":
        written_into(it, frozenset(p for _, p in owner.members), args.pos, node, world, blends=name in _BLENDS)
    if name == "requires_grad_" and owner.how == "state_dict()":
        wrote_on_copy(it, owner, name, args.get(0, "requires_grad") or Const(True), node, world)
    return [(owner if name != "numel" else Sym(("fresh", serial())), world)]


def on_state_dict(it: Interpreter, owner: StateDict, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    if name in ("items", "values", "keys"):
        return [(owner if name == "keys" else Sym((f"state {name}", owner)), world)]
    return [(owner if name == "copy" else Sym(("fresh", serial())), world)]
