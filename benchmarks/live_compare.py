"""Run freezelint and four other tools on the same small programs, faulty ones and their correct twins, side by side.

    python -m venv /tmp/tools && /tmp/tools/bin/pip install -c constraints.txt torch && \\
        /tmp/tools/bin/pip install -c constraints.txt guardtower torchtest2 pytest-torch torch-audit . && \\
        /tmp/tools/bin/python benchmarks/live_compare.py [--only NAME] [--write]

`confirm` runs a program as it is. The others want a call in it, which is put where their documentation puts it: before
the training (torch-audit, freezelint.watch), or at the first batch (guardtower, torchtest2, pytest-torch). These three
are then asked again at every batch, which only adds to what they find: false alarms are counted as documented.
No tool is told names. A fault is found when the tool says something of the level of a warning that it does not say of
the correct twin, whatever it says: numbers in the message aside. A false alarm is a correct program about which it says
something of that level.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import contextlib
import copy
import hashlib
import importlib
import importlib.metadata
import io
import json
import multiprocessing
import os
import pickle
import re
import runpy
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pages
import rewriting
import torch
from torch import nn

import freezelint

ROOT = Path(__file__).resolve().parent
OWN = ROOT.parent / "tests" / "fixtures" / "projects"
OTHERS = ROOT / "programs"
WHOLE = "wrong-names"  # here a user would show the two networks as one


@dataclass
class Batch:
    """What a user has at hand at a batch: the model, its optimizer, the inputs, and how to compute the loss."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    names: tuple[str, ...]  # under which the model, or its parts in turn, are called
    step: Callable[..., torch.Tensor]
    inputs: tuple[Any, ...] | None = None
    alone: bool = False  # the model is called without a graph, so the loss of its output is not that of the program
    draws: bool = False  # the batch is made by the program's own random numbers
    number: int = 0  # the how manieth that the tool is shown
    steady: bool = False  # computing the loss again takes the same tensors

    def loss(self, model: nn.Module) -> torch.Tensor:
        """The program's own loss, of this model or a copy of it."""
        parts = list(model) if isinstance(model, Whole) else [model]
        return self.step(**dict(zip(self.names, parts, strict=True)))

    def criterion(self, output: torch.Tensor) -> torch.Tensor:
        """The loss of an output."""
        parts = list(self.model) if isinstance(self.model, Whole) else [self.model]
        stand_ins = [StandIn(part, lambda *_: output) for part in parts]
        return self.step(**dict(zip(self.names, stand_ins, strict=True)))


class StandIn:
    """A model in all but what its call does."""

    def __init__(self, model: nn.Module, called: Callable[..., Any]) -> None:
        self._model, self._called = model, called

    def __call__(self, *inputs: Any) -> Any:
        return self._called(*inputs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


class Whole(nn.Sequential):
    """Two networks, one behind the other."""


class _Reached(Exception):
    def __init__(self, inputs: tuple[Any, ...]) -> None:
        self.inputs, self.graph = inputs, torch.is_grad_enabled()


def look(names: dict[str, Any], optimizer: Any, step: Callable[..., torch.Tensor], whole: bool) -> Batch:
    """The batch of a place in a program; the random numbers are as before."""
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    found = {name: m for name, m in names.items() if isinstance(m, nn.Module) and list(m.parameters())}
    sharing = [name for name, m in found.items() if any(id(p) in held for p in m.parameters())]
    chosen = tuple(found) if whole else tuple(sharing or found)[:1]
    model = Whole(*(found[name] for name in chosen)) if whole else found[chosen[0]]
    batch = Batch(model, optimizer, chosen, step)
    before = torch.get_rng_state()
    caught = [_inputs(batch) for _ in range(2)]
    batch.draws = not torch.equal(before, torch.get_rng_state())
    torch.set_rng_state(before)
    if caught[0] and caught[1]:
        batch.inputs, batch.alone = caught[0].inputs, not caught[0].graph
        batch.steady = all(a is b for a, b in zip(caught[0].inputs, caught[1].inputs, strict=True))
    return batch


def _inputs(batch: Batch) -> _Reached | None:
    def reached(*inputs: Any) -> Any:
        raise _Reached(inputs)

    first = batch.model[0] if isinstance(batch.model, Whole) else batch.model
    try:
        batch.step(**{batch.names[0]: StandIn(first, reached)})
    except _Reached as signal:
        return signal
    except Exception:
        return None
    return None


# The tools -----------------------------------------------------------------------------------------------------------


@dataclass
class Tool:
    """How a tool is called. Complaints are (check, message)."""

    name: str
    package: str
    complaints: list[tuple[str, str]] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)

    def begin(self, model: nn.Module, optimizers: list[Any]) -> None:
        """Before the training."""

    def batch(self, batch: Batch) -> None:
        """At a batch."""

    def end(self) -> None:
        """After the training."""


