"""A model or a part of it is frozen, and then replaced by a new one of the same kind that nobody freezes.

What happens
    The freeze went with the old object. The new one has parameters of its own, which require grad, and it trains in
    full, in silence.

Why
    The model is built once more after it was frozen (to load other weights, to start afresh), and the freeze is not
    repeated.

Bad
    import torch
    from torch import nn
    from torchvision.models import resnet18

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = resnet18()
            for p in self.backbone.parameters():
                p.requires_grad = False
            self.backbone = resnet18(weights="DEFAULT")
            self.head = nn.Linear(1000, 2)

        def forward(self, x):
            return self.head(self.backbone(x))

    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = model(torch.randn(2, 3, 224, 224)).sum()
    loss.backward()
    optimizer.step()

Good
    import torch
    from torch import nn
    from torchvision.models import resnet18

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = resnet18(weights="DEFAULT")
            for p in self.backbone.parameters():
                p.requires_grad = False
            self.backbone.eval()
            self.head = nn.Linear(1000, 2)

        def forward(self, x):
            return self.head(self.backbone(x))

    model = Net()
    optimizer = torch.optim.SGD(model.head.parameters(), lr=0.1)
    loss = model(torch.randn(2, 3, 224, 224)).sum()
    loss.backward()
    optimizer.step()

Confirm
    Print `[p.requires_grad for p in model.parameters()]` right before the first step.

References
    https://docs.pytorch.org/docs/stable/notes/autograd.html#setting-requires-grad
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import Backward, Rebind, ReplaceSubmodule, SetRequiresGrad, Step
from freezelint.trace.regions import Part, Region, leaves
from freezelint.trace.run import Fault, Note, Run, name_is
from freezelint.trace.tri import NO, YES


@rule(on=(Backward, Step), severity=ERROR, sides="static", yields_to=("resize-embeddings-after-freeze",))
def check(run: Run, event: Backward | Step) -> Iterator[Fault]:
    trained = run.trained(event)
    swaps: list[Rebind | ReplaceSubmodule] = [
        *run.events_behind("joined", ReplaceSubmodule),
        *run.events_behind("rebound", Rebind),
    ]
    for swap in swaps:
        froze = _frozen_for_nothing(run, swap)
        new = [part for part in leaves(swap.new) if part.has("params") is YES and part in trained]
        if froze is None or not new or not all(_as_made(run, part) for part in new):
            continue
        yield Fault(
            swap.site,
            f"{name_is(frozenset(new))} new and trainable: what was frozen is the one that it replaces",
            (Note(froze.site, "the former one is frozen here"), Note(event.site, "the new one trains here")),
        )


def _frozen_for_nothing(run: Run, swap: Rebind | ReplaceSubmodule) -> SetRequiresGrad | None:
    """The freeze of what was replaced, or of a part of it, by something of the same kind before anything used it."""
    old: Region = frozenset(part for part in leaves(swap.old) if part.has("params") is not NO)
    new: Region = frozenset(part for part in leaves(swap.new) if part.has("params") is not NO)
    kinds = [{made.kind if (made := run.origin(part)) else "" for part in side} for side in (old, new)]
    freezes = {event for part in old if (event := run.last(SetRequiresGrad, part))}
    froze = freezes.pop() if len(freezes) == 1 else None
    if froze is None or kinds[0] != kinds[1] or "" in kinds[0] or "Parameter" in kinds[0]:
        return None
    if isinstance(swap, ReplaceSubmodule) and run.frozen(old) != leaves(old):
        return None  # of a part that was frozen here and there, the rest was meant to train
    if not set(leaves(froze.region)) <= set(leaves(swap.old)):
        return None
    if isinstance(swap, Rebind) and swap.turn != froze.turn:
        return None  # something out of view may have trained it
    return None if run.used_since(froze, old) else froze


def _as_made(run: Run, part: Part) -> bool:
    """Whether nobody has told the flag of a leaf since it was made."""
    return run.flag(part) is YES and run.last(SetRequiresGrad, part) is None
