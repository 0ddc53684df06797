"""What tests of an epoch say about each other: `if epoch == 5: unfreeze()` and `if epoch < 5: backbone.eval()`.

Two laps stand for any number of them, and an epoch grows from lap to lap. It does not jump: as long as no lap was the
fifth, none is past it.
"""

from __future__ import annotations

import math
from typing import Any, TypeGuard

from freezelint.static.values import Const, Sym
from freezelint.static.world import World

_BOUNDS = {"LessThan": (0, True), "LessThanEqual": (1, True), "GreaterThan": (1, False), "GreaterThanEqual": (0, False)}


def decided(key: tuple[Any, ...], world: World) -> bool | None:
    """What is known of a comparison of a loop's number with a constant; None when nothing is, or it is none."""
    asked = _comparison(key)
    if asked is None:
        return None
    loop, lap, sign, number = asked
    known = [
        (*one[1:], assumption.truth)
        for other, assumption in world.assumed.items()
        if isinstance(other, Sym)
        and isinstance(other.key, tuple)
        and (one := _comparison(other.key))
        and one[0] == loop
    ]
    passed = {k for at, how, k, held in known if how == "==" and held and at < lap}
    low, high = -math.inf, math.inf
    for at, how, k, held in known:
        least, most = _range(how, k, held)
        if at < lap:
            low = max(low, least + 1)
        elif at == lap:
            if how == "==" and not held and k not in passed:
                most = k - 1
            low, high = max(low, least), min(high, most)
    if sign == "==":
        if number not in passed:
            high = min(high, number)
        return True if low == high == number else False if not low <= number <= high else None
    least, most = _range(sign, number, True)
    return True if least <= low and high <= most else False if high < least or low > most else None


def _is(test: object) -> TypeGuard[Sym]:
    return isinstance(test, Sym) and isinstance(test.key, tuple)


def _range(sign: str, number: int, held: bool) -> tuple[float, float]:
    """The whole numbers of which a comparison holds, or does not."""
    if sign == "==":
        return (number, number) if held else (-math.inf, math.inf)
    shift, below = _BOUNDS[sign]
    edge = number + shift  # the first number on the upper side
    return (-math.inf, edge - 1) if below is held else (edge, math.inf)


def _comparison(key: tuple[Any, ...]) -> tuple[Any, int, str, int] | None:
    """The loop and its lap, the sign and the number of a test."""
    if key[0] == "eq":
        sign, value, number = "==", key[1], key[2]
    elif key[0] == "cmp" and key[1] in _BOUNDS:
        sign, value, number = key[1:4]
    else:
        return None
    item = value.key if isinstance(value, Sym) else None
    whole = isinstance(number, Const) and type(number.value) is int
    if not whole or not isinstance(item, tuple) or item[0] != "item" or len(item) != 4 or not isinstance(item[2], int):
        return None
    return (item[1], item[3]), item[2], sign, number.value
