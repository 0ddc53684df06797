"""Calls that cannot touch training, which are not run again and again: averages, metrics, pictures, box arithmetic.

A program spends most of its statements on these, and every world and every lap would run them anew. Only calls that are
given no module with parameters and no optimizer are looked at here. Two of them are cut short:

* a **plain** function, whose text names nothing that trains, and which calls none that does, may take little fuel. It
  is run, since it may return the setting that decides what is frozen; when it takes long, it is given up;
* an **uneventful** function was run twice and caused no event, and what came out of it depended on what went in in the
  same way. From then on that is taken for granted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from functools import lru_cache

import libcst as cst

from freezelint.static.arguments import inside
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.modules import FunctionInfo, Module, dotted
from freezelint.static.prefilter import Segments, matters
from freezelint.static.tensors import computed
from freezelint.static.values import (
    Const,
    Func,
    Instance,
    Items,
    Obj,
    Opt,
    Ref,
    Sched,
    Sym,
    Table,
    Tensor,
    Tuple,
    Value,
)
from freezelint.static.world import World, serial
from freezelint.trace import events as ev
from freezelint.trace.regions import Part
from freezelint.trace.state import State
from freezelint.trace.tri import NO, UNSURE, YES, Tri

FUEL = 400  # evaluations; a plain function that needs more computes something that no rule asks about
RUNS = 2  # of the same kind, after which a function is known

_HEAVY = re.compile(
    r"(?i)model|net\b|net_|\bnn\.|module|backbone|encoder|decoder|param|optim|freez|_grad|\.(?:train|eval|step)\b"
    r"|backward|detach|loss|criterion|pretrained|checkpoint|state_dict|lora|arg_?parse|parse_args"
)
_SWITCHES = re.compile(r"(?i)freez|requires?_?grad|grad_enabled|\.(?:train|eval|step)\(|optim|param_group|\byield\b")
_CALLS = re.compile(r"(?<![\w.])(?:(\w+)\.)?(\w+)\(")
_QUOTED = re.compile(r"\"\"\".*?\"\"\"|'''.*?'''|\"[^\"\n]*\"|'[^'\n]*'|#[^\n]*", re.DOTALL)


@dataclass
class Known:
    """What is known of a function: what its text names, and what its runs so far had in common."""

    plain: bool
    switches: bool
    text: str
    trains: bool | None = None  # whether it says so, or what it calls does; None until somebody asks
    costly: bool = False
    shape: object = None
    runs: int = 0
    fed: bool = False  # some run was given what came out of a forward
    reads: frozenset[tuple[Module, str]] | None = None


@dataclass(frozen=True)
class _Result:
    """A tensor in the shape of a result: made of everything that went in, or of nothing of it."""

    of_inputs: bool
    cut: ev.Cut | None
    complete: Tri
    loose: bool
    packed: bool


@dataclass(frozen=True)
class _List:
    """A list of results of this shape."""

    of: object


UNKNOWN = object()  # the shape of a result that rules ask nothing about
NOTHING = object()  # no shape: results that have nothing in common


def known(it: Interpreter, info: FunctionInfo) -> Known:
    """The record of a function."""
    found = it.summaries.get(info)
    if found is None:
        text = info.module.code(info.node)
        said = _QUOTED.sub("''", text)
        plain = not isinstance(info.node, cst.Lambda) and _HEAVY.search(said) is None
        found = it.summaries[info] = Known(plain, _SWITCHES.search(said) is not None, said)
        found.plain = plain and not _trains(it, info)
    return found


def _trains(it: Interpreter, info: FunctionInfo) -> bool:
    """Whether a function says that it trains, or calls one that does."""
    about = known(it, info)
    if about.trains is None:
        about.trains = False  # for those that call it, and that it calls
        calls = set(_CALLS.findall(about.text))
        about.trains = matters(about.text) or any(_leads_there(it, info.module, *call) for call in calls)
    return about.trains


def _leads_there(it: Interpreter, module: Module, owner: str, name: str) -> bool:
    """Whether `name()` or `owner.name()` means code of the project that trains: `main()` may only call `run()`."""
    for what in module.bound.get(owner or name, ()):
        if isinstance(what, tuple):
            imported = name if owner or what[1].asname is None else dotted(what[1].name)
            if any(_segments(it.modules.text(file)).runs(imported) for file in it.modules.files(module, *what)):
                return True
        elif isinstance(what, cst.FunctionDef) and not owner and _trains(it, it.function(module, what)):
            return True
        elif isinstance(what, cst.ClassDef) and matters(module.code(what)):
            return True
    return False


@lru_cache(maxsize=64)
def _segments(text: str) -> Segments:
    return Segments(text)


def untouched(it: Interpreter, func: Func, given: list[Value], world: World) -> bool:
    """Whether a call is given nothing that can be trained, directly or by its function's frame."""
    return func.frame is None and not any(_leads_to_training(it, value, world) for value in given)


