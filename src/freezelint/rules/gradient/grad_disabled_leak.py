"""set_grad_enabled(False) is never undone, and training goes on.

What happens
    As a statement, `torch.set_grad_enabled(False)` holds for the whole thread until it is called again. The next
    training forward has no graph, and `backward()` raises, often only in the second epoch, after the first validation.

Why
    A validation or inference helper switches gradients off for itself and does not switch them on again.

Bad
    import torch
    from torch import nn

    def validate(model, loader):
        torch.set_grad_enabled(False)
        for x, y in loader:
            model(x)

    model = nn.Linear(8, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(10):
        for x, y in loader:
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        validate(model, loader)

Good
    import torch
    from torch import nn

    def validate(model, loader):
        with torch.no_grad():
            for x, y in loader:
                model(x)

    model = nn.Linear(8, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(10):
        for x, y in loader:
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        validate(model, loader)

Confirm
    `torch.is_grad_enabled()` is False at the training forward.

References
    https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad_mode.set_grad_enabled.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, WARNING, rule
from freezelint.trace.events import Backward, End
from freezelint.trace.run import Fault, Note, Run, cut_by


@rule(on=(Backward, End), severity=ERROR)
def check(run: Run, event: Backward | End) -> Iterator[Fault]:
    if isinstance(event, End):
        off = run.switched_off()
        if off is not None and off.how == "statement" and off.inside in ("__init__", "forward"):
            yield Fault(
                off.site,
                f"{off.text} stays in force when `{off.inside}` is over: whoever "
                + ("makes one of these objects" if off.inside == "__init__" else "runs this module")
                + " trains nothing from then on, anywhere in the process",
                severity=WARNING,
            )
        return
    cuts = run.cuts(event)
    if not event.forced and cut_by(cuts) == "statement":
        cut, ran = cuts[0]
        yield Fault(
            cut.site,
            f"{cut.how} stays in force after this: {ran} then runs without a graph and backward() raises",
            (Note(event.site, "this backward() has nothing to go back through"),),
        )
