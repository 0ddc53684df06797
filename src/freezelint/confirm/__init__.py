"""`confirm`: check a script, run it for a few steps under the recorder, and say of every finding what the run shows."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from freezelint import api
from freezelint.config import Config
from freezelint.finding import Finding
from freezelint.notices import NOTICES
from freezelint.reach import leads_to
from freezelint.refused import missing
from freezelint.report.base import Report, Style

if TYPE_CHECKING:
    from freezelint.live.launch import Ran
    from freezelint.live.verdict import Judged
    from freezelint.trace.check import Rule

CONFIRMED, NOTHING, UNJUDGED = 1, 0, 2

FORMATS = ("text", "json", "html")

NO_TORCH = missing("confirm", "torch", "live")


class CannotRun(Exception):
    """There is nothing to run; its text is one line for the user."""


@dataclass(frozen=True)
class Outcome:
    """What a report is made of: the run, the verdict on each finding of `check`, and what only the run showed."""

    ran: Ran
    judged: Sequence[Judged]
    alone: Sequence[Judged]
    checked: Report
    rules: Mapping[str, Rule]


@dataclass(frozen=True)
class Request:
    """What to run, and how long."""

    target: str
    arguments: Sequence[str] = ()
    steps: int = 3
    until: str = "reached"
    timeout: float | None = None
    output_format: str = "text"
    reports: Sequence[tuple[str, Path]] = ()
    trace: Callable[[str], None] | None = None
    inputs: Sequence[str] = ()
    device: str = "cpu"
    amp: bool = False
    seed: int = 0

    @property
    def is_factory(self) -> bool:
        """Whether the target is `pkg.module:name` and no file."""
        module, colon, name = self.target.partition(":")
        whole = all(part.isidentifier() for part in [*module.split("."), *name.split(".")])
        return bool(colon) and whole and not os.path.exists(self.target)


def confirm(request: Request, config: Config, style: Style) -> int:
    """Run the target and report; the exit status."""
    if importlib.util.find_spec("torch") is None:
        raise CannotRun(NO_TORCH)
    path = _source_of(request.target) if request.is_factory else Path(request.target)
    if not path.is_file():
        raise CannotRun(f"{request.target} is no file: name a Python script, or a factory as pkg.module:function")
    if path.suffix == ".ipynb":
        raise CannotRun(f"{request.target} is a notebook: save its code as a script, or confirm a factory")
    try:
        compile(path.read_bytes(), path, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError) as error:
        raise CannotRun(f"{path} cannot be run: {error}") from None
    checked = api.check(leads_to(path), config)
    findings = [finding for finding in checked.findings if finding.rule not in NOTICES]

    from freezelint.live.launch import Launch, Limits

    lines: dict[str, list[int]] = {}
    for finding in findings:
        lines.setdefault(os.path.realpath(finding.site.path), []).append(finding.site.line)
    with _output(request.output_format) as write:

        def finish(ran: Ran) -> int:
            return _conclude(ran, findings, checked, config, request, style, write)

        limits = Limits(request.steps, "end" if request.is_factory else request.until, request.timeout)
        launch = Launch(config.rules().values(), lines, limits, trace=request.trace, finish=finish)
        if not request.is_factory:
            return launch.script(str(path), request.arguments)
        from freezelint.live import factory

        try:
            body = factory.training(
                request.target,
                request.inputs,
                steps=request.steps,
                device=request.device,
                amp=request.amp,
                seed=request.seed,
            )
        except factory.FactoryError as error:
            raise CannotRun(str(error)) from None
        return launch.call(body)


def _source_of(target: str) -> Path:
    """The file of a factory's module."""
    module = target.partition(":")[0]
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError) as error:
        raise CannotRun(f"{module} cannot be imported: {error}") from None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise CannotRun(f"there is no module {module!r} here: start freezelint in the folder that holds it")
    return Path(spec.origin)


class _output:
    """Where the report goes. For JSON the program's own prints go to standard error, so that stdout is JSON alone."""

    def __init__(self, output_format: str) -> None:
        self.redirect = output_format == "json"

    def __enter__(self) -> Callable[[str], None]:
        if not self.redirect:
            return self._plain
        sys.stdout.flush()
        self._stdout = sys.stdout
        self._saved: int | None = None
        try:
            self._saved = os.dup(1)
            os.dup2(2, 1)
        except OSError:  # there is no such descriptor: what Python prints is all there is
            self._saved = None
        sys.stdout = sys.stderr
        return self._json

    @staticmethod
    def _plain(piece: str) -> None:
        sys.stdout.write(piece)
        sys.stdout.flush()

    def _json(self, piece: str) -> None:
        self._restore()
        sys.stdout.write(piece)
        sys.stdout.flush()

    def _restore(self) -> None:
        if self.redirect:
            self.redirect = False
            sys.stderr.flush()
            sys.stdout = self._stdout
            if self._saved is not None:
                os.dup2(self._saved, 1)
                os.close(self._saved)

    def __exit__(self, *error: object) -> None:
        self._restore()


def _conclude(
    ran: Ran,
    findings: Sequence[Finding],
    checked: Report,
    config: Config,
    request: Request,
    style: Style,
    write: Callable[[str], None],
) -> int:
    from freezelint.live import verdict

    rules = config.rules()
    judged, alone = verdict.judge(findings, rules, ran, checked.excused)
    alone = [
        replace(one, finding=replace(one.finding, source_line=_line(checked, one.finding)))
        for one in alone
        if one.finding.severity >= config.severity
    ]
    failing = [one for one in alone if one.finding.severity >= config.fail_on]
    status = _status(ran, judged, failing)
    outcome = Outcome(ran, judged, alone, checked, rules)
    for piece in _renderer(request.output_format)(outcome, style):
        write(piece)
    for form, file in request.reports:
        try:
            file.write_text("".join(_renderer(form)(outcome, style)), encoding="utf-8")
        except OSError as error:
            raise CannotRun(f"{file} cannot be written: {error.strerror or error}") from None
    return status


def _renderer(form: str) -> Callable[[Outcome, Style], Iterator[str]]:
    render: Callable[[Outcome, Style], Iterator[str]] = importlib.import_module(f"{__name__}.{form}").render
    return render


def _line(report: Report, finding: Finding) -> str:
    lines = report.lines_of(finding.site)
    return lines[finding.site.line - 1] if 0 < finding.site.line <= len(lines) else ""


def _status(ran: Ran, judged: Sequence[Judged], alone: Sequence[Judged]) -> int:
    if alone or any(one.verdict == "confirmed" for one in judged):
        return CONFIRMED
    if ran.recorder.steps == 0 and (ran.failed or ran.stopped_by in ("timeout", "KeyboardInterrupt")):
        return UNJUDGED
    return NOTHING
