"""The training forward runs without recording gradients, and backward() follows.

What happens
    Under `torch.no_grad()` or `torch.inference_mode()` the outputs have no graph, so a loss made of them has none
    either. `loss.backward()` raises at once: "element 0 of tensors does not require grad and does not have a grad_fn".

Why
    The context was copied from the evaluation loop, or it was meant for one frozen part and covers the whole forward.

Bad
    import torch
    from torch import nn

    model = nn.Linear(8, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        with torch.no_grad():
            output = model(x)
        loss = nn.functional.cross_entropy(output, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Good
    import torch
    from torch import nn

    model = nn.Linear(8, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        output = model(x)
        loss = nn.functional.cross_entropy(output, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Confirm
    `loss.grad_fn` is None before `backward()`, and `backward()` raises.

References
    https://docs.pytorch.org/docs/stable/generated/torch.no_grad.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import Backward
from freezelint.trace.run import Fault, Note, Run, cut_by


@rule(on=Backward, severity=ERROR)
def check(run: Run, event: Backward) -> Iterator[Fault]:
    cuts = run.cuts(event)
    if event.forced or cut_by(cuts) != "with":
        return
    cut, ran = cuts[0]
    yield Fault(
        cut.site,
        f"{ran} runs under {cut.how} here, so the loss has no graph and backward() raises",
        (Note(event.site, "this backward() has nothing to go back through"),),
        unless=frozenset({event.site}),
    )
