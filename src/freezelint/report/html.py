"""One page that needs no network: findings by rule, each with its source and the numbered steps of its story."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterator, Sequence
from importlib import resources
from itertools import groupby

from freezelint import __version__
from freezelint.finding import Finding, Severity, Site
from freezelint.report.base import Page, Report, Style, how_to_fix, identities, place
from freezelint.report.escape import printable
from freezelint.report.text import summary

# Lines around the one that is meant, and lines of a long statement that are shown.
AROUND = 2
LONGEST = 12
WIDEST = 400

CODE = re.compile("`([^`]+)`")
URL = re.compile(r"https://[\w./#%~?=&;+-]+")


def render(report: Report, style: Style) -> Iterator[str]:
    """The page, from the rule with the worst findings on. It can be read without its script, which only filters."""
    script = resources.files(__package__).joinpath("html.js").read_text("utf-8")
    yield from opening("freezelint", summary(report), script=script)
    yield f"<p>{escaped(summary(report))}</p>\n"
    worst: dict[str, Severity] = {}
    for finding in report.findings:
        worst[finding.rule] = max(worst.get(finding.rule, finding.severity), finding.severity)
    named = sorted(identities(report.findings), key=lambda one: (-worst[one[0].rule], one[0].rule, -one[0].severity))
    groups = [(rule, list(group)) for rule, group in groupby(named, key=lambda one: one[0].rule)]
    if len(groups) > 1:
        yield from _overview(report, [(rule, worst[rule], len(group)) for rule, group in groups])
    if named:
        yield from _filter([finding for finding, _ in named])
    for rule, group in groups:
        page = report.pages.get(rule, Page(rule, ""))
        yield f'<section id="rule-{escaped(rule)}" data-rule="{escaped(rule)}">\n<h2>{escaped(rule)}'
        yield f' <span class="soft">{len(group)}</span></h2>\n<p>{rich(page.summary)}</p>\n'
        if page.text:
            told = URL.sub(
                r'<a href="\g<0>" rel="noreferrer">\g<0></a>', "\n".join(map(escaped, page.text.splitlines()))
            )
            yield f"<details><summary>what it is about</summary><pre>{told}</pre></details>\n"
        for finding, name in group:
            yield from article(finding, name, report)
        yield "</section>\n"
    yield from _aside(report)
    # Ends of lines are kept as they are, since the digest is of these very bytes.
    yield f"<script>{script}</script>\n</body>\n</html>\n"


def opening(name: str, about: str, css: str = "", script: str = "") -> Iterator[str]:
    """The head of a page and its first heading; `css` comes after what all pages share.

    What is in a file cannot become code here, whatever it is: at most this very script runs, and nothing is loaded.
    """
    shared = resources.files(__package__).joinpath("html.css").read_text("utf-8")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
        policy += f"; script-src 'sha256-{digest}'; form-action 'none'"
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f'<meta name="generator" content="freezelint {__version__}">\n'
        f"<title>{name}: {escaped(about)}</title>\n<style>\n{shared}{css}</style>\n</head>\n<body>\n"
        f"<h1>{name}</h1>\n"
    )


def _overview(report: Report, rules: Sequence[tuple[str, Severity, int]]) -> Iterator[str]:
    """Which rules found something, on the first screen."""
    yield '<table class="overview">\n'
    for rule, level, number in rules:
        about = rich(report.pages.get(rule, Page(rule, "")).summary)
        yield f'<tr class="{level}"><td class="level">{level}</td><td class="number">{number}</td>'
        yield f'<td><a href="#rule-{escaped(rule)}">{escaped(rule)}</a></td><td class="soft about">{about}</td></tr>\n'
    yield "</table>\n"


def _filter(findings: Sequence[Finding]) -> Iterator[str]:
    rules = sorted({finding.rule for finding in findings})
    levels = [level for level in sorted(Severity, reverse=True) if any(f.severity is level for f in findings)]
    yield '<form hidden>\n<input type="search" name="q" placeholder="search" aria-label="search">\n'
    for name, values in (("rule", rules), ("level", list(map(str, levels)))):
        options = "".join(f'<option value="{escaped(value)}">{escaped(value)}</option>' for value in values)
        yield f'<select name="{name}" aria-label="{name}"><option value="">every {name}</option>{options}</select>\n'
    yield "<output></output>\n</form>\n"


def article(finding: Finding, name: str, report: Report, verdict: Sequence[str] = ()) -> Iterator[str]:
    """One finding with its story; what a run says of it, line by line, in place of how to confirm it by hand."""
    level = str(finding.severity)
    yield f'<article id="{name}" class="{level}" data-rule="{escaped(finding.rule)}" data-level="{level}">\n'
    yield f'<a class="place" href="#{name}">{escaped(place(finding.site))}</a>\n'
    slug = f"<code>{escaped(finding.rule)}</code> " if verdict else ""  # elsewhere the heading says it
    yield f'<p><span class="level">{level}</span> {slug}{rich(finding.message)}</p>\n'
    if finding.when:
        yield f'<p class="soft">when <code>{escaped(finding.when)}</code></p>\n'
    yield from _frame(finding.site, report)
    if finding.related:
        yield '<ol class="story">\n'
        for step in finding.related:
            yield f'<li>{rich(step.message)} <span class="place">{escaped(place(step))}</span>\n'
            yield from _frame(step, report)
            yield "</li>\n"
        yield "</ol>\n"
    if finding.fix is not None:
        yield f'<p class="soft">Fix: {rich(how_to_fix(finding))}</p>\n'
    for line in verdict:
        yield f'<p class="verdict">{rich(line)}</p>\n'
    if finding.confirm and not verdict:
        yield f'<p class="soft">Confirm: {rich(" ".join(finding.confirm.split()))}</p>\n'
    yield "</article>\n"


def _frame(site: Site, report: Report) -> Iterator[str]:
    """The lines around a site, with what is meant marked."""
    lines = report.lines_of(site)
    if not 0 < site.line <= len(lines) or not lines[site.line - 1].strip():
        return
    last = min(max(site.line, site.end_line), site.line + LONGEST - 1, len(lines))
    numbers = range(max(1, site.line - AROUND), min(last + AROUND, len(lines)) + 1)
    margin = min(len(_margin(lines[n - 1])) for n in numbers if lines[n - 1].strip())
    yield '<div class="frame"><pre style="margin:0">'
    for number in numbers:
        line = lines[number - 1].rstrip()[margin:]
        hit = site.line <= number <= last
        if hit:
            start = site.column - 1 - margin if number == site.line else len(_margin(line))
            end = site.end_column - 1 - margin if number == max(site.line, site.end_line) else len(line)
            shown = _marked(line, start, max(end, start + 1))
        else:
            shown = escaped(line[:WIDEST])
        yield f'<span data-n="{number}"{" class=hit" if hit else ""}>{shown}</span>'
    yield "</pre></div>\n"


def _margin(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _marked(line: str, start: int, end: int) -> str:
    """A line with a stretch marked; a very long one from a little before that."""
    start = max(0, min(start, len(line)))
    left = max(0, start - WIDEST // 4) if len(line) > WIDEST else 0
    right = left + WIDEST
    marked = f"<mark>{escaped(line[start : min(end, right)])}</mark>" if line[start:end] else ""
    return f"{escaped(line[left:start])}{marked}{escaped(line[min(end, right) : right])}"


def _aside(report: Report) -> Iterator[str]:
    """What does not count: suppressed findings, and what of the baseline is fixed."""
    if report.suppressed:
        yield f"<details><summary>{len(report.suppressed)} suppressed</summary>\n<ul>\n"
        for one in report.suppressed:
            reason = one.reason or f"by a {one.by}"
            told = f"{escaped(place(one.finding.site))}</span> {escaped(one.finding.rule)}: {escaped(reason)}"
            yield f'<li><span class="place">{told}</li>\n'
        yield "</ul>\n</details>\n"
    if report.fixed:
        yield f"<details><summary>{len(report.fixed)} of the baseline fixed</summary>\n<ul>\n"
        for gone in report.fixed:
            yield f'<li><span class="place">{escaped(gone.path)}</span> {escaped(gone.rule)}</li>\n'
        yield "</ul>\n</details>\n"


def escaped(text: str) -> str:
    """Text that is no markup."""
    return html.escape(printable(text))


def rich(text: str) -> str:
    """A message, its backquoted names as code."""
    return CODE.sub(r"<code>\1</code>", escaped(text))
