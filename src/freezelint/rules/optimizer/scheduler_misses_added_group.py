"""A parameter group is added after a scheduler was made that counts on the groups of that moment.

What happens
    LambdaLR (and transformers' schedules, which are built on it), MultiplicativeLR, CyclicLR, OneCycleLR,
    CosineAnnealingWarmRestarts, SWALR, and ReduceLROnPlateau with a list of `min_lr` keep one value for each group that
    they found. The next `scheduler.step()` after `add_param_group` raises, at the epoch of the unfreeze, hours into a
    run; some older versions of torch leave the rate of the new group alone instead. StepLR, MultiStepLR, ExponentialLR,
    LinearLR, ConstantLR, PolynomialLR and CosineAnnealingLR take the new group along.

Why
    The scheduler was written for the first stage of the training. Put every group in from the start, frozen or not, or
    make a new scheduler once the group is added.

Bad
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.9**epoch)
    for epoch in range(6):
        if epoch == 3:
            model[0].requires_grad_(True)
            optimizer.add_param_group({"params": model[0].parameters(), "lr": 0.01})
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
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    for epoch in range(6):
        if epoch == 3:
            model[0].requires_grad_(True)
            optimizer.add_param_group({"params": model[0].parameters(), "lr": 0.01})
        loss = model(torch.randn(4, 8)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()

Confirm
    Call `scheduler.step()` right after `add_param_group`: it raises, or `scheduler.get_last_lr()` is shorter than
    `optimizer.param_groups`.

References
    https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.add_param_group.html
    https://github.com/pytorch/pytorch/issues/79888
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import AddParamGroup, StepScheduler
from freezelint.trace.run import Fault, Note, Run, name


@rule(on=StepScheduler, severity=ERROR)
def check(run: Run, event: StepScheduler) -> Iterator[Fault]:
    optimizer = run.optimizer(event.optimizer)
    driver = optimizer.driver(event.scheduler) if optimizer is not None else None
    if optimizer is None or driver is None or not driver.attached.fixed_groups:
        return
    for group in optimizer.groups:
        if group.region and group.at > driver.at and isinstance(group.event, AddParamGroup):
            kind = driver.attached.kind
            yield Fault(
                group.event.site,
                f"{name(group.region)} joins {optimizer.label} as a new group, but {kind} was made for the groups"
                " before it: its next step raises, or leaves the new group's rate alone in older versions of torch",
                (
                    Note(driver.attached.site, f"{kind} is made here"),
                    Note(event.site, "the scheduler meets the new group here"),
                ),
            )
