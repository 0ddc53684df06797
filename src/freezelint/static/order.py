"""The order in which a module lists its parameters, for code that counts them: `list(model.parameters())[:-2]`.

A module lists its own parameters first, then those of its children in the order in which they were registered
(torch.nn.Module.named_parameters).
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.static.interpreter import Interpreter
from freezelint.static.values import Instance, Members, Obj, Params
from freezelint.static.world import World
from freezelint.trace.regions import Test


def names(it: Interpreter, owner: Obj, world: World) -> tuple[str | None, ...]:
    """The names of a module's parameters in order; a None stands for any number that is not known."""
    return tuple(_names(it, owner, world, "", frozenset()))


def stretch(it: Interpreter, params: Params, low: object, high: object, world: World, text: str) -> Members | None:
    """The parameters of a module from one place to another in its list, None when they cannot be told."""
    if params.of is None or params.single or not all(b is None or isinstance(b, int) for b in (low, high)):
        return None
    listed = names(it, params.of, world)
    if None not in listed:
        return _passing(params.members, listed[low:high], text)  # type: ignore[index]
    if isinstance(high, int) and not low:
        known, wanted = (listed[:high], True) if high >= 0 else (listed[high:], False)
    elif isinstance(low, int) and high is None:
        known, wanted = (listed[low:], True) if low < 0 else (listed[:low], False)
    else:
        return None
    return _passing(params.members, known, text, wanted) if None not in known else None


def before(listed: tuple[str | None, ...], count: int, text: str) -> Test | None:
    """The test for being one of the first `count`, None when these are not known."""
    first = listed[:count]
    return Test("listed", first, text) if None not in first else None  # type: ignore[arg-type]


def _passing(members: Members, listed: tuple[str | None, ...], text: str, wanted: bool = True) -> Members:
    test = Test("listed", listed, text)  # type: ignore[arg-type]
    return tuple((view, p) for view, part in members for p in part.split(test, view)[0 if wanted else 1])


def _names(it: Interpreter, value: Obj, world: World, prefix: str, seen: frozenset[Obj]) -> Iterator[str | None]:
    record = world.heap.get(value.serial)
    if not isinstance(record, Instance) or value in seen or record.shares:
        yield None
        return
    replaced = record.attrs.get(value.path) if value.path else None
    if isinstance(replaced, Obj) and it.registers(replaced, world):
        yield from _names(it, replaced, world, prefix, seen | {value})
        return
    stem = f"{value.path}." if value.path else ""
    attached = {
        path: attr
        for path, attr in record.attrs.items()
        if path.startswith(stem) and path != value.path and it.registers(attr, world)
    }
    layers = record.part.layers if record.part is not None else {}
    if layers is None:  # of a library's model the children may be known, if not what is in them
        tops = () if stem else tuple(getattr(record.row, "children", None) or ())
        if not tops:
            yield None
            return
        places: list[tuple[str, tuple[str, ...]]] = [(top, ()) for top in tops]
    else:
        places = [(where, layer.params) for where, layer in layers.items()]
    told: set[str] = set()
    for where, own in places:
        if stem and not (where + ".").startswith(stem):
            continue
        path = next((path for path in attached if where == path or where.startswith(path + ".")), None)
        if path is None:
            yield from (_join(prefix, f"{where}.{name}"[len(stem) :].lstrip(".")) for name in own)
            if layers is None:
                yield None
        elif path not in told:
            told.add(path)
            yield from _attached(it, attached[path], world, _join(prefix, path[len(stem) :]), seen | {value})
    for path, attr in attached.items():
        if path not in told:
            yield from _attached(it, attr, world, _join(prefix, path[len(stem) :]), seen | {value})


def _attached(it: Interpreter, attr: object, world: World, name: str, seen: frozenset[Obj]) -> Iterator[str | None]:
    if isinstance(attr, Obj):
        yield from _names(it, attr, world, name, seen)
    elif isinstance(attr, Params) and attr.single:
        yield name
    else:
        yield None


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
