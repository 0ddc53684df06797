"""A page of measurements that several scripts write: each of them replaces its own section and leaves the others."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "live.md"
HEAD = "# What a run sees, and what watching costs\n"


def put(page: Path, script: str, lines: Sequence[str]) -> None:
    """Write the section of a script."""
    begin, end = f"<!-- written by benchmarks/{script} -->", f"<!-- end of benchmarks/{script} -->"
    text = page.read_text(encoding="utf-8") if page.exists() else HEAD
    section = "\n".join([begin, *lines, end])
    before, found, rest = text.partition(begin)
    if found:
        text = before + section + rest.partition(end)[2]
    else:
        text = f"{text.rstrip()}\n\n{section}\n"
    page.write_text(text, encoding="utf-8")


def processor() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()
