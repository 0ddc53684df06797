"""What a check costs once there is a cache: nothing changed, and one file changed, beside ruff with its cache.

    python -m venv /tmp/tools && /tmp/tools/bin/pip install ruff . && \\
        /tmp/tools/bin/python benchmarks/warm.py FOLDER --changing FILE [--runs 5] [--write docs/benchmarks/speed.md]

The folder is copied, its cache is filled, and then the tools run in turn, each as a process of its own; CPU seconds and
peak memory are measured as in `benchmarks/compare.py`. FILE, relative to the folder, gets another line before each run
that is to find one file changed. ruff looks again at files in which it found something, so it is also shown with rules
that find nothing here: that is what its cache alone costs.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from compare import BIN, Cost, measure, size
from pages import put


def main() -> None:
    """Fill the caches, run the tools in turn, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--changing", required=True, help="the file that changes, relative to the folder")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--write", type=Path, help="a Markdown file with a section for the table")
    parser.add_argument("--machine", default=f"{os.cpu_count()} cores", help="how to describe the machine")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, options.folder.resolve().name)
        shutil.copytree(options.folder, folder)
        lines = _table(folder, folder / options.changing, Path(scratch), options.runs)
    python = ".".join(map(str, sys.version_info[:3]))
    lines += [
        "",
        "ruff keeps nothing of a file in which it found something: the last row is what its cache costs where it "
        "serves for every file.",
        "",
        f"{options.folder.resolve().name}: {size(options.folder)}; the file that changes: `{options.changing}`; "
        f"medians of {options.runs} runs on {options.machine}, Python {python}.",
    ]
    print("\n".join(lines))
    if options.write:
        put(options.write, "warm.py", ["## Once there is a cache", "", *lines])


def _table(folder: Path, changing: Path, scratch: Path, runs: int) -> list[str]:
    check = (str(BIN / "freezelint"), "check", "--isolated", "--quiet", "--cache-dir", str(scratch / "freezelint"))
    ruff = (str(BIN / "ruff"), "check", "--isolated", "--quiet", "--cache-dir", str(scratch / "ruff"))
    silent = ("--select", "E9")
    rows = {
        "freezelint, nothing changed": (*check, str(folder)),
        "freezelint, one file changed": (*check, str(folder)),
        "ruff, nothing changed": (*ruff, str(folder)),
        "ruff, nothing changed, nothing found": (*ruff, *silent, str(folder)),
    }
    costs: dict[str, list[Cost]] = {name: [] for name in rows}
    for command in dict.fromkeys(rows.values()):
        first = measure(command)
        print(f"{' '.join(command[:2])}, to fill its cache: {first.seconds:.2f} s", file=sys.stderr)
    for number in range(runs):
        for name, command in rows.items():
            if "one file" in name:
                with open(changing, "a", encoding="utf-8") as file:
                    file.write(f"\n_changed = {number}\n")
            costs[name].append(measure(command))
            print(f"run {number + 1}: {name}: {costs[name][-1].seconds:.2f} s", file=sys.stderr)
    lines = ["| tool | version | CPU seconds | peak memory |", "|---|---|--:|--:|"]
    for name, measured in costs.items():
        version = importlib.metadata.version(name.partition(",")[0])
        seconds, megabytes = (
            statistics.median(each) for each in zip(*((c.seconds, c.megabytes) for c in measured), strict=True)
        )
        lines.append(f"| {name} | {version} | {seconds:.2f} | {megabytes:.0f} MB |")
    return lines


if __name__ == "__main__":
    main()
