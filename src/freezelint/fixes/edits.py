"""Edits of text: of a source as it stands, and of a notebook's file, every other byte of which stays.

A notebook is JSON, and a cell's source a string in it or a list of strings, one a line. An edit is made in those very
strings: which characters are escaped, how the file is indented and what else it holds is no concern of it.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from freezelint.finding import Edit
from freezelint.static.notebook import NEWLINE

_SPACE = re.compile(r"[ \t\r\n]*")
_PLAIN = re.compile(r'[^"\\]+')
_SCALAR = re.compile(r"[^\s,\]}]+")


class Clash(ValueError):
    """Edits that cannot be made: they overlap, or the place is not there."""


def applied(text: str, edits: Iterable[Edit], notebook: bool = False) -> str:
    """The text of a file after some edits."""
    spans = list(_in_notebook(text, edits) if notebook else _in_text(text, edits))
    # At one place, what was told first comes first.
    order = sorted(range(len(spans)), key=lambda number: (spans[number][0], spans[number][1], number))
    pieces, at = [], 0
    for start, end, new in (spans[number] for number in order):
        if start < at:
            raise Clash("two edits overlap")
        pieces += [text[at:start], new]
        at = end
    return "".join([*pieces, text[at:]])


def overlap(edits: Iterable[Edit], others: Iterable[Edit]) -> bool:
    """Whether some edits touch the same lines of the same file."""
    mine = {(e.path, e.cell, line) for e in edits for line in range(e.line, e.end_line + 1)}
    return any((e.path, e.cell, line) in mine for e in others for line in range(e.line, e.end_line + 1))


def diff(path: str, before: str, after: str) -> Iterator[str]:
    """The lines of a unified diff, each with its end."""
    lines = [
        text if text.endswith(("\n", "\r")) or not text else text + "\n\\ No newline at end of file\n"
        for text in difflib.unified_diff(_lines(before), _lines(after), *_names(path), lineterm="\n")
    ]
    yield from lines


def _names(path: str) -> tuple[str, str]:
    """Names in the head of a patch, quoted as git does where they hold what would end the line."""
    names = (path, path) if path.startswith("/") or ":" in path else (f"a/{path}", f"b/{path}")
    if path.isprintable():
        return names
    before, after = (
        "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03o}" for byte in os.fsencode(name))
        for name in names
    )
    return f'"{before}"', f'"{after}"'


def _lines(text: str) -> list[str]:
    """The lines of a text with their ends."""
    ends = [match.end() for match in NEWLINE.finditer(text)]
    starts = [0, *ends]
    return [text[start:end] for start, end in zip(starts, [*ends, len(text)], strict=True) if start < end]


def _in_text(text: str, edits: Iterable[Edit]) -> Iterator[tuple[int, int, str]]:
    starts = [0, *(match.end() for match in NEWLINE.finditer(text))]
    for edit in edits:
        if not 0 < edit.line <= edit.end_line <= len(starts):
            raise Clash("the line is not there")
        start, end = starts[edit.line - 1] + edit.column - 1, starts[edit.end_line - 1] + edit.end_column - 1
        if not start <= end <= len(text):
            raise Clash("the place is not there")
        yield start, end, edit.text


# Notebooks ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Token:
    """A string in JSON text: where it starts and ends, quotes included."""

    start: int
    end: int


def _in_notebook(text: str, edits: Iterable[Edit]) -> Iterator[tuple[int, int, str]]:
    sources = _sources(text)
    for edit in edits:
        if edit.cell is None or not 0 <= edit.cell < len(sources):
            raise Clash("the cell is not there")
        tokens = sources[edit.cell]
        characters = [place for token in tokens for place in _characters(text, token)]
        if any(text[token.start] != '"' for token in tokens) or not tokens:
            raise Clash("the cell's source is no text")
        decoded = "".join(character for character, _, _ in characters)
        lines = _lines(decoded) or [""]
        if not 0 < edit.line <= edit.end_line <= len(lines) + 1:
            raise Clash("the line is not there")

        def offset(line: int, column: int, lines: list[str] = lines) -> int:
            return sum(map(len, lines[: line - 1])) + column - 1

        def begins(number: int, characters: list[tuple[str, int, int]] = characters, last: Token = tokens[-1]) -> int:
            return characters[number][1] if number < len(characters) else last.end - 1

        start, end = offset(edit.line, edit.column), offset(edit.end_line, edit.end_column)
        if not start <= end <= len(decoded):
            raise Clash("the place is not there")
        # An insertion goes behind the character before it, so that it stays in that line's string.
        first = characters[start - 1][2] if start == end and start else begins(start)
        last = first if start == end else begins(end)
        yield first, last, _encoded(edit.text, text, tokens)


def _characters(text: str, token: Token) -> Iterator[tuple[str, int, int]]:
    """Each character that a JSON string stands for, and where it is written."""
    at = token.start + 1
    while at < token.end - 1:
        size = 1
        if text[at] == "\\":
            size = 6 if text[at + 1] == "u" else 2
            pair = text[at : at + 12]
            if re.match(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..", pair):
                size = 12
        yield json.loads(f'"{text[at : at + size]}"', strict=False), at, at + size
        at += size


def _encoded(new: str, text: str, tokens: Sequence[Token]) -> str:
    """New source as the inside of the strings of a cell: where lines are strings of their own, so is each new one."""
    between = f'"{text[tokens[0].end : tokens[1].start]}"' if len(tokens) > 1 else ""
    lines = re.split("(?<=\n)", new)
    return between.join(json.dumps(line, ensure_ascii=text.isascii())[1:-1] for line in lines)


def _sources(text: str) -> list[list[Token]]:
    """The strings that make up each code cell's source, in order."""
    found: list[list[Token]] = []
    cells = _member(text, _skip(text, 0), "cells")
    if cells is not None:
        _cells(text, cells, found)
        return found
    sheets = _member(text, _skip(text, 0), "worksheets")
    for sheet in _items(text, sheets) if sheets is not None else ():
        cells = _member(text, sheet, "cells")
        if cells is not None:
            _cells(text, cells, found)
    return found


