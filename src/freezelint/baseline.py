"""The baseline: findings that were there when freezelint came, are put up with, and are told once they are fixed.

A finding is known by its rule, the text of its line and its file, not by the number of the line. Where the file is
gone, the same line in another file is taken for the renamed one.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from freezelint import files
from freezelint.config import Settings, group_of
from freezelint.finding import Finding
from freezelint.notices import NOT_SUPPRESSIBLE
from freezelint.refused import Refused
from freezelint.report.base import Fixed, Report, Suppressed
from freezelint.static.project import display_path

VERSION = 1


class BaselineError(Refused):
    """A baseline that cannot be used; its text is one line for the user."""


@dataclass(frozen=True, order=True)
class Known:
    """One finding of a baseline. The path is relative to the baseline's folder; the message is for people."""

    path: str
    rule: str
    fingerprint: str
    message: str = field(default="", compare=False)


def load(file: Path) -> list[Known]:
    """The findings that a baseline lists."""
    try:
        book = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BaselineError(f"{file}: there is no such baseline: write it with --write-baseline") from None
    except (OSError, ValueError, RecursionError) as error:
        raise BaselineError(f"{file}: the baseline cannot be read: {error}") from None
    version = book.get("version") if isinstance(book, dict) else None
    if version != VERSION:
        raise BaselineError(f"{file}: is no baseline of version {VERSION}: write it again with --write-baseline")
    try:
        return [Known(one["path"], one["rule"], one["fingerprint"], one["message"]) for one in book["findings"]]
    except (KeyError, TypeError):
        raise BaselineError(f"{file}: the baseline is damaged: write it again with --write-baseline") from None


def apply(report: Report, known: Iterable[Known], file: Path, config: Settings) -> Report:
    """The report without what the baseline knows, and with what of it is fixed."""
    folder = file.absolute().parent
    left = Counter(known)
    # Neither pass depends on the order of findings: which of several equal ones is taken makes no difference.
    passed, suppressed = [], list(report.suppressed)
    for finding in report.findings:
        entry = _known(finding, folder)
        if entry is not None and left[entry] > 0:
            left[entry] -= 1
            suppressed.append(Suppressed(finding, "baseline", f"listed in {file.name}"))
        else:
            passed.append(finding)
    gone: dict[tuple[str, str], list[Known]] = defaultdict(list)
    for entry in left.elements():
        if not (folder / entry.path).exists():
            gone[entry.rule, entry.fingerprint].append(entry)
    kept = []
    for finding in passed:
        renamed = gone.get((finding.rule, finding.content)) if finding.rule not in NOT_SUPPRESSIBLE else None
        if renamed:
            left[renamed.pop()] -= 1
            suppressed.append(Suppressed(finding, "baseline", f"listed in {file.name} under another name"))
        else:
            kept.append(finding)
    fixed = [
        Fixed(entry.rule, entry.path)
        for entry in sorted(left.elements())
        if _looked_at(entry, folder, report, config) or not (folder / entry.path).exists()
    ]
    return replace(report, findings=kept, suppressed=suppressed, fixed=fixed)


def _looked_at(entry: Known, folder: Path, report: Report, config: Settings) -> bool:
    """Would this check have found it again?"""
    path = folder / entry.path
    switched_on = config.within(path.parent).wants(entry.rule, group_of(entry.rule))
    return switched_on and display_path(path) in report.checked


def write(report: Report, file: Path, config: Settings) -> int:
    """Write what was found, and what the old baseline knows of files that were not checked; how many it lists."""
    folder = file.absolute().parent
    entries = [entry for finding in report.findings if (entry := _known(finding, folder)) is not None]
    if file.exists():
        old = load(file)
        entries += [
            entry for entry in old if (folder / entry.path).exists() and not _looked_at(entry, folder, report, config)
        ]
    book: dict[str, Any] = {
        "version": VERSION,
        "findings": [
            {"path": one.path, "rule": one.rule, "fingerprint": one.fingerprint, "message": one.message}
            for one in sorted(entries, key=lambda one: (one, one.message))
        ],
    }
    try:
        files.replace(file, (json.dumps(book, indent=1) + "\n").encode("ascii"))
    except OSError as error:
        raise BaselineError(f"{file}: the baseline cannot be written: {error.strerror or error}") from None
    return len(entries)


def _known(finding: Finding, folder: Path) -> Known | None:
    """A finding as a baseline lists it; None for what means that a file was not checked."""
    if finding.rule in NOT_SUPPRESSIBLE:
        return None
    try:
        path = os.path.relpath(finding.site.path, folder)
    except ValueError:  # another drive
        path = finding.site.path
    return Known(path.replace(os.sep, "/"), finding.rule, finding.content, finding.message)
