"""Layers are unfrozen while transformers' Trainer runs, and its optimizer does not hold them.

What happens
    Trainer builds its optimizer once, at the beginning of the first `train()`, over the parameters that require grad at
    that moment. What a callback unfreezes later gets gradients and is never updated, in silence: Trainer clears the
    gradients with `model.zero_grad()`, so not even they pile up. A second `train()` keeps the old optimizer.

Why
    A hand-written loop with an optimizer over all parameters allows this; Trainer filters by `requires_grad`.

Bad
    from torch import nn
    from transformers import AutoModel, Trainer, TrainerCallback, TrainingArguments

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = AutoModel.from_pretrained("bert-base-uncased")
            self.head = nn.Linear(768, 2)

        def forward(self, input_ids, labels):
            logits = self.head(self.encoder(input_ids).pooler_output)
            return nn.functional.cross_entropy(logits, labels), logits

    class Unfreeze(TrainerCallback):
        def on_epoch_begin(self, args, state, control, model=None, **kwargs):
            if state.epoch >= 1:
                model.encoder.requires_grad_(True)

    model = Classifier()
    model.encoder.requires_grad_(False)
    trainer = Trainer(model, TrainingArguments("out"), train_dataset=data, callbacks=[Unfreeze()])
    trainer.train()

Good
    from torch import nn
    from transformers import AutoModel, Trainer, TrainerCallback, TrainingArguments

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = AutoModel.from_pretrained("bert-base-uncased")
            self.head = nn.Linear(768, 2)

        def forward(self, input_ids, labels):
            logits = self.head(self.encoder(input_ids).pooler_output)
            return nn.functional.cross_entropy(logits, labels), logits

    class Stages(TrainerCallback):
        def on_train_begin(self, args, state, control, model=None, **kwargs):
            model.encoder.requires_grad_(False)

        def on_epoch_begin(self, args, state, control, model=None, **kwargs):
            if state.epoch >= 1:
                model.encoder.requires_grad_(True)

    trainer = Trainer(Classifier(), TrainingArguments("out"), train_dataset=data, callbacks=[Stages()])
    trainer.train()

Confirm
    In the callback, count `sum(len(g["params"]) for g in optimizer.param_groups)`: it does not change, and the
    unfrozen weights equal a copy taken before.

References
    https://huggingface.co/docs/transformers/main_classes/trainer
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import Step
from freezelint.trace.run import Fault, Note, Run, name_is


@rule(on=Step, severity=ERROR)
def check(run: Run, event: Step) -> Iterator[Fault]:
    for woke, region, optimizer in run.woken_beside(event):
        if event.by == optimizer.built.by == "transformers":
            yield Fault(
                woke.site,
                f"{name_is(region)} unfrozen here, but Trainer built its optimizer before, over what required grad"
                " then: gradients come, the weights never move",
                (
                    *run.way_to(woke),
                    Note(event.site, "this train() builds the optimizer, and its steps leave it as it is"),
                ),
            )
