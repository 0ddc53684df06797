"""`freezelint confirm`: options to one request to run a program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from freezelint.cli.shared import WrongUse, colored, columns, common_folder, names, print_trace, reports


@click.command(short_help="Prove findings by a run of a few steps.")
@click.argument("target", metavar="SCRIPT|FACTORY")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARGS]…")
@click.option("--steps", type=click.IntRange(min=1), default=3, show_default=True, help="Steps of each optimizer.")
@click.option(
    "--until",
    type=click.Choice(["reached", "steps", "epoch", "end"]),
    default="reached",
    show_default=True,
    help="Stop after --steps that follow the last finding's line to run, waiting half a minute for it; after --steps;"
    " after one epoch and --steps of the next; or never.",
)
@click.option(
    "--input", "inputs", multiple=True, metavar="SHAPE", help="A factory's: 8,3,224,224 or int64:8,128:0..99."
)
@click.option("--device", default="cpu", show_default=True, help="For a factory: cpu, cuda, mps or auto.")
@click.option("--amp", is_flag=True, help="For a factory: train under autocast.")
@click.option("--seed", type=int, default=0, show_default=True, help="For a factory.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="End the program after so many seconds.")
@names("--select", "Only these rules or groups of rules, whatever the configuration says.")
@names("--ignore", "Not these rules or groups of rules.")
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@reports(("text", "json", "html"), "html=confirm.html")
@click.option("--isolated", is_flag=True, help="Ignore every configuration file.")
@click.option("--trace", is_flag=True, help="Print the training events of the run, on standard error.")
@click.option("--quiet", "-q", is_flag=True, help="No source and no story, only verdicts.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
def confirm(target: str, arguments: tuple[str, ...], **options: Any) -> int:
    """Run a training script for a few steps, and say of every finding whether it is true.

    A factory, `pkg.module:function`, returns a model, (model, optimizer), or a dict that may add loss and batch.
    The script runs as it is, with ARGS as its own arguments. Every finding of `check` is confirmed, refuted, not
    reached or could not be judged, with numbers from the run.

    Exit status: 0 nothing confirmed, 1 something confirmed, 2 could not judge, or wrong use.
    """
    from freezelint import config as settings
    from freezelint import confirm as confirming
    from freezelint.report.base import Style

    try:
        config = settings.Config() if options["isolated"] else settings.find(common_folder([Path(target)]))
        config = config.overridden(select=options["select"], ignore=options["ignore"])
        request = confirming.Request(
            target,
            arguments,
            steps=options["steps"],
            until=options["until"],
            timeout=options["timeout"],
            output_format=options["output_format"],
            reports=options["reports"],
            trace=print_trace if options["trace"] else None,
            inputs=options["inputs"],
            device=options["device"],
            amp=options["amp"],
            seed=options["seed"],
        )
        return confirming.confirm(
            request, config, Style(colored(options["color"]), options["quiet"], columns=columns())
        )
    except (settings.ConfigError, confirming.CannotRun) as error:
        raise WrongUse(str(error)) from None