def _leads_to_training(it: Interpreter, value: Value, world: World) -> bool:
    if isinstance(value, (Const, Tensor)):
        return False
    record = world.heap.get(value.serial) if isinstance(value, Obj) else None
    if isinstance(value, Obj) and isinstance(record, Instance) and record.part is not None:
        return any(_trainable(part) for _, part in it.each_member(value, world))
    return isinstance(value, (Opt, Sched, Func)) or any(_trainable(part) for part in it.regions_in(value, world))


def _trainable(part: Part) -> bool:
    if not part.children:
        return part.has("params") is not NO or part.has("dropout") is not NO
    return any(_trainable(child) for child in part.children)


# What does not have to be run ----------------------------------------------------------------------------------------


def from_memory(it: Interpreter, func: Func, given: list[Value], world: World) -> Outcomes | None:
    """The outcome of a call that need not be run; None when it has to be."""
    about = known(it, func.info)
    if about.costly:
        return given_up(it, func, given, world)
    if not about.fed and any(tensor.uses for tensor in _tensors(given, world)):
        return None
    if about.runs < RUNS or about.switches or any(_reads_training(it, w, n, world) for w, n in _reads(it, func.info)):
        return None
    forget_writes(it, func, given, world)
    return [(_result(about.shape, list(_tensors(given, world)), world), world)]


def given_up(it: Interpreter, func: Func, given: list[Value], world: World) -> Outcomes:
    """The outcome of a plain call that takes too long: unknown, or a tensor where tensors went in."""
    forget_writes(it, func, given, world)
    tensors = list(_tensors(given, world))
    if any(t.uses for t in tensors):
        shape = _Result(True, None, UNSURE, any(t.loose for t in tensors), False)
        return [(_result(shape, tensors, world), world)]
    return [(Sym(("given up", serial()), f"{func.info.name}(...)"), world)]


def forget_writes(it: Interpreter, func: Func, given: list[Value], world: World) -> None:
    """Lists that a call was given may have grown; attributes that it writes on its object are unknown."""
    for value in given:
        record = world.heap.get(value.serial) if isinstance(value, Ref) else None
        if isinstance(value, Ref) and isinstance(record, (Items, Table)):
            world.heap[value.serial] = replace(record, more=True)
    bound = func.bound
    record = world.heap.get(bound.serial) if isinstance(bound, Obj) else None
    if isinstance(bound, Obj) and isinstance(record, Instance):
        written = set(re.findall(r"\bself\.(\w+)\s*(?:[-+*/|&]|//)?=(?!=)", known(it, func.info).text))
        unknown = {name: Sym(("given up", serial()), f"self.{name}") for name in written}
        world.heap[bound.serial] = replace(record, attrs={**record.attrs, **unknown})


# What was seen of a function -----------------------------------------------------------------------------------------


_QUIET = frozenset({ev.Forward, ev.EnterGradMode, ev.ExitGradMode})  # a loss that runs, a grad mode that is left again


def learn(it: Interpreter, func: Func, given: list[Value], before: State, outcomes: Outcomes) -> None:
    """Remember a run: it counts when it caused no event, and gave what the runs before it gave."""
    about = known(it, func.info)
    for value, world in outcomes:
        after = world.state
        if after is not before and (after != before or _changed(before, after) - _QUIET):
            about.shape, about.runs = None, 0
            return
        inputs = frozenset(use for tensor in _tensors(given, world) for use in tensor.uses)
        if inputs and all(use.cut is not None for use in inputs):
            return  # what is cut off already does not show whether it would be here
        about.fed = about.fed or bool(inputs)
        shape = _shape(value, inputs, after.passes.keys() - before.passes.keys(), world)
        if shape is NOTHING:
            about.shape, about.runs = None, 0
            return
        joint = shape if about.shape is None else _joint(about.shape, shape)
        if joint != about.shape:
            about.shape, about.runs = (None if joint is NOTHING else joint), 0
    about.runs += 1


def _changed(before: State, after: State) -> set[type]:
    return {kind for kind, event in after.last.items() if before.last.get(kind) is not event}


