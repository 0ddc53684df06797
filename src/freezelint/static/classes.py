"""Classes of the project: their bases and members, and instances of them."""

from __future__ import annotations

import re
from typing import Any

import libcst as cst

from freezelint.knowledge import canonical, look_up
from freezelint.knowledge.rows import ContainerRow, LayerRow, ModuleBase, OptimizerRow, SchedulerRow
from freezelint.static import arguments, functions, optimizers
from freezelint.static.evaluate import evaluate
from freezelint.static.interpreter import Interpreter, Outcomes, Scope
from freezelint.static.modules import ClassInfo, dotted
from freezelint.static.names import settle
from freezelint.static.values import Cls, Func, Instance, Lib, Method, Obj, Super, Sym, Value
from freezelint.static.world import World, serial
from freezelint.trace import events as ev
from freezelint.trace.regions import Layer, Part
from freezelint.trace.tri import NO, UNSURE, YES, Tri

Entry = Any  # ClassInfo, a library name, or None for a base that is not known


def order(it: Interpreter, cls: ClassInfo, world: World) -> list[Entry]:
    """A class and its bases in the order in which names are looked up (depth first; close enough to C3)."""
    if cls.order is None:
        cls.order = [cls]  # a class that inherits from itself through a cycle ends here
        found: list[Entry] = [cls]
        scope, it.scope = it.scope, Scope(cls.module)
        try:
            for arg in cls.node.bases:
                if arg.star:
                    found.append(None)
                    continue
                base = _base(it, arg.value, world)
                found += order(it, base, world) if isinstance(base, ClassInfo) else [base]
        finally:
            it.scope = scope
        kept: list[Entry] = []
        seen: set[Entry] = set()
        for entry in reversed(found):
            if entry is None or entry not in seen:
                kept.append(entry)
                seen.add(entry)
        cls.order = kept[::-1]
    return cls.order


def _base(it: Interpreter, node: cst.BaseExpression, world: World) -> Entry:
    if isinstance(node, cst.Subscript):  # Generic[T]
        node = node.value
    if not isinstance(node, (cst.Name, cst.Attribute)):
        return None
    value, _ = evaluate(it, node, world)[0]
    value = settle(it, value, world)
    if isinstance(value, Cls):
        return value.info
    return canonical(value.name) if isinstance(value, Lib) else None


_MODULE_ENDINGS = (
    "Module",
    "PreTrainedModel",
    "PretrainedModel",
    "Model",
    "Net",
    "Backbone",
    "Encoder",
    "Decoder",
    "Head",
)
_PLAIN_BASES = frozenset(
    {
        "builtins.object",
        "abc.ABC",
        "typing.Generic",
        "typing.Protocol",
        "enum.Enum",
        "builtins.dict",
        "builtins.list",
        "torch.utils.data.Dataset",
        "torch.autograd.Function",
        "typing.NamedTuple",
        "builtins.Exception",
        "unittest.TestCase",
        "pydantic.BaseModel",
        "builtins.tuple",
        "builtins.str",
        "builtins.int",
        "threading.Thread",
        "argparse.Namespace",
        "torch.optim.Optimizer",
        "torch.optim.lr_scheduler.LRScheduler",
        "torch.utils.data.IterableDataset",
        "torch.utils.data.Sampler",
        "torch.utils.data.DataLoader",
    }
)


def is_module(it: Interpreter, cls: ClassInfo, world: World) -> Tri:
    """Whether a class is an nn.Module. UNSURE when a base is not known and nothing else tells."""
    unsure = False
    for entry in order(it, cls, world):
        if isinstance(entry, str):
            row = look_up(entry)
            if isinstance(row, (ModuleBase, LayerRow, ContainerRow)) or entry.startswith("torch.nn."):
                return YES
            if entry in _PLAIN_BASES or entry.startswith("builtins."):
                continue
            library = entry.split(".")[0]
            if library in _MODEL_LIBRARIES and entry.endswith(_MODULE_ENDINGS):
                return YES
            unsure = True
        elif entry is None:
            unsure = True
    if unsure and "forward" in cls.members:
        return YES
    return UNSURE if unsure else NO


