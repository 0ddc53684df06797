"""Parsing that leaves the bodies of functions and classes for later: most are never entered, and parsing is what costs.

Python's own parser, ten times as fast, scouts where bodies lie. The rest of the file is parsed with a name in the place
of each body, which is parsed when something looks into it. Whoever walks the tree sees one tree, and none of this.
"""

from __future__ import annotations

import ast
import contextlib
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import libcst as cst
from libcst._nodes.internal import CodegenState

SHORTEST = 3  # lines; what is shorter is parsed at once

_LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_HEADER_END = re.compile(r":[ \t]*(?:#.*)?$")
_STAND_IN = re.compile(r"_body_(\d+)_")
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


@dataclass(frozen=True, slots=True)
class _Span:
    """The lines of a body, from the first (counted from 0) to before the end, and those of the bodies in it."""

    first: int
    end: int
    indent: str
    inner: tuple[_Span, ...]


class Deferred(cst.IndentedBlock):
    """The body of a function or class as text, parsed when something looks into it."""

    def __init__(self, stand_in: cst.BaseSuite, file: File, span: _Span, head: str) -> None:
        assert isinstance(stand_in, cst.IndentedBlock)
        put = object.__setattr__  # nodes are frozen
        for name in ("header", "indent", "footer"):
            put(self, name, getattr(stand_in, name))
        for name, value in (("parsed", None), ("_file", file), ("_span", span), ("_head", head)):
            put(self, name, value)

    parsed: Sequence[cst.BaseStatement] | None
    _file: File
    _span: _Span
    _head: str

    @property
    def body(self) -> Sequence[cst.BaseStatement]:  # type: ignore[override]
        if self.parsed is None:
            object.__setattr__(self, "parsed", self._parse())
        assert self.parsed is not None
        return self.parsed

    @property
    def raw(self) -> str:
        """The lines, without the newline that ends the last one."""
        return "".join(self._file.lines[self._span.first : self._span.end]).rstrip("\r\n")

    def _parse(self) -> Sequence[cst.BaseStatement]:
        try:
            tree = self._file.parse(self._head, self._span.first, self._span.end, self._span.inner)
        except (
            cst.ParserSyntaxError,
            LeftOut,
        ):  # Python reads it and libcst does not: nothing is known of what follows
            tree = cst.parse_module("def f():\n raise\n")
        return tree.body[-1].body.body  # type: ignore[union-attr, return-value]

    def _codegen_impl(self, state: CodegenState) -> None:
        if self.parsed is not None and getattr(state, "places", None) is not None:
            super()._codegen_impl(state)
            return
        self.header._codegen(state)
        state.add_token(self.raw)
        state.add_token(state.default_newline)
        state.increase_indent(state.default_indent if self.indent is None else self.indent)
        for line in self.footer:
            line._codegen(state)
        state.decrease_indent()


def parse(text: str) -> cst.Module:
    """The tree of a text; libcst.ParserSyntaxError when it is no Python 3."""
    return read(text)[0]


def read(text: str) -> tuple[cst.Module, File]:
    """The tree of a text, and the file that knows how much of it was parsed."""
    file = File(_LINES.findall(text))
    spans = tuple(_scouted(text, file.lines))
    if spans:
        with contextlib.suppress(cst.ParserSyntaxError, LeftOut):
            return file.parse("", 0, len(file.lines), spans), file
    file.parsed = len(text)
    return cst.parse_module(text), file


class LeftOut(Exception):
    """A body that was left out was not found again."""


