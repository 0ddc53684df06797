"""The nearest right name for a wrong one, as every "did you mean" of freezelint says it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """The known name closest to `word`, or None when none comes near."""
    names = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower().replace("_", "-"), sorted(names), n=1, cutoff=cutoff)
    return names[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`: did you mean 'x'?` to append to a message; the list of names when none comes near and the list is short."""
    known = sorted(known)
    close = nearest(word, known)
    if close is not None:
        return f": did you mean {close!r}?"
    return f": use one of {', '.join(known)}" if 0 < len(known) <= 12 else ""
