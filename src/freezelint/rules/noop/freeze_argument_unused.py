"""A function takes an argument that says what to freeze or train, and never reads it.

What happens
    `build(freeze_backbone=True)` freezes nothing: the argument is accepted and forgotten. The model trains as if it
    had not been given, in silence.

Why
    The argument was added to the signature before the code that obeys it, or lost that code in a refactoring.
    What is reported: functions and constructors that build or load a pretrained model or set flags, where the default
    of the argument asks for a freeze, or a call in the same file gives another value than the default. Signatures that
    a base class, a decorator, `**kwargs` or a stub may ask for are left alone, and so is what says that it is unused.

Bad
    from torch import nn
    from torchvision.models import resnet18

    class Net(nn.Module):
        def __init__(self, freeze_backbone=True):
            super().__init__()
            self.backbone = resnet18(weights="DEFAULT")
            self.backbone.requires_grad_(True)

Good
    from torch import nn
    from torchvision.models import resnet18

    class Net(nn.Module):
        def __init__(self, freeze_backbone=True):
            super().__init__()
            self.backbone = resnet18(weights="DEFAULT")
            self.backbone.requires_grad_(not freeze_backbone)

Confirm
    Print `sum(p.requires_grad for p in model.parameters())` with the argument on and off: it is the same number.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.requires_grad_
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import WARNING, rule
from freezelint.trace.events import UnreadArgument
from freezelint.trace.run import Fault, Run


@rule(on=UnreadArgument, severity=WARNING, sides="static")
def check(run: Run, event: UnreadArgument) -> Iterator[Fault]:
    freezes = "unfreez" not in event.name and ("freez" in event.name or "frozen" in event.name)
    asks = event.default == ("True" if freezes else "False")  # what a freeze of nothing would not fulfil
    if not (asks or event.given):
        return
    what = "freezes nothing" if freezes else "changes nothing"
    yield Fault(
        event.site,
        f"`{event.function}` never reads `{event.name}`: asking for it {what}",
    )
