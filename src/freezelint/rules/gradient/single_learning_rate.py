"""A new head and a pretrained body are trained in one group, at one learning rate.

What happens
    A rate that is right for random weights is often ten to a hundred times too high for pretrained ones: the first
    steps, whose gradients come through a head that knows nothing, overwrite what the body had learnt.

Why
    This is a choice, and often a good one with a small rate and warm-up, so the rule is off unless it is asked for
    (`--extend-select single-learning-rate`). Two groups, or a first stage with a frozen body, are the alternatives.

Bad
    import torch
    from torch import nn
    from torchvision.models import resnet18

    model = resnet18(weights="DEFAULT")
    model.fc = nn.Linear(512, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Good
    import torch
    from torch import nn
    from torchvision.models import resnet18

    model = resnet18(weights="DEFAULT")
    body = list(model.parameters())[:-2]
    model.fc = nn.Linear(512, 10)
    optimizer = torch.optim.SGD([{"params": body, "lr": 0.001}, {"params": model.fc.parameters()}], lr=0.1)
    for x, y in loader:
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Confirm
    Print `[(len(g["params"]), g["lr"]) for g in optimizer.param_groups]`: there is one rate.

References
    https://docs.pytorch.org/docs/stable/optim.html#per-parameter-options
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import INFO, rule
from freezelint.trace.events import BuildOptimizer, Step
from freezelint.trace.regions import leaves
from freezelint.trace.run import Fault, Note, Run, name
from freezelint.trace.tri import YES


@rule(on=Step, severity=INFO, sides="static", off=True)
def check(run: Run, event: Step) -> Iterator[Fault]:
    optimizer = run.optimizer(event.optimizer)
    if optimizer is None or optimizer.complete is not YES:
        return
    for group in optimizer.groups:
        held = run.trainable(leaves(group.region))
        old = [part for part in held if run.weights(part) in ("pretrained", "loaded")]
        new = [part for part in held if run.new_beside_old(part, old) and run.in_place(frozenset((part,)))]
        if old and new and isinstance(group.event, BuildOptimizer):
            yield Fault(
                optimizer.built.site,
                f"{name(new)} is new and {name(old)} is pretrained, and {optimizer.label} trains both at one rate",
                (Note(run.made(new[0]), "made here, with random weights"),),
            )
