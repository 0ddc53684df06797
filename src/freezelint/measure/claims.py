"""What is often said of freezing, held against what was measured. A claim is told where its strategies were run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from freezelint.measure.rows import Result, Row, count, duration, groups, size

CONFIRMED, REFUTED, UNDECIDED = "confirmed", "refuted", "undecided"


@dataclass(frozen=True)
class Claim:
    """Something that people say, the verdict on it here, and the figures."""

    text: str
    verdict: str
    evidence: str


Judge = Callable[..., tuple[bool | None, str]]
JUDGES: list[tuple[str, tuple[str, ...], Judge]] = []


def claim(text: str, *strategies: str) -> Callable[[Judge], Judge]:
    """A function that takes a row of each of these strategies and says whether the claim holds, and the figures."""

    def adding(judge: Judge) -> Judge:
        JUDGES.append((text, strategies, judge))
        return judge

    return adding


def judged(result: Result) -> Iterator[Claim]:
    """The claims that the rows of the first optimizer decide."""
    first: Sequence[Row] = next(iter(groups(result.rows).values()), ())
    found = {row.strategy: row for row in reversed(first) if row.measured}
    for text, strategies, judge in JUDGES:
        if all(slug in found for slug in strategies):
            holds, evidence = judge(*(found[slug] for slug in strategies))
            yield Claim(text, UNDECIDED if holds is None else CONFIRMED if holds else REFUTED, evidence)


@claim(
    "Freezing all but the head saves gradients and optimizer state of the rest.",
    "full",
    "frozen-filtered",
)
def _gradients(full: Row, frozen: Row) -> tuple[bool, str]:
    told = [f"{what} {_from_to(full, frozen, key)}" for what, key in _KINDS[:2]]
    return all(frozen.bytes[key] < full.bytes[key] for _, key in _KINDS[:2]), ", ".join(told)


@claim("Freezing all but the head saves what the forward keeps for the backward.", "full", "frozen-filtered")
def _activations(full: Row, frozen: Row) -> tuple[bool, str]:
    return frozen.bytes["activations"] < full.bytes["activations"], _from_to(full, frozen, "activations")


@claim("Freezing all but the head makes a step faster.", "full", "frozen-filtered")
def _speed(full: Row, frozen: Row) -> tuple[bool | None, str]:
    return faster(full, frozen), speeds(full, frozen)


@claim(
    "An optimizer over the head alone is as light as freezing the rest.",
    "full",
    "frozen-filtered",
    "only-optimizer",
)
def _only_optimizer(full: Row, frozen: Row, only: Row) -> tuple[bool, str]:
    same = all(only.bytes[key] <= frozen.bytes[key] for key in ("gradients", "activations"))
    told = [f"{what} {size(only.bytes[key])}, frozen {size(frozen.bytes[key])}" for what, key in _KINDS]
    whole = " (those of full fine-tuning)" if only.bytes["gradients"] == full.bytes["gradients"] else ""
    return same, f"{told[0]}{whole}, {told[2]}; {speeds(only, frozen)}"


@claim("Frozen parameters in the optimizer cost optimizer state.", "frozen-filtered", "frozen-unfiltered")
def _state(filtered: Row, unfiltered: Row) -> tuple[bool, str]:
    a, b = (row.bytes["optimizer_state"] for row in (filtered, unfiltered))
    return b > a, f"filtered {size(a)}, unfiltered {size(b)}"


@claim("Frozen weights that the optimizer holds drift by momentum or weight decay.", "frozen-unfiltered")
def _drift(unfiltered: Row) -> tuple[bool, str]:
    kept = unfiltered.frozen or {}
    return kept.get("weights_changed", 0) > 0, f"{kept.get('weights_changed')} of {kept.get('weights')} changed a bit"


@claim("With requires_grad=False the frozen part stays as it is.", "frozen-filtered")
def _stays(frozen: Row) -> tuple[bool, str]:
    kept = frozen.frozen or {}
    told = [f"{kept.get(f'{what}_changed')} of {kept.get(what)} {what} changed" for what in ("weights", "buffers")]
    return frozen.stayed == "identical", ", ".join(told)


@claim("Frozen, and with its BatchNorm in eval, the frozen part stays as it is.", "frozen-bn-eval")
def _batchnorm(frozen: Row) -> tuple[bool, str]:
    return frozen.stayed == "identical", frozen.stayed


@claim("A frozen part costs less when it runs under no_grad as well.", "frozen-filtered", "frozen-no-grad")
def _no_grad(frozen: Row, under: Row) -> tuple[bool, str]:
    told = f"kept for the backward {_from_to(frozen, under, 'activations')}; {speeds(frozen, under)}"
    lighter = under.bytes["activations"] < frozen.bytes["activations"]
    return lighter or bool(faster(frozen, under)), told


@claim("Cached features make a step of a frozen network faster still.", "frozen-filtered", "cached-features")
def _cached(frozen: Row, cached: Row) -> tuple[bool | None, str]:
    once = duration(cached.seconds.get("once"))
    return faster(frozen, cached), f"{speeds(frozen, cached)}; the features took {once} once"


@claim("Checkpointing saves what the forward keeps, and costs time.", "full", "checkpoint-full")
def _checkpoint(full: Row, again: Row) -> tuple[bool | None, str]:
    slower, lighter = faster(again, full), again.bytes["activations"] < full.bytes["activations"]
    return slower and lighter, f"{_from_to(full, again, 'activations')}; {speeds(full, again)}"


@claim("Behind a frozen part, reentrant checkpointing trains the same.", "checkpoint-unfrozen-reentrant")
def _reentrant(row: Row) -> tuple[bool, str]:
    trained, meant = row.parameters["trained"], row.parameters["meant"]
    return trained == meant, f"{count(trained)} of {count(meant)} parameters got a gradient"


@claim("LoRA saves what the forward keeps, as freezing does.", "full", "frozen-filtered", "lora")
def _lora(full: Row, frozen: Row, lora: Row) -> tuple[bool, str]:
    kept = [size(row.bytes["activations"]) for row in (full, frozen, lora)]
    return lora.bytes["activations"] < full.bytes["activations"] / 2, "full {}, frozen {}, LoRA {}".format(*kept)


_KINDS = (
    ("gradients", "gradients"),
    ("optimizer state", "optimizer_state"),
    ("kept for the backward", "activations"),
)


def _from_to(before: Row, after: Row, key: str) -> str:
    return f"{size(before.bytes[key])} to {size(after.bytes[key])}"


def apart(a: Row, b: Row) -> bool:
    """Whether the times of two rows differ by more than they spread."""
    return a.seconds["fastest"] > b.seconds["slowest"] or b.seconds["fastest"] > a.seconds["slowest"]


def faster(a: Row, b: Row) -> bool | None:
    """Whether a step of `b` takes less time than one of `a`; None when that cannot be told.

    On a machine that others use, what passed and what the process computed may disagree.
    """
    less = b.seconds["median"] < a.seconds["median"]
    if "cpu" in a.seconds and (b.seconds["cpu"] < a.seconds["cpu"]) is not less:
        return None
    return less if apart(a, b) else None


def speeds(a: Row, b: Row) -> str:
    """The time of a step in one and the other."""
    told = f"a step {duration(a.seconds['median'])} to {duration(b.seconds['median'])}"
    if "cpu" in a.seconds:
        told += f" (CPU time {duration(a.seconds['cpu'])} to {duration(b.seconds['cpu'])})"
    return told if apart(a, b) else f"{told}, which is within the spread"
