"""A bare `model.eval` or `model.train` without parentheses does nothing.

What happens
    The method is looked up and thrown away. The model stays in the mode it was in: Dropout and BatchNorm act in
    evaluation as in training, or in training as in evaluation.

Why
    Python has no error for an expression statement; the parentheses are missing.

Bad
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    model.eval
    with torch.no_grad():
        print(model(torch.randn(1, 8)))

Good
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    model.eval()
    with torch.no_grad():
        print(model(torch.randn(1, 8)))

Confirm
    Print `model.training` after the line: it has not changed.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.eval
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import NamedButNotCalled
from freezelint.trace.repair import Repair
from freezelint.trace.run import Fault, Run


@rule(on=NamedButNotCalled, severity=ERROR, sides="static")
def check(run: Run, event: NamedButNotCalled) -> Iterator[Fault]:
    if event.what == "mode":
        yield Fault(
            event.site,
            f"`{event.text}` is named here, not called: the mode stays what it was",
            repair=Repair("call", "call it"),
        )