class Guardtower(Tool):
    """`audit(model, closure, optimizer=, inputs=)`."""

    def batch(self, batch: Batch) -> None:
        import guardtower

        inputs = [t for t in batch.inputs or () if isinstance(t, torch.Tensor)] if batch.steady else None
        report = guardtower.audit(
            batch.model, lambda: batch.loss(batch.model), optimizer=batch.optimizer, inputs=inputs or None
        )
        self.complaints += [(f.check, f.message) for f in [*report.errors, *report.warnings]]


class Torchtest2(Tool):
    """`check_model(model, inputs, loss_fn=, optimizer=)`; with `forward_fn` where the loop does more than that."""

    def batch(self, batch: Batch) -> None:
        import torchtest2

        options: dict[str, Any] = {"loss_fn": batch.criterion}
        inputs = batch.inputs
        if batch.alone or inputs is None or not _replays(batch):
            options = {"forward_fn": lambda model, inputs, targets: {"loss": batch.loss(model)}}
            inputs = inputs or (torch.zeros(4, 1),)
        if batch.number:
            options["overfit_steps"] = 0  # the first time told
        report = torchtest2.check_model(batch.model, inputs, optimizer=batch.optimizer, **options)
        told = [r for r in report.results if str(r.status) in ("FAIL", "WARN")]
        self.complaints += [(r.name, r.message) for r in told]


def _replays(batch: Batch) -> bool:
    state = torch.get_rng_state()
    try:
        assert batch.inputs is not None
        twin = copy.deepcopy(batch.model)
        return batch.criterion(twin(*batch.inputs)).dim() == 0
    except Exception:
        return False
    finally:
        torch.set_rng_state(state)


class PytestTorch(Tool):
    """The assertions about training that need no names: gradients, coverage, a short run, a loss that falls."""

    def batch(self, batch: Batch) -> None:
        import pytest_torch as pt

        class Loss(nn.Module):
            """The program's own step as a model that gives its loss."""

            def __init__(self, model: nn.Module) -> None:
                super().__init__()
                self.model = model

            def forward(self) -> torch.Tensor:
                return batch.loss(self.model)

        plain = bool(batch.inputs) and not batch.alone and _replays(batch)
        model, inputs = (batch.model, batch.inputs) if plain else (Loss(batch.model), ())
        criterion: Any = batch.criterion if plain else (lambda loss: loss)

        def setup() -> Any:
            return pt.TrainingSetup(*copy.deepcopy((batch.model, batch.optimizer)))

        def run(model: nn.Module, batch_: Any) -> torch.Tensor:
            return batch.loss(model)

        checks: list[Callable[[], Any]] = [
            lambda: pt.assert_gradients_finite(model, inputs, criterion),
            lambda: pt.assert_all_params_receive_grad(model, inputs, criterion),
            lambda: pt.assert_optimizer_coverage(batch.model, batch.optimizer),
            lambda: pt.run_training(setup, [0], loss_fn=run, steps=5).assert_healthy(),
            lambda: pt.assert_loss_decreases(model, inputs, criterion, steps=100, lr=1e-2),
        ]
        labels = ("gradients_finite", "all_params_receive_grad", "optimizer_coverage", "healthy", "loss_decreases")
        for label, check in zip(labels, checks, strict=True):
            if label == "loss_decreases" and batch.number:
                continue
            try:
                check()
            except AssertionError as error:
                self.complaints.append((label, str(error)))
            except Exception as error:
                self.trouble.append(f"{label}: {type(error).__name__}: {error}".splitlines()[0])


