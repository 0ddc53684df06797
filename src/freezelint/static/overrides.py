"""Classes that define `train` or `eval` themselves: what the definition looks like from nn.Module's side."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import libcst as cst

from freezelint.static import classes
from freezelint.static.interpreter import Interpreter
from freezelint.static.modules import ClassInfo, dotted
from freezelint.static.world import World
from freezelint.trace import events as ev
from freezelint.trace.tri import YES

_NAMED = re.compile(r"(?<![.\w])(?:train|eval)\b")
_LOOPS = ("backward", "step", "zero_grad")  # what a training loop calls


def tell(it: Interpreter, cls: ClassInfo, world: World) -> None:
    """Tell the rules of each `train` and `eval` that a Module class of the project defines."""
    if not _NAMED.search(cls.module.code(cls.node.body)):
        return
    if not {"train", "eval"} & cls.members.keys() or classes.is_module(it, cls, world) is not YES:
        return
    for name in ("train", "eval"):
        what = cls.members.get(name)
        if isinstance(what, cst.FunctionDef) and classes.kind_of(what) == "method":
            if not _abstract(what):
                it.emit(world, _of_function(it, cls, name, what))
        elif isinstance(what, (cst.Assign, cst.AnnAssign)) and _is_flag(what.value):
            it.emit(world, _event(it, cls, name, what, is_function=False))


def _event(it: Interpreter, cls: ClassInfo, name: str, node: cst.CSTNode, **facts: Any) -> ev.OverrodeTrain:
    known = {"takes_mode": True, "calls_super": True, "returns_self": True} | facts
    return ev.OverrodeTrain(site=it.place(node), cls=cls.name, name=name, **known)


def _of_function(it: Interpreter, cls: ClassInfo, name: str, node: cst.FunctionDef) -> ev.OverrodeTrain:
    params = node.params
    plain = [*params.posonly_params, *params.params][1:]
    required = [p for p in plain if p.default is None] + [p for p in params.kwonly_params if p.default is None]
    open_end = isinstance(params.star_arg, cst.Param)
    takes = len(required) <= 1 and (bool(plain) or open_end) if name == "train" else not required
    calls = list(_calls(node.body))
    switches = any(_switches(call, name) for call in calls)
    # An override that does nothing is a way to pin the mode; one that sets the mode of what it holds does the job too.
    hands_on = switches or not calls or _sets_mode(node.body)
    returns = any(r.value is not None for r in _nodes(node.body, cst.Return))
    trains = not takes and any(_last(call) in _LOOPS for call in calls)
    return _event(it, cls, name, node.name, takes_mode=takes, calls_super=hands_on, returns_self=returns, trains=trains)


_WHOLE = ("self", "nn.Module", "torch.nn.Module")


def _switches(call: cst.Call, override: str) -> bool:
    """`super().train(mode)`, `nn.Module.train(self, mode)`, `child.train(mode)`; in an `eval` also `child.eval()`."""
    if not isinstance(call.func, cst.Attribute):
        return False
    owner, name = call.func.value, call.func.attr.value
    if isinstance(owner, cst.Call):
        return dotted(owner.func) == "super"
    return name == "train" or (name == "eval" and (override == "eval" or dotted(owner) in _WHOLE))


def _sets_mode(node: cst.CSTNode) -> bool:
    return any(dotted(target.target).endswith("training") for target in _nodes(node, cst.AssignTarget))


def _last(call: cst.Call) -> str:
    return dotted(call.func).rpartition(".")[2] if not isinstance(call.func, cst.Attribute) else call.func.attr.value


def _abstract(node: cst.FunctionDef) -> bool:
    """Left to subclasses, or only there for the type checker."""
    decorated = any("abstract" in dotted(d.decorator) or "overload" in dotted(d.decorator) for d in node.decorators)
    return decorated or (any(True for _ in _nodes(node.body, cst.Raise)) and not any(_calls(node.body)))


def _calls(node: cst.CSTNode) -> Iterator[cst.Call]:
    for call in _nodes(node, cst.Call):
        if not _last(call).endswith(("Error", "super")):
            yield call


def _nodes(node: cst.CSTNode, kind: Any) -> Iterator[Any]:
    for child in node.children:
        if isinstance(child, kind):
            yield child
        if not isinstance(child, (cst.FunctionDef, cst.Lambda, cst.ClassDef)):
            yield from _nodes(child, kind)


def _is_flag(value: cst.BaseExpression | None) -> bool:
    return isinstance(value, cst.Name) and value.value in ("True", "False", "None")
