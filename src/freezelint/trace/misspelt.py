"""Names that are nearly right: what a test of names would have found, but for one slip of its author.

Of a library's model whose size is not known, the names of its default size are: settings add and drop layers, and do
not rename them. So a word that no such name holds, and that is one slip away from one, names nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from freezelint.trace.tri import NO

if TYPE_CHECKING:
    from freezelint.trace.regions import Test

SHORTEST = 6  # letters of a word of which one may be wrong: among shorter ones many are one letter apart


def misspelt(test: Test, names: Sequence[str]) -> bool:
    """Whether no name passes a test, and each of its words is one slip away from a name."""
    if not names or test.kind not in ("in", "startswith", "endswith", "equals"):
        return False
    return all(test.of_name(name) is NO for name in names) and all(meant(word, names) for word in test.args)


def meant(word: str, names: Sequence[str]) -> str:
    """The name that a word is one slip away from, "" if there is none."""
    parts = word.split(".")
    return next((name for name in names if _slipped(parts, name.split("."))), "")


def _slipped(parts: list[str], name: list[str]) -> bool:
    """Whether some parts of a name in a row are these, all but one, which is nearly the same."""
    for start in range(len(name) - len(parts) + 1):
        pairs = [(part, own) for part, own in zip(parts, name[start:], strict=False) if part and part != own]
        if len(pairs) == 1 and _alike(*pairs[0]):
            return True
    return False


def _alike(word: str, own: str) -> bool:
    """Whether two words differ in a plural, in `_` or capitals, or in one letter: missing, left over, another one, or
    beside its place. A digit, or the first letter, tells two things apart."""
    a, b = word.lower().replace("_", ""), own.lower().replace("_", "")
    if a == b or f"{a}s" == b or a == f"{b}s":
        return True
    if min(len(a), len(b)) < SHORTEST or abs(len(a) - len(b)) > 1 or a[0] != b[0]:
        return False
    at = next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    rest, other = a[at:], b[at:]
    if any(letter.isdigit() for letter in rest[:1] + other[:1]):
        return False
    swapped = rest[:2] == other[:2][::-1] and rest[2:] == other[2:]
    return swapped or rest[1:] in (other, other[1:]) or rest == other[1:]
