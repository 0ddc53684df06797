"""A group is added without `lr` after a scheduler has changed the rates: it gets the rate of the first epoch.

What happens
    `add_param_group` fills in what a group does not say from the arguments that the optimizer was built with. A
    scheduler changes the groups, not those defaults: a layer that is unfrozen at epoch 20 starts with the rate of epoch
    0, which may be a hundred times the rate that the rest of the model has come down to.

Why
    What is unfrozen late is pretrained, and was meant to move less than the head, not more.

Bad
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2)
    for epoch in range(6):
        if epoch == 5:
            model[0].requires_grad_(True)
            optimizer.add_param_group({"params": model[0].parameters()})
        loss = model(torch.randn(4, 8)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()

Good
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2)
    for epoch in range(6):
        if epoch == 5:
            model[0].requires_grad_(True)
            optimizer.add_param_group({"params": model[0].parameters(), "lr": scheduler.get_last_lr()[0] / 10})
        loss = model(torch.randn(4, 8)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()

Confirm
    Print `[group["lr"] for group in optimizer.param_groups]` after the group was added.

References
    https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.add_param_group.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import WARNING, rule
from freezelint.trace.events import AddParamGroup
from freezelint.trace.run import Fault, Note, Run, name
from freezelint.trace.tri import NO


@rule(on=AddParamGroup, severity=WARNING)
def check(run: Run, event: AddParamGroup) -> Iterator[Fault]:
    optimizer = run.optimizer(event.optimizer)
    if optimizer is None or event.has_lr is not NO or not event.region:
        return
    for driver in optimizer.schedulers:
        if driver.stepped is not None and not driver.attached.fixed_groups:
            kind = driver.attached.kind
            yield Fault(
                event.site,
                f"{name(event.region)} joins {optimizer.label} without `lr`: it gets the rate that the optimizer was"
                f" built with, not the one that {kind} has brought the others to",
                (
                    Note(optimizer.built.site, "the rate is the one given here"),
                    Note(driver.stepped.site, f"{kind} changes the rates of the groups here"),
                ),
            )
            return
