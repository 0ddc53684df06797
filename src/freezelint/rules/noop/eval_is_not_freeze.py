"""A function that is called after freezing only calls eval(), and the parameters go on training.

What happens
    `eval()` switches Dropout off and makes BatchNorm use its running statistics. It sets no `requires_grad`: the
    parameters get gradients, and the optimizer that holds them moves them.

Why
    Mode and trainability are two switches. A freeze is `requires_grad_(False)`, and for BatchNorm and Dropout also
    `eval()`.
    What is reported: a function whose name begins with "freeze" put a part in eval mode, nobody set the part's flags,
    and a training step has trained it. Functions that speak of BatchNorm, statistics or Dropout mean just that.

Bad
    import torch
    from torch import nn
    from torchvision.models import resnet18

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = resnet18(weights="DEFAULT")
            self.head = nn.Linear(1000, 2)

        def freeze_backbone(self):
            self.backbone.eval()

        def forward(self, x):
            return self.head(self.backbone(x))

    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.freeze_backbone()
    model(torch.randn(2, 3, 224, 224)).sum().backward()
    optimizer.step()

Good
    import torch
    from torch import nn
    from torchvision.models import resnet18

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = resnet18(weights="DEFAULT")
            self.head = nn.Linear(1000, 2)

        def freeze_backbone(self):
            self.backbone.eval()
            self.backbone.requires_grad_(False)

        def forward(self, x):
            return self.head(self.backbone(x))

    model = Net()
    model.freeze_backbone()
    optimizer = torch.optim.SGD(model.head.parameters(), lr=0.1)
    model(torch.randn(2, 3, 224, 224)).sum().backward()
    optimizer.step()

Confirm
    Compare a weight of the part with a copy taken before the first step: it has moved.

References
    https://docs.pytorch.org/docs/stable/notes/autograd.html#evaluation-mode-nn-module-eval
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from freezelint.trace.check import WARNING, rule
from freezelint.trace.events import SetMode, Step
from freezelint.trace.run import Fault, Note, Run, grouped, name
from freezelint.trace.tri import NO, YES

_FREEZES = re.compile(r"_*freeze(?:_|$)")
_OTHER = re.compile(r"bn|batch|norm|stat|drop|mode|eval|unfreeze|bias")


@rule(on=Step, severity=WARNING)
def check(run: Run, event: Step) -> Iterator[Fault]:
    if run.optimizer(event.optimizer) is None:
        return
    passes = run.trained(event)
    moving = [
        part
        for part, ran in passes.items()
        if run.mode(part, during=ran) is NO and run.untold(part) and run.held(part) is YES and ran.recording is YES
    ]
    for stilled, region in grouped(moving, lambda part: run.last(SetMode, part, during=passes[part])):
        called = stilled.within.lower()
        if stilled.by == "eval" and _FREEZES.match(called) and not _OTHER.search(called):
            yield Fault(
                stilled.site,
                f"`{stilled.within}` only calls eval(): {name(region)} still requires grad, and the optimizer trains"
                " it",
                (Note(event.site, "this step moves it"),),
            )
