"""Reading attributes: what `x.name` means for each kind of value."""

from __future__ import annotations

from dataclasses import replace

import libcst as cst

from freezelint.knowledge.zoo import names as architectures
from freezelint.static import assumptions, classes, tensors
from freezelint.static.evaluate import fresh, source
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.names import member_of, settle, top_level
from freezelint.static.values import (
    ON_WRAPPER,
    Cls,
    Cond,
    Const,
    Copy,
    Elem,
    Instance,
    Lib,
    Members,
    Method,
    Mod,
    Obj,
    Opt,
    Params,
    Super,
    Sym,
    Tensor,
    Value,
)
from freezelint.static.world import World, serial
from freezelint.trace import events as ev
from freezelint.trace.regions import Region, Test, View, leaves
from freezelint.trace.run import Run
from freezelint.trace.tri import NO, UNSURE, YES

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


def get(it: Interpreter, owner: Value, name: str, node: cst.CSTNode, world: World) -> Outcomes:
    """`owner.name`."""
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
            return [(settle(it, top_level(it, owner.module, name, world), world), world)]
        return [(settle(it, member_of(owner.module, name), world), world)]
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
    record = world.heap.get(owner.serial)
    if not isinstance(record, Instance):
        return [(Sym(("attr", owner, name), name), world)]
    inner = _unworn(owner, name)
    if inner is not None:
        return [(inner, world)]
    if owner.worn and not owner.path and f"{ON_WRAPPER}.{name}" in record.attrs:
        return [(settle(it, record.attrs[f"{ON_WRAPPER}.{name}"], world), world)]
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


def _unworn(owner: Obj, name: str) -> Obj | None:
    """What a wrapper hands out under this name: what it wraps; None for any other name."""
    if owner.worn.startswith(f"{name}."):
        return Obj(owner.serial, owner.path, owner.worn.removeprefix(f"{name}."))
    if name == "model" and owner.worn == "base_model.model.":
        return Obj(owner.serial, owner.path)
    return None


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
    if isinstance(owner, Elem):
        return _of_element(it, owner, name, world)
    if isinstance(owner, Params) and owner.single:
        if name == "requires_grad":
            flag = _flag_of(owner.region, world)
            # Of the layers that a loop goes over, some are frozen and some are not.
            return Cond(owner.loop, "flag") if owner.loop is not None and not isinstance(flag, Const) else flag
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
            return tensors.cut(it, owner, CUTS[name], node)
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
            return Params(named_like(members, name), single=True, loop=owner.loop)
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


def missing(it: Interpreter, owner: Value, name: str, node: cst.CSTNode, world: World) -> bool:
    """Tell the rules of an attribute that a known model does not have, where that is not provided for."""
    record = world.heap.get(owner.serial) if isinstance(owner, Obj) and not owner.path else None
    if it.guarded or it.caught or not isinstance(record, Instance) or record.part is None or not record.part.layers:
        return False
    if (
        f"{ON_WRAPPER}.{name}" in record.attrs
        or name in record.attrs
        or name not in HEADS
        or any(k.split(".")[0] == name for k in record.part.layers)
    ):
        return False
    _, head_name, kind = head_of(record, world)
    if head_name:
        it.emit(
            world,
            ev.MissingAttribute(
                site=it.place(node), lap=it.lap(world), name=name, text=source(it, node), kind=kind, head_name=head_name
            ),
        )
    return bool(head_name)


def head_of(record: Instance, world: World) -> tuple[Region, str, str]:
    """The head of a library's model, its name and the model's; nothing where a test says that it is another model."""
    row = record.row
    if row is None or record.cls is not None or record.part is None or not row.head or "forward" in record.attrs:
        return frozenset(), "", ""
    name = row.name.rpartition(".")[2]
    for key, assumption in world.assumed.items():
        words = assumptions.words_of(key) if assumption.truth else ()
        if any(w in HEADS for w in words):
            return frozenset(), "", ""  # the program asked which head there is
        if any(architecture_like(w) for w in words) and not any(w.lower() in name or name in w.lower() for w in words):
            return frozenset(), "", ""  # an `else` that built this model need not go with that test
    return frozenset(record.part.at(row.head)), row.head, name


def architecture_like(word: str) -> bool:
    """Whether a word is an architecture's name or the beginning of one."""
    return len(word) > 2 and any(name.startswith(word.lower()) for name in architectures("torchvision"))


def _flag_of(region: Region, world: World) -> Value:
    """`p.requires_grad` of one parameter."""
    flags = {Run(world.state).flag(leaf) for part in region for leaf in part.leaves()}
    if len(flags) == 1:
        flag = next(iter(flags))
        if flag.value != "unsure":
            return Const(flag is not NO)
    return fresh("requires_grad")
