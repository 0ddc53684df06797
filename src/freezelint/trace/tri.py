"""Three-valued facts. Unsure is silence: it has no truth value, so no rule can mistake it for one."""

from __future__ import annotations

import enum


class Tri(enum.Enum):
    """Yes, No, or not known."""

    YES = "yes"
    NO = "no"
    UNSURE = "unsure"

    def __bool__(self) -> bool:
        raise TypeError("a Tri has no truth value: ask `is YES` or `is NO`, so that Unsure stays silent")

    def __invert__(self) -> Tri:
        return _NOT[self]

    @classmethod
    def of(cls, value: bool | None) -> Tri:
        """YES for True, NO for False, UNSURE for None."""
        return cls.UNSURE if value is None else cls.YES if value else cls.NO


YES, NO, UNSURE = Tri.YES, Tri.NO, Tri.UNSURE
_NOT = {YES: NO, NO: YES, UNSURE: UNSURE}


def both(first: Tri, second: Tri) -> Tri:
    """Conjunction."""
    if first is NO or second is NO:
        return NO
    return YES if first is YES and second is YES else UNSURE


def join(first: Tri, second: Tri) -> Tri:
    """What is known when either may be the case."""
    return first if first is second else UNSURE
