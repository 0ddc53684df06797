"""A frozen parameter is replaced by `nn.Parameter(...)`, which requires grad again.

What happens
    `nn.Parameter(tensor)` makes a new parameter with `requires_grad=True`, whatever it is made from. Assigning it puts
    it where the frozen one stood, and the layer trains, in silence.

Why
    The flag belongs to the parameter object, not to its values or to the attribute.

Bad
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    model[0].weight.requires_grad = False
    model[0].weight = nn.Parameter(model[0].weight * 0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.randn(4, 8)).sum().backward()
    optimizer.step()

Good
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    model[0].weight.requires_grad = False
    model[0].weight.data.mul_(0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.randn(4, 8)).sum().backward()
    optimizer.step()

Confirm
    Print `layer.weight.requires_grad` after the assignment: it is True.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.parameter.Parameter.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import Backward, ReplaceParameter, SetRequiresGrad, Step
from freezelint.trace.regions import leaves
from freezelint.trace.run import Fault, Note, Run, name_is
from freezelint.trace.tri import NO, YES


@rule(on=(Backward, Step), severity=ERROR, sides="static")
def check(run: Run, event: Backward | Step) -> Iterator[Fault]:
    for swap in run.events_behind("rewrapped", ReplaceParameter):
        old = [part for part in leaves(swap.old) if part.has("params") is not NO]
        freezes = {run.last(SetRequiresGrad, part) for part in old}
        froze = freezes.pop() if len(freezes) == 1 else None
        if froze is None or run.frozen(old) != old or run.since(swap, old):
            continue
        if not swap.derived and not set(leaves(froze.region)) <= set(old):
            continue  # a new weight for a layer of a model that was frozen as a whole: it may well be meant to train
        new = leaves(swap.new)
        if all(run.flag(part) is YES and run.last(SetRequiresGrad, part) is None for part in new):
            yield Fault(
                swap.site,
                f"{name_is(frozenset(old))} frozen, but the nn.Parameter that takes its place here requires grad again",
                (Note(froze.site, "frozen here"), Note(event.site, "the new parameter trains here")),
            )
