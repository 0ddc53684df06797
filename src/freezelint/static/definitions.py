"""What a definition says by itself: an argument that is never read, an attribute that hides a method of its class.

These need no run: the definition is the evidence. Each stays silent where the same lines could be meant so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import libcst as cst

from freezelint.static import classes
from freezelint.static.evaluate import source
from freezelint.static.interpreter import Interpreter, Scope
from freezelint.static.modules import Module, definitions, dotted
from freezelint.static.world import World
from freezelint.trace import events as ev
from freezelint.trace.tri import YES

_FREEZES = re.compile(r"(?:^|_)(?:freez\w*|frozen)(?:_|$)")
_TRAINS = re.compile(r"(?:^|_)(?:unfreeze|trainable|fine_?tune|requires_grad)$")
_ABOUT_FREEZING = re.compile(r"freez|frozen|trainable|tune|requires_grad")
# What a function must do for an argument about freezing to have something to say in it.
_BUILDS = re.compile(
    r"pretrained|load_state_dict|\brequires_grad|weights\s*=[\s(]*(?:[\"']|\w*Weights)|\bmodels\.\w+\(|create_model\(|torch\.hub\.load"
)
# Where every argument is read at once, or where it says that it is there for the signature only.
_READS_ALL = re.compile(
    r"\blocals\(|\bvars\(|\binspect\b|save_hyperparameters|signature|__dict__|\bkwargs\b|\bself\.config\b|"
    r"(?i:(?<!-)unused|not used|deprecat|ignored|compat|legacy|no effect|not supported|not implemented|todo|"
    r"placeholder)"
)
_HARMLESS_DECORATORS = frozenset({"staticmethod", "classmethod"})
_PLAIN_BASES = frozenset({"Module", "LightningModule", "object"})


def tell(it: Interpreter, module: Module) -> None:
    """Tell the rules of what the definitions of a file say by themselves."""
    freezes = "freez" in module.text or "frozen" in module.text or "trainable" in module.text
    if not freezes and not re.search(r"self\.train[ \t]*=(?!=)", module.text):
        return
    it.scope = Scope(module)
    if freezes or "tune" in module.text:
        for cls, node in _functions(module, module.tree.body, None):
            _unread(it, cls, node)
    for defined in definitions(module.tree.body):
        if isinstance(defined, cst.ClassDef):
            _hidden(it, defined)


def _functions(
    module: Module, body: Any, cls: cst.ClassDef | None
) -> Iterator[tuple[cst.ClassDef | None, cst.FunctionDef]]:
    """The functions of a file and the methods of those of its classes that are about freezing."""
    for node in definitions(body):
        if isinstance(node, cst.FunctionDef):
            yield cls, node
        elif _ABOUT_FREEZING.search(module.code(node.body)):
            yield from _functions(module, node.body.body, node)


# Arguments ------------------------------------------------------------------------------------------------------------


def _unread(it: Interpreter, cls: cst.ClassDef | None, node: cst.FunctionDef) -> None:
    named = [p for p in (*node.params.params, *node.params.kwonly_params) if _about_freezing(p.name.value)]
    if not named or not _own_business(cls, node):
        return
    text = it.scope.module.code(node)
    if not _BUILDS.search(text) or _READS_ALL.search(text):
        return
    read = {name.value for name in nodes(node.body, cst.Name)}
    called = cls.name.value if cls is not None and node.name.value == "__init__" else node.name.value
    for param in named:
        name = param.name.value
        if name in read or re.search(rf"[\"'.]{name}\b", text):
            continue
        default = it.scope.module.code(param.default) if param.default is not None else ""
        given = _given(it, called, name, default)
        it.emit(
            World(), ev.UnreadArgument(site=it.place(param), function=called, name=name, default=default, given=given)
        )


def _about_freezing(name: str) -> bool:
    return not name.startswith("_") and bool(_FREEZES.search(name) or _TRAINS.search(name))


def _own_business(cls: cst.ClassDef | None, node: cst.FunctionDef) -> bool:
    """Whether the signature is the function's own, not one that a base class, a decorator or a stub asks for."""
    if any(dotted(d.decorator) not in _HARMLESS_DECORATORS for d in node.decorators) or node.params.star_kwarg:
        return False
    if cls is None:
        return True
    if cls.decorators:
        return False
    bases = [dotted(base.value).rpartition(".")[2] for base in cls.bases]
    return node.name.value == "__init__" and all(base in _PLAIN_BASES for base in bases)


