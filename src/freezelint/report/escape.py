"""Text that does no harm where it is shown: names out of other people's files may hold anything."""

from __future__ import annotations

import re
import unicodedata

# Characters that would move the cursor, hide text or reorder the line: controls, formats, surrogates, line ends.
UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"})

# What Markdown or HTML would take for markup, outside of a code span.
_MARKUP = re.compile(r"[\\`*_\[\]<>#|~&$]")
_CODE = re.compile(r"(`[^`]*`)")


def printable(text: str) -> str:
    """Text that cannot act on a terminal: control characters are written as escapes, a tab as four spaces."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_printable(character) for character in text)


def _printable(character: str) -> str:
    if character == "\t":
        return "    "
    if unicodedata.category(character) in UNPRINTABLE:
        return character.encode("unicode_escape", "surrogatepass").decode("ascii")
    return character


def width(text: str) -> int:
    """Columns that text takes on a terminal: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def markdown(text: str) -> str:
    """Text as Markdown that shows it as it is; what stands between backquotes stays a code span."""
    parts = _CODE.split(printable(text))
    return "".join(part if part.startswith("`") and len(part) > 1 else _MARKUP.sub(r"\\\g<0>", part) for part in parts)


def code(text: str) -> str:
    """Text as one code span of Markdown, whatever backquotes it holds."""
    text = printable(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") or not text.strip() else ""
    return f"{fence}{space}{text}{space}{fence}"
