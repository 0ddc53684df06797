"""For transformers' Trainer: `Trainer(..., callbacks=[FreezelintCallback(expect_frozen="bert.embeddings")])`."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from freezelint.live.integrations.base import Attached
from freezelint.live.watch import WatchReport


class FreezelintCallback(TrainerCallback):  # type: ignore[misc]
    """Watches what the Trainer trains; the report is logged at the end, and kept as `report`."""

    def __init__(self, **options: Any) -> None:
        """Options are those of `freezelint.watch`, and `strict`: raise at the end when the report is bad."""
        self._attached = Attached(**options)

    @property
    def report(self) -> WatchReport | None:
        """What was seen, once training has ended."""
        return self._attached.report

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The model is there, and the optimizer that was made for it."""
        self._attached.begin(kwargs["model"], [kwargs.get("optimizer")])

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Training is over."""
        self._attached.finish()
