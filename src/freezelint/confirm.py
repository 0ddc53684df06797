"""`confirm`: check a script, run it for a few steps under the recorder, and say of every finding what the run shows."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from freezelint import api
from freezelint.config import Config
from freezelint.finding import Finding
from freezelint.notices import NOTICES
from freezelint.reach import leads_to
from freezelint.report import text
from freezelint.report.base import Report, Style
from freezelint.report.json import as_dict

if TYPE_CHECKING:
    from freezelint.live.launch import Ran
    from freezelint.live.ranks import Together
    from freezelint.live.verdict import Judged

CONFIRMED, NOTHING, UNJUDGED = 1, 0, 2

NO_TORCH = "confirm runs your program, and torch is not installed here: pip install 'freezelint[live]'"


class CannotRun(Exception):
    """There is nothing to run; its text is one line for the user."""


@dataclass(frozen=True)
class Request:
    """What to run, and how long."""

    target: str
    arguments: Sequence[str] = ()
    steps: int = 3
    until: str = "steps"
    timeout: float | None = None
    output_format: str = "text"
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
    if request.output_format == "json":
        write(json.dumps(_as_json(ran, judged, alone), indent=2) + "\n")
    else:
        for piece in _as_text(ran, judged, alone, checked, style, rules):
            write(piece)
    return status


def _line(report: Report, finding: Finding) -> str:
    lines = report.lines_of(finding.site)
    return lines[finding.site.line - 1] if 0 < finding.site.line <= len(lines) else ""


def _status(ran: Ran, judged: Sequence[Judged], alone: Sequence[Judged]) -> int:
    if alone or any(one.verdict == "confirmed" for one in judged):
        return CONFIRMED
    if ran.recorder.steps == 0 and (ran.failed or ran.stopped_by in ("timeout", "KeyboardInterrupt")):
        return UNJUDGED
    return NOTHING


def _as_json(ran: Ran, judged: Sequence[Judged], alone: Sequence[Judged]) -> dict[str, Any]:
    from freezelint.live.launch import TORCH

    return {
        "findings": [_record(one) for one in judged],
        "live_only": [_record(one) for one in alone],
        "run": {
            "device": ran.device,
            "torch": TORCH,
            "steps": ran.recorder.steps,
            "seconds": round(ran.seconds, 3),
            "overhead": round(ran.overhead, 4),
            "stopped_by": ran.stopped_by,
            "error": None if not ran.failed else f"{type(ran.error).__name__}: {ran.error}",
            "not_reached": [
                f"{one.finding.site.path}:{one.finding.site.line}" for one in judged if one.verdict == "not reached"
            ],
            **({"ranks": ran.together.as_dict()} if ran.together is not None else {}),
        },
    }


def _record(one: Judged) -> dict[str, Any]:
    return {**as_dict(one.finding), "verdict": one.verdict, "evidence": {"why": one.why, **one.evidence}}


def _as_text(
    ran: Ran,
    judged: Sequence[Judged],
    alone: Sequence[Judged],
    checked: Report,
    style: Style,
    rules: Any,
) -> Iterator[str]:
    from freezelint.live.launch import TORCH
    from freezelint.live.verdict import in_words

    def block(one: Judged) -> Iterator[str]:
        rule = rules.get(one.finding.rule)
        # How to confirm it by hand is no longer the question.
        yield from text.block(replace(one.finding, confirm=""), checked, style)
        numbers = in_words(one.evidence, rule.group if rule else "")
        said = f"  {one.verdict}: {text.printable(one.why)}\n"
        if numbers:
            said += f"  measured: {text.printable(numbers)}\n"
        yield said + "\n"

    yield "\n"
    for one in judged:
        yield from block(one)
    if alone:
        yield "Seen in the run only:\n\n"
        for one in alone:
            yield from block(one)
    counts = [
        f"{sum(one.verdict == name for one in judged)} {words}"
        for name, words in (
            ("confirmed", "confirmed"),
            ("refuted", "refuted"),
            ("not reached", "not reached"),
            ("could not judge", "could not be judged"),
        )
    ]
    plural = "" if len(alone) == 1 else "s"
    yield f"{', '.join(counts)}; {len(alone)} fault{plural} that only the run shows\n"
    if not ran.recorder.steps and not ran.failed:
        yield "no optimizer took a step in this process: what trains in another one, or not at all, is not seen\n"
    if ran.together is not None:
        yield _of_ranks(ran.together)
    for trouble in ran.recorder.trouble:
        yield f"the recorder had trouble, please report it: {text.printable(trouble)}\n"
    yield (
        f"{_count(ran.recorder.steps, 'step')} on {ran.device} with torch {TORCH}, {_ending(ran)}, "
        f"in {ran.seconds:.1f} s; watching took {ran.recorder.spent:.2f} s of it ({ran.overhead:.0%})\n"
    )


def _of_ranks(together: Together) -> str:
    """What became of the other processes, as one line."""
    if together.trouble:
        return f"{together.count} ranks; {text.printable(together.trouble)}\n"
    if not together.compared:
        return f"{together.count} ranks; no weights that a wrapper keeps equal were seen\n"
    apart = len(together.differences)
    said = f"{apart} of them differ by up to {together.largest:.3g}" if apart else "all of them equal"
    return f"{together.count} ranks; {_count(together.compared, 'parameter')} compared, {said}\n"


def _ending(ran: Ran) -> str:
    return {
        "steps": "ended by freezelint after enough steps",
        "end": "run to its end",
        "error": f"ended by {type(ran.error).__name__}",
        "timeout": "ended by the time limit",
    }.get(ran.stopped_by, f"ended by {ran.stopped_by}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
