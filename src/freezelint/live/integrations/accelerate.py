"""For accelerate, which leaves the loop to the program: `with watch(accelerator, model, optimizer) as watched: …`.

Accelerate wraps models and optimizers. Only steps that are taken count: while gradients accumulate, its optimizer's
step() does nothing.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from freezelint.live.integrations.base import plain
from freezelint.live.watch import Watch


def watch(accelerator: Any, model: nn.Module, *optimizers: Any, **options: Any) -> Watch:
    """A watch of what `accelerator.prepare` returned; options as in `freezelint.watch`."""
    held = [optimizer for each in optimizers if (optimizer := plain(each)) is not None]
    return Watch(accelerator.unwrap_model(model), *held, **options)
