"""Writing attributes: what `x.name = v` does to flags, modes, submodules and weights, and what the rules hear of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import libcst as cst

from freezelint.static import branches, classes, intent, optimizers, tensors
from freezelint.static.attributes import PARAMETER_NAMES, head_of, named_like
from freezelint.static.classes import reads_its_mode, used_as_modules
from freezelint.static.evaluate import evaluate, label, source
from freezelint.static.interpreter import Interpreter
from freezelint.static.modules import ClassInfo, Module
from freezelint.static.values import (
    NONE,
    ON_WRAPPER,
    Cond,
    Const,
    Copy,
    Elem,
    Instance,
    Members,
    Mod,
    Obj,
    Params,
    Sched,
    Sym,
    Tensor,
    Value,
    leaf_of,
    may_have_graph,
)
from freezelint.static.world import World
from freezelint.trace import events as ev
from freezelint.trace.regions import Region
from freezelint.trace.run import Run
from freezelint.trace.tri import NO, UNSURE, YES, Tri


def put(it: Interpreter, owner: Value, name: str, value: Value, node: cst.CSTNode, world: World) -> None:
    """`owner.name = value`."""
    if name == "requires_grad" and _write_flag(it, owner, value, node, world):
        return
    if isinstance(owner, (Elem, Params)):
        _on_element(it, owner, name, value, node, world)
    elif isinstance(owner, Obj):
        _on_instance(it, owner, name, value, node, world)
    elif isinstance(owner, (Copy, Tensor)):
        wrote_on_copy(it, owner, name, value, node, world)
    elif isinstance(owner, Sym) and (
        (name in ("training", "train") and it.is_symbolic_module(owner, world))
        or (name == "training" and value == Const(False) and _goes_by_model(it, _written_on(node)))
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
                attach(it, symbolic, name, module, node, world)
    elif isinstance(owner, Mod):
        world.own(owner.module.path)[name] = value
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


def wrote_on_copy(
    it: Interpreter, owner: Copy | Tensor, name: str, value: Value, node: cst.CSTNode, world: World
) -> None:
    """Something was written on a tensor. A copy of a parameter that got a name is a tensor in its own right."""
    base = _written_on(node)
    if isinstance(owner, Copy) and (owner.how == "state_dict()" or not isinstance(base, cst.Name)):
        region = frozenset(p for _, p in owner.members)
        wrote(it, "copy", name, value, node, world, region=region, how=owner.how)
    else:
        wrote(it, "tensor", name, value, node, world)


def _written_on(node: cst.CSTNode) -> cst.CSTNode | None:
    """The expression before the dot: `p.data` of `p.data.requires_grad = ...` and of `p.data.requires_grad_(...)`."""
    target: Any = node.target if isinstance(node, (cst.AssignTarget, cst.AnnAssign)) else node
    if isinstance(target, cst.Call):
        if isinstance(target.func, cst.Name) and target.args:  # setattr(p.data, ...)
            return target.args[0].value
        target = target.func
    return target.value if isinstance(target, cst.Attribute) else None


def wrote(
    it: Interpreter,
    target: str,
    name: str,
    value: Value,
    node: cst.CSTNode,
    world: World,
    *,
    region: Region = frozenset(),
    surely: Tri = YES,
    own: bool = False,
    how: str = "",
) -> None:
    """Tell the rules of an attribute that was written."""
    base = _written_on(node)
    text = f"{source(it, base)}.{name}" if base is not None else name
    shown = repr(value.value) if isinstance(value, Const) else value.text if isinstance(value, Sym) else ""
    it.emit(
        world,
        ev.WroteAttribute(
            site=it.place(node),
            lap=it.lap(world),
            target=target,
            name=name,
            value=shown,
            region=region,
            surely=surely,
            text=text,
            own=own or (target == "unknown" and _mentioned(it.scope.module, name)),
            how=how,
        ),
    )


def _mentioned(module: Module, name: str) -> bool:
    """Whether a file does more with a name than assign it as an attribute: reads it, declares it, passes it on."""
    known = module.mentioned.get(name)
    if known is None:
        said = re.search(rf"(?<!\.)\b{name}\b|\.{name}\b(?!\s*(:[^=\n]*)?=(?!=))", module.text)
        known = module.mentioned[name] = said is not None
    return known


def _has_own(it: Interpreter, owner: Obj, name: str, world: World) -> bool:
    """Whether the class of an instance has an attribute of this name itself."""
    record = world.heap.get(owner.serial)
    if not isinstance(record, Instance) or record.cls is None or owner.path:
        return False
    if it.scope.owner == owner or classes.member(it, record.cls, name, world) is not None:
        return True
    infos = [entry for entry in classes.order(it, record.cls, world) if isinstance(entry, ClassInfo)]
    return any(re.search(rf"\bself\.{name}\b|__setattr__", info.module.text) for info in infos)


def _of_container(item: Sym, world: World) -> bool:
    """Whether this is an item of a Sequential or ModuleList, whichever."""
    holder = item.key[1] if isinstance(item.key, tuple) and item.key[0] == "item" else None
    record = world.heap.get(holder.serial) if isinstance(holder, Obj) and not holder.path else None
    return isinstance(record, Instance) and record.kind in ("Sequential", "ModuleList", "ModuleDict")


def _write_flag(it: Interpreter, owner: Value, value: Value, node: cst.CSTNode, world: World) -> bool:
    """`owner.requires_grad = value`; False when the flag of no parameter is meant."""
    if isinstance(owner, Elem) and owner.what in ("param", "maybe", "filtered"):
        set_flag(it, world.elements.get(owner.loop, ()), value, node, world)
        return True
    if isinstance(owner, Params) and owner.piece:
        wrote(it, "piece", "requires_grad", value, node, world, region=owner.region, how=owner.piece)
        return True
    if isinstance(owner, Params) and not owner.single:
        several = _written_on(node)
        text = source(it, several) if several is not None else "parameters()"
        event = ev.NamedButNotCalled(
            site=it.place(node), lap=it.lap(world), what="flag", name="several", text=text, region=owner.region
        )
        it.emit(world, event)
        return True
    if isinstance(owner, Params):
        set_flag(it, owner.members, value, node, world)
        return True
    if isinstance(owner, Elem) and owner.what == "module":
        region = frozenset(p for _, p in world.elements.get(owner.loop, ()))
        # In an `except` it is what could not be treated as a module: a parameter among modules.
        surely = UNSURE if it.caught else YES
        wrote(it, "module", "requires_grad", value, node, world, region=region, surely=surely)
        return True
    if isinstance(owner, Obj):
        module = it.as_module(owner, world)
        if module is None:
            return False
        record = world.heap[owner.serial]
        # Where the layers are not known, `x.name` may as well be a parameter as a module.
        surely = UNSURE if owner.path and getattr(record.part, "layers", None) is None else YES
        region = it.region(owner, world)
        if surely is UNSURE and _used_as_module(it, _written_on(node)):
            surely = YES
        if it.caught:
            surely = UNSURE
        if surely is UNSURE:
            it.emit(world, ev.SetRequiresGrad(site=it.place(node), lap=it.lap(world), to=UNSURE, region=region))
        own = _has_own(it, owner, "requires_grad", world)
        wrote(it, "module", "requires_grad", value, node, world, region=region, surely=surely, own=own)
        path = f"{owner.path}.requires_grad".lstrip(".")
        world.heap[owner.serial] = replace(record, attrs={**record.attrs, path: value})
        return True
    if isinstance(owner, Tensor):
        target = "loss" if owner.uses or owner.complete is not YES else "tensor"
        wrote(it, target, "requires_grad", value, node, world)
        if value != Const(False):
            rebind(it, node, leaf_of(owner, it.place(node), names_loss(it, node)), world)
        return True
    if isinstance(owner, Copy):
        wrote_on_copy(it, owner, "requires_grad", value, node, world)
        return True
    if isinstance(owner, Sym):
        if owner in it.proven or _used_as_module(it, _written_on(node)) or _of_container(owner, world):
            wrote(it, "module", "requires_grad", value, node, world)
            return True
        key = owner.key
        if isinstance(key, tuple) and key[0] == "attr":
            # Its kind is not known: a parameter (the flag is set) or a module (nothing happens).
            base = it.as_module(key[1], world) if isinstance(key[1], (Obj, Sym)) else None
            if base is not None and (isinstance(key[1], Obj) or key[1] in it.symbolic):
                path = f"{base.path}.{key[2]}".lstrip(".")
                part = world.heap[base.serial].part
                to = _flag(value) if key[2] in PARAMETER_NAMES else UNSURE
                it.emit(
                    world,
                    ev.SetRequiresGrad(site=it.place(node), lap=it.lap(world), to=to, region=frozenset(part.at(path))),
                )
        wrote(it, "unknown", "requires_grad", value, node, world, surely=UNSURE)
        if value != Const(False):
            flagged(it, owner, node, world)
        return True
    return False


def _used_as_module(it: Interpreter, base: cst.CSTNode | None) -> bool:
    """Whether the running class uses what stands before the dot, `self.x`, as only a module can be used."""
    if it.scope.cls is None or not isinstance(base, cst.Attribute) or not isinstance(base.value, cst.Name):
        return False
    return base.value.value == "self" and base.attr.value in classes.used_as_modules(it.scope.cls)


def flagged(it: Interpreter, owner: Sym, node: cst.CSTNode, world: World) -> None:
    """Something unknown was told to require grad: a loss, by its name, without a graph; or a batch, now a leaf."""
    if names_loss(it, node):
        if any(isinstance(tested, Sym) and _mentions(tested, owner) for tested in world.assumed):
            return  # `if not loss.requires_grad:`, `if loss == 0:`: a batch without anything to learn from
        rebind(it, node, Tensor(complete=UNSURE, forced=it.place(node)), world)
    elif not may_have_graph(owner):
        rebind(it, node, Tensor(loose=True), world)


def names_loss(it: Interpreter, node: cst.CSTNode) -> bool:
    """Whether what is told to require grad goes by the name of a loss."""
    target = node.target if isinstance(node, (cst.AssignTarget, cst.AnnAssign)) else node
    target = target.func if isinstance(target, cst.Call) else target
    return isinstance(target, cst.Attribute) and tensors.is_loss(source(it, target.value))


def _mentions(value: Sym, owner: Sym, depth: int = 4) -> bool:
    if value == owner:
        return True
    parts = value.key if isinstance(value.key, tuple) and depth else ()
    return any(isinstance(part, Sym) and _mentions(part, owner, depth - 1) for part in parts)


def rebind(it: Interpreter, node: cst.CSTNode, value: Value, world: World) -> None:
    """Give the variable that an attribute target hangs on a new value."""
    target = node.target if isinstance(node, (cst.AssignTarget, cst.AnnAssign)) else node
    if isinstance(target, cst.Call):
        target = target.func
    if isinstance(target, cst.Attribute) and isinstance(target.value, cst.Name):
        it.locals(world)[target.value.value] = value
    elif isinstance(target, cst.Attribute) and isinstance(target.value, cst.Attribute):
        owner = evaluate(it, target.value.value, world)[0][0]
        record = world.heap.get(owner.serial) if isinstance(owner, Obj) and not owner.path else None
        if isinstance(record, Instance):
            attrs = {**record.attrs, target.value.attr.value: value}
            world.heap[owner.serial] = replace(record, attrs=attrs)  # type: ignore[attr-defined]


def _flag(value: Value) -> Tri:
    return Tri.of(value.value) if isinstance(value, Const) and isinstance(value.value, bool) else UNSURE


def set_flag(
    it: Interpreter, members: Members, value: Value, node: cst.CSTNode, world: World, how: str = "attribute"
) -> None:
    """Set the flag of some parameters; a value that differs between them sets each its own."""
    site, lap = it.place(node), it.lap(world)
    given = not (isinstance(node, cst.Call) and not node.args)
    within, said = it.within, intent.asked(it, node)
    if isinstance(value, Cond):
        if value.loop in world.elements:
            yes, no, maybe = branches.partition(value, members, world)
            branches.select(it, value, (*yes, *maybe), members, node, world, True)
            for some, to in ((yes, YES), (no, NO), (maybe, UNSURE)):
                if some:
                    it.emit(
                        world,
                        ev.SetRequiresGrad(
                            site=site,
                            lap=lap,
                            to=to,
                            how=how,
                            within=within,
                            region=frozenset(p for _, p in some),
                            turn=it.turns,
                        ),
                    )
            return
        value = Sym(("flag", id(node)))
    to = _flag(value)
    if to is UNSURE and isinstance(value, Sym):
        known = branches.truth(value, world)
        to = Tri.of(known)
    region = frozenset(p for _, p in members)
    if to is YES and it.tied:
        _untied(it, members, node, world)
    it.emit(
        world,
        ev.SetRequiresGrad(
            site=site,
            lap=lap,
            to=to,
            how=how,
            region=region,
            given=given,
            within=within,
            via=it.callers[-1] if it.callers else None,
            asked=said,
            turn=it.turns,
        ),
    )


def _untied(it: Interpreter, members: Members, node: cst.CSTNode, world: World) -> None:
    """Tell the rules of a head that is unfrozen and is the embedding, too."""
    for view, part in members:
        kind, pairs = it.tied.get(part.root, ("", ()))
        for embedding, head in pairs:
            below = f"{view.below}."
            if view.below and head.startswith(below) and not embedding.startswith(below) and not part.tests:
                region = frozenset({part.root})
                event = ev.UnfreezeTied(
                    site=it.place(node), lap=it.lap(world), region=region, head=head, embedding=embedding, kind=kind
                )
                it.emit(world, event)


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
            ev.SetMode(site=it.place(node), lap=it.lap(world), region=region, training=_flag(value), by="attribute"),
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
        attach(it, owner, name, module, node, world)
        return
    path = f"{owner.path}.{name}" if owner.path else name
    if record.part is not None and (
        name in ("training", "train", "eval", "requires_grad_") or not _declared(record, name)
    ):
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
                attach(it, owner, name, child, node, world)
                return
        elif name in used_as_modules(record.cls) and not _BARE.search(value.kind):
            it.open.add(owner.serial)
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
                site=it.place(node), lap=it.lap(world), region=region, training=_flag(value), by="attribute"
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


def _declared(record: Instance, name: str) -> bool:
    return record.cls is not None


def attach(it: Interpreter, owner: Obj, name: str, module: Obj, node: cst.CSTNode, world: World) -> None:
    """`owner.name = module`: a child joins, and may replace one."""
    record = world.heap[owner.serial]
    assert isinstance(record, Instance) and record.part is not None
    if owner.worn.startswith("module.") and not owner.path:
        _attach_to_wrapper(it, owner, record, name, module, node, world)
        return
    path = f"{owner.path}.{name}" if owner.path else name
    old: Region = frozenset()
    if path in record.attrs:
        former = record.attrs[path]
        old = it.region(former, world) if isinstance(former, Obj) else frozenset()
    elif record.part.layers or (record.part.layers is None and record.cls is None):
        old = frozenset(record.part.at(path))  # of a class whose base is not known, an attribute may well be new
    strange = not old and path not in record.attrs and "." not in path
    head, head_name, kind = head_of(record, world) if strange else (frozenset(), "", "")
    base = record.part.label if not record.part.label.startswith("(") else "model"
    running = it.scope.owner
    own = record.cls is not None and isinstance(running, Obj) and running.serial == owner.serial
    label(it, module, f"self.{path}" if own else f"{base}.{path}", world)
    new = it.region(module, world)
    world.heap[owner.serial] = replace(
        record, attrs={**{k: v for k, v in record.attrs.items() if not k.startswith(path + ".")}, path: module}
    )
    if old == new and old:
        return
    it.emit(
        world,
        ev.ReplaceSubmodule(
            site=it.place(node),
            lap=it.lap(world),
            owner=it.region(owner, world),
            name=path,
            old=old - new,
            new=new,
            label=base,
            kind=kind,
            head=head,
            head_name=head_name,
            within=it.within,
        ),
    )


def _attach_to_wrapper(
    it: Interpreter, owner: Obj, record: Instance, name: str, module: Obj, node: cst.CSTNode, world: World
) -> None:
    """`DataParallel(model).fc = module`: a child of the wrapper, which its forward does not run."""
    inner: Region = frozenset()  # what the wrapped model keeps under that name, as far as that is known
    if isinstance(former := record.attrs.get(name), Obj):
        inner = it.region(former, world)
    elif record.part is not None and record.part.layers:
        inner = frozenset(record.part.at(name))
    kinds = {
        wrap.kind for part in it.region(owner, world) if (wrap := Run(world.state).last(ev.Wrap, part)) is not None
    }
    world.heap[owner.serial] = replace(record, attrs={**record.attrs, f"{ON_WRAPPER}.{name}": module})
    it.emit(
        world,
        ev.ReplaceSubmodule(
            site=it.place(node),
            lap=it.lap(world),
            owner=it.region(owner, world),
            name=name,
            old=frozenset(),
            new=it.region(module, world),
            kind=kinds.pop() if len(kinds) == 1 else "the wrapper",
            head=inner,
            head_name=f"module.{name}",
            within=it.within,
        ),
    )
