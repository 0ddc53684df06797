"""An isinstance test that puts BatchNorm layers in eval mode misses some of the model's BatchNorm layers.

What happens
    `isinstance(m, nn.BatchNorm2d)` is false for BatchNorm1d, BatchNorm3d and SyncBatchNorm. Those stay in train mode:
    their running statistics move on with every batch, although the loop reads as if all BatchNorm were fixed.

Why
    `SyncBatchNorm.convert_sync_batchnorm` replaces every BatchNorm of the model, and projection heads hold BatchNorm1d.
    `nn.modules.batchnorm._BatchNorm` is the base of them all. The rule speaks of converted models only: whether a
    BatchNorm1d was to be spared is for its author to say.

Bad
    from torch import nn
    from torchvision.models import resnet50

    model = nn.SyncBatchNorm.convert_sync_batchnorm(resnet50(weights="DEFAULT"))
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.eval()
            m.requires_grad_(False)

Good
    from torch import nn
    from torchvision.models import resnet50

    model = nn.SyncBatchNorm.convert_sync_batchnorm(resnet50(weights="DEFAULT"))
    for m in model.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm):
            m.eval()
            m.requires_grad_(False)

Confirm
    Print `[type(m) for m in model.modules() if m.training and "BatchNorm" in type(m).__name__]` after the loop: the
    list is not empty.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.SyncBatchNorm.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import WARNING, rule
from freezelint.trace.events import SetMode
from freezelint.trace.regions import leaves
from freezelint.trace.run import Fault, Note, Run, grouped
from freezelint.trace.tri import NO


@rule(on=SetMode, severity=WARNING, sides="static")
def check(run: Run, event: SetMode) -> Iterator[Fault]:
    chosen = [part for part in leaves(event.region) if part.chosen_kinds and part.has("batchnorm") is not NO]
    for wrap, region in grouped(chosen, run.synchronised):
        if event.training is NO and all("SyncBatchNorm" not in part.chosen_kinds for part in region):
            kinds = " or ".join(min(part.chosen_kinds for part in region))
            yield Fault(
                event.site,
                f"every BatchNorm here became a SyncBatchNorm, which is no {kinds}: none is put in eval mode, and"
                " their running statistics go on changing",
                (Note(wrap.site, "converted here"),),
            )