def _cells(text: str, at: int, found: list[list[Token]]) -> None:
    for cell in _items(text, at):
        kind = _member(text, cell, "cell_type")
        if kind is None or json.loads(text[kind : _end(text, kind)]) != "code":
            continue
        source = _member(text, cell, "source")
        source = _member(text, cell, "input") if source is None else source
        if source is None:
            found.append([])
        elif text[source] == "[":
            found.append([Token(item, _end(text, item)) for item in _items(text, source)])
        else:
            found.append([Token(source, _end(text, source))])


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _end(text: str, at: int) -> int:
    """Where the JSON value that starts here ends."""
    if text[at] == '"':
        at += 1
        while text[at] != '"':
            plain = _PLAIN.match(text, at)
            at = plain.end() if plain else at + 2
        return at + 1
    if text[at] in "[{":
        depth = 0
        while True:
            if text[at] == '"':
                at = _end(text, at)
                continue
            depth += (text[at] in "[{") - (text[at] in "]}")
            at += 1
            if not depth:
                return at
    scalar = _SCALAR.match(text, at)
    return scalar.end() if scalar else at + 1


def _items(text: str, at: int) -> Iterator[int]:
    """Where each item of a list starts."""
    at = _skip(text, at + 1)
    while text[at] != "]":
        yield at
        at = _skip(text, _end(text, at))
        at = _skip(text, at + 1) if text[at] == "," else at


def _member(text: str, at: int, name: str) -> int | None:
    """Where the value of a member of an object starts; of several of that name, the last, as JSON has it."""
    found = None
    if text[at] != "{":
        return None
    at = _skip(text, at + 1)
    while text[at] != "}":
        end = _end(text, at)
        key = json.loads(text[at:end], strict=False)
        at = _skip(text, _skip(text, end) + 1)
        if key == name:
            found = at
        at = _skip(text, _end(text, at))
        at = _skip(text, at + 1) if text[at] == "," else at
    return found
