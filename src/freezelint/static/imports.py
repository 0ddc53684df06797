"""Which files of the project a text imports: a scout, for questions that need no analysis."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from pathlib import Path

from freezelint.static.modules import Modules


def imported(text: str, file: Path, modules: Modules) -> Iterator[Path]:
    """The first-party files that a program may import, wherever in it; nothing when it cannot be parsed.

    The packages above an imported module count, since their `__init__.py` runs as well.
    """
    for name, level in names(text):
        parts = name.split(".") if name else []
        for length in range(len(parts) + 1) if level else range(1, len(parts) + 1):
            found = modules.find(".".join(parts[:length]), file, level)
            if found is not None:
                yield found


def names(text: str) -> Iterator[tuple[str, int]]:
    """The modules that a program imports, with the number of leading dots."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node.level
            for alias in node.names:
                yield f"{node.module}.{alias.name}" if node.module else alias.name, node.level
