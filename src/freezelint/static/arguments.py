"""The arguments of a call, and what lists, tuples and dictionaries among them hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from freezelint.knowledge.rows import Arg
from freezelint.static import elements, evaluate
from freezelint.static.interpreter import Interpreter
from freezelint.static.values import Items, Ref, Table, Tuple, Value
from freezelint.static.world import World


@dataclass
class Args:
    """Evaluated arguments; `more` when some came from unknown `*args` or `**kwargs`."""

    pos: list[Value] = field(default_factory=list)
    kw: dict[str, Value] = field(default_factory=dict)
    more: bool = False

    def get(self, position: int, name: str = "") -> Value | None:
        """The argument at a position or under a name."""
        if name and name in self.kw:
            return self.kw[name]
        return self.pos[position] if 0 <= position < len(self.pos) else None

    def at(self, arg: Arg) -> Value | None:
        """The argument a row means."""
        return self.get(arg.position, arg.name)

    def all(self) -> list[Value]:
        """Every argument."""
        return [*self.pos, *self.kw.values()]


def given(it: Interpreter, nodes: Any, world: World) -> list[tuple[Args, World]]:
    """The arguments of a call, left to right."""
    done: list[tuple[Args, World]] = [(Args(), world)]
    for arg in nodes:
        grown: list[tuple[Args, World]] = []
        for args, here in done:
            for value, after in evaluate.evaluate(it, arg.value, here):
                new = Args(list(args.pos), dict(args.kw), args.more)
                if arg.star == "*":
                    known = elements.spread(it, value, after, arg)
                    if known is not None:
                        new.pos += known.items
                        new.more = new.more or known.more
                    else:
                        new.more = True
                elif arg.star == "**":
                    table = after.heap.get(value.serial) if isinstance(value, Ref) else None
                    if isinstance(table, Table):
                        new.kw.update({str(k): v for k, v in table.items.items()})
                        new.more = new.more or table.more
                    else:
                        new.more = True
                elif arg.keyword is not None:
                    new.kw[arg.keyword.value] = value
                else:
                    new.pos.append(value)
                grown.append((new, after))
        done = grown
    return done


def deep(args: Args, world: World) -> list[Value]:
    """The arguments and what lists, tuples and dictionaries among them hold."""
    found: list[Value] = []
    for value in args.all():
        found += inside(value, world)
    return found


def inside(value: Value, world: World, depth: int = 3) -> list[Value]:
    """A value, or what it holds."""
    if isinstance(value, Tuple) and depth:
        return [x for item in value.items for x in inside(item, world, depth - 1)]
    if isinstance(value, Ref) and depth:
        record = world.heap.get(value.serial)
        if isinstance(record, Items):
            return [x for item in record.items for x in inside(item, world, depth - 1)]
        if isinstance(record, Table):
            return [x for item in record.items.values() for x in inside(item, world, depth - 1)]
    return [value]
