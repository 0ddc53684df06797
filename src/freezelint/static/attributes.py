"""Reading and writing attributes and items: what `x.name`, `x.name = v` and `x[i]` mean for each kind of value."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import libcst as cst

from freezelint.knowledge.zoo import names as architectures
from freezelint.static import branches
from freezelint.static.interpreter import Interpreter, Outcomes, settle
from freezelint.static.modules import ClassInfo
from freezelint.static.values import (
    NONE,
    Cls,
    Cond,
    Const,
    Copy,
    Elem,
    Instance,
    Items,
    Lib,
    Members,
    Method,
    Mod,
    Modules,
    Obj,
    Opt,
    Params,
    Ref,
    Super,
    Sym,
    Table,
    Tensor,
    Tuple,
    Value,
    leaf_of,
    may_have_graph,
)
from freezelint.static.world import World, serial
from freezelint.trace import events as ev
from freezelint.trace.regions import Part, Region, Test, View, leaves
from freezelint.trace.run import Run
from freezelint.trace.tri import NO, UNSURE, YES, Tri

MODULE_METHODS = frozenset(
    {
        "parameters",
        "named_parameters",
        "modules",
        "named_modules",
        "children",
        "named_children",
        "train",
        "eval",
        "requires_grad_",
        "to",
        "cuda",
        "cpu",
        "half",
        "float",
        "double",
        "bfloat16",
        "type",
        "compile",
        "state_dict",
        "load_state_dict",
        "apply",
        "zero_grad",
        "forward",
        "share_memory",
        "get_submodule",
        "get_parameter",
        "add_module",
        "register_module",
        "register_parameter",
        "register_buffer",
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "buffers",
        "named_buffers",
        "freeze",
        "unfreeze",
        "append",
        "extend",
        "insert",
        "items",
        "values",
        "keys",
        "xpu",
        "mps",
        "add_adapter",
        "to_empty",
        "__call__",
        "update",
    }
)
PARAMETER_NAMES = frozenset(
    {
        "weight",
        "bias",
        "weight_g",
        "weight_v",
        "in_proj_weight",
        "in_proj_bias",
        "cls_token",
        "pos_embed",
        "position_embedding",
        "logit_scale",
        "class_embedding",
    }
)
HEADS = frozenset({"fc", "classifier", "head", "heads", "last_linear", "_fc"})  # what models call their heads
CUTS = {"data": ".data"}
_NO_TENSOR = frozenset(
    {
        "shape",
        "dtype",
        "device",
        "ndim",
        "is_cuda",
        "grad",
        "requires_grad",
        "grad_fn",
        "is_leaf",
        "names",
        "itemsize",
        "nbytes",
        "layout",
    }
)
TENSOR_METHODS = frozenset(
    {
        "detach",
        "detach_",
        "numpy",
        "item",
        "tolist",
        "backward",
        "size",
        "dim",
        "numel",
        "argmax",
        "argmin",
        "cpu",
        "cuda",
        "to",
        "float",
        "half",
        "view",
        "reshape",
        "permute",
        "transpose",
        "mean",
        "sum",
        "max",
        "min",
        "squeeze",
        "unsqueeze",
        "flatten",
        "clone",
        "contiguous",
        "requires_grad_",
        "items",
        "keys",
        "values",
        "append",
        "topk",
        "sort",
        "retain_grad",
        "register_hook",
        "get",
        "pop",
        "update",
        "t",
        "expand",
        "repeat",
        "softmax",
        "log_softmax",
        "norm",
        "pow",
        "sqrt",
        "exp",
        "log",
        "clamp",
        "chunk",
        "split",
        "gather",
        "type",
        "double",
        "long",
        "int",
        "bool",
        "eq",
        "argsort",
        "masked_fill",
        "masked_select",
        "index_select",
        "expand_as",
        "view_as",
        "type_as",
        "matmul",
        "bmm",
        "mm",
        "add",
        "mul",
        "sub",
        "div",
        "abs",
        "std",
        "var",
        "copy_",
        "set_",
        "new_zeros",
        "new_ones",
        "round",
        "sign",
        "bincount",
    }
)


# Reading -------------------------------------------------------------------------------------------------------------


def get(it: Interpreter, owner: Value, name: str, node: cst.CSTNode, world: World) -> Outcomes:
    """`owner.name`."""
    from freezelint.static import classes

    if name == "training" and isinstance(owner, (Obj, Sym)) and owner != it.scope.owner:
        known = _mode_of(it, owner, world)
        if known is not None:
            return [(Const(known), world)]
    if isinstance(owner, Obj):
        return _of_instance(it, owner, name, node, world)
    if isinstance(owner, Lib):
        return [(Lib(f"{owner.name}.{name}"), world)]
    if isinstance(owner, Mod):
        if name in owner.module.bound or owner.module.stars or name in world.names.get(owner.module.path, {}):
            return [(settle(it, it.global_name(owner.module, name, world), world), world)]
        return [(settle(it, it.member_of(owner.module, name), world), world)]
    if isinstance(owner, Cls):
        return [(classes.of_class(it, owner.info, name, world), world)]
    if isinstance(owner, Super):
        return [(classes.of_super(it, owner, name, world), world)]
    return [(_of_value(it, owner, name, node, world), world)]


def _mode_of(it: Interpreter, owner: Obj | Sym, world: World) -> bool | None:
    """The mode of another module, where it is known: `was = model.training` gives back what it took.

    A module's own code is looked at for both modes.
    """
    if isinstance(owner, Sym) and not it.is_symbolic_module(owner, world):
        return None
    module = it.as_module(owner, world)
    run = Run(world.state)
    modes = {run.mode(leaf) for leaf in leaves(it.region(module, world))} if module is not None else set()
    return None if len(modes) != 1 or UNSURE in modes else modes == {YES}


def _of_instance(it: Interpreter, owner: Obj, name: str, node: cst.CSTNode, world: World) -> Outcomes:
    from freezelint.static import classes

    record = world.heap.get(owner.serial)
    if not isinstance(record, Instance):
        return [(Sym(("attr", owner, name), name), world)]
    path = f"{owner.path}.{name}" if owner.path else name
    if path in record.attrs:
        return [(settle(it, record.attrs[path], world), world)]
    if record.cls is not None and not owner.path:
        found = classes.of_instance(it, owner, record.cls, name, node, world)
        if found is not None:
            return found
    if record.part is not None:
        return [(_of_module(it, owner, record, name, path, node), world)]
    return [(Sym(("attr", owner, name), _text(owner, record, name)), world)]


def _text(owner: Obj, record: Instance, name: str) -> str:
    return f"self.{name}" if record.cls is not None else name


def _of_module(it: Interpreter, owner: Obj, record: Instance, name: str, path: str, node: cst.CSTNode) -> Value:
    part = record.part
    assert part is not None
    if part.layers is not None and part.names is not None:
        if path in part.names:
            return Params(tuple((View("", path), p) for p in part.at(path)), single=True)
        if path in part.layers or any(k.startswith(path + ".") for k in part.layers):
            return Obj(owner.serial, path)
    if name in MODULE_METHODS:
        return Method(owner, name)
    if name in ("module", "_orig_mod"):  # nothing of that name is declared: a wrapper hands it out
        return owner
    if part.layers is None and name in PARAMETER_NAMES:
        return Params(tuple((View("", path), p) for p in part.at(path)), single=True)
    label = part.label if not part.label.startswith("(") else "self" if record.cls else "model"
    return Sym(("attr", owner, name), f"{label}.{path}")


def _of_value(it: Interpreter, owner: Value, name: str, node: cst.CSTNode, world: World) -> Value:
    from freezelint.static import calls

    if isinstance(owner, Elem):
        return _of_element(it, owner, name, world)
    if isinstance(owner, Params) and owner.single:
        if name == "requires_grad":
            from freezelint.static.evaluate import flag_of

            return flag_of(it, owner.region, world)
        return Copy(owner.members, ".data") if name == "data" else Method(owner, name)
    if isinstance(owner, Tensor):
        if name == "requires_grad" and owner.forced is None:
            loss = ev.Backward(site=None, uses=owner.uses, complete=owner.complete, loose=owner.loose)
            if world.state.lost(loss):
                return Const(False)
        if name in _NO_TENSOR:
            return Sym(("of tensor", name, serial()), name)
        if name == "data" and owner.packed:
            return replace(owner, packed=False)
        if name in CUTS:
            return calls.cut(it, owner, CUTS[name], node)
        return Method(owner, name) if name in TENSOR_METHODS else owner
    if isinstance(owner, Opt) and name == "param_groups":
        return Sym(("groups", owner))
    if isinstance(owner, Sym):
        if name == "module" and owner in it.symbolic:
            return owner
        record = world.heap.get(it.symbolic.get(owner, -1))
        if isinstance(record, Instance) and name in record.attrs:  # it was given one in view
            return record.attrs[name]
        return Sym(("attr", owner, name), f"{owner.text}.{name}" if owner.text else name)
    return Method(owner, name)


def _of_element(it: Interpreter, owner: Elem, name: str, world: World) -> Value:
    members = world.elements.get(owner.loop, ())
    if owner.what in ("param", "maybe", "filtered"):
        if name == "requires_grad":
            return Cond(owner.loop, "flag")
        if name == "data":
            return Copy(members, ".data")
        return Elem(owner.loop, "derived") if name in _NO_TENSOR else Method(owner, name)
    if owner.what == "module":
        if name in PARAMETER_NAMES:
            return Params(named_like(members, name), single=True)
        if name == "__class__":
            return Elem(owner.loop, "class")
        return Method(owner, name) if name in MODULE_METHODS else Elem(owner.loop, "derived")
    if owner.what == "class":
        return Elem(owner.loop, "classname" if name in ("__name__", "__qualname__") else "derived")
    return Method(owner, name)


def named_like(members: Members, name: str) -> Members:
    """The parameters called `name` among those of some modules."""
    test = Test("endswith", (name,), f"its {name}")
    return tuple((view, p) for view, part in members for p in part.split(test, view)[0])


# Writing -------------------------------------------------------------------------------------------------------------


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
    elif isinstance(owner, Sym) and name in ("training", "train") and it.is_symbolic_module(owner, world):
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
    from freezelint.static.evaluate import source

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
            own=own or (target == "unknown" and _mentioned(it.scope.module.text, name)),
            how=how,
        ),
    )


def _mentioned(text: str, name: str) -> bool:
    """Whether a file does more with a name than assign it as an attribute: reads it, declares it, passes it on."""
    return re.search(rf"(?<!\.)\b{name}\b|\.{name}\b(?!\s*(:[^=\n]*)?=(?!=))", text) is not None


def _has_own(it: Interpreter, owner: Obj, name: str, world: World) -> bool:
    """Whether the class of an instance has an attribute of this name itself."""
    from freezelint.static import classes

    record = world.heap.get(owner.serial)
    if not isinstance(record, Instance) or record.cls is None or owner.path:
        return False
    if it.scope.owner == owner or classes.member(it, record.cls, name, world) is not None:
        return True
    infos = [entry for entry in classes.order(it, record.cls, world) if isinstance(entry, ClassInfo)]
    return any(re.search(rf"\bself\.{name}\b|__setattr__", info.module.text) for info in infos)


def _write_flag(it: Interpreter, owner: Value, value: Value, node: cst.CSTNode, world: World) -> bool:
    """`owner.requires_grad = value`; False when the flag of no parameter is meant."""
    if isinstance(owner, Elem) and owner.what in ("param", "maybe", "filtered"):
        set_flag(it, world.elements.get(owner.loop, ()), value, node, world)
        return True
    if isinstance(owner, Params):
        set_flag(it, owner.members, value, node, world)
        return True
    if isinstance(owner, Elem) and owner.what == "module":
        region = frozenset(p for _, p in world.elements.get(owner.loop, ()))
        wrote(it, "module", "requires_grad", value, node, world, region=region)
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
        if owner in it.proven or _used_as_module(it, _written_on(node)):
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
    from freezelint.static import classes

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
    from freezelint.static import calls
    from freezelint.static.evaluate import source

    target = node.target if isinstance(node, (cst.AssignTarget, cst.AnnAssign)) else node
    target = target.func if isinstance(target, cst.Call) else target
    return isinstance(target, cst.Attribute) and calls.is_loss(source(it, target.value))


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
        from freezelint.static.evaluate import evaluate

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
    within = it.scope.function.name if it.scope.function is not None else ""
    if isinstance(value, Cond):
        if value.loop in world.elements:
            yes, no, maybe = branches.partition(value, members, world)
            branches.select(it, value, (*yes, *maybe), members, node, world, True)
            for some, to in ((yes, YES), (no, NO), (maybe, UNSURE)):
                if some:
                    it.emit(
                        world,
                        ev.SetRequiresGrad(
                            site=site, lap=lap, to=to, how=how, within=within, region=frozenset(p for _, p in some)
                        ),
                    )
            return
        value = Sym(("flag", id(node)))
    to = _flag(value)
    if to is UNSURE and isinstance(value, Sym):
        known = branches.truth(value, world)
        to = Tri.of(known)
    region = frozenset(p for _, p in members)
    it.emit(
        world,
        ev.SetRequiresGrad(site=site, lap=lap, to=to, how=how, region=region, given=given, within=within),
    )


def _on_element(
    it: Interpreter, owner: Elem | Params, name: str, value: Value, node: cst.CSTNode, world: World
) -> None:
    members = world.elements.get(owner.loop, ()) if isinstance(owner, Elem) else owner.members
    region = frozenset(p for _, p in members)
    if isinstance(owner, Elem) and owner.what not in ("param", "maybe", "filtered", "module"):
        return
    target = "module" if isinstance(owner, Elem) and owner.what == "module" else "parameter"
    if target == "parameter" and name == "grad":
        if value == NONE:
            it.emit(world, ev.ZeroGrad(site=it.place(node), lap=it.lap(world), region=region))
        return
    if name == "data" and target == "parameter":
        written_into(it, region, (value,), node, world)
    elif not (target == "module" and name == "training"):  # each of them is told: that is what train() does
        wrote(it, target, name, value, node, world, region=region)
    if target == "module" and isinstance(value, Obj) and it.as_module(value, world) is not None:
        it.emit(world, ev.Escape(site=it.place(node), lap=it.lap(world), region=region, by=f".{name} = ..."))
    if target == "module" and name == "training":
        it.emit(
            world,
            ev.SetMode(site=it.place(node), lap=it.lap(world), region=region, training=_flag(value), by="attribute"),
        )


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
        wrote(it, "module", name, value, node, world, region=region, surely=surely)
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
        from freezelint.static.classes import used_as_modules

        if not value.kind and name in used_as_modules(record.cls):
            it.as_module(value, world)  # a child that is not known
            it.proven.add(value)
    world.heap[owner.serial] = replace(record, attrs={**record.attrs, path: value})
    if record.cls is not None:
        from freezelint.static.evaluate import label

        label(it, value, f"self.{name}" if record.part is None else name, world)


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
    wrote(it, "module", "training", value, node, world, region=region, surely=UNSURE if record.symbolic else YES)


def _declared(record: Instance, name: str) -> bool:
    return record.cls is not None


def attach(it: Interpreter, owner: Obj, name: str, module: Obj, node: cst.CSTNode, world: World) -> None:
    """`owner.name = module`: a child joins, and may replace one."""
    from freezelint.static.evaluate import label

    record = world.heap[owner.serial]
    assert isinstance(record, Instance) and record.part is not None
    path = f"{owner.path}.{name}" if owner.path else name
    old: Region = frozenset()
    if path in record.attrs:
        former = record.attrs[path]
        old = it.region(former, world) if isinstance(former, Obj) else frozenset()
    elif record.part.layers is None or record.part.layers:
        old = frozenset(record.part.at(path))
    strange = not old and path not in record.attrs and "." not in path
    head, head_name, kind = _head_of(record, world) if strange else (frozenset(), "", "")
    base = record.part.label if not record.part.label.startswith("(") else "model"
    label(it, module, f"self.{path}" if record.cls is not None else f"{base}.{path}", world)
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
        ),
    )


def architecture_like(word: str) -> bool:
    """Whether a word is an architecture's name or the beginning of one."""
    return len(word) > 2 and any(name.startswith(word.lower()) for name in architectures("torchvision"))


