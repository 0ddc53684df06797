"""`nn.Embedding.from_pretrained(weights)` comes frozen, and an optimizer's group over it alone expects it to train.

What happens
    `from_pretrained` has `freeze=True` by default, so the embedding's weight does not require grad. The optimizer holds
    it and never moves it, since it gets no gradient. Nothing is raised or printed.

Why
    Layers of torch.nn require grad when they are made; this constructor is the exception.

Bad
    import torch
    from torch import nn

    embedding = nn.Embedding.from_pretrained(torch.randn(100, 8))
    head = nn.Linear(8, 2)
    optimizer = torch.optim.SGD(
        [{"params": embedding.parameters(), "lr": 0.01}, {"params": head.parameters()}], lr=0.1
    )
    head(embedding(torch.tensor([1, 2]))).sum().backward()
    optimizer.step()

Good
    import torch
    from torch import nn

    embedding = nn.Embedding.from_pretrained(torch.randn(100, 8), freeze=False)
    head = nn.Linear(8, 2)
    optimizer = torch.optim.SGD(
        [{"params": embedding.parameters(), "lr": 0.01}, {"params": head.parameters()}], lr=0.1
    )
    head(embedding(torch.tensor([1, 2]))).sum().backward()
    optimizer.step()

Confirm
    Print `embedding.weight.requires_grad`: it is False.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html#torch.nn.Embedding.from_pretrained
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import WARNING, rule
from freezelint.trace.events import BuildOptimizer, SetRequiresGrad, Step
from freezelint.trace.regions import leaves
from freezelint.trace.run import Excuse, Fault, Note, Run, name_is
from freezelint.trace.tri import NO


@rule(on=(Step, SetRequiresGrad), severity=WARNING, sides="static")
def check(run: Run, event: Step | SetRequiresGrad) -> Iterator[Fault | Excuse]:
    if isinstance(event, SetRequiresGrad):
        if event.to is not NO:  # unfrozen in some world, or later on: the group waits for that
            former = [run.last(SetRequiresGrad, part) for part in leaves(event.region)]
            yield from (Excuse(one.site) for one in former if one is not None and one.how == "from_pretrained")
        return
    held = run.optimizer(event.optimizer)
    for group in held.groups if held is not None and not held.filtered else ():
        made = {run.last(SetRequiresGrad, part) for part in leaves(group.region)}
        froze = made.pop() if len(made) == 1 else None
        if (
            froze is None
            or froze.how != "from_pretrained"
            or froze.given
            or not isinstance(group.event, BuildOptimizer)
        ):
            continue
        yield Fault(
            froze.site,
            f"{name_is(group.region)} frozen: from_pretrained() has freeze=True by default, and the optimizer's group"
            " for it changes nothing",
            (Note(group.event.site, "an optimizer with a group for it alone"),),
        )
