"""What an optimizer or a learning rate scheduler of a running program says about itself."""

from __future__ import annotations

from typing import Any

import torch

from freezelint.knowledge import look_up
from freezelint.knowledge.rows import OptimizerRow, SchedulerRow
from freezelint.trace.tri import UNSURE, Tri

_PER_GROUP = ("base_lrs", "lr_lambdas", "min_lrs", "max_lrs")


def coasts(optimizer: torch.optim.Optimizer) -> Tri:
    """Whether momentum or weight decay move what the optimizer holds where a gradient is zero."""
    row = look_up(f"torch.optim.{type(optimizer).__name__}")
    if not isinstance(row, OptimizerRow) or (row.inertia is None and not row.averages):
        return UNSURE
    groups = getattr(optimizer, "param_groups", ())
    return Tri.of(row.averages or any(g.get(arg.name) for g in groups for arg in row.inertia or ()))


def fits(scheduler: Any) -> bool:
    """Whether a scheduler has a value for each group that its optimizer has now."""
    lists = [values for name in _PER_GROUP if isinstance(values := vars(scheduler).get(name), list)]
    return all(len(values) >= len(scheduler.optimizer.param_groups) for values in lists)


def fixed_groups(scheduler: Any) -> bool:
    """Whether a scheduler counts on the groups that its optimizer has now."""
    for kind in type(scheduler).__mro__:
        row = look_up(f"torch.optim.lr_scheduler.{kind.__name__}")
        if isinstance(row, SchedulerRow):
            # A plateau that was given one value keeps it for groups to come; older versions of torch do not.
            listed = row.per_group is not None and getattr(scheduler, "default_min_lr", None) is None
            inner = getattr(scheduler, "_schedulers", ())
            return row.fixed_groups or any(map(fixed_groups, inner)) or listed
    return False
