"""How a fault can be mended, in words that need no parser: a rule says them, and `fixes` writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Repair:
    """A way to mend a fault.

    `how` is one of the ways in `fixes/ways.py`. It starts from the place of the fault; `beside` is what else has to be
    looked at, such as where the optimizer is built, and `text` is what is to be written, where that differs.
    A repair is `safe` when the program then means what it evidently meant, and nothing else of it changes.
    """

    how: str
    message: str
    safe: bool = True
    text: str = ""
    beside: Any = None
