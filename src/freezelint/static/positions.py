"""Where nodes stand. libcst's own provider costs twice the parse; this one notes tokens, and counts lines later."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from types import TracebackType
from typing import Any

import libcst as cst
from libcst._nodes.internal import CodegenState

from freezelint.static.notebook import NEWLINE


class Positions:
    """The places of the nodes of a tree, those in bodies that nothing looked into so far excepted."""

    def __init__(self, tree: cst.Module) -> None:
        writer = _Writer(tree.default_indent, tree.default_newline)
        tree._codegen(writer)
        self._places = writer.places
        self._offsets = [0, *accumulate(map(len, writer.tokens))]
        self._lines = [0, *(match.end() for match in NEWLINE.finditer("".join(writer.tokens)))]

    def get(self, node: cst.CSTNode) -> tuple[int, int, int, int] | None:
        """Line and column of the start and of the end, from 1."""
        place = self._places.get(id(node))
        return (*self._at(place[0]), *self._at(place[1])) if place else None

    def _at(self, token: int) -> tuple[int, int]:
        offset = self._offsets[min(token, len(self._offsets) - 1)]
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1


class _Writer(CodegenState):
    """Writes a tree as libcst does, and notes between which tokens each node stands."""

    def __init__(self, indent: str, newline: str) -> None:
        super().__init__(indent, newline)
        self.places: dict[int, tuple[int, int]] = {}
        self._started: list[int] = []

    def before_codegen(self, node: cst.CSTNode) -> None:
        self._started.append(len(self.tokens))

    def after_codegen(self, node: cst.CSTNode) -> None:
        self.places.setdefault(id(node), (self._started.pop(), len(self.tokens)))

    def pop_trailing_newline(self) -> None:
        """A text that ends without a newline ends after one as far as places go."""

    def record_syntactic_position(self, node: Any, *, start_node: Any = None, end_node: Any = None) -> Any:
        return _Proper(self, node, start_node, end_node)


class _Proper:
    """A node without the white space that it owns."""

    __slots__ = ("end", "node", "start", "started", "writer")

    def __init__(self, writer: _Writer, node: Any, start: Any, end: Any) -> None:
        self.writer, self.node, self.start, self.end = writer, node, start, end

    def __enter__(self) -> None:
        self.started = len(self.writer.tokens)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            return
        places = self.writer.places
        first = self.started if self.start is None else places[id(self.start)][0]
        last = len(self.writer.tokens) if self.end is None else places[id(self.end)][1]
        places[id(self.node)] = first, last
