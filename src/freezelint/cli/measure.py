"""`freezelint measure`: options to one request, its result to a format."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from freezelint.cli.shared import FOUND, NOTHING_FOUND, WrongUse, reports, split
from freezelint.measure.models import MODELS
from freezelint.measure.strategies import OPTIMIZERS, STRATEGIES

FORMATS = ("text", "json", "markdown", "html")
INTERRUPTED = 130


def _completed(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names that an option of this command takes."""
    names = {"model": [*MODELS], "strategies": [*STRATEGIES], "optimizers": [*OPTIMIZERS]}
    before, comma, last = incomplete.rpartition(",")
    return [CompletionItem(before + comma + name) for name in names[str(param.name)] if name.startswith(last)]


def _size(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    from freezelint.measure.rows import parsed_size

    found = None if value is None else parsed_size(value)
    if value is not None and not found:
        raise WrongUse(f"--budget: {value!r} is no size: write 8GiB, 500MB, or a number of bytes")
    return found


@click.command(short_help="Measure what each way of freezing costs.")
@click.argument("factory", required=False)
@click.option(
    "--model", metavar="NAME", shell_complete=_completed, help=f"One of ours, with random weights: {', '.join(MODELS)}."
)
@click.option("--input", "inputs", multiple=True, metavar="SHAPE", help="8,3,224,224 or int64:8,128:0..99.")
@click.option("--batch", type=click.IntRange(min=1), help="So many samples, whatever the input says.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, mps or auto.")
@click.option("--head", metavar="PART", help="What trains when all else is frozen (default: what runs last).")
@click.option("--cut", "cuts", multiple=True, metavar="PART,…", callback=split, help="Train from this part on.")
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    metavar="NAME,…",
    callback=split,
    shell_complete=_completed,
    help=f"Only these (default: all): {', '.join(STRATEGIES)}.",
)
@click.option(
    "--optimizer",
    "optimizers",
    multiple=True,
    metavar="NAME,…",
    callback=split,
    shell_complete=_completed,
    help=f"Only these (default: all): {', '.join(OPTIMIZERS)}.",
)
@click.option("--amp", is_flag=True, help="Each strategy also under autocast with bfloat16.")
@click.option("--steps", type=click.IntRange(min=1), default=5, show_default=True, help="Steps that are timed.")
@click.option("--warm-up", type=click.IntRange(min=0), default=2, show_default=True, help="Steps before them.")
@click.option("--budget", metavar="SIZE", callback=_size, help="Say what fits into so much memory: 8GiB, 500MB.")
@click.option("--largest-batch", "largest", is_flag=True, help="Look for the largest batch that fits.")
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), default=600.0, show_default=True, help="Seconds."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--output-format", type=click.Choice(FORMATS), default="text", show_default=True)
@reports(FORMATS, "html=measure.html")
@click.option("--quiet", "-q", is_flag=True, help="Do not say on standard error how far it is.")
def measure(factory: str | None, **options: Any) -> int:
    """Measure what each way of freezing costs: memory by kind, time, and whether the frozen part stays as it is.

    A factory, `pkg.module:function`, returns a model, or a dict with model and perhaps loss and batch. Every strategy
    runs in a process of its own; one that fails or runs out of memory is a row like the others.

    Exit status: 0 measured, 1 nothing fits the budget, 2 wrong use, or nothing could be measured.
    """
    from freezelint.measure import plan

    reports, form, quiet = options.pop("reports"), options.pop("output_format"), options.pop("quiet")
    options["optimizers"] = options["optimizers"] or tuple(OPTIMIZERS)
    progress = Progress(wanted=not quiet)
    try:
        result = plan.measure(plan.Request(factory, **options), progress)
    except plan.CannotMeasure as error:
        raise WrongUse(str(error)) from None
    finally:
        progress.clear()
    for name, file in reports:
        _write(file, "".join(_renderer(name)(result)))
    for piece in _renderer(form)(result):
        sys.stdout.write(piece)
    if result.settings["interrupted"]:
        return INTERRUPTED
    if result.budget is not None and not result.fitting:
        return FOUND
    return NOTHING_FOUND if any(row.measured for row in result.rows) else WrongUse.exit_code


def _renderer(form: str) -> Any:
    return importlib.import_module(f"freezelint.measure.{form}").render


def _write(file: Path, text: str) -> None:
    from freezelint import files

    try:
        files.replace(file, text.encode("utf-8"))
    except OSError as error:
        raise WrongUse(f"{file}: the report cannot be written: {error.strerror or error}") from None


class Progress:
    """Which row comes next: one line that is overwritten on a terminal, a line each elsewhere."""

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted
        self.terminal = sys.stderr.isatty()

    def __call__(self, number: int, total: int, what: str) -> None:
        from freezelint.report.escape import printable

        if self.wanted:
            line = printable(f"{number} of {total}: {what}" if total else what)
            if self.terminal:
                line = "\r\x1b[K" + line[: shutil.get_terminal_size().columns - 1]
            print(line, file=sys.stderr, end="" if self.terminal else "\n", flush=True)

    def clear(self) -> None:
        """Leave nothing behind on a terminal."""
        if self.wanted and self.terminal:
            print("\r\x1b[K", file=sys.stderr, end="", flush=True)
