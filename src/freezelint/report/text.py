"""Findings for people: each with its source, the numbered steps of its story, and how to confirm it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from freezelint.finding import Finding, Severity, Site
from freezelint.report.base import Report, Style, how_to_fix, place, told
from freezelint.report.escape import printable as printable
from freezelint.report.escape import width

COLORS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.INFO: "36"}
BOLD, DIM = "1", "2"

# A generated or minified line is shown from a little before the site, cut to this width. On a narrower terminal it is
# cut to that: marks below a line that goes on in the next one point at nothing.
WIDEST = 160
NARROWEST = 40


def render(report: Report, style: Style) -> Iterator[str]:
    """One block a finding, then the statistics if they are wanted, then one line that sums up."""
    for finding in report.findings:
        yield from block(finding, report, style)
    if style.statistics:
        for rule, count in report.statistics():
            yield f"{count:>6}  {rule}\n"
    if not style.brief:
        yield summary(report) + "\n"


def block(finding: Finding, report: Report, style: Style) -> Iterator[str]:
    """One finding: its headline, and its story unless the style is brief."""
    yield from _headline(finding, style)
    if not style.brief:
        yield from _story(finding, report, style)
        yield "\n"


def summary(report: Report) -> str:
    """The closing line."""
    if report.findings:
        levels = Counter(finding.severity for finding in report.findings)
        split = ", ".join(count(levels[level], str(level)) for level in sorted(levels, reverse=True))
        places = count(len({finding.site.path for finding in report.findings}), "file")
        found = f"{count(len(report.findings), 'finding')} ({split}) in {places}"
    else:
        found = "no findings"
    for reason, word in (("comment", "suppressed"), ("baseline", "in the baseline")):
        number = sum(one.by == reason for one in report.suppressed)
        found += f", {number} {word}" if number else ""
    if report.fixed:
        found += f", {len(report.fixed)} of the baseline fixed"
    return f"{found}; {count(report.files, 'file')} checked"


def count(number: int, noun: str) -> str:
    """A number of things."""
    ending = "" if number == 1 or noun == "info" else "es" if noun.endswith("x") else "s"
    return f"{number} {noun}{ending}"


def _headline(finding: Finding, style: Style) -> Iterator[str]:
    severity = _paint(str(finding.severity), COLORS[finding.severity], style)
    message = printable(told(finding) if style.brief else finding.message)
    yield f"{_paint(printable(place(finding.site)), BOLD, style)}: {severity} {finding.rule}: {message}\n"


def _story(finding: Finding, report: Report, style: Style) -> Iterator[str]:
    if finding.when:
        yield f"  when `{printable(finding.when)}`\n"
    yield from _frame(finding.site, "", report, style, color=COLORS[finding.severity])
    for number, step in enumerate(finding.related, 1):
        yield f"  {number}. {_paint(printable(place(step)), BOLD, style)}: {printable(step.message)}\n"
        yield from _frame(step, "   ", report, style, color=DIM)
    if finding.fix is not None:
        yield f"  fix: {printable(how_to_fix(finding))}\n"
    if finding.confirm:
        first, *more = finding.confirm.strip().splitlines()
        yield f"  confirm: {printable(first)}\n"
        yield from (f"           {printable(line)}\n" for line in more)


def _frame(site: Site, indent: str, report: Report, style: Style, color: str) -> Iterator[str]:
    """The source line of a site, underlined from its column to its end or the end of the line."""
    lines = report.lines_of(site)
    if not 0 < site.line <= len(lines) or not lines[site.line - 1].strip():
        return
    line = lines[site.line - 1].rstrip()
    start = min(site.column - 1, len(line))
    goes_on = site.end_line > site.line
    end = len(line) if goes_on else max(start + 1, min(site.end_column - 1, len(line)))
    gutter = f"{indent}{site.line:>6} | "
    widest = min(WIDEST, max(style.columns - len(gutter), NARROWEST)) if style.columns else WIDEST
    if len(line) > widest:
        left = max(0, start - widest // 4)
        line, start, end = line[left : left + widest], start - left, min(end - left, widest)
    blank = f"{indent}{'':>6} | "
    underline = "^" * max(1, width(printable(line[start:end]))) + ("..." if goes_on else "")
    yield _paint(gutter, DIM, style) + printable(line) + "\n"
    yield _paint(blank, DIM, style) + " " * width(printable(line[:start])) + _paint(underline, color, style) + "\n"


def _paint(text: str, code: str, style: Style) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if style.color else text
