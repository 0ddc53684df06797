"""Several processes of one program: each records, the first reports, and weights that should be equal are compared.

What the others saw goes to the first through the store that the launcher (torchrun) keeps, so that it works before the
program makes a process group and after it has taken that down.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch

from freezelint.live import probe
from freezelint.trace import events as ev
from freezelint.trace.regions import Part
from freezelint.trace.state import find

if TYPE_CHECKING:
    from freezelint.live.launch import Ran

SAMPLES = 256  # elements of each parameter that are compared
WAIT = 60.0  # seconds for the others
COPIES = ("DistributedDataParallel",)  # wrappers that promise the same weights everywhere


@dataclass(frozen=True)
class Rank:
    """Which of how many processes this is."""

    number: int = 0
    count: int = 1

    @property
    def reports(self) -> bool:
        """Whether this is the one that reports."""
        return self.number == 0


@dataclass
class Together:
    """What all ranks saw. `differences` are by the label of a parameter: the largest between any rank and the first."""

    count: int
    others: dict[int, dict[str, Any]] = field(default_factory=dict)
    differences: dict[str, float] = field(default_factory=dict)
    compared: int = 0
    trouble: str = ""

    @property
    def largest(self) -> float:
        """The largest difference of weights that should be equal."""
        return max(self.differences.values(), default=0.0)

    def seen_by(self, rule: str, path: str, lines: Iterable[int]) -> int | None:
        """Another rank that saw a rule's fault on one of these lines."""
        for number, other in self.others.items():
            if any([rule, path, line] in other["seen"] for line in lines):
                return number
        return None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for reports."""
        return {
            "count": self.count,
            "compared": self.compared,
            "largest_difference": self.largest,
            "differing": sorted(self.differences),
            "others": [{"rank": number, **other} for number, other in sorted(self.others.items())],
            "trouble": self.trouble,
        }


def here() -> Rank:
    """This process, as its launcher numbered it."""
    try:
        number, count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    except ValueError:
        return Rank()
    return Rank(number, count) if 0 <= number < count else Rank()


def meet(ran: Ran, rank: Rank) -> Together:
    """Hand over what this rank saw; the first one waits for the others and compares."""
    together = Together(rank.count)
    mine = {"steps": ran.recorder.steps, "stopped_by": ran.stopped_by, "error": _error(ran), "seen": _seen(ran)}
    weights = _weights(ran)
    try:
        store = _store()
        if not rank.reports:
            store.set(f"freezelint/{rank.number}", json.dumps({**mine, "weights": weights}))
            return together
        for number in range(1, rank.count):
            other = json.loads(store.get(f"freezelint/{number}"))
            theirs = other.pop("weights")
            together.others[number] = other
            if other["steps"] == mine["steps"]:
                together.compared = max(together.compared, _compare(weights, theirs, together.differences))
            else:
                together.trouble = f"rank {number} took {other['steps']} steps: its weights are not compared"
    except Exception as error:  # no store, or a rank that is gone: the report comes without them
        together.trouble = (
            f"the ranks could not be compared ({type(error).__name__}: {str(error).splitlines()[0][:200]})"
        )
    return together


def _store() -> Any:
    from torch.distributed import PrefixStore, TCPStore

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = TCPStore(address, port, is_master=False, wait_for_workers=False, timeout=timedelta(seconds=WAIT))
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return PrefixStore(f"freezelint/{os.environ.get('TORCHELASTIC_RUN_ID', '')}/{attempt}", store)


def _error(ran: Ran) -> str | None:
    return f"{type(ran.error).__name__}: {ran.error}" if ran.failed else None


def _seen(ran: Ran) -> list[list[Any]]:
    return [[f.rule, f.site.path, f.site.line] for f in ran.recorder.findings()]


def _copied(ran: Ran) -> list[Part]:
    """Parameters that a wrapper promised to keep equal."""
    recorder = ran.recorder
    return [
        part
        for part in recorder.forest.leaves
        if (fact := find(recorder.state.wrapped, part)) is not None
        and isinstance(fact.event, ev.Wrap)
        and fact.event.kind in COPIES
    ]


def _weights(ran: Ran) -> dict[str, list[float]]:
    """Some elements of every parameter that should be equal, by its label."""
    found: dict[str, list[float]] = {}
    for part in _copied(ran):
        leaf = ran.recorder.forest.leaves[part]
        parameter = leaf.parameter() if leaf.parameter is not None else None
        if parameter is None or hasattr(parameter, "_local_tensor"):
            continue  # gone, or sharded: each rank has a part of its own
        sample = probe.sample(parameter, SAMPLES)
        if sample is not None and torch.is_floating_point(sample):
            found[part.label] = [float(x) for x in sample.reshape(-1)[:SAMPLES].double().cpu()]
    return found


def _compare(mine: Mapping[str, list[float]], theirs: Mapping[str, list[float]], differences: dict[str, float]) -> int:
    compared = 0
    for label, values in mine.items():
        others = theirs.get(label)
        if others is None or len(others) != len(values):
            continue
        compared += 1
        largest = max((abs(a - b) for a, b in zip(values, others, strict=True)), default=0.0)
        if largest:
            differences[label] = max(largest, differences.get(label, 0.0))
    return compared
