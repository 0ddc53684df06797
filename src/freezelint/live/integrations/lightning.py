"""For Lightning: `Trainer(callbacks=[FreezelintCallback(expect_frozen="backbone")])`, under either of its names."""

from __future__ import annotations

from typing import Any

try:
    from lightning.pytorch import Callback
except ModuleNotFoundError:
    from pytorch_lightning import Callback

from freezelint.live.integrations.base import Attached
from freezelint.live.watch import WatchReport


class FreezelintCallback(Callback):  # type: ignore[misc]
    """Watches what Lightning trains, from before its check of the validation on; the report is logged, and kept."""

    def __init__(self, **options: Any) -> None:
        """Options are those of `freezelint.watch`, and `strict`: raise at the end when the report is bad."""
        self._attached = Attached(**options)

    @property
    def report(self) -> WatchReport | None:
        """What was seen, once training has ended."""
        return self._attached.report

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """The optimizers are there by now."""
        self._attached.begin(pl_module, trainer.optimizers)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Training is over."""
        self._attached.finish()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """The program's own error goes on its way."""
        self._attached.finish(quietly=True)
