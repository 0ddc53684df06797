"""Models that can be measured without anybody's code or weights: their configurations. Weights are random.

The sizes are those of the papers; `freezelint.live.trial.models` builds the modules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Model:
    """A configuration: the kind of network, its sizes, and the input that goes with it (first comes the batch)."""

    kind: str
    input: str
    sizes: dict[str, Any] = field(default_factory=dict)


IMAGES = "32,3,224,224"
TOKENS = "int64:16,128:0..30522"


def _vit(dim: int, depth: int, heads: int, patch: int = 16) -> Model:
    return Model("vit", IMAGES, {"dim": dim, "depth": depth, "heads": heads, "patch": patch})


def _bert(dim: int, depth: int, heads: int) -> Model:
    return Model("bert", TOKENS, {"dim": dim, "depth": depth, "heads": heads})


MODELS = {
    "resnet18": Model("resnet", IMAGES, {"blocks": [2, 2, 2, 2]}),
    "resnet34": Model("resnet", IMAGES, {"blocks": [3, 4, 6, 3]}),
    "vit_ti_16": _vit(192, 12, 3),
    "vit_s_16": _vit(384, 12, 6),
    "vit_b_16": _vit(768, 12, 12),
    "vit_b_32": _vit(768, 12, 12, 32),
    "bert-tiny": _bert(128, 2, 2),
    "bert-mini": _bert(256, 4, 4),
    "bert-base": _bert(768, 12, 12),
    "bert-large": _bert(1024, 24, 16),
}

# The head that each model gets: as many classes as CIFAR-100 has.
CLASSES = 100
