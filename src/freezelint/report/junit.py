"""JUnit XML, which nearly every build server shows: a test case for each finding, failed or below what fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.etree import ElementTree as xml

from freezelint.finding import Finding
from freezelint.report.base import Report, Style, place, told
from freezelint.report.escape import printable
from freezelint.report.text import block, count


def render(report: Report, style: Style) -> Iterator[str]:
    """One suite a file; a single case that passed where nothing was found, since an empty report counts as an error."""
    root = xml.Element("testsuites", {"name": "freezelint", **_counts(report.findings, report)})
    for path, group in groupby(report.findings, key=lambda finding: finding.site.path):
        findings = list(group)
        suite = xml.SubElement(root, "testsuite", {"name": printable(path), **_counts(findings, report)})
        for finding in findings:
            _case(suite, finding, report)
    if not report.findings:
        suite = xml.SubElement(root, "testsuite", name="freezelint", tests="1", failures="0", errors="0")
        xml.SubElement(suite, "testcase", name=f"{count(report.files, 'file')} checked", classname="freezelint")
        root.set("tests", "1")
    xml.indent(root)
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    # References instead of characters, so that the report is whole whatever stdout's encoding is.
    yield xml.tostring(root, encoding="us-ascii").decode("ascii") + "\n"


def _counts(findings: Sequence[Finding], report: Report) -> dict[str, str]:
    failures = sum(map(report.fails, findings))
    skipped = len(findings) - failures
    return {"tests": str(len(findings)), "failures": str(failures), "skipped": str(skipped), "errors": "0"}


def _case(suite: xml.Element, finding: Finding, report: Report) -> None:
    where = printable(place(finding.site))
    case = xml.SubElement(
        suite,
        "testcase",
        name=f"{finding.rule} at {where}",
        classname=printable(finding.site.path),
        file=printable(finding.site.path),
    )
    if finding.site.cell is None:  # a line of a cell is no line of the file
        case.set("line", str(finding.site.line))
    if report.fails(finding):
        told_in = xml.SubElement(case, "failure", type=str(finding.severity), message=printable(told(finding)))
    else:
        told_in = xml.SubElement(case, "skipped", message=printable(told(finding)))
    told_in.text = "".join(block(finding, report, Style())).rstrip() + "\n"
