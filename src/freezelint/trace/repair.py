"""How a fault can be mended, in words that need no parser: a rule says them, and `fixes` writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Repair:
    """A way to mend a fault.

    `how` is one of the ways in `fixes/ways.py`. `at` is the place to change, the fault's own unless told; `beside` is
    what else has to be looked at, such as where the optimizer is built; `text` is what goes there, where that differs.
    A repair is `safe` when the program then means what it evidently meant, and nothing else of it changes.
    """

    how: str
    message: str
    safe: bool = True
    text: str = ""
    at: Any = None
    beside: Any = None
