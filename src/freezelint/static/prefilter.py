"""Which code can matter at all: scans of the text, so that most files are never parsed and most functions never run.

A fault needs a place where it is written (a flag, a mode, a grad mode named but not called, a head) or a place where it
does harm (a backward, a step, a framework's training loop). What only serves inference has neither, however often it
says `no_grad()` or `eval()`. Code without such a place still runs when something that has one leads to it.
"""

from __future__ import annotations

import re
import symtable
import warnings

# A needle that is quick to look for, and what its line has to hold; None when the needle says it all.
_ON_A_LINE: tuple[tuple[str, re.Pattern[str] | None], ...] = tuple(
    (needle, re.compile(pattern, re.MULTILINE) if pattern else None)
    for needle, pattern in (
        # a flag that is written, well or badly spelt
        *(
            (
                f"equire{ending}rad",  # the license of nearly every file says "required"
                r"\.\w?[Rr]equire[sd]?_?[Gg]rad\w*[ \t]*[=(:]|[\"']requires?d?_grads?[\"']"
                r"|^[^\n#]*\.requires?_grads?_?[ \t]*$",
            )
            for ending in ("g", "G", "_g", "_G", "sg", "sG", "s_g", "s_G", "dg", "dG", "d_g", "d_G", "sd_g")
        ),
        (".trainable", r"\.trainable[ \t]*=(?!=)"),
        ("backward", r"\.backward\b|\bbackward\("),
        # a step of an optimizer; those of schedulers (samplers of diffusion models, too) and environments train nothing
        (".step(", r"^(?![^\n]*(?:[Ss]chedul|\benv)\w*(?:\[[^\]\n]*\])?\.step\()[^\n]*\.step\("),
        ("training_step", None),
        (".fit(", None),
        ("Trainer(", None),
        ("optim.", r"\boptim\.[A-Z]"),
        ("Adam", r"\bAdamW?\("),
        ("SGD(", None),
        # what a list's method returns is given to something
        (".append(", r"=[ \t(]*[\w.]+\.append\("),
        (".extend(", r"=[ \t(]*[\w.]+\.extend\("),
        # a mode named and not called, or assigned
        (".eval", r"^[ \t]*[\w.\[\]'\"]+\.eval[ \t]*(?:;|#|$)|\.eval[ \t]*=(?!=)"),
        (".train", r"^[ \t]*[\w.\[\]'\"]+\.train[ \t]*(?:;|#|$)|\.train(?:ing)?[ \t]*=(?!=)"),
        ("def train(", r"^[ \t]+(?:async[ ]+)?def[ ]+train\("),
        ("def eval(", r"^[ \t]+(?:async[ ]+)?def[ ]+eval\("),
        # flags are read once and for all
        ("FSDP(", None),
        ("FullyShardedDataParallel(", None),
        ("fully_shard(", None),
        # a grad mode as a statement
        ("torch.no_grad", r"^[ \t]*torch\.no_grad\b"),
        ("torch.inference_mode", r"^[ \t]*torch\.inference_mode\b"),
        ("torch.enable_grad", r"^[ \t]*torch\.enable_grad\b"),
        ("no_grad", r"^[ \t]*no_grad\b"),
        ("inference_mode", r"^[ \t]*inference_mode\b"),
        ("enable_grad", r"^[ \t]*enable_grad\b"),
        ("set_grad_enabled", r"^[ \t]*[\w.]*set_grad_enabled\("),
        # a new head on somebody else's model
        *(
            (
                f".{head}",
                rf"(?<!\bself)\.{head}(?:\[[^\]\n]*\])?[ \t]*=[ \t(]*[\w.]*\b(?:nn|Sequential|Linear|Conv2d)\b",
            )
            for head in ("fc", "classifier", "head", "last_linear", "_fc")
        ),
    )
)

