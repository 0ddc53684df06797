"""A misspelled `requires_grad` is a new attribute that torch never reads, so nothing is frozen.

What happens
    A parameter takes any attribute that it is given. `p.require_grad = False` stores one that nobody reads, and the
    real flag, `p.requires_grad`, keeps its value: what was to be frozen goes on training, what was to be unfrozen stays
    frozen. Nothing is raised or printed.

Why
    The name is `requires_grad`: third person, with an s, in the present, without an s at its end. `trainable`, which
    Keras reads of a layer, is another word that torch does not know.

Bad
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    for p in model[0].parameters():
        p.require_grad = False

Good
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    for p in model[0].parameters():
        p.requires_grad = False

Confirm
    Print `[p.requires_grad for p in model.parameters()]` after the line: the flags are what they were before it. The
    misspelled name shows up in `vars(p)`.

References
    https://docs.pytorch.org/docs/stable/generated/torch.Tensor.requires_grad.html
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher

from freezelint.trace.check import ERROR, WARNING, rule
from freezelint.trace.events import WroteAttribute
from freezelint.trace.repair import Repair
from freezelint.trace.run import Fault, Run
from freezelint.trace.tri import YES

_CLOSE = 0.8  # "required_gradient" is as far as people get; "retain_grad", which is something else, is at 0.67


@rule(on=WroteAttribute, severity=ERROR)
def check(run: Run, event: WroteAttribute) -> Iterator[Fault]:
    foreign = event.name == "trainable" and event.target in ("parameter", "module") and event.value in ("True", "False")
    if event.own or not (foreign or _misspelled(event.name)):
        return
    if event.target == "unknown" and event.value not in ("True", "False"):
        return
    if event.target not in ("parameter", "unknown") and (event.target != "module" or event.surely is not YES):
        return
    want = {"False": "nothing is frozen here", "True": "nothing is unfrozen here"}.get(event.value, "no flag changes")
    same = run.already(event.region, event.value)
    yield Fault(
        event.site,
        f"`{event.text or event.name}` is {'a word of Keras' if foreign else 'misspelled'}: torch only reads"
        f" `requires_grad`, so {want}" + (f" (the flag is {event.value} already)" if same else ""),
        severity=WARNING if same else ERROR,
        repair=_repair(event),
    )


def _repair(event: WroteAttribute) -> Repair:
    if event.target == "module":
        return Repair("setter", "call `requires_grad_`", event.value in ("True", "False"), "requires_grad_")
    return Repair("spell", "spell it `requires_grad`", event.target == "parameter", "requires_grad")


def _misspelled(name: str) -> bool:
    plain = name.lower().rstrip("_")
    # A leading underscore is no slip of the hand: libraries keep a private note of what they froze under that name.
    if name in ("requires_grad", "requires_grad_") or not plain.startswith("re"):
        return False
    return SequenceMatcher(None, plain, "requires_grad", autojunk=False).ratio() >= _CLOSE
