"""Compare the cost of freezelint, TorchFix, pylint, fixit and ruff on one folder: CPU seconds and peak memory.

    python -m venv /tmp/tools && /tmp/tools/bin/pip install torchfix flake8 pylint fixit ruff . && \\
        /tmp/tools/bin/python benchmarks/compare.py FOLDER [--runs 3] [--write docs/benchmarks/speed.md]
    /tmp/tools/bin/python benchmarks/compare.py FOLDER --sample 100 --runs 1 [--seed 0] [--write …]

Each tool runs as a process of its own, in turn, so that a machine that is busy for a while is busy for all of them.
What counts is user and system time of the process and its children, not the clock: it hardly depends on what else the
machine does. Medians of all runs. The tools look for other things, so this compares cost, not what is found. flake8
runs its own checks beside the plugin. What is not installed beside this script's Python is left out, with a line.

With `--sample`, for a folder that is too large for the slow tools: freezelint and ruff check all of it, the others as
many files as are asked for, drawn at random. What they take beyond their start-up is scaled by lines.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import multiprocessing
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pages import put

BIN = Path(sysconfig.get_path("scripts"))


@dataclass(frozen=True)
class Tool:
    """A tool as it is run on a folder; `package` is what its version is asked of."""

    name: str
    package: str
    command: tuple[str, ...]
    statuses: Collection[int] = (0, 1)  # of a check that ran
    quick: bool = False  # enough for the largest folder

    def on(self, folder: Path) -> tuple[str, ...]:
        """The command line that checks a folder."""
        return (str(BIN / self.command[0]), *self.command[1:], str(folder))


TOOLS = (
    Tool("freezelint", "freezelint", ("freezelint", "check", "--isolated", "--no-cache"), quick=True),
    Tool("TorchFix", "torchfix", ("torchfix",)),
    Tool("TorchFix in flake8", "torchfix", ("flake8", "--isolated", "-j1", "--select=TOR")),
    Tool("pylint", "pylint", ("pylint", f"--rcfile={os.devnull}", "-j1", "--recursive=y"), range(32)),
    Tool("fixit", "fixit", ("fixit", "--quiet", "lint")),
    Tool("ruff", "ruff", ("ruff", "check", "--isolated", "--no-cache"), quick=True),
)


@dataclass(frozen=True)
class Cost:
    """What one run took: CPU seconds of the whole process tree, and the peak memory of its largest process."""

    seconds: float
    megabytes: float


def installed() -> list[Tool]:
    """What can be compared; freezelint first."""
    there = [tool for tool in TOOLS if (BIN / tool.command[0]).exists()]
    for tool in TOOLS:
        if tool not in there:
            print(f"{tool.name} is left out: there is no {BIN / tool.command[0]}", file=sys.stderr)
    if TOOLS[0] not in there:
        raise SystemExit("freezelint itself has to be installed beside this Python")
    return there


def measure(command: Sequence[str], statuses: Collection[int] = (0, 1)) -> Cost:
    """The cost of one command. A process in between, because RUSAGE_CHILDREN only ever grows."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (list(command), statuses))


def _measured(command: list[str], statuses: Collection[int]) -> Cost:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in statuses:
        raise SystemExit(f"{' '.join(command)} failed ({done.returncode}):\n{done.stderr[-2000:]}")
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    return Cost(seconds, after.ru_maxrss * unit / 1e6)


def size(folder: Path) -> str:
    """Python files and lines below a folder."""
    files = sorted(folder.rglob("*.py"))
    return f"{len(files):,} Python files, {lines(files):,} lines"


def lines(files: Iterable[Path]) -> int:
    """How many lines some files have."""
    return sum(file.read_bytes().count(b"\n") for file in files)


