"""The optimizer is built anew, and the scheduler still drives the old one.

What happens
    A scheduler writes learning rates into the optimizer that it was made for. When another optimizer takes over, as
    after an unfreeze, `scheduler.step()` goes on changing the old one: the new one keeps its first rate to the end.
    torch warns only if the old optimizer never took a step.

Why
    `scheduler = StepLR(optimizer, ...)` keeps the object, not the name `optimizer`.

Bad
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2)
    for epoch in range(6):
        if epoch == 3:
            model[0].requires_grad_(True)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
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
        if epoch == 3:
            model[0].requires_grad_(True)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
            scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2)
        loss = model(torch.randn(4, 8)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()

Confirm
    `scheduler.optimizer is optimizer` is False after the new one is built, and `optimizer.param_groups[0]["lr"]` stays.

References
    https://docs.pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import StepScheduler
from freezelint.trace.run import Fault, Note, Run


@rule(on=StepScheduler, severity=ERROR)
def check(run: Run, event: StepScheduler) -> Iterator[Fault]:
    old = run.optimizer(event.optimizer)
    driver = old.driver(event.scheduler) if old is not None else None
    new = run.succeeded(old) if old is not None else None
    if old is None or driver is None or new is None or new.schedulers or new.stepped is None:
        return
    kind = driver.attached.kind
    yield Fault(
        new.built.site,
        f"{new.label} takes over here, but {kind} still drives the optimizer that was built before: the learning rate"
        " of this one never changes",
        (
            Note(old.built.site, f"{old.label} is built here first"),
            Note(driver.attached.site, f"{kind} is made for it here"),
            Note(new.stepped.site, "the new optimizer steps here"),
            Note(event.site, "the scheduler changes the rates of the old one here"),
        ),
    )
