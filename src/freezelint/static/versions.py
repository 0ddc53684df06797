"""What a project says of the versions of its libraries, in the files where it says so."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from freezelint.static.asked import VERSIONED
from freezelint.static.folders import roots

_LARGEST = 200_000  # characters of such a file


def forget() -> None:
    """Read them again: in a program that goes on running, they change."""
    _older.cache_clear()


def older(file: Path, library: str, *version: int) -> bool:
    """Whether a project surely uses a version of a library from before this one: it is pinned, or bounded above."""
    return any(_older(folder, library, version) for folder in roots(file.absolute().parent))


_SAID = re.compile(r"""(==|~=|<=|<|(?<![<>=~!])=(?!=))\s*["']?(\^?)\s*(\d+(?:\.\d+)*)(\.\*)?""")


@lru_cache(maxsize=1024)
def _older(folder: Path, library: str, version: tuple[int, ...]) -> bool:
    for name in VERSIONED:
        try:
            text = (folder / name).read_text(encoding="utf-8", errors="replace")[:_LARGEST]
        except OSError:
            continue
        for line in re.findall(rf"(?m)(?<![\w-]){re.escape(library)}(?![\w-])([^\n]*)", text):
            for sign, caret, number, star in _SAID.findall(line.split(";")[0]):
                given = tuple(map(int, re.sub(r"(\.0+)+$", "", number).split(".")))
                if caret or star or sign == "~=":  # what is left open may be as new as the major version goes
                    given, wanted = given[:1], version[:1]
                else:
                    wanted = version
                if given < wanted or (sign == "<" and given <= wanted):
                    return True
    return False
