"""A grad mode is named or created as a statement of its own and has no effect.

What happens
    `torch.no_grad()`, `torch.inference_mode()` and `torch.enable_grad()` act only as a `with` block or as a decorator.
    As a bare statement they make an object that is thrown away: what follows records gradients as before, and an
    evaluation keeps its whole graph in memory.

Why
    It looks like `torch.set_grad_enabled(False)` or `model.eval()`, which do act as statements.

Bad
    import torch
    from torch import nn

    model = nn.Linear(8, 2)
    model.eval()
    torch.no_grad()
    prediction = model(torch.randn(4, 8))

Good
    import torch
    from torch import nn

    model = nn.Linear(8, 2)
    model.eval()
    with torch.no_grad():
        prediction = model(torch.randn(4, 8))

Confirm
    `torch.is_grad_enabled()` on the next line is unchanged.

References
    https://docs.pytorch.org/docs/stable/generated/torch.no_grad.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import NamedButNotCalled
from freezelint.trace.run import Fault, Run


@rule(on=NamedButNotCalled, severity=ERROR, sides="static")
def check(run: Run, event: NamedButNotCalled) -> Iterator[Fault]:
    if event.what == "grad-mode":
        yield Fault(
            event.site,
            f"`{event.text}` has no effect as a statement: gradients are recorded, or not, as before; use it"
            " in a `with` or as a decorator",
        )
