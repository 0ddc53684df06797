"""`module.training = ...` changes one flag of one module; the layers below stay in the mode they were in.

What happens
    `training` is the attribute that train() and eval() set on a module and on everything below it. An assignment sets
    that of the module alone: its BatchNorm and Dropout layers are modules of their own and keep their mode. A flag of
    your own under this name is overwritten by the next train() or eval().

Why
    The attribute looks like a switch. The switch is train() and eval().

Bad
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    model.training = False
    with torch.no_grad():
        print(model(torch.randn(1, 8)))

Good
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    model.eval()
    with torch.no_grad():
        print(model(torch.randn(1, 8)))

Confirm
    Print `{m.training for m in model.modules()}` after the line: it holds both True and False.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.train
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import WroteAttribute
from freezelint.trace.run import Fault, Run
from freezelint.trace.tri import YES


@rule(on=WroteAttribute, severity=ERROR)
def check(run: Run, event: WroteAttribute) -> Iterator[Fault]:
    if event.target != "module" or event.name != "training":
        return
    if event.surely is YES or event.value in ("True", "False"):
        owner = event.text.rpartition(".")[0] or "the module"
        instead = {"False": "eval()", "True": "train()"}.get(event.value)
        advice = f"call {owner}.{instead}" if instead else "the next train() or eval() overwrites it"
        yield Fault(
            event.site,
            f"this sets the flag of `{owner}` alone, its Dropout and BatchNorm layers keep their mode: {advice}",
        )
