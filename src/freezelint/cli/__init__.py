"""The command line: arguments to one call, its outcome to an exit status. No logic of its own; a file a command."""

from __future__ import annotations

import os

import click
from click.shell_completion import CompletionItem

from freezelint import __version__
from freezelint.cli import check, clean, confirm, doctor, lsp, measure, rules, survey
from freezelint.cli.shared import WRONG_USE, WrongUse
from freezelint.nearest import nearest

__all__ = ["WRONG_USE", "cli"]


class DefaultToCheck(click.Group):
    """A group whose command may be left out: `freezelint .` is `freezelint check .`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if ctx.resilient_parsing and not args:
            return super().parse_args(ctx, args)  # for completion, which has the first word still to come
        if not args or (args[0] not in self.commands and args[0] not in ("--help", "-h", "--version")):
            if not ctx.resilient_parsing:
                self._refuse_mistyped_command(args)
            args = ["check", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands, and what the command that may be left out takes: its options, or files."""
        found = super().shell_complete(ctx, incomplete)
        return (
            found + check.check.shell_complete(ctx, incomplete)
            if incomplete.startswith("-")
            else found or [CompletionItem(incomplete, type="file")]
        )

    def _refuse_mistyped_command(self, args: list[str]) -> None:
        """`freezelint explian x` would otherwise be a complaint about a file of that name."""
        word = args[0] if args else ""
        if word.startswith("-") or os.sep in word or "." in word or os.path.lexists(word):
            return
        close = nearest(word, self.commands, cutoff=0.7)
        if close is not None:
            raise WrongUse(f"there is no command, file or folder {word!r}: did you mean {close!r}?")


@click.group(cls=DefaultToCheck, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="freezelint")
def cli() -> None:
    """Find out whether what you meant to freeze is frozen, and what you meant to train is trained.

    `freezelint PATH…` is short for `freezelint check PATH…`.
    """


for command in (
    check.check,
    confirm.confirm,
    measure.measure,
    rules.explain,
    rules.rules,
    doctor.doctor,
    clean.clean,
    survey.survey,
    lsp.lsp,
    rules.new_rule,
):
    cli.add_command(command)