def medians(tools: Sequence[Tool], folders: dict[Tool, Path], runs: int, what: str = "run") -> dict[Tool, Cost]:
    """What each tool takes for its folder, run in turn."""
    costs: dict[Tool, list[Cost]] = {tool: [] for tool in tools}
    for number in range(runs):
        for tool in tools:
            cost = measure(tool.on(folders[tool]), tool.statuses)
            costs[tool].append(cost)
            print(f"{what} {number + 1}: {tool.name}: {cost.seconds:.2f} s, {cost.megabytes:.0f} MB", file=sys.stderr)
    return {
        tool: Cost(
            statistics.median(c.seconds for c in costs[tool]), statistics.median(c.megabytes for c in costs[tool])
        )
        for tool in tools
    }


def sampled(tools: Sequence[Tool], folder: Path, number: int, seed: int, runs: int) -> tuple[dict[Tool, Cost], str]:
    """What each tool takes for a large folder, the slow ones as scaled from some of its files, and how it was done."""
    files = sorted(folder.rglob("*.py"))
    chosen = random.Random(seed).sample(files, min(number, len(files)))
    share = lines(files) / max(lines(chosen), 1)
    with tempfile.TemporaryDirectory() as scratch:
        sample, nothing = Path(scratch, "sample"), Path(scratch, "nothing")
        for file in chosen:
            target = sample / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        nothing.mkdir()
        (nothing / "nothing.py").touch()
        slow = [tool for tool in tools if not tool.quick]
        starts = medians(slow, dict.fromkeys(slow, nothing), runs, "start")
        costs = medians(tools, {tool: folder if tool.quick else sample for tool in tools}, runs)
    for tool in slow:
        start = starts[tool].seconds
        costs[tool] = Cost(start + (costs[tool].seconds - start) * share, costs[tool].megabytes)
    how = (
        f"freezelint and ruff checked all of it, the others {len(chosen)} files with {lines(chosen):,} lines, drawn "
        f"with seed {seed}: what they took beyond their start-up is scaled by lines, and their memory is what the "
        "sample took"
    )
    return costs, how


def table(costs: dict[Tool, Cost]) -> list[str]:
    """The costs as a table, with freezelint as the measure of the others."""
    base = next(iter(costs.values()))
    rows = ["| tool | version | CPU seconds | peak memory | CPU, freezelint = 1 |", "|---|---|--:|--:|--:|"]
    for tool, cost in costs.items():
        version = importlib.metadata.version(tool.package)
        ratio = cost.seconds / base.seconds
        rows.append(f"| {tool.name} | {version} | {cost.seconds:.2f} | {cost.megabytes:.0f} MB | {ratio:.2f} |")
    return rows


def main() -> None:
    """Run every tool in turn, as often as asked, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sample", type=int, help="how many files the slow tools check")
    parser.add_argument("--seed", type=int, default=0, help="which files these are")
    parser.add_argument("--title", default="Many packages together", help="of the section that a sample gets")
    parser.add_argument("--write", type=Path, help="a Markdown file to write the table to")
    parser.add_argument("--machine", default=f"{os.cpu_count()} cores", help="how to describe the machine")
    options = parser.parse_args()
    tools, folder = installed(), options.folder
    how = ""
    if options.sample:
        costs, how = sampled(tools, folder, options.sample, options.seed, options.runs)
    else:
        costs = medians(tools, dict.fromkeys(tools, folder), options.runs)
    python = ".".join(map(str, sys.version_info[:3]))
    where = (
        f"medians of {options.runs} runs on {options.machine}" if options.runs > 1 else f"one run on {options.machine}"
    )
    parser_version = importlib.metadata.version("libcst")
    said = f"{folder.resolve().name}: {size(folder)}; {where}, Python {python}, libcst {parser_version}."
    told = [*table(costs), "", said, *(["", f"Of these, {how}."] if how else [])]
    print("\n".join(told))
    if options.write and options.sample:
        put(options.write, "compare.py --sample", [f"## {options.title}", "", *told])
    elif options.write:
        head = (
            "CPU seconds are user and system time of a whole process, its start-up included. This compares cost: the "
            "tools\nlook for different things, and flake8 runs its own checks as well."
        )
        put(options.write, "compare.py", [head, "", *told])


if __name__ == "__main__":
    main()