class TorchAudit(Tool):
    """`autopatch(model, optimizer=)` at every step, `finish()`, `unpatch()`."""

    def begin(self, model: nn.Module, optimizers: list[Any]) -> None:
        import torch_audit

        self.auditors = [
            torch_audit.autopatch(model, optimizer=optimizer, every_n_steps=1, reporters=[], patch_model=not number)
            for number, optimizer in enumerate(optimizers)
        ]

    def end(self) -> None:
        for auditor in self.auditors:
            result = auditor.finish()
            told = [f for f in result.findings if f.severity.value in ("WARN", "ERROR", "FATAL")]
            self.complaints += [(f.rule_id, f.message) for f in told]
            auditor.unpatch()


class Watching(Tool):
    """`freezelint.watch(model, optimizer)` around the loop."""

    def begin(self, model: nn.Module, optimizers: list[Any]) -> None:
        self.watch = freezelint.watch(model, *optimizers, every=1)
        self.watch.start()

    def end(self) -> None:
        report = self.watch.stop()
        self.complaints += [(f.rule, f.message) for f in report.findings if f.severity.name != "INFO"]
        self.trouble += report.trouble


class Confirm(Tool):
    """`freezelint confirm main.py`: nothing is called in the program."""


TOOLS: dict[str, Callable[[], Tool]] = {
    "confirm": lambda: Confirm("freezelint confirm", "freezelint"),
    "watch": lambda: Watching("freezelint.watch", "freezelint"),
    "guardtower": lambda: Guardtower("guardtower", "guardtower"),
    "torchtest2": lambda: Torchtest2("torchtest2", "torchtest2"),
    "pytest-torch": lambda: PytestTorch("pytest-torch", "pytest-torch"),
    "torch-audit": lambda: TorchAudit("torch-audit", "torch-audit"),
}
MODULES = {"confirm": "freezelint", "watch": "freezelint"}


# One program under one tool ------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What a run left: what the tool said, the losses, and the state at the end."""

    complaints: list[tuple[str, str]]
    losses: list[float]
    state: dict[str, Any]
    trouble: list[str]
    draws: bool = False


