"""Parsed files of the project: their trees, the names they bind, the first-party files they import, and positions.

libcst parses; names and imports are resolved here, because libcst's own metadata costs several times the parse.
Positions are computed once a finding needs one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import libcst as cst

from freezelint.finding import Finding, Site
from freezelint.static import deferred, folders, limits
from freezelint.static.asked import Asked
from freezelint.static.notebook import NEWLINE, without_magics
from freezelint.static.positions import Positions
from freezelint.static.prefilter import matters
from freezelint.static.project import Source, read
from freezelint.static.recovery import Recovered, recovered

PARSED_KEPT = 1_500_000  # characters of parsed code that are kept as trees, which take about 200 bytes for each
FOLLOWED_LIMIT = 400_000  # a followed file larger than this is generated code


@dataclass(eq=False)
class FunctionInfo:
    """A function or lambda of the project."""

    module: Module
    node: cst.FunctionDef | cst.Lambda
    name: str
    cls: ClassInfo | None = None


@dataclass(eq=False)
class ClassInfo:
    """A class of the project."""

    module: Module
    node: cst.ClassDef
    name: str
    bases: list[Any] | None = None  # values, resolved when first asked
    order: list[Any] | None = None  # this class and its bases, project classes and Lib names
    frame: int | None = None
    uses: frozenset[str] | None = None  # attributes that its code uses as modules
    words: frozenset[str] | None = None  # every word in its code
    grown: bool | None = None  # whether its methods add children to it

    @cached_property
    def members(self) -> dict[str, Any]:
        """What its body binds: names to function nodes or to the statements that assign to them."""
        return _members(self.node.body.body, {})

    @property
    def key(self) -> tuple[str, str]:
        """What it is known by beyond the check of one file: its file and name."""
        return str(self.module.file), self.name


@dataclass(eq=False)
class Module:
    """One parsed file. `bound` maps each top-level name to the statements that bind it, in order."""

    path: str
    file: Path
    text: str
    tree: cst.Module
    bound: dict[str, list[Any]] = field(default_factory=dict)
    stars: list[cst.ImportFrom] = field(default_factory=list)
    constants: dict[int, Any] = field(default_factory=dict)  # by id of the literal's node
    sources: dict[int, str] = field(default_factory=dict)  # by id of the node
    mentioned: dict[str, bool] = field(default_factory=dict)  # names that it does more with than assign them
    lines: deferred.File | None = None
    weight: float = 1.0  # of a character, where one of ordinary code weighs 1
    recovered: Recovered | None = None  # when the file is not quite Python 3
    _positions: Positions | None = None
    _code: dict[int, str] = field(default_factory=dict)  # by id of the node

    @property
    def size(self) -> float:
        """How much of it is a tree by now, as characters of ordinary code."""
        return self.weight * self.lines.parsed if self.lines else 0

    def site(self, node: cst.CSTNode) -> Site:
        """Where a node stands. Costs a walk of what was parsed of the file, once unless more of it is."""
        where = self._positions.get(node) if self._positions else None
        if where is None:
            self._positions = Positions(self.tree)
            where = self._positions.get(node)
        return Site(self.path, *(where or (1, 1, 1, 1)))

    def code(self, node: cst.CSTNode) -> str:
        """The text of a node. It is kept, since the same classes and functions are asked about again and again."""
        text = self._code.get(id(node))
        if text is None:
            text = self._code[id(node)] = self.tree.code_for_node(node)
        return text

    def line(self, number: int) -> str:
        """The text of a line, empty past the end."""
        return self._lines[number - 1] if 0 < number <= len(self._lines) else ""

    @cached_property
    def _lines(self) -> list[str]:
        return NEWLINE.split(self.text)


@dataclass(frozen=True, eq=False)
class Place:
    """The site of a static event: a node of a module, turned into a Site only when a finding names it."""

    module: Module
    node: cst.CSTNode

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and other.node is self.node

    def __hash__(self) -> int:
        return id(self.node)


def parse(source: Source, file: Path) -> Module:
    """The module of a source; libcst.ParserSyntaxError when it is no Python 3, RecursionError when it is too deep, and
    TooLong."""
    if limits.too_deep(source.text):
        raise RecursionError
    number = limits.tokens(source.text) if len(source.text) > limits.LONGEST else 0
    if number > limits.LONGEST:
        raise limits.TooLong(f"{number:,} tokens")
    found = None
    try:
        tree, lines = deferred.read(source.text)
    except cst.ParserSyntaxError:
        blanked = without_magics(source.text)
        found = recovered(source.text) if blanked is None else None
        if blanked is None and found is None:
            raise
        tree, lines = deferred.read(found.text if found else blanked or "")
    module = Module(source.path, file, source.text, tree, lines=lines, recovered=found)
    _bind(module, tree.body)
    return module


def _bind(module: Module, body: Any) -> None:
    """Fill `module.bound` from top-level statements, those inside `if` and `try` included."""
    for statement in body:
        if isinstance(statement, (cst.FunctionDef, cst.ClassDef)):
            module.bound.setdefault(statement.name.value, []).append(statement)
        elif isinstance(statement, (cst.SimpleStatementLine, cst.BaseSmallStatement)):
            for small in statement.body if isinstance(statement, cst.SimpleStatementLine) else (statement,):
                for name, what in bindings(small):
                    module.bound.setdefault(name, []).append(what)
                if isinstance(small, cst.ImportFrom) and isinstance(small.names, cst.ImportStar):
                    module.stars.append(small)
        elif isinstance(statement, (cst.If, cst.Else, cst.Try, cst.Finally, cst.With)):
            _bind(module, statement.body.body)
            if isinstance(statement, cst.If) and statement.orelse:
                _bind(module, [statement.orelse])
            if isinstance(statement, cst.Try):
                for handler in statement.handlers:
                    _bind(module, handler.body.body)
                if statement.orelse:
                    _bind(module, statement.orelse.body.body)


def _members(body: Any, bound: dict[str, Any]) -> dict[str, Any]:
    """The names that a class's body binds. The setter of a property binds none that its getter has bound."""
    for statement in body:
        if isinstance(statement, (cst.FunctionDef, cst.ClassDef)):
            name = statement.name.value
            if isinstance(statement, cst.ClassDef) or name not in bound or not _is_setter(statement):
                bound[name] = statement
        elif isinstance(statement, cst.SimpleStatementLine):
            for small in statement.body:
                bound.update(bindings(small))
        elif isinstance(statement, (cst.If, cst.Else, cst.Try)):
            _members(statement.body.body, bound)
    return bound


