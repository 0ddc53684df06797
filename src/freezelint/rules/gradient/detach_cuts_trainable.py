"""A part that should train is cut off from the loss by detach(), .data, item() or a copy.

What happens
    `.detach()`, `.data`, `.item()`, `.numpy()`, `argmax()` and `torch.tensor(output)` give values without a graph.
    Where that is the part's only way to the loss, its gradients stay None and the optimizer that holds it never moves
    it. If it is the whole loss, `backward()` raises, unless `requires_grad = True` was forced on it.

Why
    Outputs were detached for logging or numpy and then used for the loss, or several losses were collected with
    `torch.tensor([...])`, which copies values, instead of `torch.stack([...])`.

Bad
    import torch
    from torch import nn

    encoder, head = nn.Linear(8, 8), nn.Linear(8, 2)
    optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.1)
    for x, y in loader:
        features = encoder(x).detach()
        loss = nn.functional.cross_entropy(head(features), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Good
    import torch
    from torch import nn

    encoder, head = nn.Linear(8, 8), nn.Linear(8, 2)
    optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.1)
    for x, y in loader:
        features = encoder(x)
        loss = nn.functional.cross_entropy(head(features), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Confirm
    After `backward()`, `p.grad` of the part's parameters is None.

References
    https://docs.pytorch.org/docs/stable/generated/torch.Tensor.detach.html
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
        if cut_by(cuts) != "call":
            return
        for cut, ran in cuts:
            # A re-wrapped loss is loss-requires-grad-hack's.
            if cut.mode is None and not cut.how.startswith("checkpoint") and cut.site != event.forced:
                yield Fault(
                    cut.site,
                    f"{cut.how} cuts {ran} off from the loss, which has no graph left: "
                    + ("forced to require grad, it trains nothing" if event.forced else "backward() raises"),
                    (Note(event.site, "this backward() has nothing to go back through"),),
                    unless=frozenset({event.site}),
                )
        return
    for cut, region in grouped(run.starved(), run.cut):
        if cut.mode is None and not cut.how.startswith("checkpoint"):
            holder = run.holders(min(region, key=lambda part: part.serial))[0]
            yield Fault(
                cut.site,
                f"{cut.how} cuts {name(region)} off from every loss: no gradient arrives, and"
                f" {holder.label} never moves what it holds of it",
                (Note(holder.built.site, f"{holder.label} holds it since here"),),
                severity=ERROR if run.meant(region) else WARNING,
                unless=region,
            )
