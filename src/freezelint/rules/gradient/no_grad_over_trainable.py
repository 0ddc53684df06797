"""A part that should train runs only where gradients are not recorded.

What happens
    The optimizer holds the part and nobody froze it, but its every way to the loss goes through `torch.no_grad()` or
    `torch.inference_mode()`. Its gradients stay None and the optimizer skips it in silence. Layers after the block do
    train, so the loss falls and nothing looks wrong. Whatever runs before the block and feeds only into it gets no
    gradient either.

Why
    The block was meant for a frozen backbone or for evaluation and covers more than that.

Bad
    import torch
    from torch import nn

    backbone = nn.Linear(8, 8)
    projection = nn.Linear(8, 8)
    head = nn.Linear(8, 2)
    backbone.requires_grad_(False)
    optimizer = torch.optim.SGD([*projection.parameters(), *head.parameters()], lr=0.1)
    for x, y in loader:
        with torch.no_grad():
            features = projection(backbone(x))
        loss = nn.functional.cross_entropy(head(features), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Good
    import torch
    from torch import nn

    backbone = nn.Linear(8, 8)
    projection = nn.Linear(8, 8)
    head = nn.Linear(8, 2)
    backbone.requires_grad_(False)
    optimizer = torch.optim.SGD([*projection.parameters(), *head.parameters()], lr=0.1)
    for x, y in loader:
        with torch.no_grad():
            features = backbone(x)
        loss = nn.functional.cross_entropy(head(projection(features)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Confirm
    After `backward()`, `p.grad` of the part's parameters is None.

References
    https://docs.pytorch.org/docs/stable/notes/autograd.html#locally-disabling-gradient-computation
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, INFO, WARNING, rule
from freezelint.trace.events import Backward, End
from freezelint.trace.run import Fault, Note, Run, grouped, name_is


@rule(on=End, severity=ERROR)
def check(run: Run, event: End) -> Iterator[Fault]:
    for cut, region in grouped(run.starved(), run.cut):
        if cut.mode is None or cut.mode.how != "with":
            continue
        holder = run.holders(min(region, key=lambda part: part.serial))[0]
        loss = run.last(Backward)
        # A pretrained backbone in the block is how many freeze one, and the optimizer passes it over.
        as_is = WARNING if any(run.weights(part) == "unsure" for part in region) else INFO
        yield Fault(
            cut.site,
            f"{name_is(region, 'runs', 'run')} only under {cut.how}: no gradient arrives, and"
            f" {holder.label} never moves what it holds of it",
            (
                Note(holder.built.site, f"{holder.label} holds it since here"),
                *((Note(loss.site, "this backward() does not reach it"),) if loss else ()),
            ),
            severity=ERROR if run.meant(region) else as_is,
            unless=region,
        )
