"""Whether a line was run, and what passed the test on it: marks in the compiled code, where a finding names a line.

A mark is a call before the statement; a test of names (`"fc" in name`) is handed through a call that counts. Files on
disk stay as they are, line numbers too; a file without findings is not touched at all.
"""

from __future__ import annotations

import ast
import builtins
import importlib.machinery
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType, ModuleType
from typing import Any

from freezelint.live.versions import is_compiling

MARK, TEST = "__freezelint_ran__", "__freezelint_passed__"
STRING_TESTS = ("startswith", "endswith", "match", "search", "fullmatch")


@dataclass
class Asked:
    """A test of names on one line: the names that it was put to, and those that passed."""

    names: dict[str, None] = field(default_factory=dict)
    passed: dict[str, None] = field(default_factory=dict)


class Visits:
    """Marks the lines of findings while it is active, and knows which of them were run."""

    def __init__(
        self,
        lines: Mapping[str, Iterable[int]],
        clock: Callable[[], int] = lambda: 0,
        reached: Callable[[tuple[str, int]], None] = lambda place: None,
    ) -> None:
        self._clock = clock
        self._reached = reached  # told before a line is run for the first time
        self.lines = {os.path.realpath(path): sorted(set(numbers)) for path, numbers in lines.items()}
        self._seen: dict[tuple[str, int], int] = {}
        self._marked: list[tuple[str, int]] = []
        self._asked: dict[tuple[str, int], Asked] = {}
        self._tests: list[tuple[str, int]] = []
        self._finder = _Finder(self)

    def start(self) -> None:
        """Mark what is compiled or imported from now on."""

        def ran(number: int, seen: Any = self._seen, marked: Any = self._marked) -> None:
            if not is_compiling() and marked[number] not in seen:
                seen[marked[number]] = self._clock()
                self._reached(marked[number])

        def passed(number: int, negated: bool, outcome: Any, names: tuple[Any, ...]) -> Any:
            if not is_compiling():
                asked = self._asked.setdefault(self._tests[number], Asked())
                given = dict.fromkeys([name for name in names if isinstance(name, str)][:1])
                asked.names |= given
                if bool(outcome) is not negated:
                    asked.passed |= given
            return outcome

        setattr(builtins, MARK, ran)
        setattr(builtins, TEST, passed)
        sys.meta_path.insert(0, self._finder)

    def stop(self) -> None:
        """Mark no more. Marked code that is still around finds a name that does nothing."""
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        setattr(builtins, MARK, _nothing)
        setattr(builtins, TEST, _handed_on)

    def first(self, path: str, line: int) -> int | None:
        """What the clock said when this line was first run; None when it was not."""
        return self._seen.get((os.path.realpath(path), line))

    @property
    def outstanding(self) -> bool:
        """Whether there is a line in the files that were loaded which did not run yet."""
        return any(place not in self._seen for place in self._marked)

    def asked(self, path: str, line: int) -> Asked | None:
        """What a test of names on this line was asked; None when it was not, or there is none."""
        return self._asked.get((os.path.realpath(path), line))

    def compile(self, source: bytes | str, path: str) -> CodeType:
        """Compile a file with its marks."""
        lines = self.lines.get(os.path.realpath(path), [])
        if not lines:
            code: CodeType = compile(source, path, "exec", dont_inherit=True)
            return code
        tree = ast.parse(source, path)
        for line in lines:
            number = len(self._marked)
            self._marked.append((os.path.realpath(path), line))
            statement = _mark(tree, line, number)
            if statement is not None:
                self._count(statement, os.path.realpath(path), line)
        marked: CodeType = compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)
        return marked

    def _count(self, statement: ast.stmt, path: str, line: int) -> None:
        """Count what passes the tests of names in the head of a statement."""
        for parent, name, place in list(_heads(statement)):
            value = getattr(parent, name)
            test = value if place is None else value[place]
            found = _names_tested(test)
            if found is None:
                continue
            negated, names = found
            arguments: list[ast.expr] = [ast.Constant(len(self._tests)), ast.Constant(negated), test]
            arguments.append(ast.Tuple([ast.Name(n, ast.Load()) for n in names], ast.Load()))
            call = _placed(ast.Call(ast.Name(TEST, ast.Load()), arguments, []), test)
            self._tests.append((path, line))
            if place is None:
                setattr(parent, name, call)
            else:
                value[place] = call


