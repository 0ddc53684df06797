"""Writing attributes: what `x.name = v` does to the modes, weights and children of a model. Flags are in `flags`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import libcst as cst

from freezelint.static import children, flags, optimizers
from freezelint.static.attributes import PARAMETER_NAMES, named_like
from freezelint.static.classes import reads_its_mode, used_as_modules
from freezelint.static.evaluate import evaluate, label, source
from freezelint.static.interpreter import Interpreter
from freezelint.static.modules import dotted
from freezelint.static.values import NONE, Const, Copy, Elem, Instance, Mod, Obj, Opt, Params, Sched, Sym, Tensor, Value
from freezelint.static.world import World
from freezelint.static.written import written_on, wrote, wrote_on_copy
from freezelint.trace import events as ev
from freezelint.trace.regions import HEADS, Part, Region
from freezelint.trace.tri import UNSURE, YES


def put(it: Interpreter, owner: Value, name: str, value: Value, node: cst.CSTNode, world: World) -> None:
    """`owner.name = value`."""
    if name == "requires_grad" and flags.write(it, owner, value, node, world):
        return
    if isinstance(owner, (Elem, Params)):
        _on_element(it, owner, name, value, node, world)
    elif isinstance(owner, Obj):
        _on_instance(it, owner, name, value, node, world)
    elif isinstance(owner, (Copy, Tensor)):
        wrote_on_copy(it, owner, name, value, node, world)
    elif isinstance(owner, Sym) and (
        (name in ("training", "train") and it.is_symbolic_module(owner, world))
        or (name == "training" and value == Const(False) and _goes_by_model(it, written_on(node)))
    ):
        known = it.as_module(owner, world)
        assert known is not None
        _on_instance(it, known, name, value, node, world)
    elif isinstance(owner, Sym):
        wrote(it, "unknown", name, value, node, world, surely=UNSURE)
        module = it.as_module(value, world) if isinstance(value, Obj) else None
        if module is not None and (owner in it.symbolic or name in ("fc", "classifier", "head")):
            symbolic = it.as_module(owner, world)
            if symbolic is not None:
                children.attach(it, symbolic, name, module, node, world)
        elif isinstance(value, Sym) and it.in_module(owner) and not _BARE.search(value.kind):
            symbolic = it.as_module(owner, world)
            record = world.heap.get(symbolic.serial) if symbolic is not None else None
            if symbolic is not None and isinstance(record, Instance) and record.part is not None:
                _put_unknown(it, symbolic, record.part, name, value, node, world)
    elif isinstance(owner, Mod):
        world.own(owner.module.path)[name] = value
    elif isinstance(owner, Opt) and name == "param_groups":
        optimizers.regrouped(it, owner, node, world)
    elif isinstance(owner, Sched):  # its lists are brought up to date
        optimizers.attach(it, owner, node, world)


def _goes_by_model(it: Interpreter, base: cst.CSTNode | None) -> bool:
    """Whether what is not known has the name of a model, and the file uses it as torch's models are used."""
    file = it.scope.module.text
    said = source(it, base) if base is not None else ""
    if not re.search(r"(model|net|network|encoder|backbone)$", said) or "torch" not in file or "keras" in file:
        return False
    said = re.escape(said)
    uses = r"\(|\.(?:load_state_dict|state_dict|parameters|modules|eval|train|cuda|to)\(|[ \t]*=[^=\n]*\bpretrained="
    return re.search(rf"(?<![\w.]){said}(?:{uses})", file) is not None


def _on_element(
    it: Interpreter, owner: Elem | Params, name: str, value: Value, node: cst.CSTNode, world: World
) -> None:
    members = world.elements.get(owner.loop, ()) if isinstance(owner, Elem) else owner.members
    region = frozenset(p for _, p in members)
    if isinstance(owner, Elem) and owner.what not in ("param", "maybe", "filtered", "module"):
        return
    target = "module" if isinstance(owner, Elem) and owner.what == "module" else "parameter"
    if target == "module" and isinstance(value, Params) and name in PARAMETER_NAMES:
        old = frozenset(p for _, p in named_like(members, name))
        if any(p in it.sources and it.sources[p] & old for p in value.region):
            event = ev.ReplaceParameter(
                site=it.place(node), lap=it.lap(world), name=name, old=old, new=value.region, derived=True
            )
            it.emit(world, event)
    if target == "parameter" and name == "grad":
        if value == NONE:
            it.emit(world, ev.ZeroGrad(site=it.place(node), lap=it.lap(world), region=region))
        return
    if name == "data" and target == "parameter":
        written_into(it, region, (value,), node, world)
    elif not (target == "module" and name == "training"):  # each of them is told: that is what train() does
        wrote(it, target, name, value, node, world, region=region, own=name == "trainable" and _reads_it(it, name))
    if target == "module" and isinstance(value, Obj) and it.as_module(value, world) is not None:
        it.emit(world, ev.Escape(site=it.place(node), lap=it.lap(world), region=region, by=f".{name} = ..."))
    if target == "module" and name == "training":
        it.emit(
            world,
            ev.SetMode(
                site=it.place(node), lap=it.lap(world), region=region, training=flags.flag(value), by="attribute"
            ),
        )


