"""`freezelint clean`: remove the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from freezelint.cli.shared import cache_dir, cache_of


@click.command(short_help="Remove the cache of a project.")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@cache_dir
def clean(paths: tuple[Path, ...], **options: Any) -> None:
    """Remove the cache of the project around these paths (default: the current folder)."""
    from freezelint.cache import Cache
    from freezelint.report.escape import printable
    from freezelint.static.project import display_path

    folder = cache_of(paths or (Path("."),), options)
    click.echo(f"{printable(display_path(folder))}: {'removed' if Cache(folder).clean() else 'nothing to remove'}")