def _is_setter(node: cst.FunctionDef) -> bool:
    return any(dotted(d.decorator).endswith((".setter", ".deleter")) for d in node.decorators)


def definitions(body: Any) -> Iterator[cst.FunctionDef | cst.ClassDef]:
    """The functions and classes among top-level statements, those inside `if`, `try` and `with` included."""
    for node in body:
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            yield node
        elif isinstance(node, (cst.If, cst.Else, cst.Try, cst.TryStar, cst.With)):
            yield from definitions(node.body.body)
            if isinstance(node, (cst.Try, cst.TryStar)):
                for handler in node.handlers:
                    yield from definitions(handler.body.body)
            if not isinstance(node, (cst.Else, cst.With)) and node.orelse is not None:
                yield from definitions([node.orelse])


def bindings(small: Any) -> Iterator[tuple[str, Any]]:
    """The names a simple statement binds, with what they are bound to: an import alias or the statement itself."""
    if isinstance(small, cst.Import):
        for alias in small.names:
            if alias.asname:
                yield str(alias.asname.name.value), (small, alias)  # type: ignore[union-attr]
            else:
                yield dotted(alias.name).split(".")[0], (small, alias)
    elif isinstance(small, cst.ImportFrom):
        if not isinstance(small.names, cst.ImportStar):
            for alias in small.names:
                name = alias.asname.name.value if alias.asname else alias.name.value  # type: ignore[union-attr]
                yield str(name), (small, alias)
    elif isinstance(small, cst.Assign):
        for target in small.targets:
            for name in names_in(target.target):
                yield name, small
    elif isinstance(small, cst.AnnAssign) and isinstance(small.target, cst.Name) and small.value:
        yield small.target.value, small


def names_in(target: cst.CSTNode) -> Iterator[str]:
    """The plain names of an assignment target."""
    if isinstance(target, cst.Name):
        yield target.value
    elif isinstance(target, (cst.Tuple, cst.List)):
        for element in target.elements:
            yield from names_in(element.value)


