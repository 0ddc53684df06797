"""A decorator switches gradients off for a forward or training step that must train.

What happens
    `@torch.no_grad()` on a function holds for everything it runs, `self.parameters()` included. Where it decorates the
    whole way to the loss, `backward()` raises ("element 0 of tensors does not require grad"). Where it decorates the
    forward of one part, that part's gradients stay None, and the optimizer that holds it never moves it, in silence.

Why
    The decorator was written for inference, or when the part was frozen, and stayed.

Bad
    import torch
    from torch import nn

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(8, 8)

        @torch.no_grad()
        def forward(self, x):
            return self.layer(x)

    encoder, head = Encoder(), nn.Linear(8, 2)
    optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.1)
    for x, y in loader:
        loss = nn.functional.cross_entropy(head(encoder(x)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Good
    import torch
    from torch import nn

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, x):
            return self.layer(x)

    encoder, head = Encoder(), nn.Linear(8, 2)
    optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.1)
    for x, y in loader:
        loss = nn.functional.cross_entropy(head(encoder(x)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Confirm
    The function's output has `requires_grad` False, and `p.grad` stays None after `backward()`.

References
    https://docs.pytorch.org/docs/stable/generated/torch.no_grad.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, WARNING, rule
from freezelint.trace.events import Backward, End
from freezelint.trace.run import Fault, Note, Run, cut_by, grouped, name


@rule(on=(Backward, End), severity=ERROR)
def check(run: Run, event: Backward | End) -> Iterator[Fault]:
    if isinstance(event, Backward):
        cuts = run.cuts(event)
        if not event.forced and cut_by(cuts) == "decorator":
            cut, ran = cuts[0]
            yield Fault(
                cut.site,
                f"this decorator runs {ran} under {cut.how}, so the loss has no graph and backward() raises",
                (Note(event.site, "this backward() has nothing to go back through"),),
                unless=frozenset({event.site}),
            )
        return
    for cut, region in grouped(run.starved(), run.cut):
        if cut.mode is not None and cut.mode.how == "decorator":
            holder = run.holders(min(region, key=lambda part: part.serial))[0]
            yield Fault(
                cut.site,
                f"this decorator runs {name(region)} under {cut.how}: no gradient arrives, and"
                f" {holder.label} never moves what it holds of it",
                (Note(holder.built.site, f"{holder.label} holds it since here"),),
                severity=ERROR if run.meant(region) else WARNING,
                unless=region,
            )
