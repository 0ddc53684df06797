"""Parsing that leaves the bodies of functions for later: most are never entered, and the parser is what costs.

Python's own parser, ten times as fast, scouts where bodies lie. The rest of the file is parsed with a name in the place
of each body, which is parsed when something looks into it. Whoever walks the tree sees one tree, and none of this.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import libcst as cst
from libcst._nodes.internal import CodegenState

SHORTEST = 3  # lines; what is shorter is parsed at once

_LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_HEADER_END = re.compile(r":[ \t]*(?:#.*)?$")
_STAND_IN = re.compile(r"_body_(\d+)_")
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


class Deferred(cst.IndentedBlock):
    """The body of a function as text, parsed when something looks into it."""

    raw: str  # its lines, without the newline that ends the last one
    parsed: Sequence[cst.BaseStatement] | None

    def __init__(self, stand_in: cst.BaseSuite, raw: str, head: str) -> None:
        put = object.__setattr__  # nodes are frozen
        for name, value in (
            *((name, getattr(stand_in, name)) for name in ("header", "indent", "footer")),
            ("raw", raw),
            ("parsed", None),
            ("_head", head),
        ):
            put(self, name, value)

    @property
    def body(self) -> Sequence[cst.BaseStatement]:  # type: ignore[override]
        if self.parsed is None:
            object.__setattr__(self, "parsed", self._parse())
        assert self.parsed is not None
        return self.parsed

    def _parse(self) -> Sequence[cst.BaseStatement]:
        try:
            tree = cst.parse_module(f"{self._head}{self.raw}\n")  # type: ignore[attr-defined]
        except cst.ParserSyntaxError:  # Python reads it and libcst does not: nothing is known of what follows
            tree = cst.parse_module("def f():\n raise\n")
        function = tree.body[-1]
        assert isinstance(function, cst.FunctionDef)
        return function.body.body  # type: ignore[return-value]

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
    lines = _LINES.findall(text)
    spans = list(_spans(text, lines))
    if not spans:
        return cst.parse_module(text)
    pieces: list[str] = []
    done = 0
    for number, (first, last, indent) in enumerate(spans):
        newline = lines[last - 1][len(lines[last - 1].rstrip("\r\n")) :]
        pieces += [*lines[done:first], f"{indent}_body_{number}_{newline}"]
        done = last
    try:
        tree = cst.parse_module("".join([*pieces, *lines[done:]]))
    except cst.ParserSyntaxError:
        return cst.parse_module(text)
    nodes = list(_functions(tree))
    if len(nodes) != len(spans):
        return cst.parse_module(text)
    for node, number in nodes:
        first, last, _ = spans[number]
        raw = "".join(lines[first:last]).rstrip("\r\n")
        sync = "async " if node.asynchronous is not None else ""
        # The first line settles what an indentation means that is not written out in the tree.
        head = f"if 0:\n{tree.default_indent}0\n{sync}def f():\n"
        object.__setattr__(node, "body", Deferred(node.body, raw, head))
    return tree


def _spans(text: str, lines: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """The lines of each function's body, from the first (counted from 0) to before the end, and their indentation."""
    if "\f" in text or text.startswith("\ufeff") or "def " not in text:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
    for node in _definitions(tree):
        first = node.body[0]
        start = min([first.lineno, *(d.lineno for d in getattr(first, "decorator_list", ()))]) - 1
        indent = lines[start][: len(lines[start]) - len(lines[start].lstrip())]
        while start > node.lineno and lines[start - 1].lstrip()[:1] in ("", "#"):
            start -= 1
        end = node.end_lineno or 0
        ends = lines[end - 1].rstrip("\r\n").endswith("\\")
        if start >= node.lineno and end - start >= SHORTEST and not ends:
            if _HEADER_END.search(lines[start - 1].rstrip("\r\n")):
                yield start, end, indent


def _definitions(node: Any) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions and methods of a file, without those in functions."""
    for name in _BLOCKS:
        for inner in getattr(node, name, ()):
            if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield inner
            elif isinstance(inner, (ast.stmt, ast.ExceptHandler, ast.match_case)):
                yield from _definitions(inner)


def _functions(node: Any) -> Iterator[tuple[cst.FunctionDef, int]]:
    """The functions of a tree whose body is a name that stands for it, with its number."""
    for name in _BLOCKS:
        inner = getattr(node, name, None)
        for one in inner if isinstance(inner, (list, tuple)) else (inner,):
            if isinstance(one, cst.FunctionDef):
                number = _number(one.body)
                if number is not None:
                    yield one, number
            elif isinstance(one, cst.CSTNode) and not isinstance(one, cst.SimpleStatementLine):
                yield from _functions(one)


def _number(body: cst.BaseSuite) -> int | None:
    line = body.body[0] if isinstance(body, cst.IndentedBlock) and len(body.body) == 1 else None
    small = line.body[0] if isinstance(line, cst.SimpleStatementLine) else None
    name = small.value if isinstance(small, cst.Expr) else None
    match = _STAND_IN.fullmatch(name.value) if isinstance(name, cst.Name) else None
    return int(match.group(1)) if match else None
