"""From a request to rows: which strategies there are to try with this model, one after the other."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from freezelint.measure import process, search
from freezelint.measure.jobs import Look, Subject, Trial
from freezelint.measure.models import CLASSES, MODELS
from freezelint.measure.rows import FAILED, MEASURED, NOT_POSSIBLE, OUT_OF_MEMORY, Largest, Result, Row
from freezelint.measure.strategies import OPTIMIZERS, STRATEGIES, Strategy
from freezelint.nearest import did_you_mean
from freezelint.refused import missing

FACTORY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*$")
NO_TORCH = missing("measure", "torch", "live")


class CannotMeasure(Exception):
    """There is nothing to measure; its text is one line for the user."""


@dataclass(frozen=True)
class Request:
    """What to measure, and how."""

    factory: str | None = None
    model: str | None = None
    inputs: Sequence[str] = ()
    batch: int | None = None
    device: str = "cpu"
    head: str | None = None
    cuts: Sequence[str] = ()
    strategies: Sequence[str] = ()  # all of them
    optimizers: Sequence[str] = tuple(OPTIMIZERS)
    amp: bool = False
    steps: int = 5
    warm_up: int = 2
    seed: int = 0
    timeout: float | None = 600
    budget: int | None = None
    largest: bool = False


Progress = Callable[[int, int, str], None]


def measure(request: Request, progress: Progress = lambda *_: None) -> Result:
    """Try everything that was asked for; CannotMeasure when there is nothing to try."""
    subject = _subject(request)
    _known(request.strategies, list(STRATEGIES), "--strategy")
    _known(request.optimizers, list(OPTIMIZERS), "--optimizer")
    if importlib.util.find_spec("torch") is None:
        raise CannotMeasure(NO_TORCH)
    progress(0, 0, "looking at the model")
    found = process.run(Look(subject, request.head, tuple(request.cuts)), request.timeout)
    if found["status"] != MEASURED:
        why = found["reason"] if found["status"] == FAILED else f"{found['status']}: {found['reason']}"
        raise CannotMeasure(f"{subject.target} cannot be measured: {why}")
    layout, machine = found["layout"], found["machine"]
    budget = request.budget
    if request.largest and budget is None:
        if "free" not in machine:
            raise CannotMeasure("--largest-batch on this device needs a --budget, such as --budget 8GiB")
        budget = machine["free"]
    trials = list(_trials(request, subject, layout, budget))
    rows: list[Row] = []
    largest: list[Largest] = []
    interrupted = False
    try:
        for number, trial in enumerate(trials, 1):
            progress(number, len(trials), _title(trial))
            rows.append(_row(trial, process.run(trial, request.timeout), layout["batch"], budget))
        for number, (trial, row) in enumerate(zip(trials, rows, strict=True) if request.largest else (), 1):
            if budget is not None and (row.measured or row.status == OUT_OF_MEMORY):

                def say(batch: int, title: str = _title(trial), number: int = number) -> None:
                    progress(number, len(trials), f"{title}: is {batch} the largest batch?")

                largest.append(search.largest(trial, row, budget, request.timeout, say))
    except KeyboardInterrupt:  # what was measured by then is worth having
        interrupted = True
    settings = {key: value for key, value in asdict(request).items() if key in ("steps", "warm_up", "seed", "amp")}
    settings["interrupted"] = interrupted
    return Result(subject.target, subject.inputs, settings, machine, found["versions"], layout, rows, budget, largest)


def _known(names: Sequence[str], known: list[str], option: str) -> None:
    for name in names:
        if name not in known:
            raise CannotMeasure(f"{option}: there is no {name!r}{did_you_mean(name, known)}")


def _subject(request: Request) -> Subject:
    """The factory or the model of a request, checked as far as that needs no torch."""
    if (request.factory is None) == (request.model is None):
        raise CannotMeasure("name either a factory, as pkg.module:function, or one of our own models with --model")
    common: dict[str, Any] = {"batch": request.batch, "device": request.device, "seed": request.seed}
    if request.factory is not None:
        if not FACTORY.match(request.factory):
            raise CannotMeasure(f"{request.factory!r} is no factory: write pkg.module:function, or --model resnet18")
        return Subject(request.factory, inputs=tuple(request.inputs), **common)
    name = str(request.model)
    if name not in MODELS:
        raise CannotMeasure(f"--model: there is no {name!r}{did_you_mean(name, MODELS)}")
    model = MODELS[name]
    return Subject(name, model.kind, model.sizes, CLASSES, tuple(request.inputs) or (model.input,), **common)


def _trials(request: Request, subject: Subject, layout: dict[str, Any], budget: int | None) -> Iterator[Trial]:
    chosen = [STRATEGIES[name] for name in request.strategies or STRATEGIES]
    for amp in (False, True) if request.amp else (False,):
        for optimizer in request.optimizers:
            for strategy in chosen:
                for cut in _cuts(strategy, layout):
                    yield Trial(
                        subject,
                        strategy,
                        cut,
                        optimizer,
                        amp,
                        tuple(layout["order"]),
                        tuple(layout["stages"]),
                        request.steps,
                        request.warm_up,
                        budget,
                    )


def _cuts(strategy: Strategy, layout: dict[str, Any]) -> list[str]:
    """Where training starts: names of parts, or "" for the whole model."""
    cuts: list[str] = layout["cuts"]
    middle = cuts[len(cuts) // 2 :][:1]
    return {"start": [""], "head": [layout["stages"][-1]], "middle": middle, "each": cuts}[strategy.cut]


def _title(trial: Trial) -> str:
    amp = ", AMP" if trial.amp else ""
    return f"{trial.strategy.at(trial.cut)} ({OPTIMIZERS[trial.optimizer]}{amp})"


def _row(trial: Trial, answer: dict[str, Any], batch: int, budget: int | None) -> Row:
    peak = answer.get("peak")
    return Row(
        trial.strategy.slug,
        trial.strategy.at(trial.cut),
        trial.cut,
        trial.optimizer,
        trial.amp,
        batch,
        fits=None if budget is None or answer["status"] == NOT_POSSIBLE else peak is not None and peak <= budget,
        **answer,
    )
