"""A parsed file as an editor of text sees it: where nodes stand, what is around them, and edits that touch only those.

No tree is ever written as a whole: what a fix does not mention keeps every character, whatever the parser made of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import libcst as cst

from freezelint.finding import Edit
from freezelint.static.deferred import Deferred
from freezelint.static.modules import Module
from freezelint.static.notebook import NEWLINE

_BLANK = " \t\f"

Place = tuple[int, int]  # line and column, from 1


class Unfit(Exception):
    """A place that a way of mending does not fit; the finding has no fix, which is no fault."""


class View:
    """One module, its lines, and the parent of every node."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.lines = NEWLINE.split(module.text)
        self.newline = next(iter(NEWLINE.findall(module.text)), "\n")
        self._parents: dict[int, cst.CSTNode] = {}
        self._look()
        # The parser forgets a form feed before the first word of a line, or takes it for indentation of the next ones.
        told = NEWLINE.split(module.tree.code)
        if len(told) != len(self.lines):
            raise Unfit("the parser does not give this file back")
        self._lost = [
            len(line) - len(shown) if line.lstrip(_BLANK) == shown.lstrip(_BLANK) else None
            for line, shown in zip(self.lines, told, strict=True)
        ]

    def _look(self) -> None:
        """Note the parents of what is parsed by now; nothing is asked about in bodies that nothing looked into."""
        pending: list[cst.CSTNode] = [self.module.tree]
        while pending:
            node = pending.pop()
            if not isinstance(node, Deferred) or node.parsed is not None:
                for child in node.children:
                    self._parents[id(child)] = node
                    pending.append(child)

    # Around a node --------------------------------------------------------------------------------------------------

    def parent(self, node: cst.CSTNode) -> cst.CSTNode:
        above = next(self.above(node), None)
        if above is None:
            raise Unfit("no such node")
        return above

    def above(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """What a node lies in, nearest first."""
        while node is not self.module.tree:
            if id(node) not in self._parents:
                self._look()
            if id(node) not in self._parents:
                break
            node = self._parents[id(node)]
            yield node

    def statement(self, node: cst.CSTNode) -> cst.BaseSmallStatement:
        """The simple statement that a node is, or is part of."""
        for one in (node, *self.above(node)):
            if isinstance(one, cst.BaseSmallStatement):
                return one
            if isinstance(one, cst.BaseCompoundStatement):
                break
        raise Unfit("no simple statement")

    def line_of(self, node: cst.CSTNode) -> cst.SimpleStatementLine:
        """The line, with nothing else on it, that a simple statement is."""
        line = self.parent(self.statement(node))
        if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
            raise Unfit("several statements on a line")
        return line

    def function(self, node: cst.CSTNode) -> cst.CSTNode:
        """The function around a node, or the module."""
        return next(
            (one for one in self.above(node) if isinstance(one, (cst.FunctionDef, cst.Lambda))), self.module.tree
        )

    def cls(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The class whose method a node stands in."""
        function = self.function(node)
        around = list(self.above(function))[1:2] if isinstance(function, cst.FunctionDef) else []
        return around[0] if around and isinstance(around[0], cst.ClassDef) else None

    def code(self, node: cst.CSTNode) -> str:
        return str(self.module.tree.code_for_node(node))

    # Places ---------------------------------------------------------------------------------------------------------

    def start(self, node: cst.CSTNode) -> Place:
        """Where a node starts, inside its own parentheses."""
        site = self.module.site(node)
        return self._true(site.line, site.column)

    def end(self, node: cst.CSTNode) -> Place:
        site = self.module.site(node)
        return self._true(site.end_line, site.end_column)

    def _true(self, line: int, column: int) -> Place:
        lost = self._lost[line - 1] if 0 < line <= len(self._lost) else None
        if lost is None:
            raise Unfit("the parser does not give this line back")
        return line, column + lost

    def between(self, start: Place, end: Place) -> str:
        """The text between two places, lines joined by a newline."""
        (first, left), (last, right) = start, end
        if first == last:
            return self.lines[first - 1][left - 1 : right - 1]
        inner = self.lines[first : last - 1]
        return "\n".join([self.lines[first - 1][left - 1 :], *inner, self.lines[last - 1][: right - 1]])

    def indent(self, line: int) -> str:
        """The white space before the first word of a line."""
        text = self.lines[line - 1]
        return text[: len(text) - len(text.lstrip())].rpartition("\f")[2]

    # Edits ----------------------------------------------------------------------------------------------------------

    def edit(self, start: Place, end: Place, text: str) -> Edit:
        return Edit(self.module.path, *start, *end, text)

    def name(self, node: cst.Name, new: str) -> Edit:
        """Another name, where this one stands."""
        start, end = self.start(node), self.end(node)
        if self.between(start, end) != node.value:
            raise Unfit("the name is not where it should be")
        return self.edit(start, end, new)

    def before(self, node: cst.CSTNode, text: str) -> Edit:
        start = self.start(node)
        return self.edit(start, start, text)

    def after(self, node: cst.CSTNode, text: str) -> Edit:
        end = self.end(node)
        return self.edit(end, end, text)

    def whole(self, node: cst.CSTNode, code: str) -> Edit:
        """Other code for a simple statement."""
        start, end = self.start(node), self.end(node)
        bare = node.with_changes(semicolon=cst.MaybeSentinel.DEFAULT)
        if self.between(start, end) != "\n".join(NEWLINE.split(self.code(bare))):
            raise Unfit("the statement is not where it should be")
        return self.edit(start, end, code)

    def below(self, statement: cst.CSTNode, code: str) -> Edit:
        """A line of its own below a statement, at its indentation."""
        first = self.start(statement)[0]
        return self.below_line(self.last_line(statement), self.indent(first) + code)

    def below_line(self, line: int, code: str) -> Edit:
        if self.lines[line - 1].endswith("\\"):
            raise Unfit("the line goes on")
        place = (line, len(self.lines[line - 1]) + 1)
        return self.edit(place, place, self.newline + code)

    def last_line(self, statement: cst.CSTNode) -> int:
        """The line on which a statement, with what is below it, ends."""
        return self.end(_last(statement))[0]


def _last(statement: Any) -> cst.CSTNode:
    """The last simple line in a statement."""
    if isinstance(statement, (cst.SimpleStatementLine, cst.SimpleStatementSuite, cst.BaseSmallStatement)):
        return statement
    if isinstance(statement, cst.IndentedBlock):
        if not statement.body:
            raise Unfit("an empty block")
        return _last(statement.body[-1])
    if isinstance(statement, (cst.Try, cst.TryStar)):
        tails = (statement.finalbody, statement.orelse, *reversed(statement.handlers), statement.body)
        return _last(next(one for one in tails if one is not None))
    if isinstance(statement, cst.Match):
        return _last(statement.cases[-1].body)
    orelse = getattr(statement, "orelse", None)
    if orelse is not None:
        return _last(orelse)
    body = getattr(statement, "body", None)
    if body is None:
        raise Unfit("no statement")
    return _last(body)


def walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """A node and everything below it, in the order of the source."""
    yield node
    for child in node.children:
        yield from walk(child)


def inside(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """What belongs to a function itself, not to functions and classes in it."""
    for child in node.children:
        yield child
        if not isinstance(child, (cst.FunctionDef, cst.Lambda, cst.ClassDef)):
            yield from inside(child)
