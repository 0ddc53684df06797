"""Which code can matter at all: scans of the text, so that most files are never parsed and most functions never run.

A fault needs a place where it is written (a flag, a mode, a grad mode named but not called, a head) or a place where it
does harm (a backward, a step, a framework's training loop). What only serves inference has neither, however often it
says `no_grad()` or `eval()`. Code without such a place still runs when something that has one leads to it.
"""

from __future__ import annotations

import re

_TOKENS = re.compile(
    r"""
    [Rr]equire[sd]?_?[Gg]rads? | [Rr]equires?d?_grads?          # a flag, well or badly spelt
  | \.backward\b | \bbackward\( | \.step\( | \btraining_step\b | manual_backward | \.fit\( | Trainer\(
  | \boptim\.[A-Z] | \b(?:SGD|Adam|AdamW|RMSprop)\(                        # who is held
  | ^[ \t]*[\w.\[\]'"]+\.(?:eval|train)[ \t]*(?:;|\#|$)             # a mode named and not called
  | \.training[ \t]*=(?!=) | \b(?:train|eval)[ \t]*=[ \t]*(?:lambda|\w)
  | ^[ \t]*torch\.(?:no_grad|inference_mode|enable_grad|set_grad_enabled)\b
  | @(?:torch\.)?(?:no_grad|inference_mode)\b[^\n]*\n(?:[ \t]*@[^\n]*\n)*
    [ \t]*(?:async[ ]+)?def[ ]+(?:forward|training_step|__call__)\b       # no gradient where one is needed
  | ^[ \t]+def[ ]+(?:train|eval)\b
  | \.(?:fc|classifier|head|heads|last_linear|_fc|top)(?:\[[^\]]*\])?[ \t]*=[ \t]*  # a new head
    [\w.]*\b(?:nn|Sequential|Linear|Conv2d)\b
    """,
    re.MULTILINE | re.VERBOSE,
)

_TOP = re.compile(r"^(?:async[ ]+def|def|class)[ ]+(\w+)", re.MULTILINE)
_METHOD = re.compile(r"^[ \t]+(?:async[ ]+def|def)[ ]+(\w+)", re.MULTILINE)


def matters(text: str) -> bool:
    """Whether something in a text is a reason to run it."""
    return bool(_TOKENS.search(text))


def is_script(text: str) -> bool:
    """Whether a file is a program, which may bring together what matters elsewhere."""
    return "__main__" in text


class Segments:
    """The top-level functions and classes of a file, and the methods of its classes, by their text."""

    def __init__(self, text: str) -> None:
        self._tops: dict[str, str] = {}
        for name, piece in _pieces(_TOP, text):
            self._tops[name] = self._tops.get(name, "") + piece

    def runs(self, name: str) -> bool:
        """Whether a top-level function or class is worth running for its own sake."""
        return matters(self._tops.get(name, ""))

    def methods(self, name: str) -> frozenset[str]:
        """The methods of a class that are worth running for their own sake."""
        return frozenset(method for method, piece in _pieces(_METHOD, self._tops.get(name, "")) if matters(piece))


def _pieces(start: re.Pattern[str], text: str) -> list[tuple[str, str]]:
    """Each definition's name and text, from the blank line above it, where its decorators stand, to the next one."""
    found = list(start.finditer(text))
    ends = [m.start() for m in found[1:]] + [len(text)]
    return [
        (m.group(1), text[max(text.rfind("\n\n", 0, m.start()), 0) : end]) for m, end in zip(found, ends, strict=False)
    ]
