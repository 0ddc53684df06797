"""Lightning, under its old name and its new one (see ALIASES)."""

from __future__ import annotations

from freezelint.knowledge.rows import Arg, HarmlessRow, ModuleBase, Row, ThawRow, TrainerRow

ROWS: dict[str, Row] = {
    "lightning.pytorch.LightningModule": ModuleBase(lightning=True),
    "lightning.pytorch.Trainer": TrainerRow(model=Arg(-1, ""), calls_train=False, filters=False, lifecycle="lightning"),
    "lightning.pytorch.seed_everything": HarmlessRow(),
    "lightning.pytorch.callbacks.BaseFinetuning.freeze": ThawRow(Arg(0, "modules"), on=False),
    "lightning.pytorch.callbacks.BaseFinetuning.make_trainable": ThawRow(Arg(0, "modules")),
    "lightning.pytorch.callbacks.BaseFinetuning.unfreeze_and_add_param_group": ThawRow(
        Arg(0, "modules"), optimizer=Arg(1, "optimizer")
    ),
}