def _given(it: Interpreter, called: str, name: str, default: str) -> bool:
    """Whether a call in the same file gives the argument by name, and not as its default."""
    for call in nodes(it.scope.module.tree, cst.Call):
        if dotted(call.func).rpartition(".")[2] == called:
            for arg in call.args:
                if arg.keyword is not None and arg.keyword.value == name and source(it, arg.value) != default:
                    return True
    return False


# Hidden methods -------------------------------------------------------------------------------------------------------

_MAY_HIDE = re.compile(r"\bself\.(?:train|_?(?:un)?freeze\w*)[ \t]*=(?!=)")


def _hidden(it: Interpreter, node: cst.ClassDef) -> None:
    """`self.freeze_bn = freeze_bn` in a class with `def freeze_bn`; `self.train = train` in an nn.Module."""
    if not _MAY_HIDE.search(it.scope.module.code(node.body)):
        return
    info = it.cls(it.scope.module, node)
    methods = {
        name: what
        for name, what in info.members.items()
        if isinstance(what, cst.FunctionDef) and classes.kind_of(what) in ("method", "class", "static")
    }
    own = {n for n in methods if re.match(r"_?(un)?freeze", n) and not methods[n].decorators}
    switches = {"train"}  # a hidden eval() is missed by its own callers alone: a parent calls train(False)
    written = re.compile(rf"\bself\.(?:{'|'.join(own | switches)})[ \t]*=(?!=)")
    for method in methods.values():
        if not written.search(it.scope.module.code(method.body)):
            continue
        given = {p.name.value: p for p in (*method.params.params, *method.params.kwonly_params)}
        for assign in nodes(method.body, cst.Assign):
            for target in assign.targets:
                text = dotted(target.target)
                name = text.removeprefix("self.")
                if text != f"self.{name}" or name not in (own | switches):
                    continue
                if not _plain(it, assign.value, given, name, node):
                    continue
                if name in switches and name not in own:
                    if classes.is_module(it, info, World()) is not YES or _is_bool(assign.value):
                        continue  # told where it is written, as a mode
                value = it.scope.module.code(assign.value)
                it.emit(
                    World(),
                    ev.HidMethod(site=it.place(target), cls=info.name, name=name, value=value, own=name in methods),
                )


def _plain(
    it: Interpreter, value: cst.BaseExpression, given: dict[str, cst.Param], name: str, cls: cst.ClassDef
) -> bool:
    """Whether a value is surely no function: a constant, a setting of that name, or an argument that is a flag."""
    if _is_bool(value) or isinstance(value, (cst.Integer, cst.SimpleString)):
        return True
    text = dotted(value)
    used = re.search(rf"\b(?:if|elif|while|not|and|or)[\s(]+self\.{name}\b(?!\s*\()", it.scope.module.code(cls))
    param = given.get(text)
    if param is not None:
        annotated = param.annotation is not None and dotted(param.annotation.annotation) == "bool"
        return annotated or _is_bool(param.default) or (used is not None and param.annotation is None)
    return "." in text and not text.startswith("self.") and text.endswith(f".{name}") and used is not None


def _is_bool(value: cst.BaseExpression | None) -> bool:
    return isinstance(value, cst.Name) and value.value in ("True", "False")


def nodes(node: cst.CSTNode, kind: Any) -> Iterator[Any]:
    """Every node of a kind below a node."""
    for child in node.children:
        if isinstance(child, kind):
            yield child
        yield from nodes(child, kind)
