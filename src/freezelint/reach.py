"""Which files of a project a script leads to: its own imports and theirs, without running anything."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path


def leads_to(script: Path) -> list[Path]:
    """The script and every file beside or below it that it imports, in the order in which they are met."""
    home = script.parent
    met: dict[Path, None] = {script: None}
    pending = [script]
    while pending:
        file = pending.pop(0)
        for found in _imported(file, home):
            if found not in met:
                met[found] = None
                pending.append(found)
    return list(met)


def _imported(file: Path, home: Path) -> Iterator[Path]:
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files(home, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            folder = home
            if node.level:
                folder = file.parent
                for _ in range(node.level - 1):
                    folder = folder.parent
            base = node.module.split(".") if node.module else []
            if base:
                yield from _files(folder, base)
            for alias in node.names:  # a name may be a module of the package
                yield from _files(folder, [*base, alias.name])


def _files(folder: Path, parts: list[str]) -> Iterator[Path]:
    """The file of a module, and those of the packages around it, where they are there."""
    for depth in range(1, len(parts) + 1):
        place = folder.joinpath(*parts[:depth])
        for file in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if file.is_file():
                yield file
                break
