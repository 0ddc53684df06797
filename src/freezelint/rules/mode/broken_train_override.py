"""A Module class defines `train` or `eval` in a way that PyTorch's own calls of it do not expect.

What happens
    eval() calls `self.train(False)`, and train() on a parent calls `child.train(mode)` and expects the module back. An
    override that takes no mode raises TypeError there; one that does not hand the mode on leaves layers in the wrong
    mode; one that returns nothing makes `model.train()` None, so `net = Net().eval()` loses the network.

Why
    The name `train` is taken on an nn.Module: it is no place for a training loop, a flag or a shorter signature.

Bad
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.bn = nn.BatchNorm1d(4)

        def train(self):
            super().train(True)
            self.bn.eval()
            return self

Good
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.bn = nn.BatchNorm1d(4)

        def train(self, mode=True):
            super().train(mode)
            self.bn.eval()
            return self

Confirm
    Call `Net().eval()` and print what it returns.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.train
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import INFO, WARNING, rule
from freezelint.trace.events import OverrodeTrain, WroteAttribute
from freezelint.trace.repair import Repair
from freezelint.trace.run import Fault, Run
from freezelint.trace.tri import YES


@rule(on=(OverrodeTrain, WroteAttribute), severity=WARNING, sides="static")  # whether it is called is not in view
def check(run: Run, event: OverrodeTrain | WroteAttribute) -> Iterator[Fault]:
    if isinstance(event, WroteAttribute):
        if event.target == "module" and event.name in ("train", "eval") and event.surely is YES:
            if event.value in ("True", "False"):
                yield Fault(
                    event.site,
                    f"`{event.name}` is a method of every nn.Module, and {event.value} hides it: train() and eval() of"
                    " this module raise TypeError",
                )
        return
    what = f"`{event.cls}.{event.name}`"
    if not event.is_function:
        yield Fault(event.site, f"{what} is no function, and hides nn.Module's: {event.name}() raises TypeError")
    elif not event.takes_mode:
        calls = "train(mode), as eval() and a parent's train() call it," if event.name == "train" else "eval()"
        why = "is a training loop under the name of nn.Module's mode switch" if event.trains else "takes no mode"
        why = why if event.name == "train" else "needs arguments that nn.Module's does not have"
        yield Fault(event.site, f"{what} {why}: {calls} raises TypeError")
    elif not event.calls_super:
        yield Fault(
            event.site,
            f"{what} never hands the mode on to nn.Module's {event.name}: its layers stay in the mode they were in",
        )
    elif not event.returns_self:
        yield Fault(
            event.site,
            f"{what} does not return self: a chained `{event.cls}().{event.name}()` is None",
            severity=INFO,
            repair=Repair("return_self", "return the module"),
        )