def _head_of(record: Instance, world: World) -> tuple[Region, str, str]:
    """The head of a library's model, its name and the model's; nothing where a test says that it is another model."""
    row = record.row
    if row is None or record.cls is not None or record.part is None or not row.head or "forward" in record.attrs:
        return frozenset(), "", ""
    name = row.name.rpartition(".")[2]
    for key, assumption in world.assumed.items():
        words = branches.words_of(key) if assumption.truth else ()
        if any(architecture_like(w) for w in words) and not any(w.lower() in name or name in w.lower() for w in words):
            return frozenset(), "", ""  # an `else` that built this model need not go with that test
    return frozenset(record.part.at(row.head)), row.head, name


def missing(it: Interpreter, owner: Value, name: str, node: cst.CSTNode, world: World) -> None:
    """Tell the rules of an attribute that a known model does not have, where that is not provided for."""
    record = world.heap.get(owner.serial) if isinstance(owner, Obj) and not owner.path else None
    if it.guarded or not isinstance(record, Instance) or record.part is None or not record.part.layers:
        return
    if name in record.attrs or name not in HEADS or any(k.split(".")[0] == name for k in record.part.layers):
        return
    _, head_name, kind = _head_of(record, world)
    if head_name:
        from freezelint.static.evaluate import source

        it.emit(
            world,
            ev.MissingAttribute(
                site=it.place(node), lap=it.lap(world), name=name, text=source(it, node), kind=kind, head_name=head_name
            ),
        )


