"""Parsed files of the project: their trees, the names they bind, the first-party files they import, and positions.

libcst parses; names and imports are resolved here, because libcst's own metadata costs several times the parse.
Positions are computed once a finding needs one.
"""

from __future__ import annotations

import os
import re
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import libcst as cst

from freezelint.finding import Finding, Site
from freezelint.static import deferred
from freezelint.static.asked import Asked
from freezelint.static.notebook import NEWLINE, without_magics
from freezelint.static.positions import Positions
from freezelint.static.prefilter import matters
from freezelint.static.project import Source, read
from freezelint.static.recovery import Recovered, recovered

PARSED_KEPT = 1_500_000  # characters of parsed code that are kept as trees, which take about 200 bytes for each
DEEPEST = 200  # brackets in brackets, as Python itself has it
CHAIN = 2_000  # operators in a row; the parser takes a time that grows with the square of either
_OPENING, _CLOSING, _ENDS = frozenset("([{"), frozenset(")]}"), frozenset(",:;=")
_SIGNS = frozenset(". + - * / % @ & | ^ < > ~ ) ] } not and or is lambda await else".split())
_BRACKETS = re.compile(r"[()\[\]{}]+")
FOLLOWED_LIMIT = 400_000  # a followed file larger than this is generated code
LONGEST = 90_000  # tokens of a file: more than 15,000 lines of ordinary code, whose tree takes 200 MB
A_TOKEN = 7  # characters of ordinary code to a token, comments and white space included
_TOKEN = re.compile(
    r"""\"{3}[\s\S]*?\"{3}|'{3}[\s\S]*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\#[^\n]*|\w+|[^\w\s]|\n"""
)


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


class TooLong(ValueError):
    """A file has so many tokens that its tree would take too much memory."""


def tokens(text: str) -> int:
    """About how many tokens a text has, blank lines included."""
    return sum(1 for _ in _TOKEN.finditer(text))


def size(text: str) -> int:
    """How many characters ordinary code has whose tree takes as much memory."""
    return max(len(text), A_TOKEN * tokens(text))


def parse(source: Source, file: Path) -> Module:
    """The module of a source; libcst.ParserSyntaxError when it is no Python 3, RecursionError when it is too deep, and
    TooLong."""
    if _too_deep(source.text):
        raise RecursionError
    number = tokens(source.text) if len(source.text) > LONGEST else 0
    if number > LONGEST:
        raise TooLong(f"{number:,} tokens")
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


def _too_deep(text: str) -> bool:
    """Whether brackets are nested, or operators follow one another, further than the parser can be asked to go."""
    if text.count("elif ") > CHAIN:  # each is an `if` in the `else` of the one before
        return True
    if _rounds(text) <= DEEPEST and sum(map(text.count, _SIGNS)) <= CHAIN:
        return False
    chains = [0]  # operators so far, of what stands in each of the open brackets
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word in _OPENING:
            chains.append(0)
        elif word in _ENDS or (word == "\n" and len(chains) == 1):
            chains[-1] = 0
        elif word in _SIGNS:
            if word in _CLOSING and len(chains) > 1:
                chains.pop()
            chains[-1] += 1
        if len(chains) > DEEPEST or chains[-1] > CHAIN:
            return True
    return False


def _rounds(text: str) -> int:
    """How deep brackets may be nested at most, by how often the innermost can be taken away."""
    brackets, rounds = "".join(_BRACKETS.findall(text)), 0
    while brackets and rounds <= DEEPEST:
        rounds += 1
        fewer = brackets.replace("()", "").replace("[]", "").replace("{}", "")
        if fewer == brackets:  # what stands in strings has no match
            return rounds + len(brackets)
        brackets = fewer
    return rounds


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


@lru_cache(maxsize=65536)
def listing(folder: str) -> frozenset[str]:
    """The names in a folder, as they were when they were first asked for."""
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()


def _is_file(path: Path) -> bool:
    return path.name in listing(str(path.parent)) and path.is_file()


def forget() -> None:
    """Look at the folders again: in a program that goes on running, files come and go."""
    from freezelint.static import versions

    listing.cache_clear()
    roots.cache_clear()
    versions.forget()


# What is surely installed, where a file of the project may have the name of one of its modules.
_LIBRARIES = sys.stdlib_module_names | frozenset(
    "PIL accelerate albumentations apex bitsandbytes cv2 datasets deepspeed detectron2 diffusers einops fastai jax"
    " keras kornia lightning matplotlib mmcv monai networkx numpy open_clip pandas peft plotly pytorch_lightning ray"
    " scipy seaborn sentence_transformers skimage sklearn tensorboard tensorboardX tensorflow timm tokenizers torch"
    " torch_geometric torchaudio torchmetrics torchtext torchvision tqdm transformers trl ultralytics wandb".split()
)
_TOP = frozenset({".git", "pyproject.toml", "setup.py", "setup.cfg", ".hg"})


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
        return self._parse(source, file, size(source.text))

    def size(self, file: Path) -> int:
        """How large a file is, as characters of ordinary code."""
        if file not in self._sizes:
            self._sizes[file] = size(self.text(file))
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
            self._resolved[key] = next(_existing(*key), None)
        found = self._resolved[key]
        if found == importer and not level:  # what a program imports under its own name is another file
            return next((file for file in _existing(*key) if file != importer), None)
        return found


def _existing(name: str, folder: str) -> Iterator[Path]:
    return (file for file in _candidates(name, Path(folder)) if _is_file(file))


def _candidates(name: str, folder: Path) -> Iterator[Path]:
    """The files that an import may mean in a folder, the first that exists before the others."""
    module = name.lstrip(".")
    parts = [part for part in module.split(".") if part]
    level = len(name) - len(module)
    for top in (folder, *folder.parents)[level - 1 : level] if level else roots(folder):
        target = top.joinpath(*parts)
        if parts:
            yield target.with_name(target.name + ".py")
        yield target / "__init__.py"
    # A repository that was a package of that name on its author's disk, or a folder that has lost or changed its name.
    if not level and len(parts) > 1 and parts[0] not in _LIBRARIES:
        for top in roots(folder):
            target = top.joinpath(*parts[1:])
            yield target.with_name(target.name + ".py")
        yield folder / f"{parts[-1]}.py"


def asks(name: str, folder: Path) -> Iterator[tuple[str, str]]:
    """What an import asks of the disk: names in folders. That of "" asks where the project's top is."""
    if not name.startswith("."):
        for here in roots(folder):
            yield from ((str(here), top) for top in (*_TOP, "src"))
    if name:
        yield from ((str(file.parent), file.name) for file in _candidates(name, folder))


@lru_cache(maxsize=4096)
def roots(folder: Path) -> tuple[Path, ...]:
    """Where absolute imports of a file in `folder` are looked for: its folder, those above it up to the project's
    top, and the `src` folders beside them."""
    found: list[Path] = []
    here = folder
    for _ in range(12):
        found.append(here)
        entries = listing(str(here))
        if "src" in entries:
            found.append(here / "src")
        if entries & _TOP or here.parent == here:
            break
        here = here.parent
    return tuple(found)
