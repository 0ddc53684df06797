"""What libraries do, as data: one file a library, each a table from dotted names to rows. No logic lives there.

`look_up("torch.nn.Linear")` gives the row of a name, whatever alias the source used for it.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from freezelint.knowledge.rows import Row

# Other names of the same thing, longest first; applied once.
ALIASES = {
    "pytorch_lightning.": "lightning.pytorch.",
    "lightning.pytorch.core.module.": "lightning.pytorch.",
    "lightning.pytorch.core.lightning.": "lightning.pytorch.",
    "lightning.seed_everything": "lightning.pytorch.seed_everything",
    "lightning.LightningModule": "lightning.pytorch.LightningModule",
    "lightning.Trainer": "lightning.pytorch.Trainer",
    "lightning.Callback": "lightning.pytorch.Callback",
    "lightning.pytorch.callbacks.finetuning.": "lightning.pytorch.callbacks.",
    "torch.nn.modules.batchnorm.": "torch.nn.",
    "torch.nn.modules.": "torch.nn.",
    "torch.nn.parameter.": "torch.nn.",
    "torch.cuda.amp.autocast": "torch.autocast",
    "torch.autograd.grad_mode.": "torch.",
    "torch.autograd.set_grad_enabled": "torch.set_grad_enabled",
    "torch.autograd.no_grad": "torch.no_grad",
    "torch.nn.parallel.distributed.": "torch.nn.parallel.",
    "torch.nn.DataParallel": "torch.nn.parallel.DataParallel",
    "apex.parallel.DistributedDataParallel": "torch.nn.parallel.DistributedDataParallel",
    "torch.optim.lr_scheduler._LRScheduler": "torch.optim.lr_scheduler.LRScheduler",
}


# Libraries whose repositories hold programs that use them: what is known of a name says more than its source there.
OWN_EXAMPLES = frozenset(
    {
        "peft",
        "transformers",
        "trl",
        "lightning",
        "pytorch_lightning",
        "diffusers.training_utils",
        "diffusers.utils.torch_utils",
    }
)


@cache
def table() -> dict[str, Row]:
    """Every row by its name."""
    rows: dict[str, Row] = {}
    for info in pkgutil.iter_modules(__path__):
        if info.name != "rows":
            rows.update(getattr(importlib.import_module(f"{__name__}.{info.name}"), "ROWS", {}))
    return rows


@cache
def canonical(name: str) -> str:
    """The name under which the tables list `name`."""
    for alias, real in ALIASES.items():
        if name.startswith(alias):
            return real + name[len(alias) :]
    return name


@cache
def look_up(name: str) -> Row | None:
    """The row of a library object, None when nothing is known about it."""
    rows = table()
    name = canonical(name)
    row = rows.get(name)
    if row is None and "." in name:
        # `torch.optim.adamw.AdamW`: libraries re-export what a submodule defines, so try without the inner modules.
        head, _, last = name.rpartition(".")
        while row is None and "." in head:
            head = head.rpartition(".")[0]
            row = rows.get(f"{head}.{last}")
    return row
