"""A part that was put in eval mode is put back in train mode by train() on what contains it.

What happens
    `eval()` on a part lasts until the next `train()` on a module that contains it, since train() sets the mode of
    everything below. From then on the part's BatchNorm layers normalise by the batch and move their running statistics,
    and its Dropout layers drop out.

Why
    The `eval()` stands in a constructor, in a freeze helper or before the epoch loop, and the model's `train()` is
    called after it, by the loop or by a framework. An override of `train`, or an eval() after every train(), keeps it.

Bad
    import torch
    from torch import nn

    backbone = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
    model = nn.Sequential(backbone, nn.Linear(8 * 36, 2))
    for p in backbone.parameters():
        p.requires_grad = False
    backbone.eval()
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
    Print `part.training` right before the training forward: it is True.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.train
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import WARNING, rule
from freezelint.trace.events import Backward, End, SetMode, SetRequiresGrad
from freezelint.trace.regions import Part, leaves
from freezelint.trace.repair import Repair
from freezelint.trace.run import Fault, Note, Run, grouped, name
from freezelint.trace.state import Pass
from freezelint.trace.tri import NO, YES


@rule(on=(Backward, End), severity=WARNING)
def check(run: Run, event: Backward | End) -> Iterator[Fault]:
    passes = run.trained(event) if isinstance(event, Backward) else run.supposed()
    undone = [part for part, ran in passes.items() if _meant(run, part, ran)]
    for (stilled, switched), region in grouped(undone, lambda part: _story(run, part, passes[part])):
        froze = next((at for part in leaves(region) if (at := run.last(SetRequiresGrad, part))), None)
        frozen = (Note(froze.site, "frozen here"),) if froze else ()
        matters = "BatchNorm" if any(part.has("batchnorm") is YES for part in region) else "Dropout"
        if switched.by == "train":
            yield Fault(
                switched.site,
                f"train() puts {name(region)} back in train mode: the eval() that stilled its {matters} is undone",
                (*frozen, Note(stilled.site, "put in eval mode here", each=True)),
                repair=Repair("eval_again", "repeat the eval() after it", safe=False, beside=stilled.site),
            )
        else:
            until = "this model" if switched.by == "supposed" else "the model, which the framework calls"
            yield Fault(
                stilled.site,
                f"this eval() of {name(region)} lasts until the first train() of {until}: its {matters} is active in"
                " training",
                frozen,
            )


def _meant(run: Run, part: Part, ran: Pass) -> bool:
    """Whether an eval() that train() has undone was there to stay: of a frozen part, or of BatchNorm layers alone."""
    stilled = run.stilled(part, ran)
    if stilled is None or run.copies(part) or run.momentary(part):
        return False
    if run.frozen([part], during=ran):
        return YES in (part.has("batchnorm"), part.has("dropout"))
    flag = run.fact("grad", part, ran)
    if flag is not None and flag.value is YES and flag.was is NO:
        return False  # it was to be still for as long as it was frozen
    return part.has("batchnorm") is YES and all(inner.only("batchnorm") for inner in stilled.region)


def _story(run: Run, part: Part, ran: Pass) -> tuple[SetMode | None, SetMode | None]:
    return run.stilled(part, ran), run.last(SetMode, part, during=ran)
