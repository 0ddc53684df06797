"""A parameter group with a learning rate of 0 stands for a freeze.

What happens
    The weights stay where they are as long as the rate is 0. But their gradients are computed and stored, the optimizer
    keeps state for them, gradient clipping counts them, BatchNorm statistics move, and a scheduler that sets rates
    anew (cosine restarts, one cycle, a lambda) starts to train them.

Why
    A rate of 0 changes the last step of the work, `requires_grad_(False)` saves the work.

Bad
    import torch
    from torchvision.models import resnet18

    model = resnet18(weights="DEFAULT")
    optimizer = torch.optim.SGD(
        [{"params": model.layer1.parameters(), "lr": 0.0}, {"params": model.fc.parameters()}], lr=0.1
    )
    model(torch.randn(2, 3, 224, 224)).sum().backward()
    optimizer.step()

Good
    import torch
    from torchvision.models import resnet18

    model = resnet18(weights="DEFAULT")
    model.layer1.requires_grad_(False)
    optimizer = torch.optim.SGD([{"params": model.fc.parameters()}], lr=0.1)
    model(torch.randn(2, 3, 224, 224)).sum().backward()
    optimizer.step()

Confirm
    After a backward, `p.grad` of these parameters is not None.

References
    https://docs.pytorch.org/docs/stable/optim.html#per-parameter-options
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import INFO, rule
from freezelint.trace.events import Step
from freezelint.trace.run import Fault, Note, Run, name
from freezelint.trace.tri import YES


@rule(on=Step, severity=INFO, sides="static")
def check(run: Run, event: Step) -> Iterator[Fault]:
    held = run.optimizer(event.optimizer)
    rates = held.built.rates if held is not None else ()
    if held is None or not any(rates):  # all at 0: something sets the rates at each step
        return
    for group, rate in zip(held.groups, rates, strict=False):
        awake = [part for part in run.trainable(group.region) if run.flag(part) is YES]
        if rate == 0 and awake:
            yield Fault(
                held.built.site,
                f"the learning rate of {name(frozenset(awake))} is 0, which freezes nothing: gradients are computed and"
                " stored for nothing",
                (Note(event.site, "this step leaves it as it is"),),
            )
