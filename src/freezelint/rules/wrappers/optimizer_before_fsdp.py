"""The optimizer is built before FSDP shards the model, so it holds tensors that are no longer part of it.

What happens
    `fully_shard`, and `FullyShardedDataParallel` without `use_orig_params=True`, replace the parameters by sharded
    ones. An optimizer from before steps over the old tensors: loss and gradients look right, and no weight ever moves.
    Nothing is raised.

Why
    With DistributedDataParallel the order does not matter, since it keeps the parameters.

Bad
    import torch
    from torch import nn
    from torch.distributed.fsdp import fully_shard

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.AdamW(model.parameters())
    fully_shard(model)
    for x, y in loader:
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Good
    import torch
    from torch import nn
    from torch.distributed.fsdp import fully_shard

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    fully_shard(model)
    optimizer = torch.optim.AdamW(model.parameters())
    for x, y in loader:
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Confirm
    After a step, compare a parameter with a copy taken before it: they are identical.

References
    https://docs.pytorch.org/docs/stable/distributed.fsdp.fully_shard.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import Step
from freezelint.trace.regions import leaves
from freezelint.trace.run import Fault, Note, Run, name


@rule(on=Step, severity=ERROR)
def check(run: Run, event: Step) -> Iterator[Fault]:
    optimizer = run.optimizer(event.optimizer)
    held = [leaf for group in optimizer.groups for leaf in leaves(group.region)] if optimizer else []
    sharded = [run.sharded_since(optimizer, leaf) for leaf in held] if optimizer else []
    wrap = sharded[0] if sharded else None
    if optimizer is not None and wrap is not None and None not in sharded:
        yield Fault(
            optimizer.built.site,
            f"{optimizer.label} is built before {name(wrap.region)} is sharded, and holds tensors that are not the"
            " model's any more: its steps move nothing",
            (
                Note(wrap.site, "FSDP replaces the parameters here"),
                Note(event.site, "this step moves nothing of the model"),
            ),
        )
