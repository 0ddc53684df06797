"""PEFT freezes a part that was meant to train beside the adapter, so it keeps its random or old weights.

What happens
    `get_peft_model` and `add_adapter` set `requires_grad` to False on everything but the adapter's own matrices. A new
    head stays at its random values while the adapter learns to live with it; parts that were enabled before are frozen
    again; a freeze that comes after takes the adapter along. Nothing is raised or printed.

Why
    Only `modules_to_save`, the task types SEQ_CLS and TOKEN_CLS (which add `classifier` and `score`), and flags that
    are set after the wrap keep other parts trainable. A name in `modules_to_save` that no module has is accepted in
    silence.

Bad
    import torch
    from peft import LoraConfig, get_peft_model
    from torch import nn
    from transformers import AutoModel

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = AutoModel.from_pretrained("bert-base-uncased")
            self.head = nn.Linear(768, 2)

        def forward(self, input_ids):
            return self.head(self.encoder(input_ids).pooler_output)

    config = LoraConfig(r=8, target_modules=["query", "value"])
    model = get_peft_model(Classifier(), config)
    optimizer = torch.optim.AdamW(p for p in model.parameters() if p.requires_grad)
    for input_ids, labels in loader:
        loss = nn.functional.cross_entropy(model(input_ids), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Good
    import torch
    from peft import LoraConfig, get_peft_model
    from torch import nn
    from transformers import AutoModel

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = AutoModel.from_pretrained("bert-base-uncased")
            self.head = nn.Linear(768, 2)

        def forward(self, input_ids):
            return self.head(self.encoder(input_ids).pooler_output)

    config = LoraConfig(r=8, target_modules=["query", "value"], modules_to_save=["head"])
    model = get_peft_model(Classifier(), config)
    optimizer = torch.optim.AdamW(p for p in model.parameters() if p.requires_grad)
    for input_ids, labels in loader:
        loss = nn.functional.cross_entropy(model(input_ids), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Confirm
    Print `[name for name, p in model.named_parameters() if p.requires_grad]` before the first step: the part is not in
    the list.

References
    https://huggingface.co/docs/peft/developer_guides/troubleshooting
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import Step, Wrap
from freezelint.trace.regions import leaves
from freezelint.trace.run import Fault, Note, Run, grouped, name, name_is
from freezelint.trace.tri import NO


@rule(on=Step, severity=ERROR, sides="static")
def check(run: Run, event: Step) -> Iterator[Fault]:
    trained = run.trained(event)
    for wrap, adapter in run.adapters():
        base = [part for part in leaves(wrap.region - wrap.adapter) if part in trained]
        by_wrap = [p for p in base if (froze := run.frozen_by(p)) is not None and froze.site == wrap.site]
        step = Note(event.site, "this step leaves it as it is")
        heads = [part for part in by_wrap if run.new_beside_old(part, base) and not _targeted(wrap, part.label)]
        if heads:
            yield Fault(
                wrap.said or wrap.site,
                f"{name_is(heads)} new and in no `modules_to_save`: PEFT freezes it with the rest, and its"
                " random weights never train",
                (Note(run.made(heads[0]), "it is made here"), Note(wrap.site, "PEFT freezes it here"), step),
            )
        for woke, region in grouped(by_wrap, run.enabled_before):
            if len(region) < len(base):
                what = "these parameters are" if "(" in name(region) else name_is(region)
                yield Fault(
                    woke.site,
                    f"{what} made trainable here, but PEFT freezes everything except its adapter after that",
                    (Note(wrap.site, "PEFT freezes it here"), step),
                )
        for froze, region in grouped(adapter, run.frozen_by):
            mine = froze.how != "framework" and froze.site != wrap.site and len(leaves(froze.region)) > len(region)
            taken = all((fact := run.fact("grad", p)) is not None and fact.was is not NO for p in region)
            if mine and taken and set(region) == set(adapter) and all(run.since_start("grad", p) for p in region):
                yield Fault(
                    froze.site,
                    f"this freezes {name(region)} too: nothing that PEFT added trains",
                    (Note(wrap.site, "the adapter is hung in here"), Note(event.site, "this step leaves it as it is")),
                )


def _targeted(wrap: Wrap, label: str) -> bool:
    """Whether the adapter is hung into this layer itself, or may be."""
    words = dict(wrap.settings).get("target_modules", "").split(",")
    return "*" in words or "all-linear" in words or label.rpartition(".")[2] in {w.rpartition(".")[2] for w in words}
