"""What a project says of the versions of its libraries, in the files where it says so."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from freezelint.static.modules import roots

_FILES = ("requirements.txt", "pyproject.toml", "setup.py", "setup.cfg", "environment.yml", "environment.yaml")
_LARGEST = 200_000  # characters of such a file


def older(file: Path, library: str, major: int) -> bool:
    """Whether a project surely uses a version of a library from before a major one: it is pinned, or bounded above."""
    return any(_older(folder, library, major) for folder in roots(file.parent))


@lru_cache(maxsize=1024)
def _older(folder: Path, library: str, major: int) -> bool:
    for name in _FILES:
        try:
            text = (folder / name).read_text(encoding="utf-8", errors="replace")[:_LARGEST]
        except OSError:
            continue
        for line in re.findall(rf"(?m)(?<![\w-]){re.escape(library)}(?![\w-])([^\n]*)", text):
            for sign, number in re.findall(r"(==|~=|<=|<|(?<![<>=~!])=(?!=))\s*[\"'^]?(\d+)", line.split(";")[0]):
                if int(number) < major or (sign == "<" and int(number) == major):
                    return True
    return False
