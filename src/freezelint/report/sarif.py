"""SARIF 2.1.0 (OASIS), which code scanning services and editors read: stories become code flows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import quote

from freezelint import __version__
from freezelint.finding import Edit, Finding, Fix, Severity, Site
from freezelint.report.base import Page, Report, Style, Suppressed, identities, in_cell, place, told
from freezelint.report.escape import printable

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
PROBLEMS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "recommendation"}

# The place that relative paths start from; whoever reads the report knows where that is.
ROOT = "%SRCROOT%"


def render(report: Report, style: Style) -> Iterator[str]:
    """One log with one run, in plain ASCII."""
    yield json.dumps(_log(report), indent=2) + "\n"


def _log(report: Report) -> dict[str, Any]:
    everything = [*report.findings, *(one.finding for one in report.suppressed)]
    slugs = sorted({*report.pages, *(finding.rule for finding in everything)})
    index = {slug: number for number, slug in enumerate(slugs)}
    aside = {id(one.finding): one for one in report.suppressed}
    driver = {
        "name": "freezelint",
        "version": __version__,
        "semanticVersion": __version__,
        "rules": [_rule(report.pages.get(slug, Page(slug, slug))) for slug in slugs],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {ROOT: {"description": {"text": "The folder in which freezelint was started."}}},
        "invocations": [{"executionSuccessful": all(finding.rule != "internal-error" for finding in everything)}],
        "results": [
            _result(finding, name, index[finding.rule], aside.get(id(finding)))
            for finding, name in identities(everything)
        ],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(page: Page) -> dict[str, Any]:
    severity = page.severity or Severity.ERROR
    return {
        "id": page.slug,
        "name": "".join(word.capitalize() for word in page.slug.split("-")),
        "shortDescription": {"text": page.summary},
        "fullDescription": {"text": page.summary},
        "help": {"text": page.text or page.summary, "markdown": page.markdown or page.summary},
        "defaultConfiguration": {"level": LEVELS[severity]},
        "properties": {
            "tags": ["pytorch", *([page.group] if page.group else [])],
            "precision": "high",
            "problem.severity": PROBLEMS[severity],
        },
    }


def _result(finding: Finding, name: str, index: int, aside: Suppressed | None) -> dict[str, Any]:
    result = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": LEVELS[finding.severity],
        "message": {"text": printable(in_cell(finding.site) + told(finding))},
        "locations": [_location(finding.site)],
        "partialFingerprints": {"freezelint/v1": name},
        "suppressions": [] if aside is None else [_suppression(aside)],
    }
    if finding.related:
        steps = [finding.site.note(finding.message), *finding.related]
        flow = [{"location": _location(step), "executionOrder": number} for number, step in enumerate(steps, 1)]
        result["codeFlows"] = [{"threadFlows": [{"locations": flow}]}]
        result["relatedLocations"] = [{"id": n, **_location(step)} for n, step in enumerate(finding.related, 1)]
    if finding.fix is not None and finding.site.cell is None:  # a region of a cell is none of the notebook's file
        result["fixes"] = [_fix(finding.fix)]
    properties = {"when": finding.when, "confirm": finding.confirm, "cell": finding.site.cell}
    result["properties"] = {key: value for key, value in properties.items() if value not in (None, "")}
    return result


def _suppression(aside: Suppressed) -> dict[str, Any]:
    kind = "inSource" if aside.by == "comment" else "external"
    return {"kind": kind, "status": "accepted", **({"justification": printable(aside.reason)} if aside.reason else {})}


def _location(site: Site) -> dict[str, Any]:
    location: dict[str, Any] = {"physicalLocation": {"artifactLocation": _artifact(site.path)}}
    if site.cell is None:
        location["physicalLocation"]["region"] = _region(site)
    else:  # a line of a cell is no line of the file
        location["physicalLocation"]["region"] = {"startLine": 1}
        location["logicalLocations"] = [{"fullyQualifiedName": printable(place(site)), "kind": "member"}]
    if site.message:
        location["message"] = {"text": printable(in_cell(site) + site.message)}
    return location


def _region(site: Site | Edit) -> dict[str, int]:
    end_line = max(site.end_line, site.line)
    end_column = site.end_column or site.column
    if end_line == site.line:
        end_column = max(end_column, site.column)
    return {
        "startLine": max(1, site.line),
        "startColumn": max(1, site.column),
        "endLine": max(1, end_line),
        "endColumn": max(1, end_column),
    }


def _artifact(path: str) -> dict[str, str]:
    if PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute():
        return {"uri": "file:///" + quote(_bytes(path.lstrip("/")))}
    return {"uri": quote(_bytes(path)), "uriBaseId": ROOT}


def _bytes(path: str) -> bytes:
    return os.fsencode(path) if os.name == "posix" else path.encode("utf-8", "surrogatepass")


def _fix(fix: Fix) -> dict[str, Any]:
    changes = []
    for path in dict.fromkeys(edit.path for edit in fix.edits):
        replacements = [
            {"deletedRegion": _region(edit), "insertedContent": {"text": edit.text}}
            for edit in fix.edits
            if edit.path == path
        ]
        changes.append({"artifactLocation": _artifact(path), "replacements": replacements})
    return {"description": {"text": f"{printable(fix.message)} ({fix.applicability})"}, "artifactChanges": changes}