class Bench:
    """`__bench__` in a rewritten program."""

    def __init__(self, tool: Tool | None, whole: bool, always: bool) -> None:
        self.tool, self.whole, self.always = tool, whole, always
        self.losses: list[float] = []
        self.models: list[nn.Module] = []
        self.optimizers: list[Any] = []
        self.asked: set[int] = set()
        self.draws = False
        self.shown = 0
        self.trouble: list[str] = []

    def note(self, loss: torch.Tensor) -> torch.Tensor:
        """A loss that the program computed."""
        self.losses.append(float(loss.detach()))
        return loss

    def begin(self, names: dict[str, Any], candidates: list[Any]) -> None:
        """Before the training."""
        self.models = [m for m in names.values() if isinstance(m, nn.Module) and list(m.parameters())]
        self.optimizers = [o for o in candidates if isinstance(o, torch.optim.Optimizer)]
        if self.tool:
            with self._caught():
                one = len(self.models) == 1
                held = {id(p) for o in self.optimizers for g in o.param_groups for p in g["params"]}
                mine = [m for m in self.models if any(id(p) in held for p in m.parameters())] or self.models
                self.tool.begin(mine[0] if one or not self.whole else Whole(*self.models), self.optimizers)

    def batch(self, step: Callable[..., torch.Tensor], names: dict[str, Any], optimizer: Any) -> None:
        """At a batch."""
        if self.always or id(optimizer) not in self.asked:
            self.asked.add(id(optimizer))
            with self._caught():
                batch = look(names, optimizer, step, self.whole)
                batch.number = self.shown
                self.shown += 1
                self.draws = self.draws or batch.draws
                if self.tool:
                    self.tool.batch(batch)

    @contextlib.contextmanager
    def _caught(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.trouble.append(f"{type(error).__name__}: {error}".splitlines()[0][:200])
            if os.environ.get("BENCH_TRACE"):
                traceback.print_exc()


def _digest(tensors: Iterator[torch.Tensor]) -> str:
    sha = hashlib.sha256()
    for tensor in tensors:
        sha.update(tensor.detach().double().numpy().tobytes())
    return sha.hexdigest()


def state_of(models: list[nn.Module], optimizers: list[Any]) -> dict[str, Any]:
    """What a tool may have changed, by kind."""
    modules = [m for model in models for m in model.modules()]
    parameters = [p for model in models for p in model.parameters()]
    hooks = sum(
        len(value)
        for m in [*modules, *optimizers]
        for name, value in vars(m).items()
        if name.endswith("hooks") and isinstance(value, dict)
    )
    # torch itself wraps the step of a scheduled optimizer; the bare run has that, too
    patched = [name for m in [*modules, *optimizers] for name in ("forward", "step") if name in vars(m)]
    return {
        "hooks": (hooks, len(torch.nn.modules.module._global_forward_hooks)),
        "methods put on instances": patched,
        "modes": [m.training for m in modules],
        "flags": [p.requires_grad for p in parameters],
        "gradients": [None if p.grad is None else _digest(iter([p.grad])) for p in parameters],
        "weights": _digest(iter(parameters)),
        "buffers": _digest(b for model in models for b in model.buffers()),
        "random numbers": hashlib.sha256(torch.get_rng_state().numpy().tobytes()).hexdigest(),
    }


def outcome(name: str | None, project: str, always: bool, noted: bool) -> Outcome:
    """Run one program under one tool, in this process. A program that is not `noted` stays as it is on the disk."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    sys.dont_write_bytecode = True
    source = Path(project)
    tool = TOOLS[name]() if name else None
    bench = Bench(tool, source.name.endswith(WHOLE), always)
    builtins.__bench__ = bench  # type: ignore[attr-defined]
    said: list[tuple[str, str]] = []
    trouble: list[str] = []
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as printed:
        here = Path(folder) / source.name
        shutil.copytree(source, here, ignore=shutil.ignore_patterns("__pycache__"))
        if noted:
            text = (here / "main.py").read_text(encoding="utf-8")
            (here / "main.py").write_text(rewriting.rewritten(text), encoding="utf-8")
        os.chdir(here)
        sys.path.insert(0, str(here))
        sys.argv = ["main.py"]
        if isinstance(tool, Confirm):
            from freezelint.__main__ import run

            run(["confirm", "--isolated", "--until", "end", "--output-format", "json", "main.py"])
            if not noted:
                report = json.loads(printed.getvalue())
                sure = [f for f in report["findings"] if f["verdict"] == "confirmed"] + report["live_only"]
                said += [(f["rule"], f["message"]) for f in sure if f["severity"] != "info"]
        else:
            try:
                runpy.run_path("main.py", run_name="__main__")
            except BaseException as error:
                trouble.append(f"the program: {type(error).__name__}")
            if tool:
                with bench._caught():
                    tool.end()
                said += tool.complaints
                trouble += tool.trouble
    return Outcome(
        said, bench.losses, state_of(bench.models, bench.optimizers), [*trouble, *bench.trouble], bench.draws
    )


KEPT: dict[tuple[Any, ...], Outcome] = {}
KEEP: list[Path] = []  # the file in which they are kept


def apart(*arguments: Any) -> Outcome:
    """The outcome, unless it was kept from an earlier call of this script."""
    if arguments not in KEPT:
        KEPT[arguments] = _apart(*arguments)
        for file in KEEP:
            file.write_bytes(pickle.dumps(KEPT))
    return KEPT[arguments]


def _apart(*arguments: Any) -> Outcome:
    """`outcome` in a process of its own, which starts with what is imported here."""
    ours, theirs = multiprocessing.Pipe(False)

    def child() -> None:
        try:
            theirs.send(outcome(*arguments))
        except BaseException as error:
            theirs.send(Outcome([], [], {}, [f"the tool: {type(error).__name__}: {error}"[:200]]))

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    result: Outcome = ours.recv() if ours.poll(120) else Outcome([], [], {}, ["it did not end in two minutes"])
    process.kill()
    process.join()
    return result


# All of them, and the page -------------------------------------------------------------------------------------------


@dataclass
class Row:
    """A tool on all programs."""

    found: dict[str, set[str]] = field(default_factory=dict)  # fault -> the checks that told it from its twin
    early: set[str] = field(default_factory=set)  # the faults found by the documented use alone
    alarms: dict[str, set[str]] = field(default_factory=dict)  # correct program -> the checks
    effects: dict[str, list[str]] = field(default_factory=dict)  # program -> what was not as without the tool
    compared: int = 0
    trouble: dict[str, list[str]] = field(default_factory=dict)


def _plain(complaints: list[tuple[str, str]]) -> set[tuple[str, str]]:
    return {(check, re.sub(r"[-+]?\d[\d.,]*(e[-+]?\d+)?", "#", message)) for check, message in complaints}


def measure(tool: str, programs: dict[str, Path], bare: dict[str, Outcome]) -> Row:
    """Everything about one tool."""
    row = Row()
    first: dict[str, Outcome] = {}
    every: dict[str, Outcome] = {}
    for name, project in programs.items():
        began = time.perf_counter()
        first[name] = apart(tool, str(project), False, tool != "confirm")
        again = tool in ("guardtower", "torchtest2", "pytest-torch")
        every[name] = apart(tool, str(project), True, True) if again else first[name]
        noted = apart(tool, str(project), False, True) if tool == "confirm" else first[name]
        if first[name].trouble and first[name].trouble != bare[name].trouble:
            row.trouble[name] = first[name].trouble
        if not bare[name].draws and noted.state and not bare[name].trouble:
            row.compared += 1
            plain = {"losses": bare[name].losses, **bare[name].state}
            with_it = {"losses": noted.losses, **noted.state}
            if changed := [kind for kind in plain if repr(plain[kind]) != repr(with_it[kind])]:  # nan is itself
                row.effects[name] = changed
        said = ", ".join(check for check, _ in first[name].complaints)
        took = time.perf_counter() - began
        print(f"{tool}: {name}: {said or 'silent'} ({took:.1f} s)", file=sys.stderr, flush=True)
    for name in programs:
        kind, _, fault = name.partition("-")
        twin = f"correct-{fault}"
        if kind == "correct":
            if first[name].complaints:
                row.alarms[name] = {check for check, _ in first[name].complaints}
        elif twin in programs:
            told = [_plain(run[name].complaints) - _plain(run[twin].complaints) for run in (first, every)]
            if told[0]:
                row.early.add(fault)
            if told[0] | told[1]:
                row.found[fault] = {check for check, _ in told[0] | told[1]}
    return row


TWINS = {"frozen-optimizer": "fine-tuned-norms"}  # where the twin has a name of its own


def gathered(folder: Path, only: str) -> dict[str, Path]:
    """The programs of a folder by name, each faulty one with its twin."""
    projects = {p.name: p for p in sorted(folder.iterdir()) if p.is_dir() and only in p.name}
    for fault, twin in TWINS.items():
        if f"correct-{twin}" in projects:
            projects[f"correct-{fault}"] = projects.pop(f"correct-{twin}")
    return dict(sorted(projects.items()))


def summary(name: str) -> str:
    """The first line of the docstring of a program."""
    for folder in (OWN, OTHERS):
        file = folder / f"faulty-{name}" / "main.py"
        if file.exists():
            return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").splitlines()[0]
    return ""


def grid(rows: dict[str, Row], faults: list[str]) -> list[str]:
    """Which tool found which fault."""
    lines = ["| fault | " + " | ".join(rows) + " |", "|---|" + "---|" * len(rows)]
    for fault in faults:
        cells = [
            "yes" if t in MODULES and fault in r.found else ", ".join(sorted(r.found.get(fault, "")))
            for t, r in rows.items()
        ]
        lines.append(f"| {fault}: {summary(fault)} | " + " | ".join(cells) + " |")
    return lines


def totals(rows: dict[str, Row], faults: list[str], correct: int) -> list[str]:
    """A line a tool."""
    lines = [
        "| tool | version | faults found | at the first batch | correct programs alarmed at | runs changed | in what |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    for tool, row in rows.items():
        made = TOOLS[tool]()
        kinds = Counter(kind for kinds in row.effects.values() for kind in kinds)
        what = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()) or "nothing"
        found, early = (sum(f in names for f in faults) for names in (row.found, row.early))
        lines.append(
            f"| {made.name} | {version_of(made.package)} | {found} of {len(faults)} | {early} "
            f"| {len(row.alarms)} of {correct} | {len(row.effects)} of {row.compared} | {what} |"
        )
    return lines


def version_of(package: str) -> str:
    """The version of a package; this one may lie on the path without being installed."""
    return freezelint.__version__ if package == "freezelint" else importlib.metadata.version(package)


def main() -> None:
    """Run everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="programs whose name holds this")
    parser.add_argument("--tool", choices=TOOLS, action="append")
    parser.add_argument("--write", action="store_true", help="write the page docs/benchmarks/live.md")
    parser.add_argument("--keep", type=Path, help="a file to keep outcomes in, so that a run can be taken up again")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.keep:
        KEEP.append(options.keep)
        KEPT.update(pickle.loads(options.keep.read_bytes()) if options.keep.exists() else {})
    missing = []
    for name in ("torch._dynamo", "freezelint.__main__", "freezelint.live.launch", "pytest"):
        importlib.import_module(name)  # once here, and not in every process
    for tool in options.tool or TOOLS:
        try:
            importlib.import_module(MODULES.get(tool, tool.replace("-", "_")))
        except ImportError as error:
            missing.append(f"{tool} could not be imported: {error}")
    own, others = gathered(OWN, options.only), gathered(OTHERS, options.only)
    programs = {**own, **others}
    bare = {name: apart(None, str(project), False, True) for name, project in programs.items()}
    usable = [tool for tool in options.tool or TOOLS if not any(line.startswith(f"{tool} ") for line in missing)]
    rows = {tool: measure(tool, programs, bare) for tool in usable}
    kinds = [
        [
            name.partition("-")[2]
            for name in group
            if name.startswith("faulty") and name.replace("faulty", "correct") in group
        ]
        for group in (own, others)
    ]
    correct = sum(name.startswith("correct") for name in programs)
    lines = [*page(rows, kinds, correct, missing)]
    print("\n".join(lines))
    if options.write:
        pages.put(pages.PAGE, "live_compare.py", lines)


