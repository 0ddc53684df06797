"""`freezelint lsp`: the language server."""

from __future__ import annotations

import importlib.util

import click

from freezelint.cli.shared import WrongUse
from freezelint.refused import missing


@click.command(short_help="Serve an editor as a language server.")
def lsp() -> None:
    """Serve an editor on standard input and output (needs the extra: pip install '.[lsp]' in freezelint's checkout)."""
    if importlib.util.find_spec("pygls") is None:
        raise WrongUse(missing("the language server", "pygls", "lsp"))
    from freezelint.lsp import serve

    serve()
