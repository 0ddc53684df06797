"""A checkpoint's optimizer state is loaded before the groups are there that it was saved with.

What happens
    `optimizer.load_state_dict()` compares groups: their number and the number of parameters in each. A run that was
    saved after an unfreeze has more of them than the optimizer of a run that has just begun, and resuming raises
    ValueError: `loaded state dict has a different number of parameter groups`, or `... contains a parameter group that
    doesn't match the size of optimizer's group`. Where an equal number of other parameters is held, it loads in
    silence, and the averages belong to the wrong tensors.

Why
    The freeze is a matter of the epoch, and so is what the optimizer holds. A resume has to bring flags and groups to
    the state of that epoch first, and load then.

    From source it can be told only where one program both loads, and saves after it has added a group or rebuilt the
    optimizer. That the checkpoint of one program does not fit another one shows when it is run.

Bad
    import os

    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.1)
    if os.path.exists("last.pt"):
        optimizer.load_state_dict(torch.load("last.pt"))
    for epoch in range(6):
        if epoch == 3:
            model[0].requires_grad_(True)
            optimizer.add_param_group({"params": model[0].parameters(), "lr": 0.01})
        loss = model(torch.randn(4, 8)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        torch.save(optimizer.state_dict(), "last.pt")

Good
    import os

    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    groups = [{"params": model[2].parameters()}, {"params": model[0].parameters(), "lr": 0.01}]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    if os.path.exists("last.pt"):
        optimizer.load_state_dict(torch.load("last.pt"))
    for epoch in range(6):
        model[0].requires_grad_(epoch >= 3)
        loss = model(torch.randn(4, 8)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        torch.save(optimizer.state_dict(), "last.pt")

Confirm
    Run the program to its end, then resume it: `load_state_dict` raises.

References
    https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.load_state_dict.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import WARNING, rule
from freezelint.trace.events import AddParamGroup, BuildOptimizer, LoadOptimizer, SaveOptimizer
from freezelint.trace.run import Excuse, Fault, Note, Run, name


@rule(on=(SaveOptimizer, LoadOptimizer), severity=WARNING, sides="static")
def check(run: Run, event: SaveOptimizer | LoadOptimizer) -> Iterator[Fault | Excuse]:
    optimizer = run.optimizer(event.optimizer)
    if optimizer is None:
        return
    if isinstance(event, LoadOptimizer):
        # Some way through the program brings the groups up to date before it loads.
        if run.succeeds(optimizer) or any(isinstance(group.event, AddParamGroup) for group in optimizer.groups):
            yield Excuse(event.site)
        return
    grown = next((g for g in optimizer.groups if g.region and g.at > optimizer.loaded_at >= 0), None)
    old = optimizer if grown is not None else run.succeeds(optimizer)
    if old is None or old.loaded is None or (grown is None and event.site not in old.saved):
        return
    cause = grown.event if grown is not None else optimizer.built
    what = name(grown.region if grown is not None else optimizer.region)
    how = "joins it as a group" if isinstance(cause, AddParamGroup) else "is what it holds once it is rebuilt"
    assert isinstance(cause, (AddParamGroup, BuildOptimizer))
    yield Fault(
        old.loaded.site,
        f"the state of {old.label} is loaded before {what} {how}: a checkpoint that was saved after that does not fit,"
        " and resuming from it raises ValueError",
        (
            Note(old.built.site, f"{old.label} is built here"),
            Note(cause.site, f"{what} {how} here"),
            Note(event.site, "the state that is saved here has it"),
        ),
    )