# A needle, and what the text has to hold, wherever that is.
_ANYWHERE: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (needle, re.compile(pattern, re.MULTILINE))
    for needle, pattern in (
        ("Require", r"\.[Rr]equires?_?[Gg]rad"),
        # a freeze that is asked for, whether or not anything obeys
        (
            "freez",
            r"\bfreez\w*[ \t]*(?::[ \t]*\w+)?[ \t]*=[ \t]*True\b"
            r"|\bself\.(_?(?:un)?freez\w*)[ \t]*=(?!=)[\s\S]*\bdef[ ]+\1\(",
        ),
        # a loss class beside a grad mode
        ("Loss(", r"^[ \t]*class[ ]+\w*Loss\([\s\S]*no_grad\b|no_grad\b[\s\S]*^[ \t]*class[ ]+\w*Loss\("),
        # weights whose names nobody compares
        ("hyper_parameters", r"\[[\"']hyper_parameters[\"']\][\s\S]*strict\s*=[\s(]*False"),
    )
)

_TOP = re.compile(r"^()(?:async[ ]+def|def|class)[ ]+(\w+)", re.MULTILINE)
_METHOD = re.compile(r"^([ \t]+)(?:async[ ]+def|def)[ ]+(\w+)", re.MULTILINE)


def matters(text: str) -> bool:
    """Whether something in a text is a reason to run it."""
    return any(_has(text, needle, sign) for needle, sign in _ON_A_LINE) or any(
        needle in text and sign.search(text) for needle, sign in _ANYWHERE
    )


def _has(text: str, needle: str, sign: re.Pattern[str] | None) -> bool:
    """Whether a line with the needle is a sign. Other lines, which are nearly all, are not looked at."""
    at = text.find(needle)
    while at >= 0:
        end = text.find("\n", at)
        end = end if end >= 0 else len(text)
        if sign is None or sign.search(text, text.rfind("\n", 0, at) + 1, end):
            return True
        at = text.find(needle, end)
    return False


def trains(text: str) -> bool:
    """Whether a text holds a training loop, or hands one to a framework."""
    return any(word in text for word in ("backward", "training_step", ".fit(", "Trainer(", ".train()"))


# `train(model, ...)` at the top level: a program without the usual guard
_STARTS = re.compile(
    r"^(?:[\w, \t.]+=[ \t]*)?[(]*(?:\w+\.)*(?:train|fit|fine_?tune|(?:un)?freez|main)\w*\(", re.MULTILINE
)


def is_script(text: str) -> bool:
    """Whether a file is a program, which may bring together what matters elsewhere."""
    return "__main__" in text or _STARTS.search(text) is not None


def idle(text: str) -> bool:
    """Whether a file needs no look: it is Python, and nothing in it is a reason to run it. Needs no parser of ours."""
    return not matters(text) and not is_script(text) and _is_python(text)


def _is_python(text: str) -> bool:
    """Whether a text that nothing else is asked of is Python, by the interpreter's own parser, which is the fastest;
    names are looked at after it, which is faster still than to make its tree one of Python's objects.

    It may be older than the text, so that its No is only a reason to ask the parser that everything else depends on.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            symtable.symtable(text, "", "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


class Segments:
    """The top-level functions and classes of a file, and the methods of its classes, by their text."""

    def __init__(self, text: str) -> None:
        self._tops: dict[str, str] = {}
        for name, piece in _pieces(_TOP, text):
            self._tops[name] = self._tops.get(name, "") + piece

    def runs(self, name: str) -> bool:
        """Whether a top-level function or class is worth running for its own sake."""
        return matters(self._tops.get(name, ""))

    def trains(self, name: str) -> bool:
        """Whether a top-level function or class holds a training loop."""
        return trains(self._tops.get(name, ""))

    def methods(self, name: str) -> frozenset[str]:
        """The methods of a class that are worth running for their own sake."""
        return frozenset(method for method, piece in _pieces(_METHOD, self._tops.get(name, "")) if matters(piece))


def _pieces(start: re.Pattern[str], text: str) -> list[tuple[str, str]]:
    """Each definition's name and text, from the blank line above it, where its decorators stand, to the next one that
    does not stand inside of it."""
    found = list(start.finditer(text))
    pieces = []
    for at, m in enumerate(found):
        indent = m.group(1)
        end = next((n.start() for n in found[at + 1 :] if len(n.group(1)) <= len(indent)), len(text))
        pieces.append((m.group(2), text[max(text.rfind("\n\n", 0, m.start()), 0) : end]))
    return pieces
