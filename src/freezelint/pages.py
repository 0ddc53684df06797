"""The page of a rule, out of its docstring: for docs/rules, for reports and for editors."""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from freezelint.notices import NOTICES
from freezelint.report.base import Page
from freezelint.trace.check import HEADINGS

if TYPE_CHECKING:
    from freezelint.trace.check import Rule

SIDES = {
    "both": "`freezelint check` finds it in source, `freezelint confirm` in a run.",
    "static": "`freezelint check` finds it in source; a run cannot show it as such.",
    "live": "Only a run shows it: `freezelint confirm`.",
}
CODE = ("Bad", "Good")


class Pages(Mapping[str, Page]):
    """The pages of some rules and of the notices; a rule is imported once somebody asks for its page."""

    def __init__(self, slugs: Iterable[str]) -> None:
        self._slugs = [*NOTICES, *sorted(slugs)]

    def __getitem__(self, slug: str) -> Page:
        from freezelint.trace.check import rule_of

        rule = None if slug in NOTICES or slug not in self._slugs else rule_of(slug)
        return pages({slug: rule} if rule else {})[slug]

    def __iter__(self) -> Iterator[str]:
        return iter(self._slugs)

    def __len__(self) -> int:
        return len(self._slugs)


def pages(rules: Mapping[str, Rule]) -> dict[str, Page]:
    """What reports tell of rules and of the notices, by slug."""
    told = {slug: Page(slug, text, text=text, markdown=text) for slug, text in NOTICES.items()}
    for slug, rule in rules.items():
        told[slug] = Page(slug, rule.summary, rule.group, rule.severity, rule.page.strip(), markdown(rule))
    return told


def markdown(rule: Rule) -> str:
    """The page of one rule in Markdown."""
    parts = [f"# {rule.slug}", rule.summary, f"**{rule.severity}** · group {rule.group} · {SIDES[rule.sides]}"]
    for heading in HEADINGS:
        body = rule.section(heading)
        parts.append(f"## {heading}")
        if heading in CODE:
            parts += code(body)
        elif heading == "References":
            parts.append("\n".join(references(textwrap.dedent(body))))
        else:
            parts.append(textwrap.dedent(body).strip())
    return "\n\n".join(parts) + "\n"


def code(body: str) -> Iterator[str]:
    """The program as a fence, and sentences around it as they are."""
    for is_text, lines in itertools.groupby(body.splitlines(), lambda line: bool(line) and not line.startswith(" ")):
        block = "\n".join(lines)
        if is_text:
            yield block
        elif block.strip():
            yield f"```python\n{textwrap.dedent(block).strip()}\n```"


def references(text: str) -> Iterator[str]:
    """One item a line; addresses become links. An indented line goes on with the one above it."""
    for line in text.strip().splitlines():
        linked = re.sub(r"https?://\S+", lambda found: f"<{found[0]}>", line.strip())
        yield f"  {linked}" if line.startswith(" ") else f"* {linked.removeprefix('- ')}"
