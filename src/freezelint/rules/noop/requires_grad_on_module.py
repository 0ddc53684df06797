"""`requires_grad` is assigned to a module instead of to its parameters, so no flag changes.

What happens
    An `nn.Module` has no flag of its own. `model.layer4.requires_grad = False` stores a plain attribute on the module
    that nothing reads, and the parameters below it keep the flags that they had. Nothing is raised or printed.

Why
    The flag belongs to each parameter. The method `requires_grad_()`, with an underscore and a call, is the one that a
    module has: it sets the flag of every parameter below it.

Bad
    from torchvision.models import resnet18

    model = resnet18()
    model.layer4.requires_grad = False

Good
    from torchvision.models import resnet18

    model = resnet18()
    model.layer4.requires_grad_(False)

Confirm
    Print `[p.requires_grad for p in module.parameters()]` after the line: the flags are what they were before it.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.requires_grad_
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, WARNING, rule
from freezelint.trace.events import WroteAttribute
from freezelint.trace.repair import Repair
from freezelint.trace.run import Fault, Run
from freezelint.trace.tri import YES


@rule(on=WroteAttribute, severity=ERROR)
def check(run: Run, event: WroteAttribute) -> Iterator[Fault]:
    if event.target != "module" or event.name != "requires_grad" or event.surely is not YES or event.own:
        return
    module = event.text.removesuffix(".requires_grad") or "it"
    kept = {
        "False": "nothing is frozen here; use `requires_grad_(False)`",
        "True": "nothing is unfrozen here; use `requires_grad_(True)`",
    }.get(event.value, "no flag changes here; use `requires_grad_(...)`")
    same = run.already(event.region, event.value)
    yield Fault(
        event.site,
        f"`{module}` is a module: `requires_grad` on it is an attribute that torch never reads, so {kept}"
        + (f" (the flags are {event.value} already)" if same else ""),
        severity=WARNING if same else ERROR,
        repair=Repair("setter", "call `requires_grad_`", event.value in ("True", "False"), "requires_grad_"),
    )