_MODEL_LIBRARIES = frozenset(
    {
        "transformers",
        "timm",
        "torchvision",
        "mmcv",
        "mmengine",
        "mmdet",
        "mmseg",
        "mmcls",
        "mmpretrain",
        "lightning",
        "fairseq",
        "diffusers",
        "torch_geometric",
        "fastai",
        "segmentation_models_pytorch",
        "monai",
        "speechbrain",
        "peft",
        "torchtune",
        "detectron2",
    }
)


def is_lightning(it: Interpreter, cls: ClassInfo, world: World) -> bool:
    """Whether a class is a LightningModule."""
    for entry in order(it, cls, world):
        row = look_up(entry) if isinstance(entry, str) else None
        if isinstance(row, ModuleBase) and row.lightning:
            return True
    return False


_ASKED = re.compile(
    r"\bself\.(\w+)(?:\(|\.(?:named_)?(?:parameters|modules|children)\(|"
    r"\.(?:train|eval|state_dict|requires_grad_|forward\w*|generate|encode_image|encode_text)\()"
)


def used_as_modules(cls: ClassInfo) -> frozenset[str]:
    """The attributes that a class calls, or asks for what only modules have: none of them is a parameter."""
    if cls.uses is None:
        code = cls.module.code(cls.node)
        cls.uses = frozenset(_ASKED.findall(code)) - frozenset(re.findall(r"isinstance\([\s(]*self\.(\w+)", code))
    return cls.uses


_CONTAINER = re.compile(r"\bself\.(\w+)(?:\s*: [\w.\[\], ]+)?\s*=[\s(]*(?:torch\.)?(?:nn\.)?Module(?:List|Dict)\(")
_GROWS = re.compile(r"\bself\.(\w+)(?:\.(?:append|insert|extend|add_module|update)\(|\[[^\]]+\]\s*=(?!=))")


def grows(cls: ClassInfo) -> bool:
    """Whether a method of a class adds to the ModuleList or ModuleDict that its constructor has made."""
    if cls.grown is None:
        code = {name: cls.module.code(m) for name, m in cls.members.items() if isinstance(m, cst.FunctionDef)}
        made = frozenset(_CONTAINER.findall(code.pop("__init__", "")))
        cls.grown = bool(made) and any(made & set(_GROWS.findall(text)) for text in code.values())
    return cls.grown


_READS_MODE = re.compile(r"\bself\.training\b(?!\s*=(?!=))")


def reads_its_mode(it: Interpreter, cls: ClassInfo, world: World) -> bool:
    """Whether the code of a class, or of a base of it in the project, asks for `self.training`."""
    known = (entry for entry in order(it, cls, world) if isinstance(entry, ClassInfo))
    return any(_READS_MODE.search(entry.module.code(entry.node)) for entry in known)


_OF_MODULE = re.compile(
    r"_|register_|training$|extra_repr$|dump_patches$|call_super_init$|set_submodule$|[gs]et_(buffer|extra)"
)

_ANY_NAME = frozenset({"__getattr__", "setattr", "__dict__"})


def lacks(it: Interpreter, cls: ClassInfo, name: str, world: World) -> bool:
    """Whether instances of a Module class surely have no attribute of this name, unless somebody else gives it one:
    the class is in view down to nn.Module, and its code never says the name."""
    from freezelint.static.attributes import MODULE_METHODS

    if name in MODULE_METHODS or _OF_MODULE.match(name):
        return False
    for entry in order(it, cls, world):
        if isinstance(entry, ClassInfo):
            if entry.words is None:
                entry.words = frozenset(re.findall(r"\w+", entry.module.code(entry.node)))
            if name in entry.words or not entry.words.isdisjoint(_ANY_NAME):
                return False
        elif entry not in ("torch.nn.Module", "torch.nn.modules.module.Module", "builtins.object", "abc.ABC"):
            return False
    return True


