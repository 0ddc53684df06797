"""Features made under `torch.inference_mode()` go into a layer that trains.

What happens
    The layer would have to keep its input for the backward pass, and a tensor of inference mode cannot be kept:
    "RuntimeError: Inference tensors cannot be saved for backward."

Why
    `inference_mode` is `no_grad` with a stronger promise. Where its results meet training, use `no_grad`, or `.clone()`
    the features outside the block; indexing, `torch.cat` and a DataLoader make new tensors as well.

Bad
    import torch
    from torch import nn
    from torchvision.models import resnet18

    backbone = resnet18(weights="DEFAULT").eval()
    backbone.requires_grad_(False)
    head = nn.Linear(1000, 10)
    optimizer = torch.optim.Adam(head.parameters())
    for x, y in loader:
        with torch.inference_mode():
            features = backbone(x)
        loss = nn.functional.cross_entropy(head(features), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Good
    import torch
    from torch import nn
    from torchvision.models import resnet18

    backbone = resnet18(weights="DEFAULT").eval()
    backbone.requires_grad_(False)
    head = nn.Linear(1000, 10)
    optimizer = torch.optim.Adam(head.parameters())
    for x, y in loader:
        with torch.no_grad():
            features = backbone(x)
        loss = nn.functional.cross_entropy(head(features), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Confirm
    The first step raises RuntimeError.

References
    https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad_mode.inference_mode.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import UseInference
from freezelint.trace.regions import leaves
from freezelint.trace.run import Fault, Note, Run, name


@rule(on=UseInference, severity=ERROR, sides="static")
def check(run: Run, event: UseInference) -> Iterator[Fault]:
    parts = leaves(event.region)
    if parts and len(run.trainable(parts)) == len(parts):
        yield Fault(
            event.mode.site,
            f"{name(parts)} trains on what is made here, and cannot keep a tensor of inference mode for its backward:"
            " RuntimeError (use torch.no_grad(), or clone the tensor outside)",
            (Note(event.site, "it goes into the layer here"),),
        )
