"""Findings as a JSON list. Its keys are a contract: they are added to, never renamed or removed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from freezelint.finding import Edit, Finding, Fix, Site
from freezelint.report.base import RULE_PAGE, Report, Style


def render(report: Report, style: Style) -> Iterator[str]:
    """One list, indented; plain ASCII, so that no terminal or pipe can break it."""
    yield json.dumps([as_dict(finding) for finding in report.findings], indent=2) + "\n"


def as_dict(finding: Finding) -> dict[str, Any]:
    """One finding of the list."""
    site = finding.site
    return {
        "rule": finding.rule,
        "severity": str(finding.severity),
        "message": finding.message,
        "path": site.path,
        "cell": site.cell,
        "line": site.line,
        "column": site.column,
        # A site that is a point has no end of its own.
        "end_line": site.end_line or site.line,
        "end_column": site.end_column or site.column,
        "when": finding.when,
        "fingerprint": finding.fingerprint,
        "related": [_related(step) for step in finding.related],
        "fix": None if finding.fix is None else _fix(finding.fix),
        "url": RULE_PAGE.format(finding.rule),
    }


def _related(site: Site) -> dict[str, Any]:
    return {"path": site.path, "cell": site.cell, "line": site.line, "column": site.column, "message": site.message}


def _fix(fix: Fix) -> dict[str, Any]:
    return {"applicability": fix.applicability, "message": fix.message, "edits": [_edit(edit) for edit in fix.edits]}


def _edit(edit: Edit) -> dict[str, Any]:
    return {
        "path": edit.path,
        "cell": edit.cell,
        "line": edit.line,
        "column": edit.column,
        "end_line": edit.end_line,
        "end_column": edit.end_column,
        "text": edit.text,
    }
