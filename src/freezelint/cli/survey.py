"""`freezelint survey`: many repositories to one table and a summary."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import click

from freezelint.cli.progress import Progress
from freezelint.cli.shared import NOTHING_FOUND, WRONG_USE, WrongUse, names
from freezelint.refused import missing

PATIENCE = 10  # seconds in which a scheduler has to answer


@click.command(short_help="Check many repositories.")
@click.argument("repositories", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default="survey.jsonl",
    show_default=True,
    help="The table: a line of JSON for each repository, or a Parquet file (.parquet, needs pyarrow).",
)
@names("--select", "As for `check`.")
@names("--ignore", "As for `check`.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Check in so many processes.")
@click.option("--scheduler", metavar="ADDRESS", help="Check on a Dask cluster, tcp://… (needs the extra .[scale]).")
def survey(repositories: Path, **options: Any) -> int:
    """Check many repositories: the folders in a folder, or those that a file lists, one a line.

    Each is checked by itself and without its configuration. Exit status: 0, or 2 when one could not be checked.
    """
    from freezelint.config import ConfigError, require_known
    from freezelint.survey import summary, survey

    rules = {"select": options["select"], "ignore": options["ignore"]}
    try:
        for option, chosen in rules.items():
            require_known(chosen, f"--{option}")
    except ConfigError as error:
        raise WrongUse(str(error)) from None
    folders = list(_listed(repositories))
    kept: list[dict[str, Any]] = []
    with _executor(options) as executor, Progress(wanted=True) as progress:
        rows = _written(options["output"], survey(folders, executor, **rules))
        for number, row in enumerate(rows, 1):
            progress(number, len(folders), Path(row["repository"]))
            kept.append({**row, "findings": [{"rule": finding["rule"]} for finding in row["findings"]]})
    for row in kept:
        if row["error"] is not None:
            click.echo(f"{row['repository']}: {row['error']}", err=True)
    for line in summary(kept):
        click.echo(line)
    return WRONG_USE if any(row["error"] is not None for row in kept) else NOTHING_FOUND


def _listed(repositories: Path) -> Iterator[str]:
    if repositories.is_dir():
        with os.scandir(repositories) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
        yield from (entry.path for entry in entries if entry.is_dir() and not entry.name.startswith("."))
        return
    try:
        lines = repositories.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise WrongUse(f"{repositories}: is no list of folders: {error}") from None
    yield from (line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))


@contextlib.contextmanager
def _executor(options: dict[str, Any]) -> Iterator[Executor | None]:
    """What checks the repositories; None is this process."""
    if options["scheduler"]:
        try:
            from distributed import Client
        except ImportError:
            raise WrongUse(missing("--scheduler", "Dask", "scale")) from None
        try:
            client = Client(options["scheduler"], timeout=PATIENCE)
        except (OSError, ValueError) as error:
            raise WrongUse(f"--scheduler: {options['scheduler']} does not answer: {error}") from None
        with client:
            yield client.get_executor(pure=False)
    elif options["jobs"] > 1:
        from freezelint.processes import Pools

        with Pools(options["jobs"]) as pools:
            yield pools
    else:
        yield None


def _written(output: Path, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows, each of which is in the table by the time that it comes out."""
    from freezelint.survey import parquet

    try:
        if output.suffix == ".parquet":
            try:
                write = parquet()
            except ImportError:
                raise WrongUse(
                    f"{output}: Parquet needs pyarrow, which is not installed here: pip install pyarrow"
                ) from None
            yield from write(str(output), rows)
            return
        with open(output, "w", encoding="ascii", newline="\n") as file:
            for row in rows:
                file.write(json.dumps(row) + "\n")
                file.flush()
                yield row
    except OSError as error:
        raise WrongUse(f"{output}: the table cannot be written: {error.strerror or error}") from None
