"""A world: one way through the program. Its frames, its heap, the training state, and what had to be assumed."""

from __future__ import annotations

import enum
import itertools
import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from freezelint.static import twins
from freezelint.static.values import (
    NONE,
    Cls,
    Const,
    Func,
    GradMode,
    Instance,
    Items,
    Lib,
    Members,
    Method,
    Mod,
    Obj,
    Partial,
    Ref,
    Sched,
    Sym,
    Table,
    Tensor,
    Tuple,
    Value,
)
from freezelint.trace.regions import Part
from freezelint.trace.state import State, joined
from freezelint.trace.tri import NO, UNSURE

WORLDS = 64  # more are joined, and what they do not agree on becomes Unsure; fewer when fuel runs low

_serials = itertools.count(1)


def serial() -> int:
    """A number nobody else has."""
    return next(_serials)


_BUILDS = re.compile(r"^(torch\.optim\.[A-Z]|torchvision\.models\.|timm\.|transformers\.)")


class Flow(enum.Enum):
    """How a block was left."""

    NORMAL = 0
    RETURN = 1
    BREAK = 2
    CONTINUE = 3
    RAISE = 4


@dataclass(frozen=True, slots=True)
class Assumption:
    """A test that could not be decided, and how this world decided it."""

    truth: bool
    text: str
    shown: bool = True  # the outcome of the test as it is written; `truth` is that of its positive form
    at: Any = None
    stray: bool = False  # the last of a chain of names without `else`: whatever none of them means


class World:
    """Mutable while it runs alone; `fork()` gives an independent copy.

    `names` maps a frame's number or a module's path to what is bound there. Tables are shared between forks until one
    of them writes, so write through `own` only.
    """

    __slots__ = (
        "_owned",
        "assumed",
        "elements",
        "flow",
        "heap",
        "laps",
        "names",
        "result",
        "seen",
        "stack",
        "state",
        "twins",
    )

    def __init__(self) -> None:
        self.names: dict[int | str, dict[str, Value]] = {}
        self._owned: set[int | str] = set()
        self.stack: tuple[int, ...] = ()
        self.heap: dict[int, Any] = {}
        self.state = State()
        self.assumed: dict[Hashable, Assumption] = {}
        self.elements: dict[int, Members] = {}
        self.flow = Flow.NORMAL
        self.result: Value = NONE
        self.laps: tuple[int, ...] = ()
        self.seen: frozenset[tuple[str, Any]] = frozenset()  # the faults rules saw on this way: (slug, site)
        self.twins: twins.Twins = {}  # optimizers of worlds that were given up, for which one of this world speaks

    def own(self, where: int | str) -> dict[str, Value]:
        """The names bound in a frame or module, to write to."""
        if where not in self._owned:
            self.names[where] = dict(self.names.get(where, ()))
            self._owned.add(where)
        return self.names[where]

    def take(self, other: World) -> None:
        """Become another world that nobody else goes on with."""
        for slot in self.__slots__:
            setattr(self, slot, getattr(other, slot))

    def fork(self) -> World:
        """A copy that shares nothing that can change."""
        new = World.__new__(World)
        self._owned = set()
        new._owned = set()
        new.names = dict(self.names)
        new.stack = self.stack
        new.heap = dict(self.heap)
        new.state = self.state
        new.assumed = dict(self.assumed)
        new.elements = dict(self.elements)
        new.flow = self.flow
        new.result = self.result
        new.laps = self.laps
        new.seen = self.seen
        new.twins = self.twins
        return new


def light(value: Value | None, world: World, depth: int = 2) -> bool:
    """Whether forgetting a value loses nothing that rules ask about: it leads to no parameters, modes or graphs."""
    if value is None or isinstance(value, (Const, Sym, Mod, Sched, GradMode)):
        return True
    if isinstance(value, Lib):  # what builds a model or an optimizer decides what there is to freeze
        return not _BUILDS.search(value.name)
    if isinstance(value, Cls):  # of a model's class it is still to be seen what its instances hold
        return not value.info.node.bases and "forward" not in value.info.members
    if isinstance(value, Tensor):
        return not value.uses
    if isinstance(value, Func):
        return value.bound is None or light(value.bound, world, depth - 1)
    if isinstance(value, Tuple):
        return depth > 0 and all(light(item, world, depth - 1) for item in value.items)
    if isinstance(value, Method):
        return light(value.owner, world, depth - 1)
    if isinstance(value, Partial):
        return depth > 0 and all(
            light(v, world, depth - 1) for v in (value.func, *value.args, *(v for _, v in value.kwargs))
        )
    if isinstance(value, (Obj, Ref)) and depth > 0:
        record = world.heap.get(value.serial)
        if isinstance(record, Instance):
            if record.part is not None and (
                record.part.layers is None
                or record.part.names
                or record.shares
                or record.part.has("dropout").value != "no"
            ):
                return False
            return all(light(v, world, depth - 1) for v in record.attrs.values())
        if isinstance(record, Items):
            return all(light(v, world, depth - 1) for v in record.items)
        if isinstance(record, Table):
            return all(light(v, world, depth - 1) for v in record.items.values())
    return False


