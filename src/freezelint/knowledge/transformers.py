"""transformers, TRL and sentence-transformers: trainers, their settings, and methods of models that matter to training.

Models themselves are in `models.py` and the zoo.
"""

from __future__ import annotations

from freezelint.knowledge.rows import (
    AdapterRow,
    Arg,
    CheckpointingRow,
    HarmlessRow,
    InputsRow,
    RecordRow,
    Row,
    TrainerRow,
)

_FIELDS = ("model", "args", "data_collator", "train_dataset", "eval_dataset")
_TRL = ("SFT", "DPO", "ORPO", "KTO", "CPO", "Reward", "GRPO")

# Methods that every transformers (or diffusers) model has, under the name of their base class.
METHODS_OF_MODELS = "transformers.PreTrainedModel"

ROWS: dict[str, Row] = {
    **{
        f"transformers.{name}": TrainerRow(lifecycle="transformers", fields=_FIELDS)
        for name in ("Trainer", "Seq2SeqTrainer")
    },
    "sentence_transformers.SentenceTransformerTrainer": TrainerRow(lifecycle="transformers", fields=_FIELDS[:2]),
    **{
        f"trl.{name}Trainer": TrainerRow(lifecycle="transformers", fields=("model",), adapts="peft_config")
        for name in _TRL
    },
    **{
        f"transformers.{name}": RecordRow(("output_dir",)) for name in ("TrainingArguments", "Seq2SeqTrainingArguments")
    },
    **{f"trl.{name}Config": RecordRow(("output_dir",)) for name in _TRL},
    f"{METHODS_OF_MODELS}.gradient_checkpointing_enable": CheckpointingRow(),
    f"{METHODS_OF_MODELS}.gradient_checkpointing_disable": CheckpointingRow(on=False),
    f"{METHODS_OF_MODELS}.enable_gradient_checkpointing": HarmlessRow(),  # of diffusers, which is not reentrant
    f"{METHODS_OF_MODELS}.enable_input_require_grads": InputsRow(),
    f"{METHODS_OF_MODELS}.add_adapter": AdapterRow(Arg(-1), Arg(0, "adapter_config"), prefix=""),
    f"{METHODS_OF_MODELS}.print_trainable_parameters": HarmlessRow(),
    # The new embedding keeps the flag of the old one (measured on version 5.23).
    **{
        f"{METHODS_OF_MODELS}.{name}": HarmlessRow()
        for name in ("push_to_hub", "resize_token_embeddings", "tie_weights")
    },
}
