"""Workflow commands of GitHub Actions: each finding becomes an annotation of its line."""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.finding import Finding, Severity
from freezelint.report.base import Report, Style, how_to_fix, place, told
from freezelint.report.escape import printable
from freezelint.report.text import summary

COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def render(report: Report, style: Style) -> Iterator[str]:
    """One command a finding, then the closing line for the log."""
    for finding in report.findings:
        yield annotation(finding) + "\n"
    if not style.brief:
        yield summary(report) + "\n"


def annotation(finding: Finding) -> str:
    """One finding as one line."""
    site = finding.site
    settings = {"title": f"freezelint: {finding.rule}", "file": site.path}
    lines = [told(finding)]
    if site.cell is None:
        settings["line"] = str(site.line)
        settings["endLine"] = str(max(site.line, site.end_line))
        if site.end_line in (0, site.line):  # columns of several lines are refused
            settings["col"] = str(site.column)
            settings["endColumn"] = str(max(site.column, site.end_column))
    else:  # a line of a cell is no line of the file
        lines[0] = f"{place(site)}: {lines[0]}"
    lines += [f"{number}. {place(step)}: {step.message}" for number, step in enumerate(finding.related, 1)]
    if finding.fix is not None:
        lines.append(f"fix: {how_to_fix(finding)}")
    if finding.confirm:
        lines.append(f"confirm: {finding.confirm.strip()}")
    listed = ",".join(f"{key}={_setting(value)}" for key, value in settings.items())
    return f"::{COMMANDS[finding.severity]} {listed}::" + "%0A".join(_message(line) for line in lines)


def _message(text: str) -> str:
    return printable(text).replace("%", "%25")


def _setting(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
