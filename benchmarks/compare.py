"""Compare the cost of freezelint, TorchFix and ruff on one folder: CPU seconds and peak memory, in one run.

    python -m venv /tmp/tools && /tmp/tools/bin/pip install torchfix flake8 ruff . && \\
        /tmp/tools/bin/python benchmarks/compare.py FOLDER [--runs 3] [--write docs/benchmarks/speed.md]

Each tool runs as a process of its own, in turn, so that a machine that is busy for a while is busy for all of them.
What counts is user and system time of the process and its children, not the clock: it hardly depends on what else the
machine does. Medians of all runs. The tools look for other things, so this compares cost, not what is found. flake8
runs its own checks beside the plugin.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pages import put

BIN = Path(sysconfig.get_path("scripts"))


@dataclass(frozen=True)
class Tool:
    """A tool as it is run; `package` is what its version is asked of. 0 and 1 are the statuses of a check that ran."""

    name: str
    package: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Cost:
    """What one run took: CPU seconds of the whole process tree, and the peak memory of its largest process."""

    seconds: float
    megabytes: float


def tools(folder: str) -> list[Tool]:
    """What is compared; freezelint first."""
    return [
        Tool("freezelint", "freezelint", (str(BIN / "freezelint"), "check", "--isolated", "--no-cache", folder)),
        Tool("TorchFix", "torchfix", (str(BIN / "torchfix"), folder)),
        Tool("TorchFix in flake8", "torchfix", (str(BIN / "flake8"), "--isolated", "-j1", "--select=TOR", folder)),
        Tool("ruff", "ruff", (str(BIN / "ruff"), "check", "--isolated", "--no-cache", folder)),
    ]


def measure(command: Sequence[str]) -> Cost:
    """The cost of one command. A process in between, because RUSAGE_CHILDREN only ever grows."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (list(command),))


def _measured(command: list[str]) -> Cost:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} failed ({done.returncode}):\n{done.stderr[-2000:]}")
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    return Cost(seconds, after.ru_maxrss * unit / 1e6)


def size(folder: Path) -> str:
    """Python files and lines below a folder."""
    files = sorted(folder.rglob("*.py"))
    lines = sum(file.read_bytes().count(b"\n") for file in files)
    return f"{len(files):,} Python files, {lines:,} lines"


def table(costs: dict[Tool, list[Cost]]) -> list[str]:
    """The medians as a table, with freezelint as the measure of the others."""
    medians = {
        tool: Cost(statistics.median(c.seconds for c in runs), statistics.median(c.megabytes for c in runs))
        for tool, runs in costs.items()
    }
    base = next(iter(medians.values()))
    lines = ["| tool | version | CPU seconds | peak memory | CPU, freezelint = 1 |", "|---|---|--:|--:|--:|"]
    for tool, cost in medians.items():
        version = importlib.metadata.version(tool.package)
        ratio = cost.seconds / base.seconds
        lines.append(f"| {tool.name} | {version} | {cost.seconds:.2f} | {cost.megabytes:.0f} MB | {ratio:.2f} |")
    return lines


def main() -> None:
    """Run every tool in turn, as often as asked, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--write", type=Path, help="a Markdown file to write the table to")
    parser.add_argument("--machine", default=f"{os.cpu_count()} cores", help="how to describe the machine")
    options = parser.parse_args()
    chosen = tools(str(options.folder))
    costs: dict[Tool, list[Cost]] = {tool: [] for tool in chosen}
    for number in range(options.runs):
        for tool in chosen:
            cost = measure(tool.command)
            costs[tool].append(cost)
            print(f"run {number + 1}: {tool.name}: {cost.seconds:.2f} s, {cost.megabytes:.0f} MB", file=sys.stderr)
    parser_version = importlib.metadata.version("libcst")
    what = f"{options.folder.resolve().name}: {size(options.folder)}"
    python = ".".join(map(str, sys.version_info[:3]))
    where = f"medians of {options.runs} runs on {options.machine}, Python {python}, libcst {parser_version}"
    lines = [*table(costs), "", f"{what}; {where}."]
    print("\n".join(lines))
    if options.write:
        head = (
            "CPU seconds are user and system time of a whole process, its start-up included. This compares cost: the "
            "tools\nlook for different things, and flake8 runs its own checks as well."
        )
        put(options.write, "compare.py", [head, "", *lines])


if __name__ == "__main__":
    main()
