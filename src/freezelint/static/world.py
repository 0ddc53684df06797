"""A world: one way through the program. Its frames, its heap, the training state, and what had to be assumed."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any

from freezelint.static.values import NONE, Const, Instance, Items, Members, Sym, Table, Tensor, Tuple, Value
from freezelint.trace.state import State, joined

WORLDS = 64  # more are joined, and what they do not agree on becomes Unsure

_serials = itertools.count(1)


def serial() -> int:
    """A number nobody else has."""
    return next(_serials)


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


class World:
    """Mutable while it runs alone; `fork()` gives an independent copy."""

    __slots__ = (
        "assumed",
        "elements",
        "flow",
        "frames",
        "globals",
        "heap",
        "laps",
        "result",
        "settled",
        "stack",
        "state",
    )

    def __init__(self) -> None:
        self.frames: dict[int, dict[str, Value]] = {}
        self.stack: tuple[int, ...] = ()
        self.globals: dict[str, dict[str, Value]] = {}
        self.heap: dict[int, Any] = {}
        self.state = State()
        self.assumed: dict[Hashable, Assumption] = {}
        self.elements: dict[int, Members] = {}
        self.flow = Flow.NORMAL
        self.result: Value = NONE
        self.laps: tuple[int, ...] = ()
        self.settled: frozenset[Hashable] = frozenset()

    def fork(self) -> World:
        """A copy that shares nothing that can change."""
        new = World.__new__(World)
        new.frames = {k: dict(v) for k, v in self.frames.items()}
        new.stack = self.stack
        new.globals = {k: dict(v) for k, v in self.globals.items()}
        new.heap = dict(self.heap)
        new.state = self.state
        new.assumed = dict(self.assumed)
        new.elements = dict(self.elements)
        new.flow = self.flow
        new.result = self.result
        new.laps = self.laps
        new.settled = self.settled
        return new


def plain(value: Value | None) -> bool:
    """Whether forgetting a value loses nothing that rules ask about."""
    if isinstance(value, Tuple):
        return all(plain(item) for item in value.items)
    return value is None or isinstance(value, (Const, Sym)) or (isinstance(value, Tensor) and not value.uses)


def merge(worlds: list[World]) -> list[World]:
    """Worlds that no rule could tell apart become one; past the limit, the last ones are joined to Unsure."""
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
            if other.flow is last.flow:
                _join(other, last)
                break
        else:
            kept.append(last)
            break
    return kept


def _absorb(one: World, other: World) -> bool:
    """Make `one` stand for both if they are the same but for plain values; their differences become unknown."""
    if one.flow is not other.flow or one.stack != other.stack or one.elements != other.elements:
        return False
    if one.state is not other.state and (one.state != other.state or _unlike(one.state, other.state)):
        return False
    changes: list[tuple[dict[Any, Any], Any, Any]] = []
    result = _both(one.result, other.result, one, other, changes)
    if result is None:
        return False
    for mine, theirs in _namespaces(one, other):
        if not _same_names(mine, theirs, one, other, changes):
            return False
    for key in one.heap.keys() & other.heap.keys():
        mine, theirs = one.heap[key], other.heap[key]
        if mine is not theirs and not _same_record(key, mine, theirs, one, other, changes):
            return False
    for table, key, value in changes:
        table[key] = value
    for key in other.heap.keys() - one.heap.keys():
        one.heap[key] = other.heap[key]
    for frame in other.frames.keys() - one.frames.keys():
        one.frames[frame] = other.frames[frame]
    for name in other.globals.keys() - one.globals.keys():
        one.globals[name] = other.globals[name]
    one.result = result
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


def _namespaces(one: World, other: World) -> list[tuple[dict[str, Value], dict[str, Value]]]:
    """The frames and module globals that two worlds share, pairwise."""
    return [
        *((one.frames[f], other.frames[f]) for f in one.frames.keys() & other.frames.keys()),
        *((one.globals[m], other.globals[m]) for m in one.globals.keys() & other.globals.keys()),
    ]


def _agree(one: World, other: World) -> None:
    """Keep only the assumptions both made; what they took differently no longer matters."""
    kept = {}
    for key, mine in one.assumed.items():
        theirs = other.assumed.get(key)
        if theirs is not None and theirs.truth == mine.truth:
            kept[key] = mine
    one.assumed = kept


def _same_names(
    mine: dict[str, Value],
    theirs: dict[str, Value],
    one: World,
    other: World,
    changes: list[tuple[dict[Any, Any], Any, Any]],
) -> bool:
    for key in mine.keys() | theirs.keys():
        first, second = mine.get(key), theirs.get(key)
        if first is second or first == second:
            continue
        value = _both(first, second, one, other, changes)
        if value is None:
            return False
        changes.append((mine, key, value))
    return True


def _both(
    first: Value | None, second: Value | None, one: World, other: World, changes: list[tuple[dict[Any, Any], Any, Any]]
) -> Value | None:
    """A value for both, or None when they must stay apart."""
    if first is second or first == second:
        return first
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        if first.forced is second.forced:
            return Tensor(
                first.uses | second.uses, first.complete if first.complete is second.complete else second.complete
            )
        return None
    if isinstance(first, Tuple) and isinstance(second, Tuple) and len(first.items) == len(second.items):
        items = [_both(a, b, one, other, changes) for a, b in zip(first.items, second.items, strict=False)]
        return Tuple(tuple(items)) if all(i is not None for i in items) else None  # type: ignore[arg-type]
    if plain(first) and plain(second):
        return Sym(("either", first, second))
    return None


def _same_record(
    key: int, mine: Any, theirs: Any, one: World, other: World, changes: list[tuple[dict[Any, Any], Any, Any]]
) -> bool:
    if type(mine) is not type(theirs):
        return False
    if isinstance(mine, Instance):
        if mine.kind != theirs.kind or mine.part is not theirs.part:
            return False
        attrs = dict(mine.attrs)
        inner: list[tuple[dict[Any, Any], Any, Any]] = []
        if not _same_names(attrs, dict(theirs.attrs), one, other, inner):
            return False
        for table, name, value in inner:
            table[name] = value
        changes.append((one.heap, key, replace(mine, attrs=attrs)))
        return True
    if isinstance(mine, Items):
        if mine == theirs:
            return True
        if all(plain(v) for v in (*mine.items, *theirs.items)):
            changes.append((one.heap, key, Items((), True)))
            return True
        return False
    if isinstance(mine, Table):
        table = dict(mine.items)
        inner = []
        if not _same_names(table, dict(theirs.items), one, other, inner):
            return False
        for target, name, value in inner:
            target[name] = value
        changes.append((one.heap, key, Table(table, mine.more or theirs.more)))
        return True
    return bool(mine == theirs)


def _join(one: World, other: World) -> None:
    """Past the limit: one world for two that differ. Facts become Unsure, names that differ become unknown."""
    one.state = joined(one.state, other.state)
    for mine, theirs in _namespaces(one, other):
        for name in mine.keys() & theirs.keys():
            if mine[name] != theirs[name]:
                mine[name] = Sym(("joined", mine[name], theirs[name]))
    for place in other.heap.keys() - one.heap.keys():
        one.heap[place] = other.heap[place]
    _agree(one, other)
