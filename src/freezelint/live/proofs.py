"""Rules that no event of a run shows, and that numbers prove or refute: what was measured of the parts they name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]  # what `verdict.summed` says of the parts


@dataclass(frozen=True)
class Proof:
    """What the numbers say about a fault: it is there, it is not, or (None) they cannot tell; and that in words."""

    holds: Callable[[Record], bool | None]
    words: str
    otherwise: str
    named: bool = False  # only of parts that the message names: what else its lines touch says nothing


def _with_gradient(record: Record) -> int:
    count: int = (record.get("gradient") or {}).get("parameters", 0)
    return count


def _moved(record: Record) -> int:
    count: int = (record.get("weight_change") or {}).get("parameters", 0)
    return count


def _in_train(record: Record) -> int:
    count: int = (record.get("forwards") or {}).get("train", 0)
    return count


def _unused(record: Record) -> bool:
    return "forwards" not in record and not _with_gradient(record)


def _frozen(record: Record) -> bool | None:
    if record["requires_grad"] or _moved(record):
        return False
    return True if record["parameters"] else None


def _trains(record: Record) -> bool | None:
    if not record["requires_grad"]:
        return False
    return True if _with_gradient(record) or _moved(record) else None


def _frozen_in_a_group(record: Record) -> bool | None:
    return record["requires_grad"] == 0 if record["held"] else None


def _unmoved(record: Record) -> bool | None:
    return not _moved(record) if _with_gradient(record) else None


def _cut_off(record: Record) -> bool | None:
    if "gradient" not in record or not record["requires_grad"]:
        return None
    return not _with_gradient(record)


def _ran_in_train(record: Record) -> bool | None:
    return _in_train(record) > 0 if "forwards" in record else None


PROOFS: Mapping[str, Proof] = {
    "wrong-head-attribute": Proof(_unused, "no forward ever ran it", "it was run"),
    "peft-head-frozen": Proof(_frozen, "none of it requires grad, and no weight changed", "it trains", named=True),
    "freeze-lost": Proof(_trains, "it requires grad and got gradients", "it is frozen"),
    "param-rewrapped": Proof(_trains, "it requires grad and got gradients", "it is frozen"),
    "no-grad-around-construction": Proof(_trains, "it requires grad and got gradients", "it is frozen"),
    "resize-embeddings-after-freeze": Proof(_trains, "it requires grad and got gradients", "it is frozen"),
    "tied-weights-frozen-together": Proof(_trains, "it requires grad and got gradients", "it is frozen"),
    "embedding-from-pretrained-freezes": Proof(
        _frozen_in_a_group, "an optimizer holds it, and it does not require grad", "it requires grad"
    ),
    "lr-zero-as-freeze": Proof(
        _unmoved, "gradients were computed for it, and no weight changed", "its weights change", named=True
    ),
    "checkpoint-no-input-grad": Proof(_cut_off, "it requires grad and got no gradient", "it got gradients"),
    "frozen-dropout-active": Proof(
        _ran_in_train, "its Dropout ran in train mode", "its Dropout ran in eval mode only", named=True
    ),
    "bn-momentum-zero-as-freeze": Proof(
        _ran_in_train, "it ran in train mode, so it normalised by the batch", "it ran in eval mode only"
    ),
}