class File:
    """The lines of a file, and how many characters of it were parsed so far. Trees hold it, and it holds no tree."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines
        self.parsed = 0
        self._indent = self._newline = ""

    def parse(self, head: str, first: int, end: int, spans: Sequence[_Span]) -> cst.Module:
        """The tree of some lines, with what is in their bodies left for later."""
        pieces = [head]
        for number, span in enumerate(spans):
            last = self.lines[span.end - 1]
            newline = last[len(last.rstrip("\r\n")) :]
            pieces += [*self.lines[first : span.first], f"{span.indent}_body_{number}_{newline}"]
            first = span.end
        text = "".join([*pieces, *self.lines[first:end]])
        tree = cst.parse_module(text)
        if not self.parsed:
            self._indent, self._newline = tree.default_indent, tree.default_newline
        self.parsed += len(text)
        left = set(range(len(spans)))
        for node in _definitions(tree):
            number_ = _number(node.body)
            if number_ is not None:
                object.__setattr__(node, "body", Deferred(node.body, self, spans[number_], self._head(node)))
                left.discard(number_)
        if left:
            raise LeftOut
        return tree

    def _head(self, node: cst.FunctionDef | cst.ClassDef) -> str:
        """What to put before a body to parse it. It settles what an indentation is that is not written out in trees."""
        indent, newline = self._indent, self._newline
        sync = "async " if isinstance(node, cst.FunctionDef) and node.asynchronous is not None else ""
        kind = "def f():" if isinstance(node, cst.FunctionDef) else "class C:"
        return f"if 0:{newline}{indent}0{newline}{sync}{kind}{newline}"


def _scouted(text: str, lines: Sequence[str]) -> Iterator[_Span]:
    """The bodies in a text; none if in doubt."""
    if "\f" in text or text.startswith("\ufeff") or not ("def " in text or "class " in text):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
    yield from _spans(tree, lines)


def _spans(node: Any, lines: Sequence[str]) -> Iterator[_Span]:
    """The bodies of the definitions in a block. Those in functions are parsed with them."""
    for name in _BLOCKS:
        for inner in getattr(node, name, ()):
            if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                span = _span(inner, lines)
                if span is not None:
                    yield span
                elif isinstance(inner, ast.ClassDef):
                    yield from _spans(inner, lines)
            elif isinstance(inner, (ast.stmt, ast.ExceptHandler, ast.match_case)):
                yield from _spans(inner, lines)


def _span(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, lines: Sequence[str]) -> _Span | None:
    """The lines of a body that stands on lines of its own."""
    first = node.body[0]
    start = min([first.lineno, *(d.lineno for d in getattr(first, "decorator_list", ()))]) - 1
    indent = lines[start][: len(lines[start]) - len(lines[start].lstrip())]
    while start > node.lineno and lines[start - 1].lstrip()[:1] in ("", "#"):
        start -= 1
    end = node.end_lineno or 0
    if start < node.lineno or end - start < SHORTEST or lines[end - 1].rstrip("\r\n").endswith("\\"):
        return None
    if not _HEADER_END.search(lines[start - 1].rstrip("\r\n")):
        return None
    return _Span(start, end, indent, tuple(_spans(node, lines)) if isinstance(node, ast.ClassDef) else ())


def _definitions(node: Any) -> Iterator[cst.FunctionDef | cst.ClassDef]:
    """The functions and classes in a tree whose bodies may have been left out, without those in functions."""
    for name in _BLOCKS:
        inner = getattr(node, name, None)
        for one in inner if isinstance(inner, (list, tuple)) else (inner,):
            if isinstance(one, (cst.FunctionDef, cst.ClassDef)):
                yield one
            if isinstance(one, cst.CSTNode) and not isinstance(
                one, (cst.SimpleStatementLine, cst.FunctionDef, Deferred)
            ):
                yield from _definitions(one)


def _number(body: cst.BaseSuite) -> int | None:
    line = body.body[0] if isinstance(body, cst.IndentedBlock) and len(body.body) == 1 else None
    small = line.body[0] if isinstance(line, cst.SimpleStatementLine) else None
    name = small.value if isinstance(small, cst.Expr) else None
    match = _STAND_IN.fullmatch(name.value) if isinstance(name, cst.Name) else None
    return int(match.group(1)) if match else None
