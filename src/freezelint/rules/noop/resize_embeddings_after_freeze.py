"""An embedding is frozen, and a resize replaces it by a new one, which trains.

What happens
    The method makes a new `nn.Embedding` of the new size and puts it in the place of the old one. The new one requires
    grad, whatever the old one did, and it is moved by the optimizer.

Why
    The flag belonged to the old parameter. A resize that is meant to keep it has to set it again.
    What is reported: a method of a class in view whose name speaks of resizing. transformers'
    `resize_token_embeddings` keeps the flag (measured on version 5.23) and is not reported.

Bad
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.emb = nn.Embedding(10, 8)
            self.out = nn.Linear(8, 2)

        def resize(self, count):
            old = self.emb
            self.emb = nn.Embedding(count, 8)
            self.emb.weight.data[:10] = old.weight.data

        def forward(self, x):
            return self.out(self.emb(x))

    model = Net()
    model.emb.requires_grad_(False)
    model.resize(12)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.tensor([1, 2])).sum().backward()
    optimizer.step()

Good
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.emb = nn.Embedding(10, 8)
            self.out = nn.Linear(8, 2)

        def resize(self, count):
            old = self.emb
            self.emb = nn.Embedding(count, 8)
            self.emb.weight.data[:10] = old.weight.data

        def forward(self, x):
            return self.out(self.emb(x))

    model = Net()
    model.resize(12)
    model.emb.requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.tensor([1, 2])).sum().backward()
    optimizer.step()

Confirm
    Print `model.emb.weight.requires_grad` before and after the resize.

References
    https://huggingface.co/docs/transformers/main_classes/model#transformers.PreTrainedModel.resize_token_embeddings
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import WARNING, rule
from freezelint.trace.events import ReplaceSubmodule, SetRequiresGrad, Step
from freezelint.trace.regions import leaves
from freezelint.trace.run import Fault, Note, Run, name_is
from freezelint.trace.tri import YES


@rule(on=Step, severity=WARNING, sides="static")
def check(run: Run, event: Step) -> Iterator[Fault]:
    for swap in run.events_behind("joined", ReplaceSubmodule):
        if not any(word in swap.within.lower() for word in ("resize", "extend", "expand")):
            continue
        old, new = leaves(swap.old), leaves(swap.new)
        kinds = {made.kind if (made := run.origin(part)) else "" for part in (*old, *new)}
        froze = run.last(SetRequiresGrad, old[0]) if old else None
        if froze is None or kinds != {"Embedding"} or run.frozen(old) != old:
            continue
        if all(run.flag(p) is YES and run.last(SetRequiresGrad, p) is None and run.held(p) is YES for p in new):
            yield Fault(
                swap.site,
                f"{name_is(frozenset(new))} new and trainable, though the embedding that it replaces was frozen",
                (Note(froze.site, "the former one is frozen here"), Note(event.site, "the new one trains here")),
            )
