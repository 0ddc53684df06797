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
from freezelint.trace.events import Backward, Event, LoadWeights, SetMode, SetRequiresGrad, Step
from freezelint.trace.regions import Part, leaves
from freezelint.trace.run import Excuse, Fault, Note, Run, grouped, its, name_is
from freezelint.trace.state import Pass
from freezelint.trace.tri import NO, YES


@rule(on=(Backward, Step, LoadWeights), severity=WARNING, yields_to=("eval-overridden-by-train",))
def check(run: Run, event: Backward | Step | LoadWeights) -> Iterator[Fault | Excuse]:
    if isinstance(event, LoadWeights):
        if event.by == "copy":  # a momentum encoder, an EMA: its BatchNorm may well use the batch
            yield from _excuses(run, event)
        return
    if isinstance(event, Step) and run.went_back():
        return  # the backward has told more exactly what took part
    passes = run.trained(event)
    drifting = [part for part, ran in passes.items() if _drifts(run, part, ran) and not run.stilled(part, ran)]
    for (froze, switched, ran), region in grouped(drifting, lambda part: _story(run, part, passes[part])):
        forward = Note(ran.event.site, "this forward normalises by the batch and moves the running statistics")
        still = "frozen" if froze else "held by no optimizer and without gradients"
        first = froze.site if froze else ran.event.site
        before = (Note(froze.site, "frozen here", each=True),) if froze else ()
        if switched is not None and switched.by == "train":
            yield Fault(
                switched.site,
                f"{name_is(region)} {still}, but {its(region)} BatchNorm layers are put in train mode here: their"
                " running statistics still change",
                (*before, forward),
                about=first,
            )
        else:
            yield Fault(
                first,
                f"{name_is(region)} {still}, but {its(region)} BatchNorm layers stay in train mode: their running"
                " statistics still change",
                (forward,) if froze else (),
                about=first,
            )


def _drifts(run: Run, part: Part, ran: Pass) -> bool:
    """Whether a part that is meant to stay as it is surely holds BatchNorm layers in train mode."""
    if part.has("batchnorm") is not YES or run.mode(part, during=ran) is not YES or run.copies(part):
        return False
    if run.stilled_by_setting(part) is not None:
        return False  # its statistics rest; that it normalises by the batch all the same is another rule's matter
    if run.frozen([part], during=ran):
        return not run.momentary(part)
    held_beside = any(optimizer.stepped for optimizer in run.optimizers) and run.held(part) is NO
    return held_beside and ran.recording is NO and run.weights(part) in ("pretrained", "loaded")


def _story(run: Run, part: Part, ran: Pass) -> tuple[SetRequiresGrad | None, SetMode | None, Pass]:
    froze = run.last(SetRequiresGrad, part, during=ran) if run.frozen([part], during=ran) else None
    return froze, run.last(SetMode, part, during=ran), ran


def _excuses(run: Run, event: LoadWeights) -> Iterator[Excuse]:
    passes = run.state.passes.values()
    for part in leaves(event.region):
        told: list[Event | None] = [run.last(SetRequiresGrad, part), run.last(SetMode, part)]
        told += [ran.event for ran in passes if any(above in ran.event.region for above in part.above())]
        yield from (Excuse(one.site) for one in told if one is not None)
