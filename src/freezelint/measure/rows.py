"""What came back: a row for each strategy, and all of it with the model, the machine and the settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from freezelint import __version__

MEASURED, OUT_OF_MEMORY, FAILED, TIMED_OUT, NOT_POSSIBLE = (
    "measured",
    "out of memory",
    "failed",
    "timed out",
    "not possible",
)
KINDS = ("weights", "gradients", "optimizer_state", "activations")

UNITS = " kmgt"
SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?) *(?P<unit>[kmgt]?)(?P<binary>i?)b?$", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """One strategy with one optimizer. Sizes are bytes; what was not measured is None or not there."""

    strategy: str
    title: str
    cut: str
    optimizer: str
    amp: bool
    batch: int
    status: str
    reason: str = ""
    parameters: dict[str, int] = field(default_factory=dict)  # all, meant (to train), trained (a gradient came)
    bytes: dict[str, int] = field(default_factory=dict)  # of each of KINDS
    peak: int | None = None
    base: int | None = None  # of the process before there was a model
    seconds: dict[str, float] = field(default_factory=dict)  # of a step: median, fastest, slowest, cpu; once: before
    frozen: dict[str, int] | None = None  # weights and buffers that are meant to stay, and how many of each changed
    fits: bool | None = None  # None without a budget

    @property
    def measured(self) -> bool:
        return self.status == MEASURED

    @property
    def samples(self) -> float:
        """Samples per second."""
        return self.batch / self.seconds["median"] if self.seconds.get("median") else 0.0

    @property
    def stayed(self) -> str:
        """Whether what is meant to stay did so to the bit, in words."""
        if self.frozen is None:
            return "-"
        moved = [f"{self.frozen[f'{what}_changed']} {what}" for what in ("weights", "buffers")]
        told = " and ".join(one for one in moved if not one.startswith("0 "))
        return f"{told} changed" if told else "identical"


@dataclass(frozen=True)
class Largest:
    """The largest batch of a strategy that fits the budget; 0 when not even a batch of 1 does."""

    strategy: str
    title: str
    cut: str
    optimizer: str
    amp: bool
    batch: int
    peak: int | None
    runs: int
    bounded: bool = False  # nothing that is too large was found
    reason: str = ""  # what ended the search, if it was not memory


@dataclass(frozen=True)
class Result:
    """Everything that one call of `measure` found out."""

    target: str
    inputs: Sequence[str]
    settings: dict[str, Any]
    machine: dict[str, Any]  # device, name, memory, threads, system
    versions: dict[str, str]
    layout: dict[str, Any]  # parameters, stages, head, cuts
    rows: Sequence[Row]
    budget: int | None = None
    largest: Sequence[Largest] = ()

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it: keys are added, never renamed or removed."""
        found = {**asdict(self), "inputs": list(self.inputs)}
        for told, row in zip(found["rows"], self.rows, strict=True):
            told["samples_per_second"] = round(row.samples, 3) if row.measured else None
        return {"freezelint": __version__, **found}

    @property
    def fitting(self) -> list[Row]:
        """What fits the budget and trains all that it is meant to train, the fastest first."""
        fit = [row for row in self.rows if row.fits and row.parameters["trained"] == row.parameters["meant"]]
        return sorted(fit, key=lambda row: -row.samples)


def loaded(data: dict[str, Any]) -> Result:
    """The result that a JSON report holds."""
    rows = [Row(**{key: row[key] for key in row if key != "samples_per_second"}) for row in data["rows"]]
    largest = [Largest(**one) for one in data["largest"]]
    return Result(
        **{**{key: data[key] for key in data if key not in ("freezelint", "claims")}, "rows": rows, "largest": largest}
    )


def groups(rows: Iterable[Row]) -> dict[tuple[str, bool], list[Row]]:
    """Rows that can be compared with each other: of one optimizer, with AMP or without."""
    found: dict[tuple[str, bool], list[Row]] = {}
    for row in rows:
        found.setdefault((row.optimizer, row.amp), []).append(row)
    return found


def parsed_size(text: str) -> int | None:
    """The bytes of `8GiB`, `500 MB` or `1000000`; None when it is none of these."""
    found = SIZE.match(text.strip())
    if found is None or (found["binary"] and not found["unit"]):
        return None
    power = UNITS.index(found["unit"].lower() or " ")
    return int(float(found["number"]) * (1024 if found["binary"] else 1000) ** power)


def size(number: float | None) -> str:
    """Bytes for people."""
    if number is None:
        return "-"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024 or unit == "GiB":
            break
        number /= 1024
    return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"


def count(number: int) -> str:
    """A number of parameters for people."""
    for unit, least in (("M", 10**6), ("k", 10**3)):
        if number >= least:
            return f"{number / least:.1f} {unit}"
    return str(number)


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"
