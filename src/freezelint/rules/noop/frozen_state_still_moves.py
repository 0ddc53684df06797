"""A frozen layer holds state that a forward changes all the same.

What happens
    `nn.Embedding(..., max_norm=...)` scales the rows that it looks up down to that norm, in place: the frozen weight
    changes, in train mode and in eval mode alike. `spectral_norm` goes on estimating its largest singular value in
    train mode, so the effective weight changes while `weight_orig` stays.

Why
    `requires_grad` keeps gradients away. These changes are made by the forward itself, without any.

Bad
    import torch
    from torch import nn

    embedding = nn.Embedding(100, 8, max_norm=1.0)
    embedding.weight.requires_grad = False
    head = nn.Linear(8, 2)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    head(embedding(torch.tensor([1, 2]))).sum().backward()
    optimizer.step()

Good
    import torch
    from torch import nn

    embedding = nn.Embedding(100, 8)
    embedding.weight.requires_grad = False
    head = nn.Linear(8, 2)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    head(embedding(torch.tensor([1, 2]))).sum().backward()
    optimizer.step()

Confirm
    Compare the layer's weight with a copy taken before the forward.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html
    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.parametrizations.spectral_norm.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import INFO, rule
from freezelint.trace.events import Backward, SetRequiresGrad
from freezelint.trace.run import Fault, Note, Run, grouped, name_is
from freezelint.trace.tri import YES


@rule(on=Backward, severity=INFO, sides="static")
def check(run: Run, event: Backward) -> Iterator[Fault]:
    passes = run.trained(event)
    for trait, why in (
        ("max_norm", "but max_norm rescales the rows that a forward looks up, in eval mode too"),
        ("spectral_norm", "but in train mode spectral_norm still updates its estimate, and with it the weight in use"),
    ):
        moving = [
            part
            for part, ran in passes.items()
            if part.has(trait) is YES
            and run.frozen([part], during=ran)
            and (trait == "max_norm" or run.mode(part, during=ran) is YES)
            and not run.momentary(part)
        ]
        for froze, region in grouped(moving, lambda part: run.last(SetRequiresGrad, part, during=passes[part])):
            first = next(passes[part] for part in passes if part in region)
            yield Fault(
                froze.site, f"{name_is(region)} frozen, {why}", (Note(first.event.site, "this forward changes it"),)
            )
