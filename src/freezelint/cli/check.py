"""`freezelint check`: options to one call of the api, its report to a format, its findings to an exit status."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click

from freezelint.cli.shared import (
    FOUND,
    LEVELS,
    NOTHING_FOUND,
    WRONG_USE,
    WrongUse,
    colored,
    common_folder,
    level,
    names,
    print_trace,
)
from freezelint.report.base import FORMATS


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@names("--select", "Only these rules or groups of rules, whatever the configuration says.")
@names("--extend-select", "These rules as well.")
@names("--ignore", "Not these rules or groups of rules.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Skip what matches, as a line of .gitignore would.")
@click.option("--severity", type=LEVELS, help="The lowest severity that is shown (default: info).")
@click.option("--fail-on", type=LEVELS, help="The lowest severity that makes the exit status 1 (default: warning).")
@click.option("--output-format", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--exit-zero", is_flag=True, help="Exit with 0 even when something is found.")
@click.option("--isolated", is_flag=True, help="Ignore every pyproject.toml.")
@click.option("--no-cache", is_flag=True, hidden=True, help="For scripts: there is no cache.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Check in so many processes.")
@click.option("--statistics", is_flag=True, help="Count the findings of each rule.")
@click.option("--trace", is_flag=True, help="Print the training events that freezelint saw, on standard error.")
@click.option("--show-files", is_flag=True, help="List the files that would be checked, and stop.")
@click.option("--quiet", "-q", is_flag=True, help="One line for each finding, and no summary.")
@click.option("--verbose", "-v", is_flag=True, help="Say on standard error what was read and how long it took.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
@click.option("--stdin-filename", type=click.Path(path_type=Path), help="The name of the file that `-` reads.")
def check(paths: tuple[Path, ...], **options: Any) -> int:
    """Check files and folders (default: the current folder); `-` reads standard input.

    Exit status: 0 nothing found, 1 findings at or above --fail-on, 2 wrong use or internal error.
    """
    from freezelint import config as settings

    from_stdin = Path("-") in paths
    if from_stdin and len(paths) > 1:
        raise click.UsageError("`-` (standard input) cannot be checked together with other paths.")
    if options["stdin_filename"] and not from_stdin:
        raise click.UsageError("--stdin-filename needs `-` as the path.")
    if from_stdin:
        paths = (options["stdin_filename"] or Path("<stdin>"),)
    paths = paths or (Path("."),)
    try:
        config = settings.Config() if options["isolated"] else settings.find(common_folder(paths))
        config = config.overridden(
            select=options["select"],
            extend_select=options["extend_select"],
            ignore=options["ignore"],
            exclude=options["exclude"],
            severity=level(options["severity"]),
            fail_on=level(options["fail_on"]),
        )
    except settings.ConfigError as error:
        raise WrongUse(str(error)) from None
    if options["show_files"]:
        return _show_files(paths, config)
    return _check(paths, config, from_stdin, options)


def _check(paths: tuple[Path, ...], config: Any, from_stdin: bool, options: dict[str, Any]) -> int:
    from freezelint import api
    from freezelint.notices import INTERNAL_ERROR
    from freezelint.report.base import Style, renderer
    from freezelint.static.project import decode, display_path

    started = time.perf_counter()
    trace = print_trace if options["trace"] else None
    if from_stdin:
        name = str(paths[0]) if str(paths[0]) == "<stdin>" else display_path(paths[0])
        report = api.check_text(decode(sys.stdin.buffer.read(), name), config, trace=trace)
    else:
        report = api.check(paths, config, jobs=options["jobs"], trace=trace)

    as_text = options["output_format"] == "text"
    style = Style(colored(options["color"]), options["quiet"], options["statistics"])
    for piece in renderer(options["output_format"])(report, style):
        sys.stdout.write(piece)
    if options["statistics"] and not as_text:
        for rule, count in report.statistics():
            print(f"{count:>6}  {rule}", file=sys.stderr)
    if options["verbose"]:
        print(
            f"configuration: {config.file or 'none'}; rules: {len(config.rules())}; files: {report.files}; "
            f"{time.perf_counter() - started:.2f} s",
            file=sys.stderr,
        )
    if any(finding.rule == INTERNAL_ERROR for finding in report.findings):
        return WRONG_USE
    failed = report.worst is not None and report.worst >= config.fail_on
    return FOUND if failed and not options["exit_zero"] else NOTHING_FOUND


def _show_files(paths: tuple[Path, ...], config: Any) -> int:
    from freezelint.report.text import printable
    from freezelint.static.project import discover, display_path

    for file in discover(paths, config):
        print(printable(display_path(file)))
    return NOTHING_FOUND
