"""Which files of the project a text imports: a scout, for questions that need no analysis."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from freezelint.static.modules import Modules
from freezelint.static.project import Source, read


class Graph:
    """Which files import which. A file is read again only when it has changed."""

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[tuple[int, int], frozenset[Path]]] = {}

    def importers(self, files: Iterable[Path], targets: Iterable[Path]) -> list[Path]:
        """The files, by real path, that import one of the targets, or import a file which does; nearest first."""
        modules = Modules()
        above: dict[Path, list[Path]] = {}
        for file in files:
            importer = file.resolve()
            for imported_file in self._imports(importer, modules):
                above.setdefault(imported_file, []).append(importer)
        reached: dict[Path, None] = {}
        pending = list(targets)
        known = set(pending)
        for target in pending:  # grows as it is walked
            for importer in above.get(target, ()):
                if importer not in known:
                    known.add(importer)
                    reached[importer] = None
                    pending.append(importer)
        return list(reached)

    def tops(self, files: Iterable[Path]) -> list[Path]:
        """Those of some files that none of the others imports, such as scripts."""
        listed = list(files)
        imported_files = {below for file in listed for below in self._seen.get(file, ((0, 0), frozenset()))[1] - {file}}
        return [file for file in listed if file not in imported_files] or listed

    def _imports(self, file: Path, modules: Modules) -> frozenset[Path]:
        try:
            status = file.stat()
        except OSError:
            return frozenset()
        stamp = (status.st_mtime_ns, status.st_size)
        if file not in self._seen or self._seen[file][0] != stamp:
            source = read(file)
            text = source.text if isinstance(source, Source) else ""
            self._seen[file] = (stamp, frozenset(found.resolve() for found in imported(text, file, modules)))
        return self._seen[file][1]


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
