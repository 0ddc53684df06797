"""`--add-ignores`: a suppression comment, with the reason, on every line that has a finding now."""

from __future__ import annotations

import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from freezelint import files, suppress
from freezelint.finding import Edit, Finding
from freezelint.fixes import edits
from freezelint.notices import NOTICES
from freezelint.static import notebook

Left = list[tuple[Finding, str]]

_ENDS = re.compile("(\r\n|\r|\n)")


class ReasonError(ValueError):
    """A reason that cannot stand in a comment."""


@dataclass
class Added:
    """What was written: how many findings have a comment now, in which files, and which findings have none, and why."""

    findings: int = 0
    files: list[str] = field(default_factory=list)
    left: Left = field(default_factory=list)


def add(findings: Iterable[Finding], reason: str) -> Added:
    """Write comments that suppress the findings; what cannot be done safely is left as it is, and listed."""
    reason = reason.strip()
    if not reason.isprintable() or suppress.MARK in reason or not reason:
        raise ReasonError("a reason is one line of text, and holds no suppression comment of its own")
    added = Added()
    by_file: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.rule in NOTICES:
            added.left.append((finding, "tells of a file, not of training"))
        else:
            by_file[finding.site.path].append(finding)
    for path, listed in by_file.items():
        done, left = _write(Path(path), listed, reason)
        added.findings += len(done)
        added.left += left
        if done:
            added.files.append(path)
    return added


def _write(path: Path, findings: Sequence[Finding], reason: str) -> tuple[list[Finding], Left]:
    annotate = _annotated_notebook if path.suffix == ".ipynb" else annotated
    try:
        data = path.read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text, done, left = annotate(data.decode(encoding), findings, reason)
        written = text.encode(encoding)
        if done:
            files.replace(path, written)
    except (OSError, SyntaxError, ValueError) as error:  # ValueError: not its encoding, or no notebook any more
        return [], [(finding, f"the file cannot be written: {error}") for finding in findings]
    return done, left


def _annotated_notebook(text: str, findings: Sequence[Finding], reason: str) -> tuple[str, list[Finding], Left]:
    """The same of a notebook, the comments of which stand in its cells; every other byte stays."""
    program, cells = notebook.program(text)
    lines = program.split("\n")
    by_cell: dict[int | None, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_cell[finding.site.cell].append(finding)
    changes: list[Edit] = []
    done: list[Finding] = []
    left: Left = [(finding, "the file has changed meanwhile") for finding in by_cell.pop(None, ())]
    for cell in cells:
        before = lines[cell.first - 1 : cell.last]
        after, suppressed, others = annotated("\n".join(before), by_cell.pop(cell.number, []), reason)
        done += suppressed
        left += others
        for number, (old, new) in enumerate(zip(before, after.split("\n"), strict=True), 1):
            if old != new:
                pairs = enumerate(zip(old, new, strict=False))
                start = next((at for at, (one, other) in pairs if one != other), min(len(old), len(new)))
                changes.append(Edit("", number, start + 1, number, len(old) + 1, new[start:], cell.number))
                lines[cell.first + number - 2] = new
    left += [(finding, "the file has changed meanwhile") for gone in by_cell.values() for finding in gone]
    result = edits.applied(text, changes, notebook=True)
    if notebook.program(result)[0].split("\n") != lines:  # a shell line, which stands in the program as something else
        return text, [], left + [(finding, "a comment would change the code") for finding in done]
    return result, done, left


def annotated(text: str, findings: Sequence[Finding], reason: str) -> tuple[str, list[Finding], Left]:
    """A text with its comments, the findings that they suppress, and those that are left, with why."""
    pieces = _ENDS.split(text)  # lines and the ends between them
    statements = suppress.statements(text)
    left: Left = []
    by_line: dict[int, list[Finding]] = defaultdict(list)
    for finding in findings:
        at = finding.site.line
        last = next((end for start, end in statements if start <= at <= end), 0)
        shown = pieces[2 * (at - 1)] if 0 < at <= len(pieces) // 2 + 1 else ""
        if not last:
            left.append((finding, "stands in no statement"))
        elif " ".join(shown.split()) != " ".join(finding.source_line.split()):
            left.append((finding, "the file has changed meanwhile"))
        else:
            by_line[last].append(finding)
    there = {directive.line: directive for directive in suppress.parse(text).directives}
    for number, listed in by_line.items():
        slugs = list(dict.fromkeys(finding.rule for finding in listed))
        directive = there.get(number)
        line = pieces[2 * (number - 1)]
        if directive is not None and directive.slugs and directive.target == number and not directive.fault:
            start, end = directive.column - 1, directive.end_column - 1
            comment = suppress.comment([*directive.slugs, *slugs])
            pieces[2 * (number - 1)] = line[:start] + comment + line[end:]
        else:
            pieces[2 * (number - 1)] = f"{line.rstrip()}  {suppress.comment(slugs)} -- {reason}"
    result = "".join(pieces)
    done = [finding for listed in by_line.values() for finding in listed]
    if suppress.code(result) != suppress.code(text):
        return text, [], left + [(finding, "a comment would change the code") for finding in done]
    covering = suppress.parse(result)
    failed = [finding for finding in done if not covering.covering(finding)]
    left += [(finding, "no comment reaches it") for finding in failed]
    return result, [finding for finding in done if finding not in failed], left
