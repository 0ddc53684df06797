"""Where analysis starts: the module's top level, then what nobody called, with unknown arguments."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import libcst as cst

from freezelint.static import (
    bare,
    classes,
    definitions,
    evaluate,
    execute,
    expressions,
    forward,
    functions,
    lifecycles,
    losses,
    modes,
    modules,
    overrides,
    statements,
)
from freezelint.static.arguments import Args
from freezelint.static.interpreter import ENTRY_FUEL, LOOP_FUEL, PART_FUEL, Interpreter, OutOfFuel, Scope
from freezelint.static.modules import ClassInfo, Module
from freezelint.static.notebook import MARK
from freezelint.static.prefilter import Segments, is_script, trains
from freezelint.static.values import Const, Func, Instance, Obj
from freezelint.static.world import Flow, World
from freezelint.trace import events as ev
from freezelint.trace.regions import TooFine
from freezelint.trace.tri import UNSURE, YES, Tri

# Statements hold expressions and expressions functions, so what runs them meets here, where nothing imports it back.
execute.HANDLERS.update(statements.KINDS)
evaluate.HANDLERS.update(expressions.KINDS)

UNCALLED_FUEL = 4_000  # for a method that nothing in view calls


def run(it: Interpreter, module: Module) -> None:
    """Everything of a module that can be run."""
    run_program(it, module)
    definitions.tell(it, module)
    defined = list(_segments(module))
    for node, segments in defined:
        if isinstance(node, cst.ClassDef):
            it.refuel(PART_FUEL)
            it.scope = Scope(module)
            with contextlib.suppress(OutOfFuel, TooFine, RecursionError):
                overrides.tell(it, it.cls(module, node), World())
        if isinstance(node, cst.ClassDef) and segments.runs(node.name.value):
            name = node.name.value
            _class(it, module, it.cls(module, node), segments.methods(name), segments.trains(name))
    for node, segments in defined:
        if isinstance(node, cst.FunctionDef) and id(node) not in it.called and segments.runs(node.name.value):
            trains_ = segments.trains(node.name.value)
            _attempt(it, module, lambda w, node=node: _call(it, module, node, w), trains=trains_)
    for cls in losses.candidates(it, module):
        _attempt(it, module, lambda w, cls=cls: losses.alone(it, cls, w))
    _bare_modes(it, module)


def _segments(module: Module) -> Iterator[tuple[cst.FunctionDef | cst.ClassDef, Segments]]:
    """The top-level definitions of a module, each with the scan that knows its text."""
    whole, top = Segments(module.text), set(map(id, module.tree.body))
    for node in modules.definitions(module.tree.body):
        nested = id(node) not in top
        yield node, Segments(module.code(node)) if nested else whole


_BARE = re.compile(r"^[ \t]*[\w.\[\]'\"]+\.(eval|train)[ \t]*(#.*)?$", re.MULTILINE)


def _bare_modes(it: Interpreter, module: Module) -> None:
    """`model.eval` as a statement does nothing wherever it stands, also where no way through the program was seen."""
    if not _BARE.search(module.text):
        return
    it.scope = Scope(module)
    for node in (node for statement in _top_level(module) for node in _bare(statement)):
        if it.bare.get(id(node), True):
            bare.named_not_called(it, "mode", node.attr.value, node, World())


def _bare(node: cst.CSTNode) -> Iterator[cst.Attribute]:
    """The statements below a node that name a mode. libcst's matchers could tell, and take as long to import as it."""
    if isinstance(node, cst.Expr):
        if isinstance(node.value, cst.Attribute) and node.value.attr.value in ("eval", "train"):
            yield node.value
        return
    for child in node.children:
        if isinstance(child, (cst.BaseStatement, cst.BaseSuite, cst.BaseSmallStatement, cst.Else, cst.Finally)):
            yield from _bare(child)
        elif isinstance(child, (cst.ExceptHandler, cst.ExceptStarHandler, cst.MatchCase)):
            yield from _bare(child)


