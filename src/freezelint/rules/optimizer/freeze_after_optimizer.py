"""A part is frozen after it was trained, and its last gradient is kept: the optimizer goes on moving it.

What happens
    An optimizer moves whatever has a gradient; it never asks for `requires_grad`. `zero_grad()` drops the gradients by
    default since torch 2.0, and then a frozen part stands still. Where nothing drops them, each step applies the last
    gradient once more. With `zero_grad(set_to_none=False)` the gradient stays as zeros, and momentum, the running
    averages of Adam and weight decay keep moving the part: measured over 500 steps, for all of them with weight decay
    and for about 200 with momentum or Adam.

Why
    The part was held by the optimizer before, and freezing it changes nothing about what it has in `.grad`.

Bad
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    for epoch in range(6):
        if epoch == 2:
            model[0].requires_grad_(False)
        loss = model(torch.randn(4, 8)).sum()
        optimizer.zero_grad(set_to_none=False)
        loss.backward()
        optimizer.step()

Good
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    for epoch in range(6):
        if epoch == 2:
            model[0].requires_grad_(False)
        loss = model(torch.randn(4, 8)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Confirm
    Compare the weights of the frozen part before and after a step: they differ, and its `.grad` is not None.

References
    https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import SetRequiresGrad, Step
from freezelint.trace.regions import leaves
from freezelint.trace.run import Fault, Note, Run, grouped, name_is


@rule(on=Step, severity=ERROR)
def check(run: Run, event: Step) -> Iterator[Fault]:
    optimizer = run.optimizer(event.optimizer)
    if optimizer is None:
        return
    moving = dict(run.left_over(optimizer))
    for froze, region in grouped(moving, lambda part: run.last(SetRequiresGrad, part)):
        zeroed = next((moving[part] for part in leaves(region) if moving[part] is not None), None)
        why = (
            "its gradient is set to zero and not to None, so that momentum or weight decay"
            if zeroed is not None
            else "nothing drops its last gradient, which"
        )
        notes = [Note(optimizer.built.site, f"{optimizer.label} has held it since here")]
        if zeroed is not None:
            notes.append(Note(zeroed.site, "zeros are left here"))
        yield Fault(
            froze.site,
            f"{name_is(region)} frozen here after it was trained, but {why} moves it at each further step",
            (*notes, Note(event.site, "this step moves it")),
        )
