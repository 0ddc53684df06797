"""`--changed`: the files that git says have changed, and those that reach them through imports.

A fault shows where the program runs: a changed `model.py` is checked through every script that imports it, and what is
told is what has a changed file in its story.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from freezelint.refused import Refused
from freezelint.report.base import Report
from freezelint.static.project import SUFFIXES, display_path


class GitError(Refused):
    """git cannot say what has changed; the text is one line for the user."""


@dataclass(frozen=True)
class Selection:
    """The files to check out of those that were named, and the changed ones among them."""

    files: Sequence[Path]
    changed: frozenset[str]

    def of(self, report: Report) -> Report:
        """What concerns a changed file: it is placed there, or its story leads through there."""

        def concerns(paths: Iterable[str]) -> bool:
            return any(display_path(Path(path)) in self.changed for path in paths)

        def told(site_path: str, related: Iterable[str]) -> bool:
            return concerns((site_path, *related))

        return replace(
            report,
            findings=[f for f in report.findings if told(f.site.path, (step.path for step in f.related))],
            suppressed=[
                one
                for one in report.suppressed
                if told(one.finding.site.path, (step.path for step in one.finding.related))
            ],
        )


def select(files: Iterable[Path], ref: str) -> Selection:
    """Those of `files` that differ from where this branch left `ref`, and those that import them."""
    found = list(files)
    real = {os.path.realpath(file): file for file in found}
    altered = _altered(ref)
    targets = {Path(name) for name in altered if name.endswith(SUFFIXES)}
    reaching: set[Path] = set()
    if targets:
        from freezelint.static.imports import Graph

        reaching.update(Graph().importers(found, targets))
    return Selection(
        [file for name, file in real.items() if name in altered or Path(name) in reaching],
        frozenset(map(display_path, targets)),
    )


def _altered(ref: str) -> set[str]:
    """The real paths of files that differ, new ones included, deleted ones not."""
    top = _git("rev-parse", "--show-toplevel").rstrip("\n")
    try:
        commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}").strip()
    except GitError:
        hint = "; write --changed=REF, or put paths before --changed" if os.path.exists(ref) else ""
        raise GitError(f"--changed: {ref!r} is no commit that git knows here{hint}") from None
    base = commit
    if ref != "HEAD":
        try:
            base = _git("merge-base", commit, "HEAD").strip()
        except GitError:
            base = commit  # no common ancestor, as in a shallow clone
    names = _git("-C", top, "diff", "--name-only", "-z", "--no-renames", "--diff-filter=d", base, "--")
    new = _git("-C", top, "ls-files", "--others", "--exclude-standard", "-z")
    return {os.path.realpath(os.path.join(top, name)) for name in (names + new).split("\0") if name}


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)
    except OSError as error:
        raise GitError(f"--changed needs git: {error.strerror or error}") from None
    if done.returncode:
        said = os.fsdecode(done.stderr).strip().splitlines()
        raise GitError(f"--changed: {said[0] if said else 'git failed'}")
    return os.fsdecode(done.stdout)
