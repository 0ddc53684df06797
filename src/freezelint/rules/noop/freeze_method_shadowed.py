"""An attribute hides the method that freezes or switches modes.

What happens
    `self.freeze_bn = freeze_bn` in a class with `def freeze_bn(self)` puts a flag where the method was: calling it
    raises TypeError ('bool' object is not callable). `self.train = train` in an nn.Module hides nn.Module.train, so
    train() and eval() of this module and of everything that contains it raise TypeError.

Why
    An attribute of an instance is found before a method of its class.

Bad
    from torch import nn

    class Net(nn.Module):
        def __init__(self, freeze_bn=True):
            super().__init__()
            self.bn = nn.BatchNorm1d(8)
            self.freeze_bn = freeze_bn

        def freeze_bn(self):
            self.bn.requires_grad_(False)

Good
    from torch import nn

    class Net(nn.Module):
        def __init__(self, bn_frozen=True):
            super().__init__()
            self.bn = nn.BatchNorm1d(8)
            self.bn_frozen = bn_frozen

        def freeze_bn(self):
            self.bn.requires_grad_(False)

Confirm
    Print `callable(model.freeze_bn)`: it is False.

References
    https://docs.python.org/3/howto/descriptor.html#invocation-from-an-instance
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import HidMethod
from freezelint.trace.run import Fault, Run


@rule(on=HidMethod, severity=ERROR, sides="static")
def check(run: Run, event: HidMethod) -> Iterator[Fault]:
    hidden = f"the method `{event.cls}.{event.name}`" if event.own else f"nn.Module's `{event.name}`"
    then = (
        "calling it raises TypeError"
        if event.own
        else "train() and eval() of this module, and of all that contain it, raise TypeError"
    )
    yield Fault(event.site, f"`self.{event.name} = {event.value}` hides {hidden}: {then}")