def still_ones(module: Module) -> Iterator[cst.ClassDef]:
    """Classes that put themselves into eval: if nobody in any of the files makes one, its users may train it."""
    for node in modules.definitions(module.tree.body):
        if isinstance(node, cst.ClassDef) and _stills_itself(module, node):
            yield node


def _attempt(
    it: Interpreter,
    module: Module,
    start: object,
    whole: Tri = UNSURE,
    fuel: int = 0,
    trains: bool = False,
) -> None:
    """Run one entry in a world of its own; a lack of fuel ends the entry, not the file."""
    it.refuel(fuel or (LOOP_FUEL if trains else PART_FUEL), reserve=trains)
    it.entry += 1
    it.scope = Scope(module)
    it.running, it.callers = [], []
    it.guarded = it.caught = 0
    try:
        for world in start(World()):  # type: ignore[operator]
            if world.flow is not Flow.RAISE:
                _uncalled(it, module, world)
                it.emit(world, ev.End(site=it.place(module.tree), whole=whole))
                trained = ev.Backward in world.state.last or ev.Step in world.state.last
                it.end(world, trained)
    except (OutOfFuel, TooFine, RecursionError):
        pass


def _uncalled(it: Interpreter, module: Module, world: World) -> None:
    """Run the methods that could change flags and that nothing in view calls, for the excuses they give.

    Code out of view, such as a callback or a notebook, may call them: `unfreeze()` is why a frozen part is held.
    """
    if not world.state.optimizers:
        return
    for number, record in list(world.heap.items()):
        if not isinstance(record, Instance) or record.cls is None:
            continue
        for entry in classes.order(it, record.cls, world):
            methods = entry.members.values() if isinstance(entry, ClassInfo) else ()
            for method in methods:
                if isinstance(method, cst.FunctionDef) and id(method) not in it.called and _unfreezes(entry, method):
                    it.hypothetical, it.scope = True, Scope(module)
                    before, fuel = set(it.called), it.fuel
                    it.fuel = UNCALLED_FUEL
                    try:
                        _method(it, entry, Obj(number), method, world.fork())
                    except (OutOfFuel, TooFine, RecursionError):
                        pass
                    finally:
                        it.hypothetical, it.called, it.fuel = False, before, fuel


def _unfreezes(cls: ClassInfo, method: cst.FunctionDef) -> bool:
    if "requires_grad" not in cls.module.text and "unfreeze" not in cls.module.text:
        return False
    known = _flags.get(id(method))
    if known is None or known[0] is not method:
        text = cls.module.code(method)
        known = _flags[id(method)] = (method, "requires_grad" in text or "unfreeze" in text)
    return known[1]


_flags: dict[int, tuple[cst.FunctionDef, bool]] = {}


def run_program(it: Interpreter, module: Module) -> None:
    """The top level of a module, and all that it calls."""

    def start(world: World) -> list[World]:
        world.own(module.path)["__name__"] = Const("__main__")
        return execute.block(it, _top_level(module), [world])

    loops = is_script(module.text) or trains(module.text)
    _attempt(it, module, start, whole=YES, fuel=ENTRY_FUEL, trains=loops)


def _top_level(module: Module) -> list[cst.CSTNode]:
    """The top level of a module; of a notebook's cells without what stands last in them only to be displayed."""
    body = list(module.tree.body)
    if not module.path.endswith(".ipynb"):
        return list(body)
    kept: list[cst.CSTNode] = []
    for at, statement in enumerate(body):
        follows = body[at + 1] if at + 1 < len(body) else None
        shown = follows is not None and _is_mark(follows) and isinstance(statement, cst.SimpleStatementLine)
        if not _is_mark(statement) and not (shown and _displays(statement)):
            kept.append(statement)
    return kept


def _is_mark(statement: cst.CSTNode) -> bool:
    if not isinstance(statement, cst.SimpleStatementLine) or len(statement.body) != 1:
        return False
    small = statement.body[0]
    return isinstance(small, cst.Expr) and isinstance(small.value, cst.SimpleString) and small.value.value == MARK