# Items ---------------------------------------------------------------------------------------------------------------


def item(it: Interpreter, owner: Value, key: Value, node: cst.CSTNode, world: World) -> Value:
    """`owner[key]`."""
    index = key.value if isinstance(key, Const) else None
    if isinstance(owner, Tensor):
        return owner
    if isinstance(owner, Obj):
        return _module_item(it, owner, index, world) or Sym(("item", owner, key))
    if isinstance(owner, Tuple) and isinstance(index, int) and -len(owner.items) <= index < len(owner.items):
        return owner.items[index]
    if isinstance(owner, Ref):
        record = world.heap.get(owner.serial)
        if (
            isinstance(record, Items)
            and isinstance(index, int)
            and not record.more
            and -len(record.items) <= index < len(record.items)
        ):
            found = record.items[index]
            return found if not isinstance(found, Params) or found.single else _some(found, f"[{index}]")
        if isinstance(record, Items) and len(record.items) == 1 and isinstance(record.items[0], (Tensor, Params)):
            found = record.items[0]
            return found if isinstance(found, Tensor) else _some(found, "[...]")
        if isinstance(record, Table) and index in record.items:
            return settle(it, record.items[index], world)
        if isinstance(record, Table) and record.items and all(isinstance(v, Tensor) for v in record.items.values()):
            from freezelint.static.values import tensor_of

            return tensor_of(record.items.values())
    if isinstance(owner, Params):
        return _some(owner, f"[{index}]") if not owner.single else owner
    if isinstance(owner, Elem):
        return Elem(owner.loop, "head" if owner.what == "parts" and index == 0 else "derived")
    if isinstance(owner, Modules) and isinstance(index, int):
        from freezelint.static.loops import children

        known = children(it, owner, world)
        if known is not None and -len(known) <= index < len(known):
            return known[index]
    if isinstance(owner, Lib):
        # models.__dict__[arch], a registry of the library
        base = owner.name.removesuffix(".__dict__")
        return Lib(f"{base}.{index}") if isinstance(index, str) else Sym(("registry", base, key))
    if isinstance(owner, Sym) and isinstance(index, int):
        return Sym(("attr", owner, str(index)), f"{owner.text}[{index}]" if owner.text else "")
    return Sym(("item", owner, key), f"{owner.text}[...]" if isinstance(owner, Sym) and owner.text else "")