INTRODUCTION = """
Small programs that train for a few steps, each faulty one with a correct twin. No tool is told a name. A fault is
found when the tool says something of the level of a warning that it does not say of the correct twin, whatever it is;
`confirm` must say that the run confirms it. Each tool is used as its documentation shows: guardtower, torchtest2 and
pytest-torch at the first batch, torch-audit and `freezelint.watch` around the loop, which do not see what was written
before. *Faults found* counts what guardtower, torchtest2 and pytest-torch find at any batch. *Runs changed* compares
losses, weights, buffers, gradients, flags, modes, hooks and random numbers with those of the bare program at its end,
where the program's batches do not come from the global generator. guardtower takes a step of its own with the user's
model; pytest-torch is meant for tests, on a model that is thrown away: there such changes do no harm. torch-audit
warns of speed, too. What freezelint says of held-while-frozen is of the level info, and not counted. The counts are
of two sets of programs, which are told apart below.
"""


def page(rows: dict[str, Row], kinds: list[list[str]], correct: int, missing: list[str]) -> Iterator[str]:
    """The section of the page."""
    yield "## Beside other tools"
    yield ""
    yield from INTRODUCTION.strip().splitlines()
    yield ""
    yield from totals(rows, [*kinds[0], *kinds[1]], correct)
    yield ""
    version = ".".join(map(str, sys.version_info[:3]))
    yield f"{pages.processor()}, {os.cpu_count()} cores, one thread; torch {torch.__version__}, Python {version}."
    for line in missing:
        yield f"{line}."
    yield ""
    yield "### Freezing and training: freezelint's own test programs"
    yield ""
    yield "A home game: these programs were written for freezelint's rules, and in many the fault is not in the model's"
    yield "state but in the code around it."
    yield ""
    yield from grid(rows, kinds[0])
    yield ""
    yield "### What the other tools say they find"
    yield ""
    yield "Written after the documentation of the other tools. Most of it is not about freezing, and not freezelint's."
    yield ""
    yield from grid(rows, kinds[1])
    yield ""
    yield "### Alarms on correct programs"
    yield ""
    for tool, row in rows.items():
        counted = Counter(check for checks in row.alarms.values() for check in checks)
        said = ", ".join(f"{check} on {count}" for check, count in counted.most_common()) or "none"
        yield f"* {tool}: {said}"
    yield ""
    trouble = {tool: row.trouble for tool, row in rows.items() if row.trouble}
    if trouble:
        yield "### Where a tool could not do its work"
        yield ""
        for tool, where in trouble.items():
            for name, told in where.items():
                yield f"* {tool}, {name}: {told[0]}"
        yield ""


if __name__ == "__main__":
    main()
