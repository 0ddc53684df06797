"""A summary in Markdown for job pages and comments on pull requests."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from freezelint.finding import Finding, Severity
from freezelint.report import escape
from freezelint.report.base import Report, Style, how_to_fix, place, told
from freezelint.report.text import summary

CODE = re.compile("`([^`]+)`")
MARKS = {Severity.ERROR: "🔴", Severity.WARNING: "🟠", Severity.INFO: "🔵"}

MOST = 100  # findings that are told; GitHub refuses a summary of more than 1 MiB


def render(report: Report, style: Style) -> Iterator[str]:
    """The closing line, a table of the rules, and each finding with its story folded."""
    yield f"## freezelint\n\n{escape.markdown(summary(report))}\n"
    if not report.findings:
        return
    yield "\n| rule | findings | what it finds |\n|---|--:|---|\n"
    worst = {finding.rule: finding.severity for finding in report.findings}
    for slug, count in report.statistics():
        page = report.pages.get(slug)
        what = escape.markdown(page.summary) if page else ""
        # A bar ends a cell of a table even inside a code span.
        yield f"| {MARKS[worst[slug]]} {slug} | {count} | {what.replace('|', '&#124;')} |\n"
    for finding in report.findings[:MOST]:
        yield from _told(finding, report)
    if len(report.findings) > MOST:
        yield f"\nand {len(report.findings) - MOST} more\n"
    yield "\n`freezelint explain RULE` shows the page of a rule.\n"


def _told(finding: Finding, report: Report) -> Iterator[str]:
    yield f"\n<details><summary>{MARKS[finding.severity]} <code>{_html(place(finding.site))}</code> "
    yield f"{_html(finding.rule)}: {_html(told(finding))}</summary>\n\n"
    for number, site in enumerate((finding.site, *finding.related)):
        note = f"{number}. {escape.code(place(site))}: {escape.markdown(site.message)}{chr(32) * 2}\n" if number else ""
        lines = report.lines_of(site)
        text = escape.printable(lines[site.line - 1]).strip() if 0 < site.line <= len(lines) else ""
        yield note + (f"{'   ' if number else ''}{escape.code(text)}\n" if text else "") + "\n"
    if finding.fix is not None:
        yield f"Fix: {escape.markdown(how_to_fix(finding))}\n\n"
    if finding.confirm:
        yield f"Confirm: {escape.markdown(' '.join(finding.confirm.split()))}\n\n"
    yield "</details>\n"


def _html(text: str) -> str:
    """Text inside of an HTML element, where no Markdown holds."""
    return CODE.sub(r"<code>\1</code>", html.escape(escape.printable(text), quote=False))
