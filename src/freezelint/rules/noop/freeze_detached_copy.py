"""`requires_grad` is set on a detached copy of a parameter, so the parameter itself keeps its flag.

What happens
    `p.data`, `p.detach()` and the values of `state_dict()` are tensors of their own that share memory with the
    parameter, but not its flag. Setting `requires_grad` on one of them leaves the parameter as it was, in silence.

Why
    Only the `nn.Parameter` that the model lists in `parameters()` is asked by autograd and by the optimizer. The values
    of `state_dict(keep_vars=True)` are those parameters, the values of a plain `state_dict()` are not.

Bad
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    for name, tensor in model.state_dict().items():
        tensor.requires_grad = False

Good
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    for name, parameter in model.named_parameters():
        parameter.requires_grad = False

Confirm
    Print `[p.requires_grad for p in model.parameters()]` after the line: the flags are what they were before it.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.state_dict
    https://docs.pytorch.org/docs/stable/generated/torch.Tensor.detach.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import WroteAttribute
from freezelint.trace.regions import leaves
from freezelint.trace.run import Fault, Run


@rule(on=WroteAttribute, severity=ERROR)
def check(run: Run, event: WroteAttribute) -> Iterator[Fault]:
    if event.target != "copy" or event.name not in ("requires_grad", "requires_grad_"):
        return
    if event.value == "False" and event.region and len(run.frozen(event.region)) == len(leaves(event.region)):
        return  # said twice, once in a way that works
    copy = {".data": "what `.data` returns", "state_dict()": "what `state_dict()` holds"}.get(
        event.how, f"what `{event.how}` returns"
    )
    change = {"False": "nothing is frozen here", "True": "nothing is unfrozen here"}.get(event.value, "no flag changes")
    yield Fault(event.site, f"{copy} is a detached tensor, not the parameter, so {change}")