def layer_base(it: Interpreter, cls: ClassInfo, world: World) -> str | None:
    """The torch layer a class specialises, None when it is none."""
    for entry in order(it, cls, world):
        row = look_up(entry) if isinstance(entry, str) else None
        if isinstance(row, LayerRow):
            return row.kind
        if isinstance(entry, str) and entry.endswith("._BatchNorm"):
            return "BatchNorm2d"
    return None


def member(
    it: Interpreter, cls: ClassInfo, name: str, world: World, after: ClassInfo | None = None
) -> tuple[Any, ClassInfo] | None:
    """What a class's order binds a name to, and where; after class `after` for super()."""
    entries = order(it, cls, world)
    if after is not None:
        entries = entries[entries.index(after) + 1 :] if after in entries else []
    for entry in entries:
        if isinstance(entry, ClassInfo) and name in entry.members:
            return entry.members[name], entry
    return None


def kind_of(node: cst.FunctionDef) -> str:
    """method, property, static or class."""
    for decorator in node.decorators:
        name = dotted(
            decorator.decorator if not isinstance(decorator.decorator, cst.Call) else decorator.decorator.func
        )
        last = name.rpartition(".")[2]
        if last in ("property", "cached_property", "lazy_property"):
            return "property"
        if last == "staticmethod":
            return "static"
        if last == "classmethod":
            return "class"
    return "method"


def of_instance(
    it: Interpreter, owner: Obj, cls: ClassInfo, name: str, node: cst.CSTNode, world: World
) -> Outcomes | None:
    """`owner.name` as its class gives it, None when no class of the project does."""
    found = member(it, cls, name, world)
    if found is None:
        return None
    what, where = found
    if isinstance(what, cst.FunctionDef):
        info = it.function(where.module, what, where)
        kind = kind_of(what)
        if kind == "property":
            return functions.inline(it, Func(info, bound=owner), arguments.Args(), node, world)
        bound: Value | None = None if kind == "static" else Cls(cls) if kind == "class" else owner
        return [(Func(info, bound=bound), world)]
    return [(_value(it, what, where, name, world), world)]


def _value(it: Interpreter, what: Any, where: ClassInfo, name: str, world: World) -> Value:
    if isinstance(what, cst.ClassDef):
        return Cls(it.cls(where.module, what))
    if isinstance(what, (cst.Assign, cst.AnnAssign)) and what.value is not None:
        key = (where.module.path, f"{where.name}.{name}")
        if key in it.resolving:
            return Sym(("class", id(where.node), name), name)
        it.resolving.add(key)
        scope, it.scope = it.scope, Scope(where.module)
        try:
            value, after = evaluate(it, what.value, world)[0]
            return value if after is world else Sym(("class", id(where.node), name), name)
        finally:
            it.scope = scope
            it.resolving.discard(key)
    return Sym(("class", id(where.node), name), name)


def of_class(it: Interpreter, cls: ClassInfo, name: str, world: World) -> Value:
    """`Class.name`."""
    found = member(it, cls, name, world)
    if found is None:
        return Method(Cls(cls), name)
    what, where = found
    if isinstance(what, cst.FunctionDef):
        bound = Cls(cls) if kind_of(what) == "class" else None
        return Func(it.function(where.module, what, where), bound=bound)
    return _value(it, what, where, name, world)


def of_super(it: Interpreter, owner: Super, name: str, world: World) -> Value:
    """`super().name`."""
    record = world.heap.get(owner.owner.serial) if isinstance(owner.owner, Obj) else None
    cls = record.cls if isinstance(record, Instance) and record.cls is not None else owner.cls
    found = member(it, cls, name, world, after=owner.cls)
    if found is not None and isinstance(found[0], cst.FunctionDef):
        bound = owner.owner if kind_of(found[0]) != "static" else None
        return Func(it.function(found[1].module, found[0], found[1]), bound=bound)
    return Method(owner, name)