def _reads_it(it: Interpreter, name: str) -> bool:
    """Whether some file in view does more with an attribute of this name than write it."""
    reads = re.compile(rf"\.{name}\b(?!\s*=(?!=))|[\"']{name}[\"']")
    return any(reads.search(module.text) for module in (it.scope.module, *it.read()))


def written_into(
    it: Interpreter, region: Region, values: Iterable[Value], node: cst.CSTNode, world: World, blends: bool = False
) -> None:
    """Weights written in place: given ones, or a copy that follows another network's, as a momentum encoder's does.

    What is added to the old value (`blends`) follows something, whatever it is."""
    others = blends or any(_weights_in(value, world) - region for value in values)
    by = "copy" if others else "load"
    if region:
        it.emit(world, ev.LoadWeights(site=it.place(node), lap=it.lap(world), region=region, by=by))


def _weights_in(value: Any, world: World) -> Region:
    """The parameters an expression is computed from."""
    if isinstance(value, (Copy, Params)):
        return frozenset(p for _, p in value.members)
    if isinstance(value, Elem):
        return frozenset(p for _, p in world.elements.get(value.loop, ()))
    if isinstance(value, Sym) and isinstance(value.key, tuple) and value.key[0] == "op":
        return _weights_in(value.key[2], world) | _weights_in(value.key[3], world)
    return frozenset()


# Instances of library classes that have no parameters, whoever calls them.
_BARE = re.compile(
    r"transforms\.|(Token|Normal|Preprocess|Schedul|Augment)i?[sz]?ers?$|Processor|Augment|Metric|Loss|Criterion"
)


def _on_instance(it: Interpreter, owner: Obj, name: str, value: Value, node: cst.CSTNode, world: World) -> None:
    record = world.heap.get(owner.serial)
    if not isinstance(record, Instance):
        return
    module = it.as_module(value, world) if isinstance(value, Obj) else None
    if record.part is not None and module is not None:
        children.attach(it, owner, name, module, node, world)
        return
    path = f"{owner.path}.{name}" if owner.path else name
    if record.part is not None and (name in ("training", "train", "eval", "requires_grad_") or record.cls is None):
        region = it.region(owner, world)
        if name == "training":
            _write_mode(it, owner, record, value, node, world)
            return
        surely = UNSURE if record.symbolic else YES
        own = name == "trainable" and _reads_it(it, name)
        wrote(it, "module", name, value, node, world, region=region, surely=surely, own=own)
        if name == "forward":
            it.emit(world, ev.Escape(site=it.place(node), lap=it.lap(world), region=region, by=".forward = ..."))
    if (
        record.part is not None
        and record.part.layers is None
        and isinstance(value, (Sym, Const))
        and record.cls is None
        and isinstance(value, Const)
        and value.value is None
    ):
        return
    if record.part is not None and record.cls is not None and isinstance(value, Sym) and not owner.path:
        if not value.kind and name in used_as_modules(record.cls):
            child = it.as_module(value, world)  # a child that is not known, or a part of another model
            it.proven.add(value)
            if child is not None and child.path:
                children.attach(it, owner, name, child, node, world)
                return
        elif name in used_as_modules(record.cls) and not _BARE.search(value.kind):
            it.open.add(owner.serial)
    if record.part is not None and record.cls is None and isinstance(value, Sym) and not _BARE.search(value.kind):
        if _put_unknown(it, owner, record.part, name, value, node, world):
            return
    if isinstance(value, Params) and value.single and record.part is not None and record.part.layers:
        if value.parameter is None:  # tied to a parameter of another layer: what is known of its own is void
            tied = frozenset(record.part.at(path)) - value.region
            if tied:
                it.emit(world, ev.Escape(site=it.place(node), lap=it.lap(world), region=tied, by=f".{name} = ..."))
    if record.part is not None and isinstance(value, Params):
        _rewrap(it, owner, record, path, value, node, world)
    world.heap[owner.serial] = replace(record, attrs={**record.attrs, path: value})
    if record.cls is not None:
        label(it, value, f"self.{name}" if record.part is None or isinstance(value, Params) else name, world)


