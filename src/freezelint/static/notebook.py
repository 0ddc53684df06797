"""Notebooks: the code cells of an .ipynb as one program in cell order, and the way back from its lines to cells.

Each cell is followed by a line of its own, `MARK`, so that what stands last in a cell can be told: a notebook displays
it, and `model.eval` there is no forgotten call. Magics and shell lines are IPython's, not Python's; they are blanked in
place, line by line, so that line numbers hold. A cell that is no Python even then loses only the lines at fault.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from dataclasses import dataclass, replace
from typing import Any

from freezelint.finding import Finding, Fix, Site
from freezelint.static.recovery import recovered

MARK = '"-- end of cell --"'

NEWLINE = re.compile("\r\n|\r|\n")  # what ends a line in Python; a form feed or U+2028 ends none

_MAGIC = re.compile(r"^(\s*)(?:[%!?].*|[\w.\[\]]+\?{1,2}\s*)$")
_ASSIGNED = re.compile(r"^(\s*[\w.,\s]+=\s*)[%!].*$")
_PYTHON_CELLS = frozenset({"time", "timeit", "capture", "prun", "notify", "memit"})  # %%time: Python below


class BrokenNotebook(ValueError):
    """Why a file cannot be read as a notebook, in words that follow its name."""


class ForeignKernel(ValueError):
    """The language of a notebook that is not Python's."""


@dataclass(frozen=True)
class Cell:
    """A code cell: its number among the code cells, and its first and last line in the program."""

    number: int
    first: int
    last: int


def program(text: str) -> tuple[str, tuple[Cell, ...]]:
    """The program a notebook's code cells make, and where each cell stands in it.

    BrokenNotebook when this is no notebook, ForeignKernel when its cells are not Python.
    """
    try:
        book = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BrokenNotebook(f"is no valid notebook (JSON: {error})") from None
    cells = book.get("cells") if isinstance(book, dict) else None
    if cells is None and isinstance(book, dict) and isinstance(book.get("worksheets"), list):  # nbformat 3
        cells = [cell for sheet in book["worksheets"] if isinstance(sheet, dict) for cell in sheet.get("cells", ())]
    if not isinstance(cells, list):
        raise BrokenNotebook("is no valid notebook: it has no list of cells")
    language = _language(book)
    if language not in ("", "python", "python3", "ipython"):
        raise ForeignKernel(language)
    lines: list[str] = []
    found: list[Cell] = []
    number = 0
    for cell in cells:
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        body = python(_source(cell))
        first = len(lines) + 1
        lines += body
        found.append(Cell(number, first, len(lines)))
        lines.append(MARK)
        number += 1
    return "\n".join(lines) + "\n", tuple(found)


def _language(book: dict[str, Any]) -> str:
    metadata = book.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    for key, name in (("language_info", "name"), ("kernelspec", "language")):
        info = metadata.get(key)
        if isinstance(info, dict) and isinstance(info.get(name), str):
            return str(info[name]).lower()
    return ""


def _source(cell: dict[str, Any]) -> str:
    source = cell.get("source", cell.get("input", ""))
    return "".join(map(str, source)) if isinstance(source, list) else str(source)


def python(source: str) -> list[str]:
    """The lines of a cell as Python; blank ones where it holds something else."""
    lines = NEWLINE.split(source)
    lines = lines if lines[-1] else lines[:-1]
    if _parses(source):
        return lines
    head = lines[0].strip() if lines else ""
    if head.startswith("%%"):
        words = head[2:].split()
        if not words or words[0] not in _PYTHON_CELLS:
            return [""] * len(lines)  # another language
        lines = ["", *lines[1:]]
    blanked = [_ASSIGNED.sub(r"\1None", _MAGIC.sub(r"\1pass", line)) for line in lines]
    if _parses("\n".join(blanked)):
        return blanked
    found = recovered("\n".join(blanked), shift=False)  # fixes are written by column
    return found.text.split("\n") if found else [""] * len(lines)


def without_magics(text: str) -> str | None:
    """A notebook that was saved as a script, which keeps its magics and shell lines, as Python; None if it is not."""
    lines = text.split("\n")
    if not any(line.startswith(("!", "%")) for line in lines):
        return None
    blanked = "\n".join(_ASSIGNED.sub(r"\1None", _MAGIC.sub(r"\1pass", line)) for line in lines)
    return blanked if _parses(blanked) else None


def _parses(text: str) -> bool:
    # ast only scouts here: whether a cell is Python at all is asked before the whole is parsed by libcst.
    return fault(text) is None


def fault(text: str) -> SyntaxError | None:
    """What keeps a text from being Python, as Python says it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError as error:
        return error
    except (ValueError, RecursionError, MemoryError) as error:
        return SyntaxError(str(error))
    return None


def relocate(finding: Finding, cells: tuple[Cell, ...]) -> Finding:
    """A finding in the program, told in cells and their own lines."""
    return replace(
        finding,
        site=_in_cell(finding.site, cells),
        related=tuple(_in_cell(site, cells) for site in finding.related),
        fix=_fix(finding.fix, cells),
    )


def _fix(fix: Fix | None, cells: tuple[Cell, ...]) -> Fix | None:
    """A fix of the program, told in cells; None when an edit does not stay in one."""
    edits = []
    for edit in fix.edits if fix else ():
        cell = next((c for c in cells if c.first <= edit.line <= edit.end_line <= c.last), None)
        if cell is None:
            return None
        shift = cell.first - 1
        edits.append(replace(edit, cell=cell.number, line=edit.line - shift, end_line=edit.end_line - shift))
    return replace(fix, edits=tuple(edits)) if fix else None


def _in_cell(site: Site, cells: tuple[Cell, ...]) -> Site:
    for cell in cells:
        if cell.first <= site.line <= cell.last + 1:
            shift = cell.first - 1
            return replace(site, cell=cell.number, line=site.line - shift, end_line=site.end_line - shift)
    return site
