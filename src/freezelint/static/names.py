"""Names: what a name stands for in the running scope, at the top level of a file, and behind an import."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libcst as cst

from freezelint.knowledge import OWN_EXAMPLES, look_up
from freezelint.knowledge.usual import stands_for
from freezelint.static import evaluate, execute
from freezelint.static.interpreter import Interpreter, Scope
from freezelint.static.modules import Module, definitions, dotted
from freezelint.static.values import Cls, Const, Func, Lib, Mod, Obj, Sym, Value
from freezelint.static.world import Flow, World

STARS = 16  # files that one name is looked for in through `from X import *`
_STARRED = ("torch", "torch.nn", "torch.optim", "torchvision.models")
BUILTINS = frozenset(dir(__import__("builtins")))
_FLAGS = re.compile(r"requires_grad|freeze", re.IGNORECASE)
_PROGRAM = re.compile(r"\.(backward|step|fit)\(|^if\b.*__name__.*__main__")


def in_scope(it: Interpreter, name: str, world: World) -> Value:
    """The value of a name in the running scope."""
    scope = it.scope
    if scope.frame is not None:
        value = world.names[scope.frame].get(name)
        if value is not None:
            return value
        for frame in scope.outer:
            value = world.names.get(frame, {}).get(name)
            if value is not None:
                return value
    return top_level(it, scope.module, name, world)


def top_level(it: Interpreter, module: Module, name: str, world: World) -> Value:
    """The value of a top-level name of a module, evaluated when first asked."""
    known = world.names.get(module.path, {}).get(name) or it.settled.get((module, name))
    if known is not None:
        return known
    value = _bound(it, module, name, world) or _starred(it, module, name, world, {module})
    if value is None:
        if name in BUILTINS:
            return Lib(f"builtins.{name}")
        usual = stands_for(name, starred=bool(module.stars)) if name not in module.bound else ""
        value = Lib(usual) if usual else Sym(("name", module.path, name), name)
    return value


def _starred(it: Interpreter, module: Module, name: str, world: World, seen: set[Module]) -> Value | None:
    """What `from X import *` brings under a name, through a few other files that do the same."""
    for small in module.stars:
        source = imported_module(it, module, small)
        if isinstance(source, Mod) and source.module not in seen and len(seen) < STARS:
            seen.add(source.module)
            value = _bound(it, source.module, name, world) or _starred(it, source.module, name, world, seen)
            if value is not None:
                return value
        elif isinstance(source, Lib) and source.name in _STARRED and look_up(f"{source.name}.{name}"):
            return Lib(f"{source.name}.{name}")
    return None


def _bound(it: Interpreter, module: Module, name: str, world: World) -> Value | None:
    bound = module.bound.get(name)
    key = (module.path, name)
    if not bound or key in it.resolving:
        return None
    it.resolving.add(key)
    try:
        # Of several bindings (try/except imports, if/else) prefer a definition or import that resolves.
        for what in reversed(bound):
            value = _binding(it, module, name, what, world)
            if value is not None and not isinstance(value, Sym) and value != Const(None):
                break
        if value is not None:
            if isinstance(value, (Func, Cls, Lib, Mod, Const)):
                it.settled[module, name] = value  # the same in every world
            else:
                world.own(module.path)[name] = value
                flagged = isinstance(value, Obj) and it.as_module(value, world) is not None
                if flagged and not _run_on(it, module, name, world):
                    value = world.own(module.path)[name] = Sym(("global", module.path, name), name)
        return value
    finally:
        it.resolving.discard(key)


def _run_on(it: Interpreter, module: Module, name: str, world: World) -> bool:
    """Run what the top level does to a model's flags once a variable has it; False if that is not one certain story.

    A function that nothing calls in view, or another file that imports the variable, meets it after all of that.
    """
    steps = _flagging(module, name)
    if not steps:
        return steps is not None
    before, it.scope = it.scope, Scope(module)
    try:
        after = execute.block(it, steps, [world.fork()])
    finally:
        it.scope = before
    if len(after) != 1 or after[0].flow is not Flow.NORMAL:
        return False
    world.take(after[0])
    return True


def _binding(it: Interpreter, module: Module, name: str, what: Any, world: World) -> Value | None:
    from freezelint.static import classes

    if isinstance(what, cst.FunctionDef):
        return classes.decorated(it, Func(it.function(module, what)), what)
    if isinstance(what, cst.ClassDef):
        return Cls(it.cls(module, what))
    if isinstance(what, tuple):
        return imported(it, module, *what)
    if isinstance(what, (cst.Assign, cst.AnnAssign)) and what.value is not None:
        targets = [t.target for t in what.targets] if isinstance(what, cst.Assign) else [what.target]
        if not any(isinstance(t, cst.Name) and t.value == name for t in targets):
            return Sym(("global", module.path, name), name)
        before, it.scope = it.scope, Scope(module)
        try:
            outcomes = evaluate.evaluate(it, what.value, world)
        finally:
            it.scope = before
        value, after = outcomes[0]
        if after is world:
            evaluate.label(it, value, name, world)
            return value
        return Sym(("global", module.path, name), name)
    return None


def _flagging(module: Module, name: str) -> list[cst.CSTNode] | None:
    """The statements of the top level that change a variable from when it is bound, if any of them is on flags; None
    when one that makes it trains it as well: who meets it in the middle of that, and how, is not known."""
    if not _FLAGS.search(module.text):
        return []
    word = re.compile(rf"(?<![\w.]){re.escape(name)}\b")
    own: list[cst.CSTNode] = [
        node
        for node in _top(module.tree.body)
        if isinstance(node, (cst.SimpleStatementLine, cst.For, cst.If, cst.With)) and word.search(module.code(node))
    ]
    starts = [at for at, node in enumerate(own) if _assigns(node, name)]
    later = [node for node in own[starts[-1] + 1 if starts else 0 :] if not _assigns(node)]
    programs = [code for node in later if _PROGRAM.search(code := module.code(node))]
    if any(_FLAGS.search(code) and re.search(rf"(?<![\w.]){re.escape(name)}[ \t]*=(?!=)", code) for code in programs):
        return None
    later = [node for node in later if not _PROGRAM.search(module.code(node))]
    return later if any(_FLAGS.search(module.code(node)) for node in later) else []


def _top(body: Iterable[cst.CSTNode]) -> Iterator[cst.CSTNode]:
    """The statements of the top level; a function below an `if` is only there with what else stands below it."""
    for node in body:
        below = node.body.body if isinstance(node, cst.If) and node.orelse is None else ()
        if next(definitions(below), None) is not None:
            yield from _top(below)
        else:
            yield node


def _assigns(node: cst.CSTNode, name: str = "") -> bool:
    """Whether a line gives a value to a variable."""
    if not isinstance(node, cst.SimpleStatementLine):
        return False
    for small in node.body:
        if isinstance(small, (cst.Assign, cst.AnnAssign)):
            targets = [t.target for t in small.targets] if isinstance(small, cst.Assign) else [small.target]
            if any(isinstance(t, cst.Name) and (not name or t.value == name) for t in targets):
                return True
    return False


def imported_module(it: Interpreter, module: Module, small: cst.ImportFrom) -> Value:
    """What `from X import ...` imports from."""
    name, level = dotted(small.module), len(small.relative)
    file = it.modules.find(name, module.file, level)
    if file is not None:
        return _module_in(it, file, name)
    return Lib(name) if not level else Sym(("module", module.path, level, name), name)


def imported(it: Interpreter, module: Module, small: cst.Import | cst.ImportFrom, alias: cst.ImportAlias) -> Value:
    """The value an import statement binds; of the project's own files lazily, until the name is used."""
    if isinstance(small, cst.Import):
        name = dotted(alias.name)
        if not alias.asname:
            name = name.split(".")[0]
        file = it.modules.find(name, module.file)
        return Lib(name) if file is None else _Member(file, "")
    base, level, name = dotted(small.module), len(small.relative), dotted(alias.name)
    file = it.modules.find(base, module.file, level)
    if file is not None and not (base in OWN_EXAMPLES and look_up(f"{base}.{name}") and not _inside(module, file)):
        return _Member(file, name)
    return Lib(f"{base}.{name}") if not level else Sym(("import", module.path, level, base, name), name)


