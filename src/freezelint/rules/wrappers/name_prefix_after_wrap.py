"""A name test runs on a wrapped model, whose parameter names begin with the wrapper's prefix, and matches nothing.

What happens
    DataParallel and DistributedDataParallel put `module.` before every name, `torch.compile` puts `_orig_mod.`, PEFT
    `base_model.model.`. `name.startswith("backbone")` is false for all of them: nothing is frozen, or with `not`
    everything is, and the parameter groups are empty. Nothing is raised.

Why
    The test was written for the bare model, and the wrap came before it, often only when several GPUs are used.

Bad
    import torch
    from torch import nn
    from torchvision.models import resnet18

    model = nn.DataParallel(resnet18(weights="DEFAULT"))
    for name, p in model.named_parameters():
        if name.startswith("layer1"):
            p.requires_grad = False

Good
    import torch
    from torch import nn
    from torchvision.models import resnet18

    model = nn.DataParallel(resnet18(weights="DEFAULT"))
    for name, p in model.module.named_parameters():
        if name.startswith("layer1"):
            p.requires_grad = False

Confirm
    Print `[name for name, p in model.named_parameters()][:3]`: every name begins with the prefix.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.DataParallel.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import SelectNames, Wrap
from freezelint.trace.run import Fault, Note, Run


@rule(on=SelectNames, severity=ERROR)
def check(run: Run, event: SelectNames) -> Iterator[Fault]:
    if not event.prefix or any(run.escaped(part) for part in event.region):
        return
    wrap = next((wrap for part in event.region if (wrap := run.last(Wrap, part)) is not None), None)
    chosen = "so this spares nothing" if event.negated else "so this chooses nothing"
    yield Fault(
        event.site,
        f"names of the wrapped model begin with `{event.prefix}`, and none passes `{event.test}`, {chosen}",
        (Note(wrap.site, "the model is wrapped here"),) if wrap is not None else (),
    )