def dotted(node: cst.CSTNode | None) -> str:
    """`a.b.c` of a Name or Attribute chain, empty for anything else."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr.value}" if base else ""
    return ""


class Modules:
    """Finds, reads and parses the files of the project on demand; keeps only so many trees."""

    def __init__(self, read: Callable[[Path], Source | Finding] = read) -> None:
        self._read = read
        self._kept: OrderedDict[Path, Module | None] = OrderedDict()
        self._readings: dict[Path, Source | Finding] = {}
        self._sizes: dict[Path, int] = {}
        self._matter: dict[Path, bool] = {}
        self._resolved: dict[tuple[str, str], Path | None] = {}
        self.asked = Asked()  # since the check of a file began

    def add(self, source: Source, file: Path) -> Module:
        """Parse a source that is at hand (it may differ from what is on disk)."""
        kept = self._kept.get(file)
        if kept is not None and kept.text == source.text:  # parsed as an import of another file
            kept.path = source.path
            self._kept.move_to_end(file)
            return kept
        return self._parse(source, file, limits.size(source.text))

    def size(self, file: Path) -> int:
        """How large a file is, as characters of ordinary code."""
        if file not in self._sizes:
            self._sizes[file] = limits.size(self.text(file))
        return self._sizes[file]

    def text(self, file: Path) -> str:
        """The text of a file, empty when it cannot be read."""
        source = self._source(file)
        return "" if isinstance(source, Finding) else source.text

    def _source(self, file: Path) -> Source | Finding:
        self.asked.files.add(file)
        if file not in self._readings:
            self._readings[file] = self._read(file)
        return self._readings[file]

    def matters(self, file: Path) -> bool:
        """Whether something in a file is a reason to run it."""
        text = self.text(file)
        if file not in self._matter:
            self._matter[file] = matters(text)
        return self._matter[file]

    def files(self, module: Module, small: Any, alias: Any) -> Iterator[Path]:
        """The first-party files that one name of an import statement may mean."""
        if isinstance(small, cst.Import):
            names, level = [dotted(alias.name)], 0
        else:
            base, level = dotted(small.module), len(small.relative)
            names = [base] if alias is None else [base, f"{base}.{dotted(alias.name)}".strip(".")]
        for name in names:
            file = self.find(name, module.file, level)
            if file is not None:
                yield file

    def at(self, file: Path) -> Module | None:
        """The module of a file, None when it cannot be read or parsed (its own check says so)."""
        self.asked.files.add(file)
        if file in self._kept:
            self._kept.move_to_end(file)
            return self._kept[file]
        source = self._source(file)
        if isinstance(source, Finding) or len(source.text) > FOLLOWED_LIMIT:
            self._kept[file] = None
            return None
        try:
            return self._parse(source, file, self.size(file))
        except (cst.ParserSyntaxError, RecursionError, ValueError):
            self._kept[file] = None
            return None

    def _parse(self, source: Source, file: Path, size: int) -> Module:
        """Parse and keep a file. Trees that were not asked for lately are let go before, for both take memory."""
        self._kept.pop(file, None)
        kept = sum(module.size for module in self._kept.values() if module)
        while kept > PARSED_KEPT:
            _, old = self._kept.popitem(last=False)
            kept -= old.size if old else 0
        module = self._kept[file] = parse(source, file)
        module.weight = size / max(len(source.text), 1)
        return module

    def older(self, file: Path, library: str, *version: int) -> bool:
        """Whether the project of a file surely uses a version of a library from before this one."""
        from freezelint.static import versions

        self.asked.versions.add(file.absolute().parent)
        return versions.older(file, library, *version)

    def find(self, name: str, importer: Path, level: int = 0) -> Path | None:
        """The first-party file that `import name` (with `level` leading dots) means in `importer`."""
        key = (("." * level) + name, str(importer.parent))
        self.asked.imports.add(key)
        if key not in self._resolved:
            self._resolved[key] = next(folders.existing(*key), None)
        found = self._resolved[key]
        if found == importer and not level:  # what a program imports under its own name is another file
            return next((file for file in folders.existing(*key) if file != importer), None)
        return found