def _inside(module: Module, package: Path) -> bool:
    """Whether a file lies in the folder of a package."""
    return package.parent in module.file.parents


def member_of(module: Module, name: str) -> Value:
    """`module.name`, lazily: a marker that `settle` turns into the value in a world."""
    return _Member(module.file, name)


@dataclass(frozen=True, slots=True)
class _Member(Value):
    """A name of a file of the project (or the file itself, "") that was imported and not looked at yet."""

    file: Path
    name: str


def _module_in(it: Interpreter, file: Path, text: str) -> Value:
    """The module in a file, unknown when it is not followed."""
    found = it.follow(file)
    return Mod(found) if found else Sym(("module", str(file)), text)


def settle(it: Interpreter, value: Value, world: World) -> Value:
    """The value behind a lazily imported name."""
    hops = 0
    while isinstance(value, _Member) and hops < 12:
        value = _member(it, value, world)
        hops += 1
    return Sym(("cycle",)) if isinstance(value, _Member) else value


def _member(it: Interpreter, member: _Member, world: World) -> Value:
    if not member.name:
        return _module_in(it, member.file, member.file.stem)
    module = it.follow(member.file)
    if module is None:
        return Sym(("member", str(member.file), member.name), member.name, kind="member")
    if member.name not in module.bound and member.file.name == "__init__.py":
        file = it.modules.find(member.name, module.file, 1)
        if file is not None:
            return _module_in(it, file, member.name)
    if member.name not in module.bound and not module.stars:
        return Sym(("member", module.path, member.name), member.name, kind="member")
    return top_level(it, module, member.name, world)
