"""Layers are unfrozen after the model was wrapped in DistributedDataParallel, which does not synchronise them.

What happens
    DDP registers the parameters that require grad when it is built. What is unfrozen later trains on every rank with
    that rank's gradient alone: the weights drift apart, in silence, also with `find_unused_parameters` or a static
    graph. The checkpoint of rank 0 is one of several different models. (The other way round raises in the second
    step, unless `find_unused_parameters=True`: freezing after the wrap makes DDP wait for gradients that never come.)

Why
    In one process the same code is right. Unfreeze first, or wrap the bare module anew after it; FSDP2 has no such
    limit.

Bad
    import torch
    import torch.distributed as dist
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    model[0].requires_grad_(False)
    model = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(10):
        if epoch == 5:
            model.module[0].requires_grad_(True)
        for x, y in loader:
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    dist.destroy_process_group()

Good
    import torch
    import torch.distributed as dist
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel

    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    model[0].requires_grad_(False)
    ddp = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(10):
        if epoch == 5:
            model[0].requires_grad_(True)
            ddp = DistributedDataParallel(model)
        for x, y in loader:
            loss = nn.functional.cross_entropy(ddp(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    dist.destroy_process_group()

Confirm
    Compare a checksum of the unfrozen weights between the ranks after a few steps: they differ.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import SetRequiresGrad, Step
from freezelint.trace.run import Fault, Note, Run, grouped, name_is
from freezelint.trace.tri import NO, YES


@rule(on=Step, severity=ERROR)
def check(run: Run, event: Step) -> Iterator[Fault]:
    trained = run.trained(event)
    apart = [p for p in run.trainable(trained) if run.held(p) is YES and run.unsynchronised(p) is not None]
    for woke, region in grouped(apart, lambda part: run.last(SetRequiresGrad, part)):
        wrap = run.unsynchronised(min(region, key=lambda part: part.serial))
        if wrap is not None and woke.to is not NO:
            yield Fault(
                woke.site,
                f"{name_is(region)} unfrozen here, after DistributedDataParallel was built: its gradients are not"
                " averaged over the ranks, whose weights drift apart",
                (
                    Note(wrap.site, "DistributedDataParallel is built here, and takes what requires grad now"),
                    Note(event.site, "each rank steps on its own gradients here"),
                ),
            )
