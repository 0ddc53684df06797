"""An optimizer is given a list that holds `model.parameters()` as one item.

What happens
    The optimizer raises TypeError: `optimizer can only optimize Tensors, but one of the params is Module.parameters`.
    A list must hold tensors, or dictionaries with `params`; a generator inside it is neither.

Why
    `model.parameters()` is a collection already. The brackets are right around several parameters, and around groups.

Bad
    import torch
    from torch import nn

    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD([model.parameters()], lr=0.1)

Good
    import torch
    from torch import nn

    model = nn.Linear(4, 2)
    head = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    several = torch.optim.SGD([*model.parameters(), *head.parameters()], lr=0.1)
    groups = torch.optim.SGD([{"params": model.parameters()}, {"params": head.parameters(), "lr": 0.01}], lr=0.1)

Confirm
    Run it up to this line: it raises TypeError.

References
    https://docs.pytorch.org/docs/stable/optim.html#per-parameter-options
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import BuildOptimizer
from freezelint.trace.repair import Repair
from freezelint.trace.run import Fault, Run


@rule(on=BuildOptimizer, severity=ERROR, sides="static")
def check(run: Run, event: BuildOptimizer) -> Iterator[Fault]:
    if event.nested:
        yield Fault(
            event.site,
            f"{event.label} is given a list with `{event.nested}` as one of its items, and raises TypeError: write"
            f" `*{event.nested}` there, or `{{'params': {event.nested}}}` for a group",
            repair=Repair("star", f"write `*{event.nested}`", text=event.nested),
        )
