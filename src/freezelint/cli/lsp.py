"""`freezelint lsp`: the language server."""

from __future__ import annotations

import importlib.util

import click

from freezelint.cli.shared import WrongUse


@click.command()
def lsp() -> None:
    """Serve an editor on standard input and output (needs the extra: pip install 'freezelint[lsp]')."""
    if importlib.util.find_spec("pygls") is None:
        raise WrongUse("the language server needs pygls, which is not installed here: pip install 'freezelint[lsp]'")
    from freezelint.lsp import serve

    serve()
