"""A Lightning hook or callback unfreezes layers that `configure_optimizers` left out.

What happens
    Lightning calls `configure_optimizers` once, before the first epoch. When it filters by `requires_grad`, or lists
    the head only, what a hook unfreezes later is in no parameter group: gradients are computed and pile up, and the
    weights never move. Nothing is raised or printed.

Why
    The unfreeze and the optimizer stand in different methods, and the filter is right for the first stage.

Bad
    import torch
    from torch import nn
    import lightning as L

    class Classifier(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.backbone = nn.Linear(8, 8)
            self.head = nn.Linear(8, 2)
            self.backbone.requires_grad_(False)

        def on_train_epoch_start(self):
            if self.current_epoch == 5:
                self.backbone.requires_grad_(True)

        def training_step(self, batch, batch_idx):
            x, y = batch
            return nn.functional.cross_entropy(self.head(self.backbone(x)), y)

        def configure_optimizers(self):
            return torch.optim.Adam(filter(lambda p: p.requires_grad, self.parameters()))

    L.Trainer(max_epochs=10).fit(Classifier(), loader)

Good
    import torch
    from torch import nn
    import lightning as L

    class Classifier(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.backbone = nn.Linear(8, 8)
            self.head = nn.Linear(8, 2)
            self.backbone.requires_grad_(False)

        def on_train_epoch_start(self):
            if self.current_epoch == 5:
                self.backbone.requires_grad_(True)
                self.optimizers().add_param_group({"params": self.backbone.parameters(), "lr": 1e-5})

        def training_step(self, batch, batch_idx):
            x, y = batch
            return nn.functional.cross_entropy(self.head(self.backbone(x)), y)

        def configure_optimizers(self):
            return torch.optim.Adam(filter(lambda p: p.requires_grad, self.parameters()))

    L.Trainer(max_epochs=10).fit(Classifier(), loader)

Confirm
    In `on_train_epoch_end`, compare the unfrozen weights with a copy taken before: they are identical, and
    `sum(len(g["params"]) for g in self.optimizers().param_groups)` has not grown.

References
    https://lightning.ai/docs/pytorch/stable/api/lightning.pytorch.callbacks.BaseFinetuning.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import Step
from freezelint.trace.run import Fault, Note, Run, name_is


@rule(on=Step, severity=ERROR)
def check(run: Run, event: Step) -> Iterator[Fault]:
    if event.by != "lightning":
        return
    for woke, region, optimizer in run.woken_beside(event):
        what = "filtered by requires_grad" if optimizer.filtered else "without it"
        yield Fault(
            woke.site,
            f"{name_is(region)} unfrozen here, but `configure_optimizers` left it out: gradients come, the weights"
            " never move",
            (
                Note(optimizer.built.site, f"{optimizer.label} is built here, {what}"),
                *run.way_to(woke),
                Note(event.site, "Lightning's steps leave it as it is"),
            ),
        )