def _shape(value: Value, inputs: Set[ev.Use], within: Set[int], world: World, depth: int = 3) -> object:
    """What a result is, without what it is called; NOTHING where that cannot be said of the next one."""
    if isinstance(value, Const):
        return value
    if isinstance(value, Sym):
        return UNKNOWN
    if isinstance(value, Tuple) and depth:
        shapes = tuple(_shape(item, inputs, within, world, depth - 1) for item in value.items)
        return NOTHING if NOTHING in shapes else shapes
    record = world.heap.get(value.serial) if isinstance(value, Ref) else None
    if isinstance(record, Items) and depth:
        shape: object = UNKNOWN
        for at, item in enumerate(record.items):
            inner = _shape(item, inputs, within, world, depth - 1)
            shape = inner if at == 0 else _joint(shape, inner)
        return NOTHING if shape is NOTHING else _List(shape)
    if isinstance(value, Tensor) and value.forced is None:
        uses = {use for use in value.uses if use.serial not in within}  # what ran in there is of nothing that trains
        everything = {use.serial for use in uses} == {use.serial for use in inputs}
        cuts = {use.cut if use not in inputs else None for use in uses}
        if len(cuts) > 1 or (not everything and cuts - {None}):
            return NOTHING
        complete = value.complete if not uses or everything else UNSURE
        return _Result(bool(uses), next(iter(cuts), None), complete, value.loose, value.packed)
    return NOTHING


def _joint(one: object, other: object) -> object:
    """The shape of a result that is one or the other."""
    if one == other:
        return one
    if isinstance(one, _Result) and isinstance(other, _Result) and one.cut == other.cut:
        complete = one.complete if one.complete is other.complete and one.of_inputs == other.of_inputs else UNSURE
        return _Result(
            one.of_inputs or other.of_inputs, one.cut, complete, one.loose or other.loose, one.packed or other.packed
        )
    if isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
        shapes = tuple(_joint(a, b) for a, b in zip(one, other, strict=True))
        return NOTHING if NOTHING in shapes else shapes
    if isinstance(one, _List) and isinstance(other, _List):
        inner = _joint(one.of, other.of)
        return NOTHING if inner is NOTHING else _List(inner)
    plain = all(shape is UNKNOWN or isinstance(shape, Const) for shape in (one, other))
    return UNKNOWN if plain else NOTHING


def _result(shape: object, inputs: list[Tensor], world: World) -> Value:
    if isinstance(shape, Const):
        return shape
    if isinstance(shape, tuple):
        return Tuple(tuple(_result(inner, inputs, world) for inner in shape))
    if isinstance(shape, _List):
        ref = Ref(serial())
        world.heap[ref.serial] = Items((_result(shape.of, inputs, world),), more=True)
        return ref
    if isinstance(shape, _Result):
        uses = frozenset(ev.Use(u.serial, u.cut or shape.cut) for t in inputs for u in t.uses if shape.of_inputs)
        complete = shape.complete if all(t.complete is YES for t in inputs) else UNSURE
        return computed(world, Tensor(uses, complete, None, shape.loose, shape.packed))
    return Sym(("given up", serial()))


def _tensors(given: list[Value], world: World) -> Iterator[Tensor]:
    for value in given:
        for inner in inside(value, world):
            if isinstance(inner, Tensor):
                yield inner


# What a function reads beside its arguments --------------------------------------------------------------------------


def _reads(it: Interpreter, info: FunctionInfo) -> frozenset[tuple[Module, str]]:
    """The top-level variables that a function, or a function of its file that it names, may read."""
    about = known(it, info)
    if about.reads is None:
        found: set[tuple[Module, str]] = set()
        _collect(info.module, about.text, found, set())
        about.reads = frozenset(found)
    return about.reads


def _collect(module: Module, text: str, found: set[tuple[Module, str]], seen: set[str]) -> None:
    for name in set(re.findall(r"(?<![\w.])[A-Za-z_]\w*", text)) & module.bound.keys() - seen:
        seen.add(name)
        for what in module.bound[name]:
            if isinstance(what, (cst.FunctionDef, cst.ClassDef)):
                _collect(module, _QUOTED.sub("''", module.code(what)), found, seen)
            elif not isinstance(what, tuple):  # an import is no variable
                found.add((module, name))


def _reads_training(it: Interpreter, module: Module, name: str, world: World) -> bool:
    value = world.names.get(module.path, {}).get(name)
    return value is not None and (_leads_to_training(it, value, world) or isinstance(value, Tensor))