def _displays(statement: cst.CSTNode) -> bool:
    assert isinstance(statement, cst.SimpleStatementLine)
    small = statement.body[-1]
    return isinstance(small, cst.Expr) and isinstance(small.value, (cst.Attribute, cst.Name, cst.Comparison))


def _call(it: Interpreter, module: Module, node: cst.FunctionDef, world: World) -> list[World]:
    func = Func(it.function(module, node))
    return [after for _, after in functions.inline(it, func, Args(more=True), node, world)]


def _class(it: Interpreter, module: Module, cls: ClassInfo, names: frozenset[str], trains: bool) -> None:
    """An instance with unknown arguments, and its methods that nothing in the file called."""
    methods = [m for n, m in cls.members.items() if isinstance(m, cst.FunctionDef) and n in names]
    wanted = [m for m in methods if id(m) not in it.called]
    if not wanted:
        return

    made_elsewhere = cls.key in it.made

    def start(world: World) -> list[World]:
        done: list[World] = []
        for owner, after in classes.create(it, cls, Args(more=True), cls.node, world):
            if not made_elsewhere:
                it.made.discard(cls.key)
            if not isinstance(owner, Obj):
                done.append(after)
                continue
            record = after.heap.get(owner.serial)
            if isinstance(record, Instance) and classes.is_lightning(it, cls, after):
                it.supposed[it.entry] = lifecycles.fit_of(cls)
                done += lifecycles.lightning(it, owner, cls.node, after)
                continue
            done.append(after)
            for method in wanted:
                if id(method) not in it.called:
                    it.refuel(LOOP_FUEL if trains else PART_FUEL, reserve=trains)
                    try:
                        done += _method(it, cls, owner, method, after.fork())
                    except (OutOfFuel, TooFine, RecursionError):  # the other methods have fuel of their own
                        it.scope, it.running, it.callers = Scope(module), [], []
        return it.merge(done) if len(done) < 8 else done

    _attempt(it, module, start, trains=trains)
    for method in wanted:  # what a lifecycle or a lack of fuel left out
        if id(method) not in it.called:

            def alone(world: World, method: cst.FunctionDef = method) -> list[World]:
                return _method(it, cls, classes.new_instance(it, cls, world), method, world)

            _attempt(it, module, alone, trains=trains)


def run_alone(it: Interpreter, module: Module, node: cst.ClassDef) -> None:
    """A class of which it is supposed that its user calls train() on an instance and runs it."""
    it.scope = Scope(module)
    cls = it.cls(module, node)

    def start(world: World) -> list[World]:
        done: list[World] = []
        for owner, made in classes.create(it, cls, Args(more=True), cls.node, world):
            if isinstance(owner, Obj) and not classes.is_lightning(it, cls, made):
                for _, after in modes.switch(it, owner, "train", Args(), cls.node, made, by="supposed"):
                    done += [ran for _, ran in forward.run(it, owner, Args(more=True), cls.node, after)]
        return done

    _attempt(it, module, start)


def _stills_itself(module: Module, node: cst.ClassDef) -> bool:
    """Whether only the constructor (or what is private) calls eval(): a public method may be called after train()."""
    if ".eval()" not in module.code(node.body):
        return False
    members = ClassInfo(module, node, node.name.value).members
    methods = {name: m for name, m in members.items() if isinstance(m, cst.FunctionDef)}
    stills = {name for name, m in methods.items() if ".eval()" in module.code(m)}
    return bool(stills) and all(name == "__init__" or name.startswith("_") for name in stills - {"forward", "train"})


def _method(it: Interpreter, cls: ClassInfo, owner: Obj, method: cst.FunctionDef, world: World) -> list[World]:
    func = Func(it.function(cls.module, method, cls), bound=owner if classes.kind_of(method) != "static" else None)
    return [after for _, after in functions.inline(it, func, Args(more=True), method, world)]
