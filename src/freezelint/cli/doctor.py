"""`freezelint doctor`: what freezelint sees of a project before it checks anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from freezelint.cli.shared import WrongUse, cache_dir, cache_of, names, settings_of


@click.command(short_help="Say what is checked, and what is assumed.")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@names("--select", "As for `check`.")
@names("--ignore", "As for `check`.")
@click.option("--isolated", is_flag=True, help="Ignore every configuration file.")
@cache_dir
def doctor(paths: tuple[Path, ...], **options: Any) -> None:
    """Say what is configured, which files are checked and which are not and why, and what is assumed of libraries."""
    from freezelint import doctor
    from freezelint.config import ConfigError

    try:
        paths = paths or (Path("."),)
        for line in doctor.report(paths, settings_of(options), cache_of(paths, options)):
            click.echo(line)
    except ConfigError as error:
        raise WrongUse(str(error)) from None
