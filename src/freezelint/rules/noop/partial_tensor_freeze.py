"""`requires_grad` is set on a slice or a row of a parameter, which cannot be frozen by itself.

What happens
    `weight[:10].requires_grad = False` raises RuntimeError while the parameter requires grad ("you can only change
    requires_grad flags of leaf variables"). With True on a row of a frozen parameter nothing is raised and nothing
    happens: the row is a tensor of its own, and the parameter stays frozen.

Why
    The flag belongs to a whole parameter. To keep some rows, zero their gradients in a hook and leave weight decay off
    for that parameter, or split it into two.

Bad
    from torch import nn

    embedding = nn.Embedding(100, 8)
    embedding.weight[:10].requires_grad = False

Good
    from torch import nn

    embedding = nn.Embedding(100, 8)

    def keep(grad):
        grad = grad.clone()
        grad[:10] = 0
        return grad

    embedding.weight.register_hook(keep)

Confirm
    Run the line: it raises, or `embedding.weight.requires_grad` is what it was.

References
    https://docs.pytorch.org/docs/stable/generated/torch.Tensor.requires_grad.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import WroteAttribute
from freezelint.trace.regions import leaves
from freezelint.trace.run import Fault, Run


@rule(on=WroteAttribute, severity=ERROR, sides="static")
def check(run: Run, event: WroteAttribute) -> Iterator[Fault]:
    if event.target != "piece" or event.name != "requires_grad":
        return
    if event.value == "True" and run.frozen(event.region) == leaves(event.region):
        yield Fault(event.site, "this is set on a view of the parameter, which stays frozen as a whole")
    elif event.value in ("True", "False"):
        yield Fault(
            event.site, "a part of a parameter has no flag of its own: setting it raises RuntimeError, as it is no leaf"
        )
