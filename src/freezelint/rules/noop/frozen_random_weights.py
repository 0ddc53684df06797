"""A backbone is frozen that was built without pretrained weights, and nothing loads weights into it.

What happens
    The frozen layers keep the random values of their construction for the whole training. What is trained on top learns
    from random features; nothing is raised, and the loss may still go down.

Why
    Builders give random weights unless they are asked for trained ones: `resnet50()` is `resnet50(weights=None)`.

Bad
    import torch
    from torch import nn
    from torchvision.models import resnet18

    model = resnet18()
    for p in model.parameters():
        p.requires_grad = False
    model.fc = nn.Linear(512, 10)
    optimizer = torch.optim.SGD(model.fc.parameters(), lr=0.1)
    loss = model(torch.randn(2, 3, 224, 224)).sum()
    loss.backward()
    optimizer.step()

Good
    import torch
    from torch import nn
    from torchvision.models import resnet18

    model = resnet18(weights="DEFAULT")
    for p in model.parameters():
        p.requires_grad = False
    model.fc = nn.Linear(512, 10)
    optimizer = torch.optim.SGD(model.fc.parameters(), lr=0.1)
    loss = model(torch.randn(2, 3, 224, 224)).sum()
    loss.backward()
    optimizer.step()

Confirm
    Build the model twice and compare a frozen weight: it differs, so it came from a random generator and no file.

References
    https://docs.pytorch.org/vision/stable/models.html#initializing-pre-trained-models
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import WARNING, rule
from freezelint.trace.events import CreateModule, End, SetRequiresGrad, Step
from freezelint.trace.regions import leaves
from freezelint.trace.run import Excuse, Fault, Note, Run, grouped
from freezelint.trace.tri import NO, YES


@rule(on=(Step, End), severity=WARNING)
def check(run: Run, event: Step | End) -> Iterator[Fault | Excuse]:
    if not run.optimizers or (isinstance(event, End) and (event.whole is not YES or run.state.steps)):
        return
    frozen = [part for part in run.known_parts() if run.flag(part) is NO and run.since_start("grad", part)]
    for made, region in grouped(frozen, lambda part: run.created(part)):
        if not isinstance(made, CreateModule) or not made.whole or any(run.loads(part) for part in region):
            continue
        froze = next((f for part in leaves(region) if (f := run.last(SetRequiresGrad, part))), None)
        if froze and any(run.weights(part) != "random" for part in region):
            yield Excuse(froze.site)  # an option decides whether weights are asked for: its user knows
        if any(run.weights(part) != "random" for part in region) or not run.mostly(region, made.region):
            continue
        if isinstance(event, Step) and not any(run.passes_over(frozenset((part,))) for part in region):
            continue
        notes = (Note(froze.site, "frozen here"),) if froze else ()
        yield Fault(
            made.site,
            f"{made.kind if made.kind != '*' else 'the model'} is built without pretrained weights, and most of it is"
            " frozen before any are loaded: it keeps its random values",
            notes,
            about=froze.site if froze else None,
        )
