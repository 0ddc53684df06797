"""Lightning, under its old name and its new one (see ALIASES)."""

from __future__ import annotations

from freezelint.knowledge.rows import Arg, HarmlessRow, ModuleBase, Row, TrainerRow

ROWS: dict[str, Row] = {
    "lightning.pytorch.LightningModule": ModuleBase(lightning=True),
    "lightning.pytorch.Trainer": TrainerRow(model=Arg(-1, ""), calls_train=False, filters=False),
    "lightning.pytorch.seed_everything": HarmlessRow(),
}
