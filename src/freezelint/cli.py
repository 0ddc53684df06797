"""The command line: arguments to one call, its outcome to an exit status. No logic of its own."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from freezelint import __version__
from freezelint.finding import Severity
from freezelint.nearest import did_you_mean, nearest

Command = TypeVar("Command", bound=Callable[..., Any])

NOTHING_FOUND, FOUND, WRONG_USE = 0, 1, 2

LEVELS = click.Choice([str(level) for level in sorted(Severity, reverse=True)], case_sensitive=False)


class WrongUse(click.ClickException):
    """One line about a wrong name or setting, without the usage text that helps with options only."""

    exit_code = WRONG_USE


class DefaultToCheck(click.Group):
    """A group whose command may be left out: `freezelint .` is `freezelint check .`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("--help", "-h", "--version")):
            self._refuse_mistyped_command(args)
            args = ["check", *args]
        return super().parse_args(ctx, args)

    def _refuse_mistyped_command(self, args: list[str]) -> None:
        """`freezelint explian x` would otherwise be a complaint about a file of that name."""
        word = args[0] if args else ""
        if word.startswith("-") or os.sep in word or "." in word or os.path.lexists(word):
            return
        close = nearest(word, self.commands, cutoff=0.7)
        if close is not None:
            raise WrongUse(f"there is no command, file or folder {word!r}: did you mean {close!r}?")


def _split(ctx: click.Context, param: click.Parameter, value: Iterable[str]) -> tuple[str, ...]:
    """An option that may be repeated, and whose values are names separated by commas."""
    return tuple(name.strip() for names in value for name in names.split(",") if name.strip())


def _names(option: str, text: str) -> Callable[[Command], Command]:
    return click.option(option, multiple=True, metavar="SLUG,…", callback=_split, help=text)


@click.group(cls=DefaultToCheck, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="freezelint")
def cli() -> None:
    """Find out whether what you meant to freeze is frozen, and what you meant to train is trained.

    `freezelint PATH…` is short for `freezelint check PATH…`.
    """


@cli.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@_names("--select", "Only these rules or groups of rules, whatever the configuration says.")
@_names("--extend-select", "These rules as well.")
@_names("--ignore", "Not these rules or groups of rules.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Skip what matches, as a line of .gitignore would.")
@click.option("--severity", type=LEVELS, help="The lowest severity that is shown (default: info).")
@click.option("--fail-on", type=LEVELS, help="The lowest severity that makes the exit status 1 (default: warning).")
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
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
        config = settings.Config() if options["isolated"] else settings.find(_common_folder(paths))
        config = config.overridden(
            select=options["select"],
            extend_select=options["extend_select"],
            ignore=options["ignore"],
            exclude=options["exclude"],
            severity=_level(options["severity"]),
            fail_on=_level(options["fail_on"]),
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
    trace = _print_trace if options["trace"] else None
    if from_stdin:
        name = str(paths[0]) if str(paths[0]) == "<stdin>" else display_path(paths[0])
        report = api.check_text(decode(sys.stdin.buffer.read(), name), config, trace=trace)
    else:
        report = api.check(paths, config, jobs=options["jobs"], trace=trace)

    as_text = options["output_format"] == "text"
    style = Style(_colored(options["color"]), options["quiet"], options["statistics"])
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


def _common_folder(paths: Iterable[Path]) -> Path:
    """The folder whose configuration holds for all of `paths`."""
    folders = [os.path.abspath(path if os.path.isdir(path) else path.parent) for path in paths]
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:  # on several drives
        return Path.cwd()


def _level(text: str | None) -> Severity | None:
    return None if text is None else Severity.parse(text)


def _print_trace(line: str) -> None:
    print(line, file=sys.stderr)


def _colored(choice: str) -> bool:
    """Colour on a terminal, unless https://no-color.org says otherwise."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stdout.isatty() and os.environ.get("TERM") != "dumb")


@cli.command()
@click.argument("target", metavar="SCRIPT|FACTORY")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARGS]…")
@click.option("--steps", type=click.IntRange(min=1), default=3, show_default=True, help="Steps of each optimizer.")
@click.option(
    "--until",
    type=click.Choice(["steps", "epoch", "end"]),
    default="steps",
    show_default=True,
    help="Stop after --steps; after one epoch and --steps of the next; or never.",
)
@click.option(
    "--input", "inputs", multiple=True, metavar="SHAPE", help="A factory's: 8,3,224,224 or int64:8,128:0..99."
)
@click.option("--device", default="cpu", show_default=True, help="For a factory: cpu, cuda, mps or auto.")
@click.option("--amp", is_flag=True, help="For a factory: train under autocast.")
@click.option("--seed", type=int, default=0, show_default=True, help="For a factory.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="End the program after so many seconds.")
@_names("--select", "Only these rules or groups of rules, whatever the configuration says.")
@_names("--ignore", "Not these rules or groups of rules.")
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--isolated", is_flag=True, help="Ignore every pyproject.toml.")
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
        config = settings.Config() if options["isolated"] else settings.find(_common_folder([Path(target)]))
        config = config.overridden(select=options["select"], ignore=options["ignore"])
        request = confirming.Request(
            target,
            arguments,
            steps=options["steps"],
            until=options["until"],
            timeout=options["timeout"],
            output_format=options["output_format"],
            trace=_print_trace if options["trace"] else None,
            inputs=options["inputs"],
            device=options["device"],
            amp=options["amp"],
            seed=options["seed"],
        )
        return confirming.confirm(request, config, Style(_colored(options["color"]), options["quiet"]))
    except (settings.ConfigError, confirming.CannotRun) as error:
        raise WrongUse(str(error)) from None


@cli.command()
@click.argument("slug")
def explain(slug: str) -> None:
    """Show the page of a rule."""
    from freezelint.notices import NOTICES
    from freezelint.trace.check import all_rules

    rules = all_rules()
    if slug in rules:
        rule = rules[slug]
        click.echo(f"{slug} ({rule.severity}, group {rule.group})\n\n{rule.page.strip()}")
    elif slug in NOTICES:
        click.echo(f"{slug}\n\n{NOTICES[slug]}")
    else:
        raise WrongUse(f"no rule is called {slug!r}{did_you_mean(slug, [*rules, *NOTICES])}")


@cli.command()
def rules() -> None:
    """List the rules by group."""
    from freezelint.trace.check import all_rules

    found = all_rules().values()
    widest = max((len(rule.slug) for rule in found), default=0)
    for group in sorted({rule.group for rule in found}):
        click.echo(f"{group}:")
        for rule in found:
            if rule.group == group:
                click.echo(f"  {rule.slug:<{widest}}  {rule.severity!s:<7}  {rule.summary}")


@cli.command("new-rule")
@click.argument("group")
@click.argument("slug")
@click.option("--root", type=click.Path(path_type=Path, file_okay=False), default=".", help="The checkout to write to.")
def new_rule(group: str, slug: str, root: Path) -> None:
    """For contributors: write the rule file and the case file of a new rule into a checkout of freezelint."""
    from freezelint import scaffold

    known = scaffold.groups(root)
    if known and group not in known:
        raise WrongUse(f"no group is called {group!r}{did_you_mean(group, known)}")
    try:
        for file in scaffold.new_rule(root, group, slug):
            click.echo(f"wrote {file}")
    except (scaffold.ScaffoldError, OSError) as error:
        raise WrongUse(str(error)) from None
