"""requires_grad is forced on a loss that has lost its graph, so backward() runs and trains nothing.

What happens
    `loss.requires_grad = True`, `Variable(loss, requires_grad=True)` and `torch.tensor(x, requires_grad=True)` make a
    leaf of its own. `backward()` then stops complaining, every `p.grad` stays None, and the optimizer moves nothing.
    Nothing is printed. (On a loss that has its graph, the assignment raises and `requires_grad_()` does nothing.)

Why
    `backward()` raised "element 0 of tensors does not require grad and does not have a grad_fn". The cause is earlier:
    an output was detached, rounded by argmax, copied by `torch.tensor`, or made under `no_grad`.

Bad
    import torch
    from torch import nn

    model = nn.Linear(8, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        prediction = model(x).argmax(dim=1).float()
        loss = nn.functional.mse_loss(prediction, y)
        loss.requires_grad = True
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Good
    import torch
    from torch import nn

    model = nn.Linear(8, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Confirm
    After `backward()` every `p.grad` of the model is None.

References
    https://docs.pytorch.org/docs/stable/notes/autograd.html#setting-requires-grad
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, WARNING, rule
from freezelint.trace.events import Backward, WroteAttribute
from freezelint.trace.regions import NOWHERE
from freezelint.trace.run import Fault, Note, Run


@rule(on=Backward, severity=ERROR)
def check(run: Run, event: Backward) -> Iterator[Fault]:
    if event.forced is None:
        return
    cuts = run.cuts(event)
    if cuts:
        cut, _ = cuts[0]
        yield Fault(
            event.forced,
            f"this loss has lost its graph to {cut.how}; forcing requires_grad on it silences backward(), and no"
            " parameter gets a gradient",
            (Note(cut.site, "the graph is lost here"), Note(event.site, "this backward() trains nothing")),
        )
    elif not event.uses or event.reached == NOWHERE:
        wrote = run.last(WroteAttribute)
        how = wrote.name if wrote is not None and wrote.site == event.forced else ""
        yield Fault(
            event.forced,
            {
                "": "this makes the loss a new leaf without a graph: backward() ends here, and no parameter gets a"
                " gradient",
                "requires_grad": "this raises on a loss that has a graph, and gives none to a loss that has lost it:"
                " backward() then trains nothing",
                "requires_grad_": "this does nothing to a loss that has a graph, and gives none to a loss that has"
                " lost it: backward() then trains nothing",
            }[how],
            (Note(event.site, "this backward() goes no further than the loss"),),
            severity=WARNING if how == "requires_grad_" else ERROR,
        )
