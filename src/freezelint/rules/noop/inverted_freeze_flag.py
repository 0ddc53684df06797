"""`requires_grad` is set to the very flag that asks for a freeze, so freezing and training are swapped.

What happens
    With `freeze=True` the parameters require grad and train; with `freeze=False` they are frozen. Nothing is raised or
    printed, and both settings run.

Why
    `requires_grad` says what trains, `freeze` says what does not: one is the negation of the other.

Bad
    from torch import nn

    def build(freeze):
        model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
        for p in model[0].parameters():
            p.requires_grad = freeze
        return model

    model = build(freeze=True)

Good
    from torch import nn

    def build(freeze):
        model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
        for p in model[0].parameters():
            p.requires_grad = not freeze
        return model

    model = build(freeze=True)

Confirm
    Print `[p.requires_grad for p in model.parameters()]` with the flag on and off: on gives True.

References
    https://docs.pytorch.org/docs/stable/notes/autograd.html#setting-requires-grad
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import SetRequiresGrad
from freezelint.trace.run import Fault, Run

_FREEZES = re.compile(r"(?:^|_)(?:freez(?:e|es|ing)|frozen)(?:_|$)")
# Words that turn the sense round, or say that the name holds something else than a wish to freeze.
_OTHER = re.compile(
    r"(?:^|_)(?:not|un|no|non|unfreeze|grad|trainable|status|state|mask|old|orig|prev|before|was)(?:_|$)"
)


@rule(on=SetRequiresGrad, severity=ERROR, sides="static")
def check(run: Run, event: SetRequiresGrad) -> Iterator[Fault]:
    name = event.asked.lower()
    if not _FREEZES.search(name) or _OTHER.search(name) or "unfreez" in event.within.lower():
        return
    yield Fault(
        event.site,
        f"`requires_grad` is set to `{event.asked}` itself: True trains these parameters and False freezes them, the"
        f" opposite of what the name asks; it takes `not {event.asked}`",
    )
