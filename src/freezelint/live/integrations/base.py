"""What the adapters share: a watch that is made when the framework has its model, and reports when training ends."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from freezelint.live.watch import Unexpected, Watch, WatchReport

log = logging.getLogger("freezelint")


class Attached:
    """Holds the options of a watch until there is something to watch."""

    def __init__(self, *, strict: bool = False, **options: Any) -> None:
        """`strict` raises Unexpected at the end when the report is bad; the other options are those of a watch."""
        self.strict = strict
        self.options = options
        self.watch: Watch | None = None
        self.report: WatchReport | None = None

    def begin(self, model: nn.Module, optimizers: Iterable[Any] = ()) -> None:
        """Start, or go on after a pause."""
        if self.watch is None:
            held = [optimizer for each in optimizers if (optimizer := plain(each)) is not None]
            self.watch = Watch(bare(model), *held, **self.options)
        self.watch.start()
        self.report = None

    def finish(self, *, quietly: bool = False) -> WatchReport | None:
        """Stop and report once; `quietly` after an error of the program's own."""
        if self.watch is None or self.report is not None:
            return self.report
        self.report = self.watch.stop()
        if not quietly:
            log.log(logging.INFO if self.report.good else logging.WARNING, "%s", self.report)
            if self.strict and not self.report.good:
                raise Unexpected(str(self.report))
        return self.report


def plain(optimizer: Any) -> torch.optim.Optimizer | None:
    """The optimizer that steps, out of what a framework wraps around it."""
    seen = 0
    while seen < 8:
        inner = getattr(optimizer, "optimizer", None) or getattr(optimizer, "_optimizer", None)
        if inner is None or inner is optimizer:
            break
        optimizer, seen = inner, seen + 1
    return optimizer if isinstance(optimizer, torch.optim.Optimizer) else None


def bare(model: nn.Module) -> nn.Module:
    """The model itself, out of what a framework wraps around it, so that names are the user's."""
    while isinstance(inner := getattr(model, "module", None), nn.Module):
        model = inner
    return getattr(model, "_orig_mod", model)
