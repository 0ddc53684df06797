"""The interpreter: what all its parts share. It runs source symbolically and feeds training events to the rules.

`evaluate` gives values to expressions, `execute` runs statements, `branches` decides tests, `loops` unrolls or
generalises, `calls` and `methods` say what calls do, `classes` builds instances. Each is a file of functions that take
the interpreter first; an expression has a list of outcomes, one for each world it may lead to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import libcst as cst

from freezelint.knowledge import OWN_EXAMPLES, look_up
from freezelint.knowledge.usual import stands_for
from freezelint.static import twins
from freezelint.static.choices import Choices
from freezelint.static.modules import ClassInfo, FunctionInfo, Module, Modules, Place, definitions, dotted
from freezelint.static.values import (
    Cls,
    Const,
    Elem,
    Func,
    Instance,
    Items,
    Lib,
    Members,
    Mod,
    Obj,
    Params,
    Ref,
    Sym,
    Value,
)
from freezelint.static.world import WORLDS, Assumption, Flow, World, merge, serial
from freezelint.trace import events as ev
from freezelint.trace.check import Rule
from freezelint.trace.regions import Part, Region, View, leaves
from freezelint.trace.run import Excuse, Fault, Run
from freezelint.trace.tri import NO, YES

Outcomes = list[tuple[Value, World]]

ENTRY_FUEL = 60_000  # evaluations a program may take; far more than any training script needs
PART_FUEL = 8_000  # evaluations a function or method may take that is looked at by itself
LOOP_FUEL = 12_000  # and one that holds a training loop
RESERVE = 1.5  # times an entry's fuel that it may take to come to its end in one world
REACH = 600_000  # characters of other files that an entry file's imports may lead through
FILE_FUEL = 240_000  # evaluations all entries of a file may take together
MODEL_NAMES = frozenset(
    ("model", "net", "network", "backbone", "encoder", "decoder", "generator", "discriminator", "student", "teacher",
     "classifier", "netg", "netd", "model_s", "model_t")
)  # fmt: skip
STARS = 16  # files that one name is looked for in through `from X import *`
MANY = 64  # children of a module; looking through more of them takes fuel
CALL_DEPTH = 8  # calls inlined into one another


class OutOfFuel(Exception):
    """An entry took too many evaluations; what it found so far stands."""


@dataclass(frozen=True)
class Found:
    """A fault a rule saw in a world, and what that world had assumed."""

    rule: Rule
    fault: Fault
    assumed: Mapping[Any, Assumption]
    entry: int = 0
    choice: tuple[str, str] | None = None  # a constant of the program, and the value it was given instead of its own
    spoken_for: Any = None  # the place that was looked at, where this one is only known to be its twin


@dataclass(frozen=True)
class Ending:
    """A world that reached the end of its entry: what it had assumed, what was seen on the way, whether it trained."""

    assumed: Mapping[Any, Assumption]
    seen: frozenset[Any]
    trained: bool


@dataclass(frozen=True)
class Scope:
    """Where names are looked up: a frame (None at module level), the frames around it, the module."""

    module: Module
    frame: int | None = None
    outer: tuple[int, ...] = ()
    function: FunctionInfo | None = None
    cls: ClassInfo | None = None
    owner: Value | None = None  # self


@dataclass
class Interpreter:
    """One analysis of one entry file. Worlds come and go; what is here belongs to all of them."""

    modules: Modules
    rules: Iterable[Rule]
    trace: Callable[[str], None] | None = None
    found: list[Found] = field(default_factory=list)
    entry: int = 0
    endings: dict[int, list[Ending]] = field(default_factory=dict)
    hypothetical: bool = False  # what runs now is never called in view: it excuses, it does not accuse
    harmless: set[int] = field(default_factory=set)  # ids of blocks that unfreeze nothing
    excused: set[tuple[str, Any]] = field(default_factory=set)
    # Parts and backwards where a gradient went in some world, and what an optimizer held in one, with its place.
    reached: set[Any] = field(default_factory=set)
    called: set[int] = field(default_factory=set)  # ids of function nodes that were inlined
    made: set[tuple[str, str]] = field(default_factory=set)  # classes of the project, by file and name, and `Net.fit`
    supposed: dict[int, tuple[str, str]] = field(default_factory=dict)  # entries that suppose a `Net.fit` of their own
    trains: bool = False  # a backward was seen
    bare: dict[int, bool] = field(default_factory=dict)  # `x.eval` as a statement: whether x may be a module
    symbolic: dict[Any, int] = field(default_factory=dict)
    proven: set[Any] = field(default_factory=set)  # unknowns that are used as only a module can be
    open: set[int] = field(default_factory=set)  # modules with a child that is not in view, by their serial
    running: list[Any] = field(default_factory=list)  # functions being inlined, to stop recursion
    callers: list[Place] = field(default_factory=list)  # the calls that led to what runs now, outermost first
    resolving: set[tuple[str, str]] = field(default_factory=set)
    closures: set[int] = field(default_factory=set)  # frames that functions defined in them may still read
    defaults: dict[Any, Value] = field(default_factory=dict)  # of command line options, by (parser, name)
    fuel: int = ENTRY_FUEL
    followed: dict[Path, bool] = field(default_factory=dict)  # files that imports led to, and whether they were read
    reach: int = REACH
    tank: int = ENTRY_FUEL  # what `fuel` was when the entry started, without the reserve
    reserve: int = 0  # what an entry may take beyond its tank, in a single world
    floor: int = 0  # where the fuel of a call that is allowed little runs out
    summaries: dict[FunctionInfo, Any] = field(default_factory=dict)  # what is known of functions that were run
    left: int = FILE_FUEL
    unused: cst.CSTNode | None = None  # the call that is a statement, whose value nobody takes
    guarded: int = 0  # `try` blocks around what runs now
    caught: int = 0  # `except` blocks around it
    assigning: cst.BaseExpression | None = None  # what stands right of the `=` that runs now
    turns: int = 0  # calls of code out of view so far
    functions: dict[int, FunctionInfo] = field(default_factory=dict)  # by id of their node
    classes: dict[int, ClassInfo] = field(default_factory=dict)
    settled: dict[tuple[Module, str], Value] = field(default_factory=dict)  # names that are the same in every world
    sources: dict[Part, Region] = field(default_factory=dict)  # what a new parameter was made of
    decided: dict[int, Any] = field(default_factory=dict)  # the name tests that parts of an `if` came to, by node
    tied: dict[Part, tuple[str, tuple[tuple[str, str], ...]]] = field(default_factory=dict)  # kind, (embedding, head)s
    orders: dict[int, tuple[str | None, ...]] = field(default_factory=dict)  # names of what a loop counts, in order
    stretches: dict[int, str] = field(default_factory=dict)  # loops that count, and how far, "" for to the end
    choices: Choices = field(default_factory=Choices)
    choice: tuple[str, str] | None = None
    rebound: dict[tuple[int, str], bool] = field(default_factory=dict)  # whether a function rebinds an argument
    scope: Scope = None  # type: ignore[assignment]
    listeners: dict[type, list[Rule]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for rule in self.rules:
            for kind in rule.on:
                self.listeners.setdefault(kind, []).append(rule)

    # Events ---------------------------------------------------------------------------------------------------------

    def emit(self, world: World, event: ev.Event) -> None:
        """Let the rules see an event in the state before it, then apply it."""
        if self.trace is not None:
            from freezelint.trace.show import show

            where = event.site.module.site(event.site.node) if isinstance(event.site, Place) else None
            self.trace(f"{where.path}:{where.line}: {show(event)}" if where else show(event))
        if isinstance(event, (ev.LoadWeights, ev.Escape)):
            for part in event.region:  # a tree is shared by all worlds: one that loads speaks for the others
                part.root.traits["loads"] = YES
        self.trains = self.trains or isinstance(event, ev.Backward)
        listeners = self.listeners.get(type(event))
        if listeners:
            run = Run(world.state)
            for rule in listeners:
                for fault in rule.check(run, event):
                    if isinstance(fault, Excuse):
                        places = (fault.site, *(twin.built.site for twin in world.twins.get(fault.site, ())))
                        self.excused |= {(rule.slug, place) for place in places}
                    elif not self.hypothetical:
                        world.seen |= {(rule.slug, fault.site)}
                        self.found.append(Found(rule, fault, dict(world.assumed), self.entry, self.choice))
                        for other, twin in twins.faults(world, fault):
                            assumed = {**world.assumed, **twin.assumed}
                            self.found.append(Found(rule, other, assumed, self.entry, self.choice, fault.site))
        if isinstance(event, ev.Backward):
            self._reach(world, event)
        if isinstance(event, ev.BuildOptimizer):
            self.reached |= {(event.site, leaf) for group in event.groups for leaf in leaves(group)}
        self.fuel -= len(world.state.optimizers) // MANY
        world.state = world.state.apply(event)

    def _reach(self, world: World, event: ev.Backward) -> None:
        """Remember where a gradient got to: what is cut in one world only is cut there by choice."""
        if event.uses and (event.complete is not YES or event.loose):
            self.reached.add(event.site)
        if event.complete is not YES:
            seen = {use.serial for use in event.uses}
            for ran in Run(world.state).training_passes(event):
                if ran.recording is not NO and ran.event.serial not in seen:
                    self.reached |= ran.event.region
        for use in event.uses:
            through = world.state.passes.get(use.serial)
            if through is not None and through.cut(use) is None:
                self.reached |= through.event.region
                if any(leaf.has("params") is not NO for part in through.event.region for leaf in part.leaves()):
                    self.reached.add(event.site)

    def place(self, node: cst.CSTNode) -> Place:
        """The site of a node of the running module."""
        return Place(self.scope.module, node)

    def lap(self, world: World) -> int:
        """Which lap of the innermost loop this is."""
        return world.laps[-1] if world.laps else 0

    def default_of(self, value: Value) -> Value | None:
        """The default of a command line option, None when a value is no such option or has none."""
        key = value.key if isinstance(value, Sym) else None
        if isinstance(key, tuple) and key[0] in ("attr", "item") and isinstance(key[1], Sym):
            parsed = key[1].key
            if isinstance(parsed, tuple) and parsed[0] == "parsed":
                name = key[2].value if isinstance(key[2], Const) else key[2]
                return self.defaults.get((parsed[1], name))
        return None

    @property
    def within(self) -> str:
        """The name of the function that runs, "" at the top level."""
        return self.scope.function.name if self.scope.function is not None else ""

    @property
    def limit(self) -> int:
        """How many worlds may live side by side: the less fuel is left, the fewer, so that every entry ends."""
        left = (self.fuel - self.reserve) / self.tank
        return WORLDS if left > 0.8 else 16 if left > 0.6 else 4 if left > 0.3 else 1

    def merge(self, worlds: list[World]) -> list[World]:
        """Worlds that no rule could tell apart become one, and no more are kept than there is fuel for."""
        return merge(worlds, self.limit, self._lose)

    def _lose(self, world: World) -> None:
        """Remember what a world had assumed that is not followed further: what is found in others holds there only."""
        self.end(world, trained=True)

    def end(self, world: World, trained: bool) -> None:
        """Remember how a world ended, and those that it speaks for."""
        ended = self.endings.setdefault(self.entry, [])
        ended.append(Ending(dict(world.assumed), world.seen, trained))
        ended += [Ending(assumed, seen, trained) for assumed, seen in twins.endings(world)]

    def refuel(self, amount: int, reserve: bool = False) -> None:
        """Fuel for the next entry, as far as the file has any left, with a reserve for one that trains."""
        self.left -= self.tank + self.reserve - max(self.fuel, 0)
        self.tank = max(min(amount, self.left), 500)
        self.reserve = max(min(int(RESERVE * amount), self.left - self.tank), 0) if reserve else 0
        self.fuel = self.tank + self.reserve
        self.floor = 0

    def burn(self) -> None:
        """Count an evaluation."""
        self.fuel -= 1
        if self.fuel < self.floor:
            raise OutOfFuel

    # Modules (of torch) ---------------------------------------------------------------------------------------------

    def as_module(self, value: Value, world: World) -> Obj | None:
        """The module a value stands for. An unknown becomes a symbolic module: it has parameters, and no known fact."""
        if isinstance(value, Obj):
            record = world.heap.get(value.serial)
            return value if isinstance(record, Instance) and record.part is not None else None
        if not isinstance(value, Sym):
            return None
        key = value.key
        if isinstance(key, tuple) and key[0] == "attr" and key[1] != value:
            base = key[1]
            if isinstance(base, Obj):
                record = world.heap.get(base.serial)
                if isinstance(record, Instance) and record.part is not None and record.part.layers is None:
                    return Obj(base.serial, f"{base.path}.{key[2]}".lstrip("."))
            elif isinstance(base, Sym):
                owner = self.as_module(base, world)
                if owner is not None:
                    return Obj(owner.serial, f"{owner.path}.{key[2]}".lstrip("."))
        number = self.symbolic.get(value)
        if number is None:
            number = self.symbolic[value] = serial()
        whole, how = _taken_from(key)
        if number not in world.heap and isinstance(whole, (Obj, Sym)):
            owner = self.as_module(whole, world) if isinstance(whole, Obj) or self.in_module(whole) else None
            if owner is not None:  # one of its children, which one is not known
                from freezelint.static.elements import sliced

                shares = sliced(self.members(owner, world), how)
                world.heap[number] = Instance("slice", part=Part("(slice)", layers={}), shares=shares)
        if number not in world.heap:
            part = self._parts.setdefault(number, Part(self._called(value, world)))
            world.heap[number] = Instance("symbolic", part=part, symbolic=True)
        return Obj(number)

    def _called(self, value: Sym, world: World) -> str:
        """What the author calls an unknown: the variable that holds it rather than the call that made it."""
        if value.text.endswith(")"):
            for name, bound in self.locals(world).items():
                if bound == value:
                    return name
        return value.text or "model"

    _parts: dict[int, Part] = field(default_factory=dict)

    def in_module(self, value: Sym) -> bool:
        """Whether an unknown is, or is part of, what was used as a module."""
        key = value.key
        if value in self.symbolic:
            return True
        return (
            isinstance(key, tuple)
            and key[0] == "attr"
            and (isinstance(key[1], Obj) or (isinstance(key[1], Sym) and self.in_module(key[1])))
        )

    def is_symbolic_module(self, value: Value, world: World) -> bool:
        """Whether an unknown has been used as a module, or is an argument called like one: calling it is a forward."""
        if not isinstance(value, Sym):
            return False
        if value in self.symbolic:
            return True
        key = value.key
        if isinstance(key, tuple) and key[0] == "arg" and not value.kind:
            return value.text.lower() in MODEL_NAMES
        return isinstance(key, tuple) and key[0] == "attr" and isinstance(key[1], Sym) and key[1] in self.symbolic

    def members(self, value: Obj, world: World, prefix: str = "") -> Members:
        """Every part of a module with the prefix its names have there, attached children included."""
        return tuple(dict.fromkeys(self.each_member(value, world, prefix)))

    def each_member(
        self, value: Obj, world: World, prefix: str = "", seen: frozenset[Obj] = frozenset()
    ) -> Iterator[tuple[View, Part]]:
        """The members one by one, those of children that are shared as often as they hang in the module."""
        record = world.heap.get(value.serial)
        if not isinstance(record, Instance) or value in seen:
            return
        seen = seen | {value}
        replaced = record.attrs.get(value.path) if value.path else None
        if isinstance(replaced, Obj) and self.registers(replaced, world):
            yield from self.each_member(replaced, world, prefix, seen)
            return
        stem = value.path + "." if value.path else ""
        attached = [
            (path, attr)
            for path, attr in record.attrs.items()
            if isinstance(attr, (Obj, Params, Sym))
            and (not stem or (path.startswith(stem) and path != value.path))
            and self.registers(attr, world)
        ]
        if len(attached) > MANY:
            self.fuel -= len(attached) // 5
        part = record.part
        if part is not None and not (part.layers is not None and not part.layers and not part.children):
            own = part.at(value.path) if value.path else (part,)
            gone = {p for path, _ in attached for p in (part.at(path) if part.layers is None or part.layers else ())}
            if gone:
                own = tuple(leaf for p in own for leaf in p.leaves() if not leaf.is_in(gone))
            view = View(prefix, value.path)
            for p in own:
                yield view, p
        if not value.path:
            for _, p in record.shares:
                yield View(prefix), p
        for path, attr in attached:
            inner = path[len(stem) :]
            where = f"{prefix}.{inner}" if prefix else inner
            if isinstance(attr, Sym):
                attr = self.as_module(attr, world) or attr
            if isinstance(attr, Obj):
                yield from self.each_member(attr, world, where, seen)
            elif isinstance(attr, Params):
                view = View(where)
                for _, p in attr.members:
                    yield view, p
        if value.path and isinstance(replaced, Obj):
            yield from self.each_member(replaced, world, prefix, seen)

    def registers(self, attr: Value, world: World) -> bool:
        """Whether an attribute is a child or a parameter of the module that it is set on."""
        if isinstance(attr, Params):
            return attr.parameter is not None
        if isinstance(attr, Obj):
            record = world.heap.get(attr.serial)
            return isinstance(record, Instance) and record.part is not None
        return isinstance(attr, Sym) and attr in self.symbolic

    def region(self, value: Obj, world: World) -> Region:
        """All parts of a module."""
        return frozenset(part for _, part in self.each_member(value, world))

    def submodules(self, value: Obj, world: World, seen: frozenset[int] = frozenset()) -> list[Obj]:
        """The module instances reachable from this one, itself first."""
        record = world.heap.get(value.serial)
        if not isinstance(record, Instance) or value.serial in seen:
            return []
        found = [value]
        stem = value.path + "." if value.path else ""
        for path, attr in record.attrs.items():
            if path.startswith(stem) and isinstance(attr, Obj) and self.registers(attr, world):
                found += self.submodules(attr, world, seen | {value.serial})
        return found

    def regions_in(self, value: Value, world: World, depth: int = 3) -> Region:
        """Every part reachable from a value: what escapes with it."""
        if isinstance(value, Obj):
            record = world.heap.get(value.serial)
            if isinstance(record, Instance) and record.part is None and depth:
                return frozenset().union(*(self.regions_in(v, world, depth - 1) for v in record.attrs.values()))
            return self.region(value, world)
        if isinstance(value, Params):
            return value.region
        if isinstance(value, Elem):
            if value.what not in ("param", "maybe", "filtered", "module"):
                return frozenset()  # a name, a count, what was computed from them
            return frozenset(p for _, p in world.elements.get(value.loop, ()))
        if isinstance(value, Ref) and depth:
            record = world.heap.get(value.serial)
            inside = record.items if isinstance(record, Items) else record.items.values() if record else ()
            return frozenset().union(*(self.regions_in(v, world, depth - 1) for v in inside))
        items = getattr(value, "items", None)
        if items and depth:
            return frozenset().union(*(self.regions_in(v, world, depth - 1) for v in items))
        if isinstance(value, Sym) and value in self.symbolic:
            module = self.as_module(value, world)
            return self.region(module, world) if module else frozenset()
        return frozenset()

    def locals(self, world: World) -> dict[str, Value]:
        """The names that an assignment in the running scope binds."""
        if self.scope.frame is not None:
            return world.own(self.scope.frame)
        return world.own(self.scope.module.path)

    def globals_of(self, world: World) -> frozenset[str]:
        """The names that the running function declared global."""
        if self.scope.frame is None:
            return frozenset()
        declared = world.names[self.scope.frame].get("\0global")
        items = getattr(declared, "items", ())
        return frozenset(str(c.value) for c in items)

    # Names ----------------------------------------------------------------------------------------------------------

    def name(self, name: str, world: World) -> Value:
        """The value of a name in the running scope."""
        scope = self.scope
        if scope.frame is not None:
            value = world.names[scope.frame].get(name)
            if value is not None:
                return value
            for frame in scope.outer:
                value = world.names.get(frame, {}).get(name)
                if value is not None:
                    return value
        return self.global_name(scope.module, name, world)

    def global_name(self, module: Module, name: str, world: World) -> Value:
        """The value of a top-level name of a module, evaluated when first asked."""
        known = world.names.get(module.path, {}).get(name) or self.settled.get((module, name))
        if known is not None:
            return known
        value = self._bound(module, name, world) or self._starred(module, name, world, {module})
        if value is None:
            if name in BUILTINS:
                return Lib(f"builtins.{name}")
            usual = stands_for(name, starred=bool(module.stars)) if name not in module.bound else ""
            value = Lib(usual) if usual else Sym(("name", module.path, name), name)
        return value

    def _starred(self, module: Module, name: str, world: World, seen: set[Module]) -> Value | None:
        """What `from X import *` brings under a name, through a few other files that do the same."""
        for small in module.stars:
            source = self.imported_module(module, small)
            if isinstance(source, Mod) and source.module not in seen and len(seen) < STARS:
                seen.add(source.module)
                value = self._bound(source.module, name, world) or self._starred(source.module, name, world, seen)
                if value is not None:
                    return value
            elif isinstance(source, Lib) and source.name in _STARRED and look_up(f"{source.name}.{name}"):
                return Lib(f"{source.name}.{name}")
        return None

    def _bound(self, module: Module, name: str, world: World) -> Value | None:
        bound = module.bound.get(name)
        key = (module.path, name)
        if not bound or key in self.resolving:
            return None
        self.resolving.add(key)
        try:
            # Of several bindings (try/except imports, if/else) prefer a definition or import that resolves.
            for what in reversed(bound):
                value = self._binding(module, name, what, world)
                if value is not None and not isinstance(value, Sym) and value != Const(None):
                    break
            if value is not None:
                if isinstance(value, (Func, Cls, Lib, Mod, Const)):
                    self.settled[module, name] = value  # the same in every world
                else:
                    world.own(module.path)[name] = value
                    if not isinstance(value, Sym) and not self._follow(module, name, world):
                        value = world.own(module.path)[name] = Sym(("global", module.path, name), name)
            return value
        finally:
            self.resolving.discard(key)

    def _follow(self, module: Module, name: str, world: World) -> bool:
        """Run what the top level does to a variable's flags once it has it; False if that is not one certain story.

        A function that nothing calls in view, or another file that imports the variable, meets it after all of that.
        """
        from freezelint.static import execute

        steps = _flagging(module, name)
        if not steps:
            return steps is not None
        before, self.scope = self.scope, Scope(module)
        try:
            after = execute.block(self, steps, [world.fork()])
        finally:
            self.scope = before
        if len(after) != 1 or after[0].flow is not Flow.NORMAL:
            return False
        world.take(after[0])
        return True

    def _binding(self, module: Module, name: str, what: Any, world: World) -> Value | None:
        from freezelint.static import classes, evaluate

        if isinstance(what, cst.FunctionDef):
            return classes.decorated(self, Func(self.function(module, what)), what)
        if isinstance(what, cst.ClassDef):
            return Cls(self.cls(module, what))
        if isinstance(what, tuple):
            return self.imported(module, *what)
        if isinstance(what, (cst.Assign, cst.AnnAssign)) and what.value is not None:
            targets = [t.target for t in what.targets] if isinstance(what, cst.Assign) else [what.target]
            if not any(isinstance(t, cst.Name) and t.value == name for t in targets):
                return Sym(("global", module.path, name), name)
            before, self.scope = self.scope, Scope(module)
            try:
                outcomes = evaluate.evaluate(self, what.value, world)
            finally:
                self.scope = before
            value, after = outcomes[0]
            if after is world:
                evaluate.label(self, value, name, world)
                return value
            return Sym(("global", module.path, name), name)
        return None

    def function(
        self, module: Module, node: cst.FunctionDef | cst.Lambda, cls: ClassInfo | None = None
    ) -> FunctionInfo:
        """The one record of a function node."""
        info = self.functions.get(id(node))
        if info is None:
            name = node.name.value if isinstance(node, cst.FunctionDef) else "<lambda>"
            info = self.functions[id(node)] = FunctionInfo(module, node, name, cls)
        return info

    def cls(self, module: Module, node: cst.ClassDef) -> ClassInfo:
        """The one record of a class node."""
        info = self.classes.get(id(node))
        if info is None:
            info = self.classes[id(node)] = ClassInfo(module, node, node.name.value)
        return info

    # Imports --------------------------------------------------------------------------------------------------------

    def follow(self, file: Path) -> Module | None:
        """The parsed file that an import leads to; None when it cannot be read, or this entry file led far enough."""
        if file not in self.followed:
            size = self.modules.size(file)
            self.followed[file] = self.reach >= size
            self.reach -= size if self.followed[file] else 0
        return self.modules.at(file) if self.followed[file] else None

    def read(self) -> list[Module]:
        """The files that imports led to."""
        modules = (self.modules.at(file) for file, was_read in self.followed.items() if was_read)
        return [module for module in modules if module is not None]

    def imported_module(self, module: Module, small: cst.ImportFrom) -> Value:
        """What `from X import ...` imports from."""
        name, level = dotted(small.module), len(small.relative)
        file = self.modules.find(name, module.file, level)
        if file is not None:
            return settle_module(self, file, name)
        return Lib(name) if not level else Sym(("module", module.path, level, name), name)

    def imported(self, module: Module, small: cst.Import | cst.ImportFrom, alias: cst.ImportAlias) -> Value:
        """The value an import statement binds; of the project's own files lazily, until the name is used."""
        if isinstance(small, cst.Import):
            name = dotted(alias.name)
            if not alias.asname:
                name = name.split(".")[0]
            file = self.modules.find(name, module.file)
            return Lib(name) if file is None else _Member(file, "")
        base, level, name = dotted(small.module), len(small.relative), dotted(alias.name)
        file = self.modules.find(base, module.file, level)
        if file is not None and not (base in OWN_EXAMPLES and look_up(f"{base}.{name}") and not self._in(module, file)):
            return _Member(file, name)
        return Lib(f"{base}.{name}") if not level else Sym(("import", module.path, level, base, name), name)

    def _in(self, module: Module, package: Path) -> bool:
        """Whether a file lies in the folder of a package."""
        return package.parent in module.file.parents

    def member_of(self, module: Module, name: str) -> Value:
        """`module.name`, lazily: a marker that `settle` turns into the value in a world."""
        return _Member(module.file, name)


