"""The code quality report of GitLab, which is a part of the Code Climate format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from freezelint.finding import Finding, Severity
from freezelint.report import escape
from freezelint.report.base import Page, Report, Style, how_to_fix, identities, in_cell, place, told
from freezelint.report.escape import printable

LEVELS = {Severity.ERROR: "critical", Severity.WARNING: "minor", Severity.INFO: "info"}


def render(report: Report, style: Style) -> Iterator[str]:
    """One list, in plain ASCII."""
    listed = [_issue(finding, name, report.pages) for finding, name in identities(report.findings)]
    yield json.dumps(listed, indent=2) + "\n"


def _issue(finding: Finding, name: str, pages: Any) -> dict[str, Any]:
    page = pages.get(finding.rule, Page(finding.rule, ""))
    site = finding.site
    # A line of a cell is no line of the notebook: the description says which cell.
    first, last = (site.line, max(site.line, site.end_line)) if site.cell is None else (1, 1)
    story = [f"{number}. {place(step)}: {step.message}" for number, step in enumerate(finding.related, 1)]
    fix = ["", f"Fix: {escape.markdown(how_to_fix(finding))}"] if finding.fix is not None else []
    body = "\n".join([*map(escape.markdown, story), *fix, "", page.markdown or escape.markdown(finding.confirm)])
    return {
        "type": "issue",
        "check_name": finding.rule,
        "description": printable(in_cell(site) + told(finding)),
        "content": {"body": body.strip()},
        "categories": ["Bug Risk"],
        "severity": LEVELS[finding.severity],
        "fingerprint": name,
        "location": {"path": site.path, "lines": {"begin": first, "end": last}},
        "other_locations": [
            {"path": step.path, "lines": {"begin": step.line, "end": max(step.line, step.end_line)}}
            for step in finding.related
            if step.cell is None
        ],
    }