def _some(params: Params, text: str) -> Params:
    from freezelint.static.loops import sliced

    return Params(sliced(params.members, text), single=True)


def _module_item(it: Interpreter, owner: Obj, index: Any, world: World) -> Value | None:
    record = world.heap.get(owner.serial)
    if not isinstance(record, Instance) or record.part is None or index is None or isinstance(index, bool):
        return None
    if isinstance(index, int) and index < 0:
        from freezelint.static.loops import child_list

        known = child_list(it, owner, world)
        if known is None or len(known) < -index:
            return None
        return known[index][1]
    path = f"{owner.path}.{index}" if owner.path else str(index)
    return record.attrs.get(path) or Obj(owner.serial, path)


def put_item(it: Interpreter, owner: Value, key: Value, value: Value, node: cst.CSTNode, world: World) -> None:
    """`owner[key] = value`."""
    index = key.value if isinstance(key, Const) else None
    if isinstance(owner, Obj):
        module = it.as_module(value, world) if isinstance(value, Obj) else None
        if module is not None and index is not None:
            if isinstance(index, int) and index < 0:
                existing = _module_item(it, owner, index, world)
                index = existing.path.rpartition(".")[2] if isinstance(existing, Obj) and existing.path else index
            attach(it, owner, str(index), module, node, world)
        elif it.as_module(owner, world) is not None:
            region = it.region(owner, world)
            it.emit(world, ev.Escape(site=it.place(node), lap=it.lap(world), region=region, by="[...] = ..."))
    elif isinstance(owner, Ref):
        record = world.heap.get(owner.serial)
        if isinstance(record, Table):
            if index is not None or key == NONE:
                world.heap[owner.serial] = replace(record, items={**record.items, index: value})
            else:
                world.heap[owner.serial] = replace(record, more=True)
        elif isinstance(record, Items):
            if isinstance(index, int) and not record.more and -len(record.items) <= index < len(record.items):
                items = list(record.items)
                items[index] = value
                world.heap[owner.serial] = replace(record, items=tuple(items))
            else:
                world.heap[owner.serial] = replace(record, items=(*record.items, value), more=True)


