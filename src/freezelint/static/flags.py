"""Flags: what `p.requires_grad = v` and `requires_grad_()` do, also where no parameter is meant."""

from __future__ import annotations

import re
from dataclasses import replace

import libcst as cst

from freezelint.static import assumptions, branches, classes, intent, tensors
from freezelint.static.attributes import PARAMETER_NAMES
from freezelint.static.evaluate import evaluate, source
from freezelint.static.interpreter import Interpreter
from freezelint.static.modules import ClassInfo
from freezelint.static.values import (
    Cond,
    Const,
    Copy,
    Elem,
    Instance,
    Members,
    Obj,
    Params,
    Sym,
    Tensor,
    Value,
    leaf_of,
    may_have_graph,
)
from freezelint.static.world import World
from freezelint.static.written import written_on, wrote, wrote_on_copy
from freezelint.trace import events as ev
from freezelint.trace.tri import NO, UNSURE, YES, Tri


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


def write(it: Interpreter, owner: Value, value: Value, node: cst.CSTNode, world: World) -> bool:
    """`owner.requires_grad = value`; False when the flag of no parameter is meant."""
    if isinstance(owner, Elem) and owner.what in ("param", "maybe", "filtered"):
        set_flag(it, world.elements.get(owner.loop, ()), value, node, world)
        return True
    if isinstance(owner, Params) and owner.piece:
        wrote(it, "piece", "requires_grad", value, node, world, region=owner.region, how=owner.piece)
        return True
    if isinstance(owner, Params) and not owner.single:
        several = written_on(node)
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
        if surely is UNSURE and _used_as_module(it, written_on(node)):
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
        if owner in it.proven or _used_as_module(it, written_on(node)) or _of_container(owner, world):
            wrote(it, "module", "requires_grad", value, node, world)
            return True
        key = owner.key
        if isinstance(key, tuple) and key[0] == "attr":
            # Its kind is not known: a parameter (the flag is set) or a module (nothing happens).
            base = it.as_module(key[1], world) if isinstance(key[1], (Obj, Sym)) else None
            if base is not None and (isinstance(key[1], Obj) or key[1] in it.symbolic):
                path = f"{base.path}.{key[2]}".lstrip(".")
                part = world.heap[base.serial].part
                to = flag(value) if key[2] in PARAMETER_NAMES else UNSURE
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


def flag(value: Value) -> Tri:
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
    to = flag(value)
    if to is UNSURE and isinstance(value, Sym):
        known = assumptions.truth(value, world)
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
