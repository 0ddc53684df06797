"""Loss classes looked at alone: whether what they give back can carry a gradient to what they are given."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from freezelint.static import arguments, classes, forward
from freezelint.static.arguments import Args
from freezelint.static.interpreter import Interpreter
from freezelint.static.modules import ClassInfo, Module, definitions
from freezelint.static.values import Obj, Tensor, Value
from freezelint.static.world import World, serial
from freezelint.trace import events as ev
from freezelint.trace.regions import Part
from freezelint.trace.tri import YES


def candidates(it: Interpreter, module: Module) -> Iterator[ClassInfo]:
    """The loss classes of a file that has a grad mode, but for those that are under it as a whole: they measure."""
    if "no_grad" not in module.text and "inference_mode" not in module.text:
        return
    for node in definitions(module.tree.body):
        if isinstance(node, cst.ClassDef) and node.name.value.endswith("Loss"):
            cls = it.cls(module, node)
            method = cls.members.get("forward")
            if isinstance(method, cst.FunctionDef) and not method.decorators and not _returns_inside(method.body):
                yield cls


def _returns_inside(node: cst.CSTNode, within: bool = False) -> bool:
    """Whether a `return` stands in a `with`."""
    if isinstance(node, cst.Return):
        return within
    return any(_returns_inside(child, within or isinstance(node, cst.With)) for child in node.children)


def alone(it: Interpreter, cls: ClassInfo, world: World) -> list[World]:
    """Run an instance on inputs that require grad; tell the rules when nothing of what comes back has a graph."""
    if classes.is_module(it, cls, world) is not YES:
        return []
    method = cls.members["forward"]
    done: list[World] = []
    for owner, made in classes.create(it, cls, Args(more=True), cls.node, world):
        if not isinstance(owner, Obj):
            continue
        inputs: list[Value] = [_input(it, param.name.value, made) for param in method.params.params[1:3]]
        for value, after in forward.run(it, owner, Args(inputs, more=True), method, made):
            _tell(it, value, frozenset().union(*(v.uses for v in inputs if isinstance(v, Tensor))), method, after)
            done.append(after)
    return done


def _input(it: Interpreter, name: str, world: World) -> Tensor:
    region, number = frozenset({Part(name)}), serial()
    node = it.scope.module.tree
    it.emit(world, ev.CreateModule(site=it.place(node), region=region, kind="input"))
    it.emit(world, ev.Forward(site=it.place(node), serial=number, region=region, label=name))
    return Tensor(frozenset({ev.Use(number)}))


def _tell(it: Interpreter, value: Value, given: frozenset[ev.Use], node: cst.CSTNode, world: World) -> None:
    results = arguments.inside(value, world)
    if not results or not all(isinstance(r, Tensor) and r.uses and not r.loose for r in results):
        return
    uses = frozenset(use for r in results if isinstance(r, Tensor) for use in r.uses)
    wanted = {use.serial for use in given}
    if {use.serial for use in uses if use.cut is not None} >= wanted and not any(use in uses for use in given):
        if all(r.complete is YES for r in results if isinstance(r, Tensor)):
            it.emit(world, ev.AddTerm(site=it.place(node), uses=uses, text="", whole=True))