def _nothing(number: int) -> None:
    """What a mark calls once nobody asks."""


def _handed_on(number: int, negated: bool, outcome: Any, names: tuple[Any, ...]) -> Any:
    """What a counted test calls once nobody asks."""
    return outcome


def _heads(statement: ast.stmt) -> Iterator[tuple[ast.AST, str, int | None]]:
    """Where an expression hangs in a statement, without the statements inside it: (parent, field, place in a list)."""
    pending: list[ast.AST] = [statement]
    while pending:
        parent = pending.pop()
        for name, value in ast.iter_fields(parent):
            children = value if isinstance(value, list) else [value]
            for number, child in enumerate(children):
                if isinstance(child, ast.expr):
                    yield parent, name, number if isinstance(value, list) else None
                if isinstance(child, (ast.expr, ast.keyword, ast.comprehension)) and not isinstance(child, ast.Lambda):
                    pending.append(child)


def _names_tested(test: ast.expr) -> tuple[bool, list[str]] | None:
    """Whether a test of strings passes when it is False, and the variables it tests; None for anything else."""
    match test:
        case ast.Compare(ops=[ast.In() | ast.NotIn() | ast.Eq() | ast.NotEq() as how]):
            names = [part.id for part in (test.left, *test.comparators) if isinstance(part, ast.Name)]
            return (isinstance(how, (ast.NotIn, ast.NotEq)), names) if names else None
        case ast.Call(func=ast.Attribute(attr=attribute, value=owner)) if attribute in STRING_TESTS:
            names = [part.id for part in (owner, *test.args) if isinstance(part, ast.Name)]
            return (False, names) if names else None
    return None


def _placed(made: ast.expr, like: ast.AST) -> ast.expr:
    """A made expression at the place of another."""
    for node in ast.walk(made):
        if isinstance(node, ast.expr) and not hasattr(node, "lineno"):
            ast.copy_location(node, like)
    return made


def _mark(tree: ast.Module, line: int, number: int) -> ast.stmt | None:
    """Put a mark before the innermost statement that `line` belongs to, and return that statement."""
    body: list[ast.stmt] = tree.body
    place: tuple[list[ast.stmt], int] | None = None
    while True:
        index = next((i for i, statement in enumerate(body) if _covers(statement, line)), None)
        if index is None:
            break
        statement = body[index]
        place = (body, index)
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)) and line <= statement.lineno:
            start = 1 if ast.get_docstring(statement, clean=False) is not None else 0
            place = (statement.body, start)  # a decorator or a signature matters when the function runs
            break
        inner = [b for b in _bodies(statement) if any(_covers(s, line) for s in b)]
        if not inner:
            break
        body = inner[0]
    if place is None:
        return None
    body, index = place
    before = body[min(index, len(body) - 1)]
    mark = ast.Expr(ast.Call(ast.Name(MARK, ast.Load()), [ast.Constant(number)], []))
    for node in ast.walk(mark):
        if isinstance(node, (ast.expr, ast.stmt)):
            ast.copy_location(node, before)
            node.end_lineno, node.end_col_offset = before.lineno, before.col_offset
    body.insert(index, mark)
    return before


def _covers(statement: ast.stmt, line: int) -> bool:
    return _first(statement) <= line <= (statement.end_lineno or statement.lineno)


def _first(statement: ast.stmt) -> int:
    first: int = statement.lineno
    return min([first, *(int(d.lineno) for d in getattr(statement, "decorator_list", ()))])


def _bodies(statement: ast.stmt) -> list[list[ast.stmt]]:
    found = [getattr(statement, name, None) or [] for name in ("body", "orelse", "finalbody")]
    found += [handler.body for handler in getattr(statement, "handlers", ())]
    found += [case.body for case in getattr(statement, "cases", ())]
    return [body for body in found if isinstance(body, list)]


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a module with marks, past the cache of compiled files."""

    visits: Visits

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        return self.visits.compile(self.get_data(path), path)


class _Finder:
    """Finds modules as usual, and gives those with findings the loader that marks."""

    def __init__(self, visits: Visits) -> None:
        self.visits = visits

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of a module that has lines to mark; None for every other."""
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or not spec.origin or os.path.realpath(spec.origin) not in self.visits.lines:
            return None
        if not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            return None
        loader = _Loader(spec.loader.name, spec.loader.path)
        loader.visits = self.visits
        spec.loader = loader
        return spec