def create(it: Interpreter, cls: ClassInfo, args: arguments.Args, node: cst.CSTNode, world: World) -> Outcomes:
    """`Class(...)`."""
    entries = order(it, cls, world)
    it.made |= {entry.key for entry in entries if isinstance(entry, ClassInfo)}
    rows = [row for e in entries if isinstance(e, str) and (row := look_up(e)) is not None]
    if is_module(it, cls, world) is not YES:
        if any(isinstance(row, OptimizerRow) for row in rows):
            own = member(it, cls, "step", world)
            skips = own is None or not isinstance(own[0], cst.FunctionDef) or optimizers.asks_for_gradient(own[1])
            return optimizers.build(it, OptimizerRow(skips_none=skips), cls.name, args, node, world)
        base = next((row for row in rows if isinstance(row, SchedulerRow)), None)
        if base is not None:
            return optimizers.scheduler(it, base, cls.name, args, node, world)
    maker = cls.members.get("__new__")
    if isinstance(maker, cst.FunctionDef) and "__init__" not in cls.members:
        if "__new__(" not in cls.module.tree.code_for_node(maker.body):  # a factory that looks like a class
            return functions.inline(it, Func(it.function(cls.module, maker, cls), bound=Cls(cls)), args, node, world)
    owner = new_instance(it, cls, world)
    if any(grows(entry) for entry in entries if isinstance(entry, ClassInfo)):
        it.open.add(owner.serial)
    found = member(it, cls, "__init__", world)
    if found is not None and isinstance(found[0], cst.FunctionDef):
        func = Func(it.function(found[1].module, found[0], found[1]), bound=owner)
        return [(owner, after) for _, after in functions.inline(it, func, args, node, world)]
    _fields(it, cls, owner, args, world)
    return [(owner, world)]


def new_instance(it: Interpreter, cls: ClassInfo, world: World) -> Obj:
    """An instance before its `__init__`."""
    number = serial()
    part = None
    if is_module(it, cls, world) is YES:
        part = Part(f"({cls.name})", layers=_own_layers(it, cls, world))
    world.heap[number] = Instance(cls.name, cls, part)
    if part is not None and part.layers:
        it.emit(
            world, ev.CreateModule(site=it.place(cls.node), lap=it.lap(world), region=frozenset({part}), kind=cls.name)
        )
    return Obj(number)


def _own_layers(it: Interpreter, cls: ClassInfo, world: World) -> dict[str, Layer] | None:
    """What an instance holds before its `__init__` adds anything; None when a base brings layers that are not known."""
    for entry in order(it, cls, world):
        if entry is None:
            return None
        if isinstance(entry, str):
            row = look_up(entry)
            if isinstance(row, LayerRow):
                return {"": Layer(row.kind, row.params)}
            if isinstance(row, (ModuleBase, ContainerRow)) and not entry.startswith("torch.nn.Transformer"):
                continue
            if entry in _PLAIN_BASES or entry.startswith("builtins."):
                continue
            return None
    return {}


def _fields(it: Interpreter, cls: ClassInfo, owner: Obj, args: arguments.Args, world: World) -> None:
    """A dataclass or record: its fields become attributes."""
    names = [n for n, what in cls.members.items() if isinstance(what, cst.AnnAssign)]
    record = world.heap[owner.serial]
    attrs = dict(zip(names, args.pos, strict=False))
    attrs.update({k: v for k, v in args.kw.items()})
    if attrs:
        from dataclasses import replace

        world.heap[owner.serial] = replace(record, attrs={**record.attrs, **attrs})


def decorated(it: Interpreter, func: Func, node: cst.FunctionDef) -> Value:
    """A function under its decorators: they are taken to hand it through; grad modes are applied when it is called."""
    return func
