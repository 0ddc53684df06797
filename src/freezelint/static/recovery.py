"""Files that are not quite Python 3: what can be read of them is read, and only the lines at fault are left out.

Notebooks that were saved as scripts keep shell lines, old code has print statements and `cuda(async=True)`, somebody
saved a file in the middle of a line. What stands in a line that cannot be read is unknown: a call to an unknown
function takes its place, with every name of the line as argument, so that nothing is believed of what it may have done.

Lines keep their numbers and, but where an indentation is mended, their columns. The parser of Python itself scouts.
"""

from __future__ import annotations

import ast
import keyword
import re
import warnings
from dataclasses import dataclass

ATTEMPTS = 25  # lines left out; a file with more of them is something else than Python
LONGEST = 300_000  # characters; each attempt parses the whole
UNKNOWN = "unreadable_line"  # the function that is called in place of a line; no such name is ever bound

_OLD = (  # Python 2 and what was a keyword later, by what means the same and is as long
    (
        re.compile(r"^(\s*)print(?:[ \t](?=[ \t]*[\"'\w\[{`-])(?![ \t]*(?:and|or|in|is|if)\b)|(?=[\"']))", re.M),
        r"\1print,",
    ),
    (re.compile(r"^(\s*print)[ \t]*>>", re.M), r"\1,  "),
    (re.compile(r"^(\s*except\s+[\w.]+|\s*except\s*\([\w., \t]+\))\s*,\s*(\w+)\s*:", re.M), r"\1 as \2:"),
    (re.compile(r"^(\s*raise\s+[\w.]+)[ \t]*,", re.M), r"\1;"),
    (re.compile(r"\basync[ \t]*=(?!=)"), "asyn_="),
    (re.compile(r"<>"), "!="),
)
_CONFLICT = re.compile(r"^<{7} .*\n([\s\S]*?)^={7}\n([\s\S]*?)^>{7} .*$", re.M)
_NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_ON_LINE = re.compile(r"on line (\d+)$")
_INDENT = re.compile(r"^[ \t]+", re.M)
_STRING = re.compile(r"""\"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""")
_TARGET = re.compile(r"((?:[A-Za-z_]\w*\s*,\s*)*[A-Za-z_]\w*\s*)=(?!=)")


@dataclass(frozen=True)
class Lost:
    """A line that could not be read as it stands, and what Python says of it."""

    line: int
    why: str


@dataclass(frozen=True)
class Recovered:
    """A text as Python 3 with its lines where they were, what was wrong first, and the lines that were left out."""

    text: str
    first: Lost
    left_out: tuple[Lost, ...]


def recovered(text: str, *, shift: bool = True) -> Recovered | None:
    """What can be read of a text that is no Python 3; None when that is nothing, or hardly anything.

    Without `shift`, columns hold as well, and an indentation that is wrong is not mended.
    """
    error = _error(text) if len(text) <= LONGEST else None
    if error is None:
        return None
    first = Lost(error.lineno or 1, error.msg)
    text = _CONFLICT.sub(_ours, text)
    for old, new in _OLD:
        text = old.sub(new, text)
    if isinstance(error, TabError) and shift:
        text = _INDENT.sub(lambda tabs: tabs[0].expandtabs(), text)
    left_out: list[Lost] = []
    lines = text.split("\n")
    while (error := _error(text)) is not None:
        at = min(error.lineno or 1, len(lines))
        left_out.append(Lost(at, error.msg))
        if len(left_out) > ATTEMPTS or isinstance(error, TabError) or not _mend(lines, at - 1, error, shift):
            return None
        text = "\n".join(lines)
    return Recovered(text, first, tuple(left_out))


def _ours(conflict: re.Match[str]) -> str:
    """The first of the two sides of a merge that was never ended, and blank lines for the rest."""
    blank = "\n" * (conflict[0].count("\n") - conflict[1].count("\n") - 1)
    return f"\n{conflict[1]}{blank}"


def _error(text: str) -> SyntaxError | None:
    """What Python has against a text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError as error:
        return error
    except (ValueError, RecursionError, MemoryError):
        return SyntaxError("unreadable", ("", None, None, None))
    return None


def _mend(lines: list[str], at: int, error: SyntaxError, shift: bool) -> bool:
    """Mend the line at an index, or leave it out. False when that changed nothing."""
    if isinstance(error, IndentationError):
        if error.msg.startswith("expected an indented block"):
            header = _ON_LINE.search(error.msg)
            return _close(lines, int(header[1]) - 1 if header else _above(lines, at))
        return shift and _shift(lines, at)
    line = lines[at]
    code = _STRING.sub("''", line).split("#", 1)[0].strip()
    names = dict.fromkeys(name for name in _NAME.findall(code) if not keyword.iskeyword(name) and name != UNKNOWN)
    unknown = f"{UNKNOWN}({', '.join(names)})"
    below = next((line for line in lines[at + 1 :] if line.strip()), "")
    target = _TARGET.match(code)
    if code.endswith(":") and _depth(below) > _depth(line):
        word = code.split(" ", 1)[0]
        if word in ("def", "class", "async"):
            unknown = f"def {UNKNOWN}():"
        else:
            unknown = f"{'while' if word in ('for', 'while') else 'if'} {unknown}:"
    elif target and not any(keyword.iskeyword(name) for name in _NAME.findall(target[1])):
        unknown = f"{target[1]}= {unknown}"
    lines[at] = line[: _depth(line)] + unknown
    changed, end = lines[at] != line, at
    while line.endswith("\\") and end + 1 < len(lines):  # what goes on in the next line went with it
        end += 1
        line, lines[end] = lines[end], ""
    return changed


def _above(lines: list[str], at: int) -> int:
    """The index of the last line before another that holds something."""
    return next((i for i in range(at - 1, -1, -1) if lines[i].strip()), 0)


def _close(lines: list[str], header: int) -> bool:
    """Give a header without a body one."""
    code = lines[header].split("#", 1)[0].rstrip()
    if not code.endswith(":"):
        return False
    lines[header] = f"{code} pass"
    return True


def _shift(lines: list[str], at: int) -> bool:
    """Move a block to the left, until it stands below the line before it or one of those around."""
    depth = _depth(lines[at])
    above = _depth(lines[_above(lines, at)])
    allowed = (
        above if above < depth else max((d for d in map(_depth, filter(str.strip, lines[:at])) if d < depth), default=0)
    )
    for index in range(at, len(lines)):
        if lines[index].strip():
            if _depth(lines[index]) < depth:
                break
            lines[index] = lines[index][depth - allowed :]
    return allowed < depth


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
