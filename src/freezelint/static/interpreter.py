"""The interpreter: what all its parts share. It runs source symbolically and feeds training events to the rules.

Each of its parts is a file of functions that take the interpreter first:

    statements    execute, statements, assignments, bare, conditionals, compound, loops
    expressions   evaluate, expressions, operators, comparisons, comprehensions, attributes, subscripts, names
    tests         assumptions, branches, matching, counting
    calls         calls, arguments, functions, summaries; methods and methods_of_*; builtin, iterables, introspection;
                  library, zoo, adapters, loading, trainers, lifecycles
    models        classes, children, flags, modes, forward, writing, written, containers, elements, order
    training      tensors, optimizers, losses

`execute.block` runs statements in worlds and gives worlds; `evaluate.evaluate` gives the outcomes of an expression: a
value for each world it may lead to. `entries` says where a run starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import libcst as cst

from freezelint.static import twins
from freezelint.static.choices import Choices
from freezelint.static.modules import ClassInfo, FunctionInfo, Module, Modules, Place
from freezelint.static.values import (
    Const,
    Elem,
    Instance,
    Items,
    Members,
    Obj,
    Params,
    Ref,
    Sym,
    Value,
)
from freezelint.static.world import WORLDS, Assumption, World, merge, serial
from freezelint.trace import events as ev
from freezelint.trace.check import Rule
from freezelint.trace.regions import BY_NAME, Part, Region, View, leaves
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
    listeners: dict[type, list[Rule]] = field(default_factory=dict)  # rules by the kind of event they wake at

    # What the rules said, and of which entry.
    found: list[Found] = field(default_factory=list)
    excused: set[tuple[str, Any]] = field(default_factory=set)
    endings: dict[int, list[Ending]] = field(default_factory=dict)
    entry: int = 0
    supposed: dict[int, tuple[str, str]] = field(default_factory=dict)  # entries that suppose a `Net.fit` of their own
    hypothetical: bool = False  # what runs now is never called in view: it excuses, it does not accuse
    harmless: set[int] = field(default_factory=set)  # ids of blocks that unfreeze nothing

    # What some world has done so far.
    # Parts and backwards where a gradient went in some world, and what an optimizer held in one, with its place.
    reached: set[Any] = field(default_factory=set)
    called: set[int] = field(default_factory=set)  # ids of function nodes that were inlined
    made: set[tuple[str, str]] = field(default_factory=set)  # classes of the project, by file and name, and `Net.fit`
    trains: bool = False  # a backward was seen
    turns: int = 0  # calls of code out of view so far
    bare: dict[int, bool] = field(default_factory=dict)  # `x.eval` as a statement: whether x may be a module

    # Where the program is.
    scope: Scope = None  # type: ignore[assignment]
    running: list[Any] = field(default_factory=list)  # functions being inlined, to stop recursion
    callers: list[Place] = field(default_factory=list)  # the calls that led to what runs now, outermost first
    unused: cst.CSTNode | None = None  # the call that is a statement, whose value nobody takes
    assigning: cst.BaseExpression | None = None  # what stands right of the `=` that runs now
    guarded: int = 0  # `try` blocks around what runs now
    caught: int = 0  # `except` blocks around it

    # Fuel: see `refuel`.
    fuel: int = ENTRY_FUEL
    tank: int = ENTRY_FUEL  # what `fuel` was when the entry started, without the reserve
    reserve: int = 0  # what an entry may take beyond its tank, in a single world
    floor: int = 0  # where the fuel of a call that is allowed little runs out
    left: int = FILE_FUEL  # what all entries of the file may still take

    # Files that imports led to, their definitions, and what names stand for in every world.
    followed: dict[Path, bool] = field(default_factory=dict)  # files that imports led to, and whether they were read
    reach: int = REACH  # characters that imports may still lead through
    functions: dict[int, FunctionInfo] = field(default_factory=dict)  # by id of their node
    classes: dict[int, ClassInfo] = field(default_factory=dict)
    resolving: set[tuple[str, str]] = field(default_factory=set)  # names whose bindings are being evaluated
    settled: dict[tuple[Module, str], Value] = field(default_factory=dict)  # names that are the same in every world
    closures: set[int] = field(default_factory=set)  # frames that functions defined in them may still read
    defaults: dict[Any, Value] = field(default_factory=dict)  # of command line options, by (parser, name)

    # What is remembered of calls, of tests, and of options that the program chooses by.
    summaries: dict[FunctionInfo, Any] = field(default_factory=dict)  # what is known of functions that were run
    rebound: dict[tuple[int, str], bool] = field(default_factory=dict)  # whether a function rebinds an argument
    decided: dict[int, Any] = field(default_factory=dict)  # the name tests that parts of an `if` came to, by node
    choices: Choices = field(default_factory=Choices)
    choice: tuple[str, str] | None = None  # the one this run takes, and the value it takes for it

    # Modules that are not known, and what is known of others besides their parts.
    symbolic: dict[Any, int] = field(default_factory=dict)  # unknowns that were used as a module, numbered
    _parts: dict[int, Part] = field(default_factory=dict)  # of unknowns, by the number in `symbolic`
    proven: set[Any] = field(default_factory=set)  # unknowns that are used as only a module can be
    open: set[int] = field(default_factory=set)  # modules with a child that is not in view, by their serial
    sources: dict[Part, Region] = field(default_factory=dict)  # what a new parameter was made of
    tied: dict[Part, tuple[str, tuple[tuple[str, str], ...]]] = field(default_factory=dict)  # kind, (embedding, head)s

    # What loops count.
    orders: dict[int, tuple[str | None, ...]] = field(default_factory=dict)  # names of what a loop counts, in order
    stretches: dict[int, str] = field(default_factory=dict)  # loops that count, and how far, "" for to the end

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
            held = {leaf for group in event.groups for leaf in leaves(group)}
            self.reached |= {(event.site, leaf) for leaf in held}
            run = Run(world.state)
            if any(run.flag(leaf) is not NO for leaf in held):  # what was frozen until here need not be all there is
                freezes = {fact.event.site for fact in world.state.grad.values() if fact.value is NO}
                self.reached |= {(event.site, site) for site in freezes}
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


def _taken_from(key: Any) -> tuple[Any, str]:
    """What an unknown was taken out of, and how: `layers[i]`, `layers[-2:]`, `getattr(model, name)`,
    `model.get_classifier()`."""
    if isinstance(key, tuple) and key[0] == "getattr":
        return key[1], BY_NAME
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
