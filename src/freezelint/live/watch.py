"""`freezelint.watch`: the recorder for a program's own use, with what the program expects, and a table of what is true.

with freezelint.watch(model, optimizer, expect_frozen="backbone", expect_trainable="head") as watched:
    train(model, optimizer)
print(watched.report())
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import nn

from freezelint.finding import Finding, Severity, in_order
from freezelint.live import sites, table
from freezelint.live.measure import Numbers
from freezelint.live.probe import Leaf
from freezelint.live.recorder import Recorder
from freezelint.live.table import Row
from freezelint.nearest import did_you_mean
from freezelint.trace.check import all_rules
from freezelint.trace.regions import Part

JUDGED_AFTER = 3  # steps: what has no gradient by then has none


class Unexpected(AssertionError):
    """The run is not what the program said it expects; the text says what, line by line."""


@dataclass(frozen=True)
class WatchReport:
    """What a watch saw. `str()` of it is a page for people, `as_dict()` is for programs."""

    findings: tuple[Finding, ...]
    unexpected: tuple[str, ...]
    table: tuple[Row, ...]
    changes: tuple[str, ...]  # what differs from the manifest of an earlier run
    steps: int
    seconds: float  # that watching took
    trouble: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether nothing is wrong: no fault from warning on, nothing unexpected, nothing changed."""
        return not (self.unexpected or self.changes or any(f.severity >= Severity.WARNING for f in self.findings))

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        findings = [
            {
                "rule": f.rule,
                "severity": str(f.severity),
                "message": f.message,
                "path": f.site.path,
                "line": f.site.line,
                "related": [{"path": s.path, "line": s.line, "message": s.message} for s in f.related],
            }
            for f in self.findings
        ]
        return {
            "good": self.good,
            "findings": findings,
            "unexpected": list(self.unexpected),
            "changes": list(self.changes),
            "table": [asdict(row) for row in self.table],
            "steps": self.steps,
            "seconds": self.seconds,
        }

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        for finding in self.findings:
            site = finding.site
            yield f"{site.path}:{site.line}: {finding.severity} {finding.rule}: {finding.message}"
            for step in finding.related:
                yield f"    {step.path}:{step.line}: {step.message}"
        for line in self.unexpected:
            yield f"unexpected: {line}"
        for line in self.changes:
            yield f"changed since the manifest: {line}"
        for line in self.trouble:
            yield f"the recorder had trouble, please report it: {line}"
        yield from table.drawn(self.table)
        steps = "1 step" if self.steps == 1 else f"{self.steps} steps"
        yield f"{steps} watched; watching took {self.seconds:.3f} s"