@dataclass(frozen=True, slots=True)
class _Member(Value):
    """A name of a file of the project (or the file itself, "") that was imported and not looked at yet."""

    file: Path
    name: str


def settle_module(it: Interpreter, file: Path, text: str) -> Value:
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
        return settle_module(it, member.file, member.file.stem)
    module = it.follow(member.file)
    if module is None:
        return Sym(("member", str(member.file), member.name), member.name, kind="member")
    if member.name not in module.bound and member.file.name == "__init__.py":
        file = it.modules.find(member.name, module.file, 1)
        if file is not None:
            return settle_module(it, file, member.name)
    if member.name not in module.bound and not module.stars:
        return Sym(("member", module.path, member.name), member.name, kind="member")
    return it.global_name(module, member.name, world)


_STARRED = ("torch", "torch.nn", "torch.optim", "torchvision.models")
BUILTINS = frozenset(dir(__import__("builtins")))


def _taken_from(key: Any) -> tuple[Any, str]:
    """What an unknown was taken out of, and how: `layers[i]`, `layers[-2:]`, `model.get_classifier()`."""
    if isinstance(key, tuple) and key[0] == "item":
        return key[1], "[i]"
    if isinstance(key, tuple) and key[0] == "slice":
        return key[1], key[2]
    called = key[1] if isinstance(key, tuple) and key[0] == "call" else None
    if isinstance(called, Sym) and isinstance(called.key, tuple) and called.key[0] == "attr":
        _, owner, name = called.key
        if isinstance(owner, Obj) and name.startswith("get_"):
            return owner, f".{name}()"
    return None, ""


_FLAGS = re.compile(r"requires_grad|freeze", re.IGNORECASE)


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


_PROGRAM = re.compile(r"\.(backward|step|fit)\(|^if\b.*__name__.*__main__")


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
