"""A pretrained model is built inside `with torch.no_grad():`, which freezes nothing.

What happens
    The parameters of a module require grad from the moment they are made, whatever the grad mode is. Once the block is
    left, forwards record gradients for all of them, and an optimizer that holds them trains them.

Why
    `no_grad` keeps operations from being recorded while it is in force. Building a model records nothing anyway.

Bad
    import torch
    from torch import nn
    from torchvision.models import resnet18

    with torch.no_grad():
        backbone = resnet18(weights="DEFAULT")
    model = nn.Sequential(backbone, nn.Linear(1000, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.randn(2, 3, 224, 224)).sum().backward()
    optimizer.step()

Good
    import torch
    from torch import nn
    from torchvision.models import resnet18

    backbone = resnet18(weights="DEFAULT")
    backbone.requires_grad_(False)
    backbone.eval()
    model = nn.Sequential(backbone, nn.Linear(1000, 2))
    optimizer = torch.optim.SGD(model[1].parameters(), lr=0.1)
    model(torch.randn(2, 3, 224, 224)).sum().backward()
    optimizer.step()

Confirm
    Print `[p.requires_grad for p in backbone.parameters()]` after the block: all are True.

References
    https://docs.pytorch.org/docs/stable/generated/torch.no_grad.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import WARNING, rule
from freezelint.trace.events import Backward, CreateModule
from freezelint.trace.regions import Part
from freezelint.trace.run import Fault, Note, Run, grouped, name
from freezelint.trace.tri import YES


@rule(on=Backward, severity=WARNING, sides="static")
def check(run: Run, event: Backward) -> Iterator[Fault]:
    passes = run.trained(event)
    learning = [part for part, ran in passes.items() if ran.recording is YES and run.trainable([part], during=ran)]
    for made, region in grouped(learning, lambda part: _under(run, part)):
        assert made.under is not None
        does = "it trains" if all(run.held(part) is YES for part in region) else "gradients are computed for it"
        first = next(passes[part] for part in passes if part in region)
        yield Fault(
            made.under.site,
            f"{made.under.text} does not freeze what is built inside: {name(region)} requires grad, and {does}",
            (Note(made.site, "built here"), Note(first.event.site, "this forward records gradients for it")),
        )


def _under(run: Run, part: Part) -> CreateModule | None:
    """The construction of a pretrained model under a grad mode, if nobody has told its flags since."""
    made = run.untold(part)
    if made is None or made.under is None or made.under.how != "with":
        return None
    return made if made.whole and made.pretrained is YES else None
