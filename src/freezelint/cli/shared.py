"""What the commands share: options, exit statuses, and one line for wrong use."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from freezelint.finding import Severity

Command = TypeVar("Command", bound=Callable[..., Any])

NOTHING_FOUND, FOUND, WRONG_USE = 0, 1, 2

LEVELS = click.Choice([str(level) for level in sorted(Severity, reverse=True)], case_sensitive=False)


class WrongUse(click.ClickException):
    """One line about a wrong name or setting, without the usage text that helps with options only."""

    exit_code = WRONG_USE


def split(ctx: click.Context, param: click.Parameter, value: Iterable[str]) -> tuple[str, ...]:
    """An option that may be repeated, and whose values are names separated by commas."""
    return tuple(name.strip() for listed in value for name in listed.split(",") if name.strip())


def names(option: str, text: str) -> Callable[[Command], Command]:
    return click.option(option, multiple=True, metavar="SLUG,…", callback=split, help=text)


def common_folder(paths: Iterable[Path]) -> Path:
    """The folder whose configuration holds for all of `paths`."""
    folders = [os.path.abspath(path if os.path.isdir(path) else path.parent) for path in paths]
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:  # on several drives
        return Path.cwd()


def level(text: str | None) -> Severity | None:
    return None if text is None else Severity.parse(text)


def print_trace(line: str) -> None:
    print(line, file=sys.stderr)


def colored(choice: str) -> bool:
    """Colour on a terminal, unless https://no-color.org says otherwise."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (sys.stdout.isatty() and os.environ.get("TERM") != "dumb")
