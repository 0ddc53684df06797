"""An adapter that `PeftModel.from_pretrained` loaded is trained, but it was loaded for inference.

What happens
    `PeftModel.from_pretrained` freezes the adapter together with the base model unless `is_trainable=True` is given.
    No parameter is left to train: backward raises "element 0 of tensors does not require grad and does not have a
    grad_fn".

Why
    Loading for inference is the default; training on needs the argument.

Bad
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained("facebook/opt-350m")
    model = PeftModel.from_pretrained(base, "my-adapter")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    model.train()
    for batch in loader:
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()

Good
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained("facebook/opt-350m")
    model = PeftModel.from_pretrained(base, "my-adapter", is_trainable=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    model.train()
    for batch in loader:
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()

Confirm
    `model.print_trainable_parameters()` says that 0 parameters are trainable.

References
    https://huggingface.co/docs/peft/package_reference/peft_model#peft.PeftModel.from_pretrained
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import Step
from freezelint.trace.run import Fault, Note, Run, grouped, name
from freezelint.trace.tri import NO


@rule(on=Step, severity=ERROR, sides="static")
def check(run: Run, event: Step) -> Iterator[Fault]:
    trained = run.trained(event)
    if not trained or any(run.flag(part) is not NO and part.has("params") is not NO for part in trained):
        return  # something trains, or may: a reward or reference model beside it is frozen on purpose
    for wrap, adapter in run.adapters():
        for froze, region in grouped([p for p in adapter if p in trained], run.frozen_by):
            if froze.site == wrap.site and froze.by.endswith("from_pretrained"):
                yield Fault(
                    wrap.site,
                    f"{name(region)} is loaded for inference, without `is_trainable=True`, and nothing else trains:"
                    " backward() finds no gradient to compute",
                    (Note(event.site, "it is trained here"),),
                )
