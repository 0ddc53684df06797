"""A frozen BatchNorm is stilled by its momentum or its statistics, and goes on normalising by the batch.

What happens
    `momentum = 0` keeps the running statistics where they are, and `track_running_stats = False` stops them. But in
    train mode the layer still normalises by the mean and variance of the batch, so a frozen part gives other outputs in
    training than in evaluation, and each sample's depend on the batch it is in.

Why
    Which statistics a BatchNorm layer uses is decided by its mode. Only `eval()` makes it use the running ones.

Bad
    import torch
    from torch import nn

    backbone = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
    head = nn.Linear(8 * 36, 2)
    backbone.requires_grad_(False)
    for m in backbone.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.momentum = 0
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    head(backbone(torch.randn(4, 3, 8, 8))).sum().backward()
    optimizer.step()

Good
    import torch
    from torch import nn

    backbone = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
    head = nn.Linear(8 * 36, 2)
    backbone.requires_grad_(False)
    backbone.eval()
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    head(backbone(torch.randn(4, 3, 8, 8))).sum().backward()
    optimizer.step()

Confirm
    Run the same batch through the frozen part in train mode and after `eval()`: the outputs differ.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import WARNING, rule
from freezelint.trace.events import Backward, SetRequiresGrad
from freezelint.trace.regions import leaves
from freezelint.trace.run import Fault, Note, Run, grouped, name
from freezelint.trace.tri import YES


@rule(on=Backward, severity=WARNING, sides="static")
def check(run: Run, event: Backward) -> Iterator[Fault]:
    passes = run.trained(event)
    busy = [
        part
        for part, ran in passes.items()
        if part.has("batchnorm") is YES and run.mode(part, during=ran) is YES and run.frozen([part], during=ran)
    ]
    for wrote, region in grouped(busy, run.stilled_by_setting):
        if wrote.how == "framework":  # nobody here wrote it
            continue
        froze = next((f for part in leaves(region) if (f := run.last(SetRequiresGrad, part))), None)
        first = next(passes[part] for part in passes if part in region)
        kept = "keeps the running statistics" if wrote.name == "momentum" else "stops the running statistics"
        yield Fault(
            wrote.site,
            f"`{wrote.name} = {wrote.value}` {kept}, but in train mode {name(region)} still normalises by the batch:"
            " only eval() makes it use them",
            (
                *((Note(froze.site, "frozen here"),) if froze else ()),
                Note(first.event.site, "this forward normalises by the batch"),
            ),
        )
