"""A pretrained model that its library returns in eval mode is trained without ever being put in train mode.

What happens
    transformers' `from_pretrained` returns the model in eval mode. A loop that never calls `train()` fine-tunes it with
    Dropout switched off (and BatchNorm on its running statistics): less regularisation than the model was made for, and
    gradient checkpointing stays off, too, since it is asked for in train mode only. Nothing is raised or printed.

Why
    transformers' own Trainer calls `model.train()` before every step, a loop of one's own has to do so itself.
    Lightning's `fit()` leaves modes as they are since version 2.2.

Bad
    import torch
    from transformers import BertForSequenceClassification

    model = BertForSequenceClassification.from_pretrained("bert-base-uncased")
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5)
    for batch in loader:
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Good
    import torch
    from transformers import BertForSequenceClassification

    model = BertForSequenceClassification.from_pretrained("bert-base-uncased")
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5)
    model.train()
    for batch in loader:
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Confirm
    Print `model.training` right before the training forward: it is False.

References
    https://huggingface.co/docs/transformers/main_classes/model#transformers.PreTrainedModel.from_pretrained
    https://lightning.ai/docs/pytorch/stable/common/trainer.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import WARNING, rule
from freezelint.trace.events import Backward, CreateModule
from freezelint.trace.regions import Part
from freezelint.trace.run import Fault, Note, Run, grouped, name_is
from freezelint.trace.state import Pass
from freezelint.trace.tri import NO, YES


@rule(on=Backward, severity=WARNING)
def check(run: Run, event: Backward) -> Iterator[Fault]:
    passes = run.trained(event)
    asleep = [part for part, ran in passes.items() if _learns_in_eval(run, part, ran)]
    for made, region in grouped(asleep, lambda part: _made(run, part, passes[part])):
        off = "Dropout" if any(part.has("dropout") is YES for part in region) else "BatchNorm's batch statistics"
        ran = next(passes[part] for part in passes if part in region)
        yield Fault(
            made.site,
            f"{name_is(region)} returned in eval mode here and trained without a train(): {off} stays switched off",
            (Note(ran.event.site, "this training forward runs in eval mode"),),
        )


def _learns_in_eval(run: Run, part: Part, ran: Pass) -> bool:
    """Whether a leaf with layers that know modes learns, and is in the mode in which it was made: eval."""
    if run.mode(part, during=ran) is not NO or YES not in (part.has("dropout"), part.has("batchnorm")):
        return False
    return ran.recording is YES and run.trainable([part], during=ran) == [part] and run.held(part) is YES


def _made(run: Run, part: Part, ran: Pass) -> CreateModule | None:
    made = run.made_in_mode(part, ran)
    return made if made is not None and made.whole else None
