"""PEFT: adapters hung in a model, and the settings that say what trains beside them."""

from __future__ import annotations

from freezelint.knowledge.rows import AdapterRow, Arg, FreezeRow, HarmlessRow, RecordRow, Row

_CONFIGS = (
    "LoraConfig",
    "AdaLoraConfig",
    "LoHaConfig",
    "LoKrConfig",
    "OFTConfig",
    "BOFTConfig",
    "VeraConfig",
    "IA3Config",
    "PromptTuningConfig",
    "PrefixTuningConfig",
    "PromptEncoderConfig",
    "AdaptionPromptConfig",
)

# Heads that a task type keeps trainable by itself, whatever `modules_to_save` says.
HEADS_OF_TASK: dict[str, tuple[str, ...]] = {
    "SEQ_CLS": ("classifier", "score"),
    "TOKEN_CLS": ("classifier", "score"),
    "QUESTION_ANS": ("qa_outputs",),
}

# Settings that make more of the base model trainable than `modules_to_save` and the task type do, with their harmless
# values.
MORE_TRAINS: dict[str, tuple[object, ...]] = {
    "bias": ("none",),
    "trainable_token_indices": (None,),
}

# Methods of a wrapped model that hand out what is inside. What is merged stays frozen.
UNWRAPS = ("get_base_model",)

ROWS: dict[str, Row] = {
    **{f"peft.{name}": RecordRow(("task_type",)) for name in _CONFIGS},
    "peft.get_peft_model": AdapterRow(),
    "peft.inject_adapter_in_model": AdapterRow(Arg(1, "model"), Arg(0, "peft_config"), prefix=""),
    "peft.PeftModel": AdapterRow(),
    "peft.PeftModel.from_pretrained": AdapterRow(config=None, loaded=True, trains=Arg(3, "is_trainable")),
    **{
        f"peft.PeftModelFor{task}.from_pretrained": AdapterRow(config=None, loaded=True, trains=Arg(3, "is_trainable"))
        for task in (
            "CausalLM",
            "SequenceClassification",
            "TokenClassification",
            "Seq2SeqLM",
            "QuestionAnswering",
            "FeatureExtraction",
        )
    },
    "peft.prepare_model_for_kbit_training": FreezeRow(checkpoints=Arg(1, "use_gradient_checkpointing")),
    "peft.prepare_model_for_int8_training": FreezeRow(checkpoints=Arg(1, "use_gradient_checkpointing")),
    "peft.get_peft_model_state_dict": HarmlessRow(),
    "peft.set_peft_model_state_dict": HarmlessRow(),
}
