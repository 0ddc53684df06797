"""Training goes on in eval mode, since nothing calls train() after a validation.

What happens
    After `eval()` Dropout layers pass everything through, and BatchNorm layers use their running statistics and do not
    update them. The training steps that follow train another network than the ones before, and nothing is raised.

Why
    A validation in the middle of training puts the model in eval mode, and `train()` stands before the loop (or at the
    top of the epoch) instead of after the validation.

Bad
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.train()
    for epoch in range(10):
        loss = model(torch.randn(4, 8)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            print(model(torch.randn(4, 8)).sum())

Good
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(10):
        model.train()
        loss = model(torch.randn(4, 8)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            print(model(torch.randn(4, 8)).sum())

Confirm
    Print `model.training` right before the training forward of the second epoch: it is False.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.eval
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import Backward, End, Event, SetMode, Step
from freezelint.trace.regions import Part
from freezelint.trace.run import Fault, Note, Run, grouped, name_is
from freezelint.trace.state import Pass
from freezelint.trace.tri import NO, YES


@rule(on=(Step, End), severity=ERROR)
def check(run: Run, event: Step | End) -> Iterator[Fault]:
    back = run.last(Backward)
    if back is None or (isinstance(event, End) and run.state.steps):
        return  # gradients that no step uses may be wanted for themselves; a program without any steps out of view
    passes = run.trained(back, recorded=True)
    models = {part.root for use in back.uses if (ran := run.state.passes.get(use.serial)) for part in ran.event.region}
    if models:  # another model may have been looked at meanwhile: the one before it, or a teacher
        passes = {part: ran for part, ran in passes.items() if part.root in models}
    tell = [part for part in passes if not (part.has("batchnorm") is NO and part.has("dropout") is NO)]
    tell = [part for part in tell if not run.frozen([part], during=passes[part])]
    if any(run.mode(part, during=passes[part]) is YES for part in tell):
        return  # where a part of the model only is in eval mode, it was put there to stay
    tell = [part for part in tell if run.mode(part, during=passes[part]) is NO]
    if isinstance(event, Step):
        if any(run.ran_since_backward(part) for part in tell):
            return  # the backward of this step was not seen: the last one belongs to something else
        tell = [part for part in tell if not run.held_elsewhere(part, event)]
    for (switched, earlier), region in grouped(tell, lambda part: _story(run, part, passes[part])):
        if switched.by == "eval" and not all(part.only("batchnorm") for part in switched.region):
            yield Fault(
                switched.site,
                f"{name_is(switched.region)} put in eval mode here, and training goes on without train(): Dropout and"
                " BatchNorm act as in evaluation",
                (
                    Note(earlier.site, "trained in train mode here"),
                    *((Note(switched.via, "called from here"),) if switched.via is not None else ()),
                    Note(passes[min(region, key=lambda part: part.serial)].event.site, "trained in eval mode here"),
                ),
            )


def _story(run: Run, part: Part, ran: Pass) -> tuple[SetMode, Event] | None:
    """The eval() behind this training in eval mode, and an earlier training of the same part in train mode."""
    switched = run.last(SetMode, part, during=ran)
    earlier = run.trained_before(part, ran)
    return (switched, earlier) if switched and earlier else None
