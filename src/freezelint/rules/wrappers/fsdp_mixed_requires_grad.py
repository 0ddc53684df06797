"""FullyShardedDataParallel without `use_orig_params=True` is built over frozen and trainable parameters together.

What happens
    FSDP1 flattens all parameters of a unit into one tensor, which has one `requires_grad`: "ValueError: Must flatten
    tensors with uniform `requires_grad` when `use_orig_params=False`".

Why
    `use_orig_params=False` is the default of `FullyShardedDataParallel`. The rule speaks only where one unit takes the
    whole model: without `auto_wrap_policy`, ignored modules or parts that are wrapped by themselves, which may keep
    the two kinds apart. `fully_shard` (FSDP2) shards each parameter by itself.

Bad
    from torch import nn
    from torch.distributed.fsdp import FullyShardedDataParallel
    from torchvision.models import resnet18

    model = resnet18(weights="DEFAULT")
    model.layer1.requires_grad_(False)
    model = FullyShardedDataParallel(model)

Good
    from torch import nn
    from torch.distributed.fsdp import FullyShardedDataParallel
    from torchvision.models import resnet18

    model = resnet18(weights="DEFAULT")
    model.layer1.requires_grad_(False)
    model = FullyShardedDataParallel(model, use_orig_params=True)

Confirm
    The constructor raises ValueError.

References
    https://docs.pytorch.org/docs/stable/fsdp.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import SetRequiresGrad, Wrap
from freezelint.trace.regions import leaves
from freezelint.trace.run import Fault, Note, Run, name
from freezelint.trace.tri import YES


@rule(on=Wrap, severity=ERROR, sides="static")
def check(run: Run, event: Wrap) -> Iterator[Fault]:
    said = dict(event.settings)
    kept = said.pop("use_orig_params", "False") != "False"
    if event.kind not in ("FSDP", "FullyShardedDataParallel") or kept or said:
        return
    parts = [leaf for leaf in leaves(event.region) if leaf.has("params") is YES]
    frozen, trainable = run.frozen(parts), run.trainable(parts)
    if frozen and trainable and not any(run.last(Wrap, part) for part in leaves(event.region)):
        froze = run.last(SetRequiresGrad, frozen[0])
        yield Fault(
            event.site,
            f"{name(frozen)} is frozen and {name(trainable)} is not, but one flat parameter has one requires_grad:"
            " ValueError (ask for use_orig_params=True)",
            (Note(froze.site, "frozen here"),) if froze is not None else (),
        )
