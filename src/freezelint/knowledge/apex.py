"""NVIDIA apex: mixed precision from before torch had its own."""

from __future__ import annotations

from freezelint.knowledge.rows import Arg, Row, SameRow

ROWS: dict[str, Row] = {
    "apex.amp.initialize": SameRow(Arg(0, "models"), every=True),
    "apex.amp.scale_loss": SameRow(Arg(0, "loss")),
    "apex.parallel.convert_syncbn_model": SameRow(Arg(0, "module")),
}
