"""Suppression comments: `# freezelint: ignore[slug, slug]` and `# freezelint: ignore-file`, used and unused ones.

A comment at the end of a line speaks for its statement; one on a line of its own speaks for the statement below it.
"""

from __future__ import annotations

import io
import re
import tokenize
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from freezelint.finding import Finding, Severity, Site
from freezelint.nearest import did_you_mean
from freezelint.notices import NOT_SUPPRESSIBLE, UNUSED_SUPPRESSION

MARK = "freezelint:"
COMMENT = re.compile(r"#\s*freezelint:\s*(?P<word>[\w-]*)\s*(?P<slugs>\[[^\]]*\]?)?")
LAYOUT = frozenset({tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING})


@dataclass(frozen=True)
class Directive:
    """One suppression comment. `slugs` None means every rule; `target` is the line spoken for, None the whole file."""

    line: int
    column: int
    end_column: int
    text: str
    slugs: tuple[str, ...] | None
    target: int | None
    fault: str = ""
    reason: str = ""  # what the comment says after it


@dataclass(frozen=True)
class Suppressions:
    """The suppression comments of one file, and where its statements begin and end."""

    directives: tuple[Directive, ...] = ()
    statements: tuple[tuple[int, int], ...] = field(default=(), repr=False)

    def covering(self, finding: Finding) -> list[Directive]:
        """The comments that speak for a finding, the nearest kind first."""
        first, last = finding.site.line, max(finding.site.line, finding.site.end_line)
        start, end = self._statement(first)
        if start:
            # A site that spans a whole function is not suppressed by a comment deep inside its body.
            last = min(last, end)
        targets = sorted({start, end, *range(first, last + 1)} & self._by_target.keys() - {None})
        fitting = [d for target in (*targets, None) for d in self._by_target.get(target, ())]
        fitting = [d for d in fitting if not d.fault and (d.slugs is None or finding.rule in d.slugs)]
        return sorted(fitting, key=lambda d: (d.target is None, d.slugs is None))

    @cached_property
    def _by_target(self) -> dict[int | None, list[Directive]]:
        found: dict[int | None, list[Directive]] = {}
        for directive in self.directives:
            found.setdefault(directive.target, []).append(directive)
        return found

    def _statement(self, line: int) -> tuple[int, int]:
        """First and last line of the statement that stands on `line`; (0, 0) when that is unknown."""
        index = bisect_right(self.statements, (line, 1 << 60)) - 1
        if index >= 0 and line <= self.statements[index][1]:
            return self.statements[index]
        return 0, 0


NOTHING = Suppressions()


def parse(text: str) -> Suppressions:
    """The suppression comments of a file. Only a file that mentions freezelint pays for being tokenized."""
    if MARK not in text:
        return NOTHING
    tokens = list(_tokens(text))
    comments = [token for token in tokens if token.type == tokenize.COMMENT and MARK in token.string]
    code_lines = {
        number
        for token in tokens
        if token.type not in (*LAYOUT, tokenize.NEWLINE) and token.string
        for number in range(token.start[0], token.end[0] + 1)
    }
    lines = re.split("\r\n|\r|\n", text)
    directives = [directive for token in comments for directive in _directives(token, code_lines, lines)]
    return Suppressions(tuple(directives), _statements(tokens))


def statements(text: str) -> tuple[tuple[int, int], ...]:
    """First and last line of every statement, of a compound one its head."""
    return _statements(_tokens(text))


def _statements(tokens: Iterable[tokenize.TokenInfo]) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    start = 0
    for token in tokens:
        if token.type == tokenize.NEWLINE:
            if start:
                found.append((start, token.start[0]))
            start = 0
        elif token.type not in LAYOUT and token.string:
            start = start or token.start[0]
    return tuple(found)


def code(text: str) -> list[tuple[int, str]]:
    """The tokens of a text without its comments: what must not change when a comment is added."""
    return [(token.type, token.string) for token in _tokens(text) if token.type not in (tokenize.COMMENT, tokenize.NL)]


def comment(slugs: Iterable[str]) -> str:
    """The comment that suppresses these rules."""
    return f"# freezelint: ignore[{', '.join(dict.fromkeys(slugs))}]"


