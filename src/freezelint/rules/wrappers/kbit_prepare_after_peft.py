"""`prepare_model_for_kbit_training` runs after the adapter was added, and freezes it.

What happens
    The function sets `requires_grad` to False on every parameter of the model it is given, the adapter's included.
    Nothing is left to train: backward raises "element 0 of tensors does not require grad and does not have a grad_fn",
    or, where something else trains, the adapter stays as it was in silence.

Why
    It prepares a quantised base model, and has to run before the adapter is added.

Bad
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

    model = AutoModelForCausalLM.from_pretrained("facebook/opt-350m", load_in_8bit=True)
    model = get_peft_model(model, LoraConfig(r=8, task_type="CAUSAL_LM"))
    model = prepare_model_for_kbit_training(model)
    Trainer(model, TrainingArguments("out"), train_dataset=data).train()

Good
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

    model = AutoModelForCausalLM.from_pretrained("facebook/opt-350m", load_in_8bit=True)
    model = prepare_model_for_kbit_training(model)
    model = get_peft_model(model, LoraConfig(r=8, task_type="CAUSAL_LM"))
    Trainer(model, TrainingArguments("out"), train_dataset=data).train()

Confirm
    `model.print_trainable_parameters()` after the line says that 0 parameters are trainable.

References
    https://huggingface.co/docs/peft/developer_guides/quantization
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import Step
from freezelint.trace.run import Fault, Note, Run, grouped, name


@rule(on=Step, severity=ERROR, sides="static")
def check(run: Run, event: Step) -> Iterator[Fault]:
    trained = run.trained(event)
    for wrap, adapter in run.adapters():
        for froze, region in grouped([p for p in adapter if p in trained], run.frozen_by):
            if froze.by.startswith("prepare_model_for_"):
                yield Fault(
                    froze.site,
                    f"`{froze.by}` freezes {name(region)} with the rest: it has to run before the adapter is added",
                    (
                        Note(wrap.site, "the adapter is added here, before"),
                        Note(event.site, "this step leaves it as it is"),
                    ),
                )
