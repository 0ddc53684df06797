"""What differs between versions of torch, from 2.1 on: the one place that asks what this torch has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.modules import module as nn_module


def _how_to_ask_whether_compiling() -> Callable[[], bool]:
    """What tells traced code from code that runs. Asked inside traced code, where the answer is a constant."""
    found = getattr(torch.compiler, "is_compiling", None)
    if found is None:  # older versions
        found = getattr(torch._utils, "is_compiling", None)
    return found or (lambda: False)


is_compiling: Callable[[], bool] = _how_to_ask_whether_compiling()


def after_every_forward(hook: Callable[..., None]) -> Any:
    """A hook after each forward of a module, where torch can do that also after one that raised."""
    try:
        return nn_module.register_module_forward_hook(hook, always_call=True)
    except TypeError:  # a forward that raised is noticed at the next backward or step
        return nn_module.register_module_forward_hook(hook)


def schedulers(lr_scheduler: Any) -> list[type]:
    """The base classes of learning rate schedulers: in older versions ReduceLROnPlateau is one of its own."""
    names = ("LRScheduler", "_LRScheduler", "ReduceLROnPlateau")
    found = [getattr(lr_scheduler, name, None) for name in names]
    return [kind for kind in found if isinstance(kind, type)]


# Where torch keeps what shards a model, by the module that a program imports it from; a name may be missing.
SHARDING = {
    "torch.distributed.fsdp": (("fully_shard", "FSDP2"), ("FullyShardedDataParallel", "FSDP")),  # the first since 2.6
    "torch.distributed._composable.fsdp": (("fully_shard", "FSDP2"),),  # 2.4 and 2.5
}
