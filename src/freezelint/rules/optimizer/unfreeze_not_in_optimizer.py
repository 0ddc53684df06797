"""A layer is unfrozen after the optimizer was built without it, so it never moves.

What happens
    `requires_grad` becomes True, backward computes gradients for the layer, and no optimizer ever applies them: an
    optimizer updates only the parameters that it was given. Nothing is raised or printed. The gradients pile up, since
    `optimizer.zero_grad()` does not reach them either.

Why
    The optimizer was built while these parameters were filtered out or left out, and it was neither rebuilt nor told of
    them with `add_param_group`.

Bad
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    for p in model[0].parameters():
        p.requires_grad = False
    optimizer = torch.optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), lr=0.1)
    for epoch in range(10):
        if epoch == 5:
            for p in model[0].parameters():
                p.requires_grad = True
        loss = model(torch.randn(4, 8)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Good
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    for p in model[0].parameters():
        p.requires_grad = False
    optimizer = torch.optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), lr=0.1)
    for epoch in range(10):
        if epoch == 5:
            for p in model[0].parameters():
                p.requires_grad = True
            optimizer.add_param_group({"params": model[0].parameters(), "lr": 0.01})
        loss = model(torch.randn(4, 8)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Confirm
    After the first step that follows, compare the layer's weights with a copy taken before it: they are identical,
    although `p.grad` is not None.

References
    https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.add_param_group.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import Step
from freezelint.trace.regions import leaves
from freezelint.trace.repair import Repair
from freezelint.trace.run import Fault, Note, Run, name_is


@rule(on=Step, severity=ERROR, yields_to=("hf-trainer-unfreeze", "lightning-unfreeze"))
def check(run: Run, event: Step) -> Iterator[Fault]:
    for woke, region, optimizer in run.woken_beside(event):
        what = "with what required grad by then" if optimizer.filtered else "without it"
        # A parameter that some optimizer holds may not be given to it again.
        whole = set(leaves(woke.region)) == set(leaves(region)) and not any(part.is_bare for part in region)
        added = Repair("add_group", "give it to the optimizer", safe=False, beside=optimizer.built.site)
        yield Fault(
            woke.site,
            f"{name_is(region)} unfrozen here, but held by no optimizer: gradients come, the weights never move",
            (
                Note(optimizer.built.site, f"{optimizer.label} is built here, {what}"),
                *run.way_to(woke),
                Note(event.site, "this step leaves it as it is"),
            ),
            repair=added if whole else None,
        )
