"""Frozen BatchNorm layers run in train mode, so their running statistics still change.

What happens
    `requires_grad = False` stops the optimizer, not BatchNorm: every forward in train mode normalises by the batch and
    moves running_mean and running_var, also under torch.no_grad(). The outputs of the frozen part change while nothing
    in it is trained, and differ between train and eval mode.

Why
    A BatchNorm layer decides by its mode, not by its flags. Modules start in train mode, and train() on a model puts
    the frozen part below it in train mode as well.

Bad
    import torch
    from torch import nn

    backbone = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
    model = nn.Sequential(backbone, nn.Linear(8 * 36, 2))
    for p in backbone.parameters():
        p.requires_grad = False
    optimizer = torch.optim.SGD(model[1].parameters(), lr=0.1)
    for epoch in range(3):
        model.train()
        loss = model(torch.randn(4, 3, 8, 8)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Good
    import torch
    from torch import nn

    backbone = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
    model = nn.Sequential(backbone, nn.Linear(8 * 36, 2))
    for p in backbone.parameters():
        p.requires_grad = False
    optimizer = torch.optim.SGD(model[1].parameters(), lr=0.1)
    for epoch in range(3):
        model.train()
        backbone.eval()
        loss = model(torch.randn(4, 3, 8, 8)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Confirm
    Compare running_mean of a frozen BatchNorm layer before and after one training forward: it has moved.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import WARNING, rule
from freezelint.trace.events import Backward, SetMode, SetRequiresGrad, Step
from freezelint.trace.regions import Part
from freezelint.trace.run import Fault, Note, Run, grouped, name
from freezelint.trace.state import Pass
from freezelint.trace.tri import YES


@rule(on=(Backward, Step), severity=WARNING)
def check(run: Run, event: Backward | Step) -> Iterator[Fault]:
    if isinstance(event, Step) and run.went_back():
        return  # the backward has told more exactly what took part
    passes = run.trained(event)
    drifting = [
        part
        for part, ran in passes.items()
        if run.frozen([part], during=ran)
        and part.has("batchnorm") is YES
        and run.mode(part, during=ran) is YES
        and not run.stilled(part, ran)
        and not run.copies(part)
        and not run.momentary(part)
    ]
    for (froze, switched, ran), region in grouped(drifting, lambda part: _story(run, part, passes[part])):
        forward = Note(ran.event.site, "this forward normalises by the batch and moves the running statistics")
        frozen = f"{name(region)} is frozen, but its BatchNorm layers"
        if switched is not None and switched.by == "train":
            yield Fault(
                switched.site,
                f"{frozen} are put in train mode here: their running statistics still change",
                (Note(froze.site, "frozen here"), forward),
            )
        else:
            yield Fault(
                froze.site,
                f"{frozen} stay in train mode: their running statistics still change",
                (forward,),
            )


def _story(run: Run, part: Part, ran: Pass) -> tuple[SetRequiresGrad, SetMode | None, Pass] | None:
    froze = run.last(SetRequiresGrad, part, during=ran)
    return (froze, run.last(SetMode, part, during=ran), ran) if froze else None
