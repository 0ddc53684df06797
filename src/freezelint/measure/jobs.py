"""What a process is asked to do, and what it answers: both travel as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from freezelint.measure.strategies import Strategy


@dataclass(frozen=True)
class Subject:
    """What is measured: a factory's model, or one of our own by its configuration."""

    target: str  # pkg.module:factory, or the name of a model
    kind: str = ""  # of one of our own
    sizes: dict[str, Any] = field(default_factory=dict)
    classes: int = 0
    inputs: tuple[str, ...] = ()
    batch: int | None = None  # instead of the size that the inputs have
    device: str = "cpu"
    seed: int = 0


@dataclass(frozen=True)
class Look:
    """Asks for the layout of the model and for the machine."""

    subject: Subject
    head: str | None = None
    cuts: tuple[str, ...] = ()
    most: int = 4  # cut points, unless they are named


@dataclass(frozen=True)
class Trial:
    """Asks for the costs of one strategy."""

    subject: Subject
    strategy: Strategy
    cut: str
    optimizer: str
    amp: bool
    order: tuple[str, ...]  # as a Look found them
    stages: tuple[str, ...]
    steps: int
    warm_up: int
    limit: int | None = None  # bytes that CUDA may give out

    def with_batch(self, batch: int) -> Trial:
        return replace(self, subject=replace(self.subject, batch=batch))


def dumped(job: Look | Trial) -> str:
    return json.dumps({"ask": type(job).__name__, **asdict(job)})


def loaded(text: str) -> Look | Trial:
    data = json.loads(text)
    kind = data.pop("ask")
    subject = data.pop("subject")
    data["subject"] = Subject(**{**subject, "inputs": tuple(subject["inputs"])})
    if kind == "Look":
        return Look(**{**data, "cuts": tuple(data["cuts"])})
    data["strategy"] = Strategy(**data["strategy"])
    return Trial(**{**data, "order": tuple(data["order"]), "stages": tuple(data["stages"])})