class Watch:
    """Watches a model and its optimizers between `start` and `stop`, or inside a `with`. May be entered again."""

    def __init__(
        self,
        model: nn.Module | None = None,
        *optimizers: torch.optim.Optimizer,
        expect_frozen: str | Iterable[str] = (),
        expect_trainable: str | Iterable[str] = (),
        fail: bool = True,
        manifest: str | os.PathLike[str] | None = None,
        every: int = 16,
        exact: bool = False,
    ) -> None:
        """`fail` raises Unexpected as soon as an expectation breaks; `every` is how often a quiet run is looked at.

        A pattern is the name of a module or parameter, a beginning of one up to a dot, or has wildcards (`*.bn*`); one
        that matches nothing is an error. With `exact`, whole copies of the weights are compared instead of samples.
        `manifest` names a file: written by the first run, compared with by those that resume from it.
        """
        self.model = model
        self.optimizers = optimizers
        self.fail = fail
        self.manifest = None if manifest is None else Path(manifest)
        self.expected: dict[str, str] = {}
        for kind, patterns in (("frozen", expect_frozen), ("trainable", expect_trainable)):
            for pattern in [patterns] if isinstance(patterns, str) else patterns:
                self._expect(kind, pattern)
        self._earlier = self._read_manifest()
        self._recorder = Recorder(all_rules().values(), on_step=self._stepped, every=every, values=exact)
        self._depth = 0
        self._told: tuple[str, ...] = ()

    # Life -----------------------------------------------------------------------------------------------------------

    def start(self) -> Watch:
        """Begin, or begin again."""
        self._depth += 1
        if self._depth == 1:
            sites.begin_in(os.getcwd())
            self._recorder.start()
            if self.model is not None:
                self._recorder.add(self.model)
            for optimizer in self.optimizers:
                self._recorder.add_optimizer(optimizer)
        return self

    def stop(self) -> WatchReport:
        """End, and report."""
        self._depth = max(0, self._depth - 1)
        if self._depth == 0:
            self._recorder.stop()
            if self.manifest is not None and self._recorder.steps and not self._earlier:
                self.manifest.write_text(json.dumps(self._as_manifest(), indent=1) + "\n", encoding="utf-8")
        return self.report()

    def __enter__(self) -> Watch:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is None:
            self.verify()

    def _stepped(self, recorder: Recorder) -> None:
        if self.fail and self.expected and recorder.looked:
            self.verify()

    def verify(self) -> None:
        """Raise Unexpected when an expectation is broken and this was not said before."""
        lines = self._unexpected()
        if self.fail and lines and lines != self._told:
            self._told = lines
            raise Unexpected("\n".join(lines))

    # Expectations ---------------------------------------------------------------------------------------------------

    def _expect(self, kind: str, pattern: str) -> None:
        if self.model is None:
            raise ValueError("expectations need the model: freezelint.watch(model, …)")
        names = [name for name, _ in self.model.named_parameters(remove_duplicate=False)]
        names += [name for name, _ in self.model.named_buffers() if name.endswith("running_mean")]
        found = [name for name in names if _matches(name, pattern)]
        if not found:
            modules = {".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 2)}
            raise ValueError(f"nothing in the model is called {pattern!r}{did_you_mean(pattern, sorted(modules))}")
        for name in found:
            if self.expected.setdefault(name, kind) != kind:
                raise ValueError(f"{name!r} is expected to be frozen and to be trainable")

    def _unexpected(self) -> tuple[str, ...]:
        """Where the run is not what was expected, one line for each module and trouble."""
        found: dict[str, list[str]] = {}
        for name, leaf, numbers in self._named():
            for trouble in self._troubles(name, leaf, numbers):
                found.setdefault(trouble, []).append(name)
        return tuple(f"{_together(names)} {trouble}" for trouble, names in found.items())

    def _troubles(self, name: str, leaf: Leaf, numbers: Numbers) -> Iterator[str]:
        kind = self.expected.get(name)
        if kind == "frozen":
            if numbers.requires_grad:
                yield "should be frozen, and requires grad"
            if numbers.change:
                yield "should be frozen, and its values changed"
        elif kind == "trainable" and numbers.steps:
            if numbers.requires_grad is False:
                yield "should train, and does not require grad"
            elif numbers.group is None and not self._other_optimizers_wait():
                yield "should train, and is held by no optimizer"
            elif numbers.steps >= JUDGED_AFTER and not numbers.with_gradient:
                yield f"should train, and had no gradient at any of {numbers.steps} steps"
        if self.expected.get(f"{name.rpartition('.')[0]}.running_mean".lstrip(".")) == "frozen":
            if numbers.drift_mean or numbers.drift_var:
                yield "should be frozen, and the running statistics of its BatchNorm moved"

    def _other_optimizers_wait(self) -> bool:
        """Whether an optimizer was built that has not stepped yet: what it holds is known after its first step."""
        return any(not held.steps for held in self._recorder.optimizers.values())

    def _named(self) -> Iterator[tuple[str, Leaf, Numbers]]:
        """Every leaf of the watched model by its name there; without a model, every leaf that was seen."""
        leaves = self._recorder.forest.leaves
        roots = {part.root for part in leaves} if self.model is None else self._roots()
        for part, leaf in leaves.items():
            numbers = self._recorder.measures.of.get(part)
            module = leaf.module() if leaf.module is not None else None
            if module is not None and not self._recorder.forest.stands(part, module):
                continue  # it made way for another, as under FSDP2
            if part.root in roots and numbers is not None:
                yield leaf.name, leaf, numbers

    def _roots(self) -> set[Part]:
        assert self.model is not None
        return {part.root for part in self._recorder.forest.below(self.model)}

    # Reports --------------------------------------------------------------------------------------------------------

    @property
    def findings(self) -> list[Finding]:
        """The faults that the rules saw so far."""
        return in_order(self._recorder.findings())

    def table(self) -> tuple[Row, ...]:
        """What is true of every module that has parameters or statistics of its own."""
        return table.rows(self._named(), self.expected, self._tied())

    def _tied(self) -> dict[str, list[str]]:
        if self.model is None:
            return {}
        names: dict[int, list[str]] = {}
        for name, parameter in self.model.named_parameters(remove_duplicate=False):
            names.setdefault(id(parameter), []).append(name)
        return {same[0]: same[1:] for same in names.values() if len(same) > 1}

    def report(self) -> WatchReport:
        """Everything that was seen until now."""
        return WatchReport(
            findings=tuple(self.findings),
            unexpected=self._unexpected(),
            table=self.table(),
            changes=self._changes(),
            steps=self._recorder.steps,
            seconds=self._recorder.spent,
            trouble=tuple(self._recorder.trouble),
        )

    # The manifest ---------------------------------------------------------------------------------------------------

    def _read_manifest(self) -> dict[str, Any]:
        if self.manifest is None or not self.manifest.exists():
            return {}
        found = json.loads(self.manifest.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or "parameters" not in found:
            raise ValueError(f"{self.manifest} is no manifest of freezelint")
        return found

    def _as_manifest(self) -> dict[str, Any]:
        parameters = {
            name: {
                "requires_grad": numbers.requires_grad,
                "group": numbers.group,
                "elements": numbers.elements,
                "training": bool(leaf.module and (module := leaf.module()) is not None and module.training),
            }
            for name, leaf, numbers in self._named()
            if leaf.parameter is not None
        }
        return {"freezelint": 1, "torch": torch.__version__, "parameters": parameters}

    def _changes(self) -> tuple[str, ...]:
        """Where this run differs from the one that wrote the manifest."""
        if not self._earlier or not self._recorder.steps:
            return ()
        before, now = self._earlier["parameters"], self._as_manifest()["parameters"]
        found: dict[str, list[str]] = {}
        for name in {**before, **now}:
            if name not in now or name not in before:
                found.setdefault("is new" if name in now else "is gone", []).append(name)
                continue
            for key, words in (("requires_grad", "requires_grad"), ("group", "group"), ("elements", "size")):
                if before[name].get(key) != now[name][key]:
                    text = f"had {words} {before[name].get(key)}, and has {now[name][key]}"
                    found.setdefault(text, []).append(name)
        return tuple(f"{_together(names)} {text}" for text, names in found.items())


def watch(model: nn.Module | None = None, *optimizers: torch.optim.Optimizer, **options: Any) -> Watch:
    """Watch a model and its optimizers: `with freezelint.watch(model, optimizer): …`. Options as in Watch."""
    return Watch(model, *optimizers, **options)


def _matches(name: str, pattern: str) -> bool:
    return name == pattern or name.startswith(f"{pattern}.") or fnmatchcase(name, pattern)


def _together(names: Sequence[str]) -> str:
    """A few names, or how many there are."""
    if len(names) <= 3:
        return ", ".join(f"`{name}`" for name in names)
    return f"`{names[0]}`, `{names[1]}` and {len(names) - 2} more"
