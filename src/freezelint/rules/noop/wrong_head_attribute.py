"""The new head is assigned to a name that the model does not use, so it is never run.

What happens
    `model.classifier = nn.Linear(...)` on a ResNet adds a child that its `forward` never calls. The model goes on
    predicting with its own `fc`, with the classes of the old task, and the new layer never gets a gradient. Reading a
    name that the model does not have raises AttributeError.

Why
    The head's name differs between architectures: `fc` in ResNet, GoogLeNet, Inception and ShuffleNet, `classifier` in
    DenseNet, VGG, AlexNet, MobileNet and EfficientNet, `heads` in torchvision's ViT, `head` in its Swin.

Bad
    import torch
    from torch import nn
    from torchvision.models import resnet18

    model = resnet18()
    model.classifier = nn.Linear(512, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = model(torch.randn(2, 3, 224, 224)).sum()
    loss.backward()
    optimizer.step()

Good
    import torch
    from torch import nn
    from torchvision.models import resnet18

    model = resnet18()
    model.fc = nn.Linear(512, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = model(torch.randn(2, 3, 224, 224)).sum()
    loss.backward()
    optimizer.step()

Confirm
    After a backward, the new layer's `weight.grad` is None, and the model's output has the classes of its old head.

References
    https://docs.pytorch.org/vision/stable/models.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import Backward, End, MissingAttribute, ReplaceSubmodule, Step
from freezelint.trace.run import Fault, Note, Run
from freezelint.trace.tri import YES

_HEADS = ("fc", "classifier", "head", "heads", "last_linear", "_fc")


@rule(on=(MissingAttribute, Backward, Step, End), severity=ERROR)
def check(run: Run, event: MissingAttribute | Backward | Step | End) -> Iterator[Fault]:
    if isinstance(event, MissingAttribute):
        message = f"{event.kind} has no `{event.name}`: its head is `{event.head_name}`, and this raises AttributeError"
        yield Fault(event.site, message)
        return
    if isinstance(event, End) and event.whole is not YES:
        return
    for joined in run.events_behind("joined", ReplaceSubmodule):
        if joined.name not in _HEADS or not joined.head or joined.old or not run.in_place(joined.head):
            continue
        if run.ran_alone(joined.new) or not (isinstance(event, End) or run.passes_over(joined.head | joined.new)):
            continue
        notes = () if isinstance(event, End) else (Note(event.site, "the new head gets no gradient here"),)
        yield Fault(
            joined.site,
            f"{joined.kind} has no `{joined.name}`: its forward runs `{joined.head_name}`, so this new head is never"
            " run and the old one stays in use",
            notes,
        )