def _tokens(text: str) -> Iterator[tokenize.TokenInfo]:
    """Tokens up to the first place that is not Python: the comments above it still count."""
    try:
        yield from tokenize.generate_tokens(io.StringIO(text, newline=None).readline)
    except (tokenize.TokenError, SyntaxError):
        return


def _directives(token: tokenize.TokenInfo, code_lines: set[int], lines: list[str]) -> Iterator[Directive]:
    line = token.start[0]
    target = line if line in code_lines else _line_below(line, lines)
    found = list(COMMENT.finditer(token.string))
    ends = [match.start() for match in found[1:]] + [len(token.string)]
    for match, end in zip(found, ends, strict=True):
        word, listed = match["word"], match["slugs"]
        slugs = None if listed is None else tuple(s.strip() for s in listed.strip("[]").split(",") if s.strip())
        fault = ""
        if word not in ("ignore", "ignore-file"):
            fault = f"unknown directive {word!r}{did_you_mean(word, ('ignore', 'ignore-file'))}"
        elif listed is not None and not listed.endswith("]"):
            fault = "the closing bracket is missing"
        elif slugs == ():
            fault = "the list of rules is empty"
        column = token.start[1] + match.start() + 1
        yield Directive(
            line,
            column,
            column + len(match[0].rstrip()),
            match[0].rstrip(),
            slugs,
            None if word == "ignore-file" else target,
            fault,
            token.string[match.end() : end].strip(" \t#-:—"),
        )


def _line_below(line: int, lines: list[str]) -> int:
    """The line that a comment on its own line speaks for: the next one that is not a comment itself."""
    below = line + 1
    while below <= len(lines) and lines[below - 1].lstrip().startswith("#"):
        below += 1
    return below


@dataclass
class Outcome:
    """Findings that remain, those that were suppressed, and the comments (with their slug) that did it."""

    kept: list[Finding] = field(default_factory=list)
    suppressed: list[tuple[Finding, Directive]] = field(default_factory=list)
    used: set[tuple[str, int, int, str | None]] = field(default_factory=set)


def apply(findings: Iterable[Finding], comments: Mapping[str, Suppressions]) -> Outcome:
    """Take out what the comments of its file suppress."""
    outcome = Outcome()
    for finding in findings:
        path = finding.site.path
        covering = [] if finding.rule in NOT_SUPPRESSIBLE else comments.get(path, NOTHING).covering(finding)
        if covering:
            used = covering[0]
            outcome.suppressed.append((finding, used))
            outcome.used.add((path, used.line, used.column, None if used.slugs is None else finding.rule))
        else:
            outcome.kept.append(finding)
    return outcome


def unused(
    comments: Mapping[str, Suppressions], outcome: Outcome, *, known: Collection[str], active: Collection[str]
) -> Iterator[Finding]:
    """A warning for every comment that cannot be understood, and for every slug in one that suppressed nothing.

    A rule that was not `active` had no chance to fire, so its suppression is not called unused.
    """
    everything_ran = set(known) <= set(active)
    all_used: dict[tuple[str, int, int], set[str | None]] = {}
    for path, line, column, slug in outcome.used:
        all_used.setdefault((path, line, column), set()).add(slug)
    for path, suppressions in comments.items():
        for directive in suppressions.directives:
            used = all_used.get((path, directive.line, directive.column), set())
            for message in _complaints(directive, used, known, active, everything_ran):
                site = Site(path, directive.line, directive.column, directive.line, directive.end_column)
                yield Finding(UNUSED_SUPPRESSION, Severity.WARNING, message, site, source_line=directive.text)


def _complaints(
    directive: Directive, used: set[str | None], known: Collection[str], active: Collection[str], everything_ran: bool
) -> Iterator[str]:
    if directive.fault:
        yield f"`{directive.text}` suppresses nothing: {directive.fault}"
    elif directive.slugs is None:
        if not used and everything_ran:
            yield f"`{directive.text}` suppresses nothing: remove it"
    else:
        for slug in dict.fromkeys(directive.slugs):
            if slug not in known:
                yield f"`{directive.text}` names no rule {slug!r}{did_you_mean(slug, known)}"
            elif slug in active and slug not in used:
                yield f"no {slug} is found here: remove it from `{directive.text}`"
