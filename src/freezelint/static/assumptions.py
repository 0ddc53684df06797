"""Assumptions: whether a value is true, by itself or by what the world has assumed of it before."""

from __future__ import annotations

import itertools
from typing import Any

import libcst as cst

from freezelint.knowledge import look_up
from freezelint.static import counting
from freezelint.static.evaluate import source
from freezelint.static.interpreter import Interpreter
from freezelint.static.values import (
    NONE,
    Cond,
    Const,
    Copy,
    Elem,
    Items,
    Lib,
    Params,
    Ref,
    Sym,
    Table,
    Tensor,
    Tuple,
    Value,
)
from freezelint.static.world import Assumption, World

_CODE = ("builtins.", "torch.", "torchvision.")


def truth(value: Value, world: World) -> bool | None:
    """Whether a value is true, None when that is not known."""
    if isinstance(value, Const):
        return bool(value.value)
    if isinstance(value, Sym):
        return _assumed(value, world)
    if isinstance(value, (Cond, Tensor, Elem, Copy)):
        return None
    if isinstance(value, Tuple):
        return bool(value.items)
    if isinstance(value, Ref):
        record = world.heap.get(value.serial)
        if isinstance(record, (Items, Table)):
            return True if record.items else None if record.more else False
        return None
    if isinstance(value, Lib):  # a module, a function of a library; or a setting, `cfg.freeze` of a file not in view
        assumed = world.assumed.get(value)
        if assumed is not None:
            return assumed.truth
        is_code = "." not in value.name or value.name.startswith(_CODE) or look_up(value.name) is not None
        return True if is_code else None
    if isinstance(value, Params):  # a generator is true whatever it yields
        return value.single or value.iterator is not None or bool(value.members) or (None if value.unsure else False)
    return True


def _assumed(value: Sym, world: World) -> bool | None:
    known = world.assumed.get(value)
    if known is not None:
        return known.truth
    key = value.key
    if not isinstance(key, tuple):
        return None
    if key[0] == "not":
        inner = truth(key[1], world)
        return None if inner is None else not inner
    if key[0] in ("and", "or"):
        first, second = truth(key[1], world), truth(key[2], world)
        decisive = key[0] == "or"
        if first is decisive or second is decisive:
            return decisive
        return (not decisive) if first is not None and second is not None else None
    counted = counting.decided(key, world) if key[0] in ("eq", "cmp") else None
    if counted is not None:
        return counted
    if key[0] in _TESTS:
        if key[0] == "eq" and key[2] == NONE:
            tested = world.assumed.get(key[1])
            if tested is not None and tested.truth:
                return False
        return _follows(key, world)
    else:
        none = world.assumed.get(Sym(("eq", value, NONE)))
        if none is not None and none.truth:
            return False
        for other, assumption in world.assumed.items():
            if (
                assumption.truth
                and isinstance(other, Sym)
                and isinstance(other.key, tuple)
                and other.key[0] == "eq"
                and other.key[1] == value
                and isinstance(other.key[2], Const)
            ):
                return bool(other.key[2].value)
    return None


_TESTS = ("eq", "in", "startswith", "endswith")


def _follows(key: tuple[Any, ...], world: World) -> bool | None:
    """What earlier tests of the same unknown say about one more: `arch == "vgg16"` decides `"resnet" in arch`."""
    asked = key[2] if key[0] == "in" and not isinstance(key[2], Tuple) else key[1]
    earlier = [
        (other.key, assumption.truth)
        for other, assumption in world.assumed.items()
        if isinstance(other, Sym) and isinstance(other.key, tuple) and other.key[0] in _TESTS
    ]
    for other, truth_ in earlier:
        if not truth_ or other[1] != asked or other[0] not in ("eq", "in"):
            continue
        could_be = other[2].items if isinstance(other[2], Tuple) else (other[2],)
        answers = {_holds(key, asked, c.value) for c in could_be if isinstance(c, Const)}
        if len(answers) == 1:
            return answers.pop()
    options = [key[2]] if key[0] == "eq" else key[2].items if isinstance(key[2], Tuple) and key[0] == "in" else None
    if options is None:
        return None
    possible = [
        option
        for option in options
        if not isinstance(option, Const)
        or all(_holds(other, asked, option.value) in (truth_, None) for other, truth_ in earlier)
    ]
    return None if possible else False


def words_of(key: Any) -> tuple[str, ...]:
    """The strings that a test compares something unknown with."""
    parts = key.key if isinstance(key, Sym) and isinstance(key.key, tuple) else ()
    if not parts or parts[0] not in _TESTS:
        return ()
    found: list[Any] = []
    for part in parts[1:3]:
        found += part.items if isinstance(part, Tuple) else part if isinstance(part, tuple) else (part,)
    return tuple(str(w.value) if isinstance(w, Const) else w for w in found if isinstance(w, (Const, str)))


def _holds(key: tuple[Any, ...], asked: Any, value: Any) -> bool | None:
    """Whether a test of `asked` holds if that is this constant; None when the test is of something else."""
    kind, first, second = key[:3]
    if kind == "eq" and first == asked and isinstance(second, Const):
        return bool(value == second.value)
    if kind == "in" and first == asked and isinstance(second, Tuple):
        return any(isinstance(i, Const) and i.value == value for i in second.items)
    if kind == "in" and second == asked and isinstance(first, Const) and isinstance(value, str):
        return str(first.value) in value
    if kind in ("startswith", "endswith") and first == asked and isinstance(value, str):
        return bool(getattr(value, kind)(second))
    return None


def negated(value: Value, world: World) -> Value:
    """`not value`."""
    known = truth(value, world)
    if known is not None:
        return Const(not known)
    if isinstance(value, Cond):
        return value.args[0] if value.op == "not" else Cond(value.loop, "not", (value,))
    if isinstance(value, Sym) and isinstance(value.key, tuple) and value.key[0] == "not":
        return value.key[1]  # type: ignore[no-any-return]
    return Sym(("not", value))


def known_word(value: Value, world: World) -> Const | None:
    """The string that an unknown was found to be in this world, None when it may be any."""
    for other, assumption in world.assumed.items():
        key = other.key if isinstance(other, Sym) else None
        if assumption.truth and isinstance(key, tuple) and key[0] == "eq" and key[1] == value:
            if isinstance(key[2], Const) and isinstance(key[2].value, str):
                return key[2]
    return None


ASSUMED = 64  # assumptions a world remembers


def assume(it: Interpreter, value: Value, outcome: bool, node: cst.CSTNode, world: World) -> None:
    """Remember how a test was decided."""
    text, shown = source(it, node), outcome
    while isinstance(value, Sym) and isinstance(value.key, tuple) and value.key[0] == "not":
        value, outcome = value.key[1], not outcome
    if isinstance(value, Sym) and isinstance(value.key, tuple) and value.key[0] in ("and", "or"):
        if outcome is (value.key[0] == "and"):
            for part in value.key[1:]:
                if truth(part, world) is None and isinstance(part, Sym):
                    world.assumed[part] = Assumption(outcome, text, shown, it.place(node))
            return
    world.assumed[value] = Assumption(outcome, text, shown, it.place(node))
    if len(world.assumed) > ASSUMED:  # old ones are options of the program, new ones are of the step under way
        del world.assumed[next(itertools.islice(world.assumed, ASSUMED // 2, None))]
