"""`freezelint rules`, `explain` and `new-rule`: the rulebook in the terminal."""

from __future__ import annotations

from pathlib import Path

import click

from freezelint.cli.shared import WrongUse, complete_names
from freezelint.nearest import did_you_mean


@click.command()
@click.argument("slug", shell_complete=complete_names)
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
        raise WrongUse(
            f"no rule is called {slug!r}{did_you_mean(slug, [*rules, *NOTICES]) or '; `freezelint rules` lists them'}"
        )


@click.command()
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


@click.command("new-rule", short_help="Begin a rule, in a checkout of freezelint.")
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
