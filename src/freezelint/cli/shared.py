"""What the commands share: options, exit statuses, and one line for wrong use."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from freezelint.finding import Severity
from freezelint.report.escape import printable

if TYPE_CHECKING:
    from freezelint.config import Settings

Command = TypeVar("Command", bound=Callable[..., Any])

NOTHING_FOUND, FOUND, WRONG_USE = 0, 1, 2

LEVELS = click.Choice([str(level) for level in sorted(Severity, reverse=True)], case_sensitive=False)


class WrongUse(click.ClickException):
    """One line about a wrong name or setting, without the usage text that helps with options only."""

    exit_code = WRONG_USE

    def format_message(self) -> str:
        """Names of files are part of it, and may hold anything."""
        return printable(self.message)


def split(ctx: click.Context, param: click.Parameter, value: Iterable[str]) -> tuple[str, ...]:
    """An option that may be repeated, and whose values are names separated by commas."""
    return tuple(name.strip() for listed in value for name in listed.split(",") if name.strip())


def names(option: str, text: str) -> Callable[[Command], Command]:
    """An option that takes slugs and groups."""
    return click.option(
        option, multiple=True, metavar="SLUG,…", callback=split, help=text, shell_complete=complete_names
    )


def complete_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The slugs and groups that the last of some names may become; an argument takes one slug only."""
    from freezelint.notices import NOTICES
    from freezelint.trace.check import all_rules

    before, comma, last = incomplete.rpartition(",") if isinstance(param, click.Option) else ("", "", incomplete)
    known = {slug: rule.summary for slug, rule in all_rules().items()} | NOTICES
    if isinstance(param, click.Option):
        known |= {rule.group: f"every rule of {rule.group}" for rule in all_rules().values()}
    return [
        CompletionItem(before + comma + name, help=help_text)
        for name, help_text in sorted(known.items())
        if name.startswith(last)
    ]


def settings_of(options: dict[str, Any]) -> Settings:
    """The configurations that hold, as the options of a command change them."""
    from freezelint.config import Config, Layers

    def change(config: Config) -> Config:
        return config.overridden(
            select=options["select"],
            extend_select=options.get("extend_select", ()),
            ignore=options["ignore"],
            exclude=options.get("exclude", ()),
            severity=level(options.get("severity")),
            fail_on=level(options.get("fail_on")),
        )

    settings = change(Config())  # a wrong option is refused before any file is read
    return settings if options["isolated"] else Layers(change)


def common_folder(paths: Iterable[Path], stdin_filename: Path | None = None) -> Path:
    """The folder that holds all of `paths`; `-` lies where the file of that name would."""
    named = [(stdin_filename or Path("<stdin>")) if str(path) == "-" else path for path in paths]
    folders = [os.path.abspath(path if os.path.isdir(path) else path.parent) for path in named]
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:  # on several drives
        return Path.cwd()


cache_dir = click.option(
    "--cache-dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="FREEZELINT_CACHE_DIR",
    help="The folder of the cache (default: .freezelint_cache at the top of the project; $FREEZELINT_CACHE_DIR).",
)


def cache_of(paths: Iterable[Path], options: dict[str, Any]) -> Path:
    """The folder of the cache."""
    from freezelint import cache

    named: Path | None = options["cache_dir"]
    return named or cache.where(common_folder(paths))


def level(text: str | None) -> Severity | None:
    return None if text is None else Severity.parse(text)


def print_trace(line: str) -> None:
    print(printable(line), file=sys.stderr)


def colored(choice: str) -> bool:
    """Colour on a terminal, unless https://no-color.org says otherwise."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stdout.isatty() and os.environ.get("TERM") != "dumb")


def columns() -> int:
    """How wide the terminal is, 0 where the output goes anywhere else."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def reports(formats: Sequence[str], example: str) -> Callable[[Any], Any]:
    """The option `--report FORMAT=FILE`, for the formats that a command writes."""

    def parsed(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> list[tuple[str, Path]]:
        found = []
        for text in value:
            form, _, file = text.partition("=")
            if form not in formats or not file:
                raise click.BadParameter(f"{text!r} is not FORMAT=FILE, with a format of {', '.join(formats)}")
            found.append((form, Path(file)))
        return found

    told = f"Write a report to a file as well, as in {example}."
    return click.option("--report", "reports", multiple=True, metavar="FORMAT=FILE", callback=parsed, help=told)