def merge(worlds: list[World], limit: int = WORLDS, lost: Callable[[World], None] = lambda world: None) -> list[World]:
    """Worlds that no rule could tell apart become one. Past `WORLDS`, the last ones are joined to Unsure; past a lower
    limit, which means that fuel runs low, some are no longer looked at: a joined world would tell rules nothing. Those
    of them in which other parts are frozen than in any that is kept are `lost`."""
    if len(worlds) < 2:
        return worlds
    kept: list[World] = []
    for world in worlds:
        for other in kept:
            if _absorb(other, world):
                break
        else:
            kept.append(world)
    while len(kept) > WORLDS:
        last = kept.pop()
        for other in reversed(kept):
            if other.flow is last.flow and other.stack == last.stack:
                _join(other, last)
                break
        else:
            kept.append(last)
            break
    if len(kept) <= limit:
        return kept
    few = spread(kept, limit)
    seen = {_frozen(world) for world in few}
    for world in kept:
        if _frozen(world) not in seen:
            lost(world)
        elif world not in few:
            twins.speak_for(world, few)
    return few


def spread(worlds: list[World], limit: int) -> list[World]:
    """Some of these: of each way to leave the block at least one, those that freeze most, else far apart."""
    ways: dict[tuple[Flow, tuple[int, ...]], list[World]] = {}
    for world in worlds:
        ways.setdefault((world.flow, world.stack), []).append(world)
    kept: list[World] = []
    going_on = sum(world.flow is not Flow.RAISE for world in worlds) or 1
    for (flow, _), alike in ways.items():
        share = 1 if flow is Flow.RAISE else min(len(alike), max(1, limit * len(alike) // going_on))
        alike.sort(key=thawed)
        kept += [alike[at * len(alike) // share] for at in range(share)]
    return kept


def thawed(world: World) -> tuple[int, int]:
    """Less for a world in which more was frozen, then for one in which more happened: those rules ask about."""
    return -sum(fact.value is NO for fact in world.state.grad.values()), -world.state.clock


def _frozen(world: World) -> frozenset[Part]:
    return frozenset(part for part, fact in world.state.grad.items() if fact.value is NO)


@dataclass
class _Merge:
    """A merge under way: what would have to change in `one` for it to stand for both."""

    one: World
    other: World
    names: list[tuple[int | str, str, Value]] = field(default_factory=list)
    heap: list[tuple[int, Any]] = field(default_factory=list)


def _absorb(one: World, other: World) -> bool:
    """Make `one` stand for both if they are the same but for light values; their differences become unknown."""
    if one.flow is not other.flow or one.stack != other.stack or one.elements != other.elements:
        return False
    if one.state is not other.state and (one.state != other.state or _unlike(one.state, other.state)):
        return False
    under = _Merge(one, other)
    result = _both(one.result, other.result, under)
    if result is None:
        return False
    for where in one.names.keys() & other.names.keys():
        mine, theirs = one.names[where], other.names[where]
        if mine is theirs:
            continue
        changed = _same_names(mine, theirs, under)
        if changed is None:
            return False
        under.names += [(where, name, value) for name, value in changed.items()]
    for key, record in one.heap.items():
        twin = other.heap.get(key)
        if twin is not None and record is not twin:
            joint = _same_record(record, twin, under)
            if joint is None:
                return False
            under.heap.append((key, joint))
    for where, name, value in under.names:
        one.own(where)[name] = value
    for place, record in under.heap:
        one.heap[place] = record
    one.heap = {**other.heap, **one.heap}
    for where in other.names.keys() - one.names.keys():
        one.names[where] = other.names[where]
        other._owned.discard(where)
    one.result = result
    if one.state.passes is not other.state.passes:  # their tensors are one now, and so is what they came out of
        passes = {**other.state.passes, **one.state.passes}
        one.state = replace(one.state, passes=passes, clock=max(one.state.clock, other.state.clock))
    one.seen |= other.seen
    one.twins = {**other.twins, **one.twins}
    _agree(one, other)
    return True


def _unlike(one: State, other: State) -> bool:
    """Whether an iterator that both worlds know was used up in one of them only."""
    if one.iterators is other.iterators:
        return False
    return any(
        (one.iterators[k].spent is None) is not (other.iterators[k].spent is None)
        for k in one.iterators.keys() & other.iterators.keys()
    )


def _agree(one: World, other: World) -> None:
    """Keep only the assumptions both made; what they took differently no longer matters."""
    kept = {}
    for key, mine in one.assumed.items():
        theirs = other.assumed.get(key)
        if theirs is not None and theirs.truth == mine.truth:
            kept[key] = mine
    one.assumed = kept


def _same_names(mine: Mapping[Any, Value], theirs: Mapping[Any, Value], under: _Merge) -> dict[Any, Value] | None:
    """What has to change for one table of names to stand for both, None when they must stay apart."""
    changed: dict[Any, Value] = {}
    for key, first in mine.items():
        second = theirs.get(key)
        if first is second or first == second:
            continue
        value = _both(first, second, under)
        if value is None:
            return None
        changed[key] = value
    for key, second in theirs.items():
        if key not in mine:
            value = _both(None, second, under)
            if value is None:
                return None
            changed[key] = value
    return changed


def _both(first: Value | None, second: Value | None, under: _Merge) -> Value | None:
    """A value for both, or None when they must stay apart."""
    if first is second or first == second:
        return first
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        if first.forced is not second.forced:
            return None
        complete = first.complete if first.complete is second.complete else UNSURE
        return Tensor(first.uses | second.uses, complete, first.forced, first.loose or second.loose)
    if isinstance(first, Tuple) and isinstance(second, Tuple) and len(first.items) == len(second.items):
        items = [_both(a, b, under) for a, b in zip(first.items, second.items, strict=True)]
        return Tuple(tuple(i for i in items if i is not None)) if None not in items else None
    if light(first, under.one) and light(second, under.other):
        if (
            isinstance(first, Obj)
            and isinstance(second, Obj)
            and _layer(first, under.one)
            and _layer(second, under.other)
        ):
            return first  # two losses, two activations: either stands for both
        joint = _alike(first, second, under)
        if joint is not None:
            return joint
        return Sym(("either", first, second))
    return None


def _alike(first: Value | None, second: Value | None, under: _Merge) -> Value | None:
    """One object of settings for two of the same library class, which may differ in what they are set to."""
    if not isinstance(first, Obj) or not isinstance(second, Obj):
        return None
    mine, theirs = under.one.heap.get(first.serial), under.other.heap.get(second.serial)
    if not isinstance(mine, Instance) or not isinstance(theirs, Instance) or mine.part or mine.cls or theirs.cls:
        return None
    record = _same_record(mine, theirs, under)
    if record is None:
        return None
    under.heap.append((first.serial, record))
    return first


def _layer(value: Obj, world: World) -> bool:
    record = world.heap.get(value.serial)
    return isinstance(record, Instance) and record.part is not None


def _same_record(mine: Any, theirs: Any, under: _Merge) -> Any:
    """A heap record for both, or None when they must stay apart."""
    if type(mine) is not type(theirs):
        return None
    if isinstance(mine, Instance):
        if mine.kind != theirs.kind or mine.part is not theirs.part or mine.shares != theirs.shares:
            return None
        changed = _same_names(mine.attrs, theirs.attrs, under)
        return None if changed is None else replace(mine, attrs={**mine.attrs, **changed}) if changed else mine
    if isinstance(mine, Items):
        if mine == theirs:
            return mine
        if len(mine.items) == len(theirs.items):
            items = [_both(a, b, under) for a, b in zip(mine.items, theirs.items, strict=True)]
            return (
                Items(tuple(i for i in items if i is not None), mine.more or theirs.more) if None not in items else None
            )
        if all(light(v, under.one) for v in mine.items) and all(light(v, under.other) for v in theirs.items):
            return Items((), True)
        return None
    if isinstance(mine, Table):
        changed = _same_names(mine.items, theirs.items, under)
        return None if changed is None else Table({**mine.items, **changed}, mine.more or theirs.more)
    return mine if mine == theirs else None


def _join(one: World, other: World) -> None:
    """Past the limit: one world for two that differ. Facts become Unsure, names that differ become unknown."""
    one.state = joined(one.state, other.state)
    one.seen |= other.seen
    one.twins = {**other.twins, **one.twins}
    for where in one.names.keys() & other.names.keys():
        mine, theirs = one.names[where], other.names[where]
        if mine is not theirs:
            for name in mine.keys() & theirs.keys():
                if mine[name] != theirs[name]:
                    one.own(where)[name] = Sym(("joined", mine[name], theirs[name]))
                    mine = one.names[where]
    one.heap = {**other.heap, **one.heap}
    _agree(one, other)