def sliced(
    it: Interpreter, owner: Value, low: Value, high: Value, step: Value, node: cst.CSTNode, world: World
) -> Value:
    """`owner[low:high:step]`."""
    from freezelint.static import evaluate, loops

    bounds: list[Any] = [b.value if isinstance(b, Const) else "?" for b in (low, high, step)]
    known = all(b is None or isinstance(b, int) for b in bounds)
    text = "[" + ":".join("" if b is None else str(b) for b in bounds[:2]) + "]"
    if isinstance(owner, Tensor):
        return owner
    if isinstance(owner, Modules):
        if known and bounds[2] is None and owner.start is None and owner.stop is None:
            return replace(owner, start=bounds[0], stop=bounds[1])
        return owner
    if isinstance(owner, Params) and not owner.single:
        return replace(owner, members=loops.sliced(owner.members, text), iterator=None)
    record = world.heap.get(owner.serial) if isinstance(owner, (Ref, Obj)) else None
    if isinstance(owner, Tuple) and known:
        return Tuple(owner.items[slice(*bounds)])
    if isinstance(record, Items):
        if known and not record.more and not any(isinstance(i, Params) and not i.single for i in record.items):
            return evaluate.new_list(world, record.items[slice(*bounds)])
        inner = [
            replace(i, members=loops.sliced(i.members, text)) if isinstance(i, Params) else i for i in record.items
        ]
        return evaluate.new_list(world, inner, True)
    if isinstance(owner, Obj) and isinstance(record, Instance) and record.part is not None:
        children = loops.child_list(it, owner, world)
        if children is not None and known:
            chosen = children[slice(*bounds)]
            return loops.some_of(it, tuple(m for _, child in chosen for m in it.members(child, world)), world)
        return loops.some_of(it, loops.sliced(it.members(owner, world), text), world)
    if isinstance(owner, Const) and isinstance(owner.value, (str, tuple)) and known:
        return Const(owner.value[slice(*bounds)])
    return Sym(("slice", owner, text))


def frozen_parts(world: World, part: Part) -> list[Part]:
    """The leaves of a part that are frozen now."""
    run = Run(world.state)
    return [leaf for leaf in leaves((part,)) if run.flag(leaf) is NO]
