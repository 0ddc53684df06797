"""After a freeze of the whole, only the weight of a layer is made trainable again, and its bias stays frozen.

What happens
    The layer learns with the bias that it came with. For a new head that is a random one. Nothing is raised or printed.

Why
    `layer.weight.requires_grad = True` speaks of one parameter; `layer.requires_grad_(True)` of all that it has.

Bad
    import torch
    from torchvision.models import resnet18

    model = resnet18(weights="DEFAULT")
    for p in model.parameters():
        p.requires_grad = False
    model.fc.weight.requires_grad = True
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.randn(2, 3, 224, 224)).sum().backward()
    optimizer.step()

Good
    import torch
    from torchvision.models import resnet18

    model = resnet18(weights="DEFAULT")
    for p in model.parameters():
        p.requires_grad = False
    model.fc.requires_grad_(True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.randn(2, 3, 224, 224)).sum().backward()
    optimizer.step()

Confirm
    Print `[n for n, p in model.named_parameters() if p.requires_grad]`: no bias is among them.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.requires_grad_
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import WARNING, rule
from freezelint.trace.events import Backward, SetRequiresGrad, Step
from freezelint.trace.run import Fault, Note, Run, grouped, name
from freezelint.trace.tri import YES


@rule(on=(Backward, Step), severity=WARNING)
def check(run: Run, event: Backward | Step) -> Iterator[Fault]:
    weights = [part for part in run.known_parts() if part.is_weight and run.flag(part) is YES]
    for woke, region in grouped(weights, lambda part: run.last(SetRequiresGrad, part)):
        froze = run.still_frozen_beside(region)
        if froze is not None:
            yield Fault(
                woke.site,
                f"only {name(region)} is made trainable here: the bias beside it stays frozen",
                (Note(froze.site, "all of it is frozen here"), Note(event.site, "it trains without its bias here")),
            )