def _put_unknown(
    it: Interpreter, owner: Obj, part: Part, name: str, value: Sym, node: cst.CSTNode, world: World
) -> bool:
    """`model.fc = Head(512, 3)` on a library's model, with a class that is not in view: whether a new child joined.

    What is made of a layer, such as `compiled(model.fc)`, may be that layer; what is put where the library has no
    layer may be one or not. Then it is only known that the model may hold parameters that nobody sees here."""
    path = f"{owner.path}.{name}" if owner.path else name
    there = any(known == path or known.startswith(f"{path}.") for known in part.layers or part.likely)
    call = it.assigning if isinstance(node, (cst.AssignTarget, cst.AnnAssign)) else None
    if there and isinstance(call, cst.Call) and not any(_is_module(it, arg.value, world) for arg in call.args):
        child = it.as_module(value, world)
        if child is not None:
            it.proven.add(value)
            children.attach(it, owner, name, child, node, world)
            return True
    known = part.layers is not None or part.likely
    made = isinstance(call, cst.Call) and (not known or any(w[:1].isupper() for w in dotted(call.func).split(".")))
    if there or (made and not value.kind.endswith("Config")) or name in HEADS:
        it.open.add(owner.serial)
    return False


def _is_module(it: Interpreter, node: cst.BaseExpression, world: World) -> bool:
    """Whether an argument is or may be a module: a name or an attribute that holds one, or what a call gives."""
    if isinstance(node, cst.Call):
        return not dotted(node.func)[:1].islower() or any(_is_module(it, arg.value, world) for arg in node.args)
    if not dotted(node):
        return any(_is_module(it, inner, world) for inner in node.children if isinstance(inner, cst.BaseExpression))
    value = evaluate(it, node, world.fork())[0][0]
    return isinstance(value, Obj) and it.as_module(value, world) is not None


def _rewrap(
    it: Interpreter, owner: Obj, record: Instance, path: str, value: Params, node: cst.CSTNode, world: World
) -> None:
    """`layer.weight = nn.Parameter(...)` over a parameter that was there."""
    part, name = record.part, path.rpartition(".")[2]
    former = record.attrs.get(path)
    if isinstance(former, Params):
        old = former.region
    elif part is not None and (path in part.names if part.names is not None else name in PARAMETER_NAMES):
        old = frozenset(part.at(path))
    else:
        return
    made = next((p for p in value.region if p in it.sources), None)
    if value.single and not value.piece and made is not None and old:
        derived = bool({up for p in it.sources[made] for up in p.above()} & {up for p in old for up in p.above()})
        event = ev.ReplaceParameter(
            site=it.place(node), lap=it.lap(world), name=name, old=old, new=value.region, derived=derived
        )
        it.emit(world, event)


def _write_mode(it: Interpreter, owner: Obj, record: Instance, value: Value, node: cst.CSTNode, world: World) -> None:
    """`module.training = value`: sets the mode of a layer, and of nothing below a module that has children."""
    part, scope = record.part, it.scope
    assert part is not None
    region = it.region(owner, world)
    if part.layers is not None and len(region) == 1:
        stem = f"{owner.path}." if owner.path else ""
        if {where for where in part.layers if where == owner.path or where.startswith(stem)} == {owner.path}:
            mode = ev.SetMode(
                site=it.place(node), lap=it.lap(world), region=region, training=flags.flag(value), by="attribute"
            )
            it.emit(world, mode)
            return
    name = getattr(scope.function, "name", "")
    if owner == scope.owner:
        if name in ("train", "eval") or (name == "__init__" and value == Const(True)):
            return  # what nn.Module.train() does itself, and what holds anyway
        if record.cls is not None and "train" in record.cls.members:
            return  # the class keeps its mode itself
        if name != "__init__" and not isinstance(value, Const):
            return  # its own forward reads it; nothing is switched by a constant
        if record.cls is not None and isinstance(value, Const) and reads_its_mode(it, record.cls, world):
            return  # a branch of its own code is chosen by it
    wrote(it, "module", "training", value, node, world, region=region, surely=UNSURE if record.symbolic else YES)
