"""How the cost of a check grows: with copies of a folder, and with one file's length, tests, calls and optimizers.

Copies, and the length of a file, are to cost what one costs, each: of them the straight line that fits best is told.

    python benchmarks/growth.py FOLDER [--runs 3] [--write docs/benchmarks/growth.md]

CPU seconds of a whole process; medians of all runs, in turn.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from compare import measure, size

HEAD = "import torch\nfrom torch import nn\nfrom torchvision.models import resnet18\n\n"
STEP = "    loss = model(torch.randn(2, 3, 224, 224)).sum()\n    opt.zero_grad()\n    loss.backward()\n    opt.step()\n"
MODEL = 'model = resnet18(weights="DEFAULT")\n'
OPTIMIZER = "opt = torch.optim.SGD(model.parameters(), lr=0.1)\n"
LOOP = f"for epoch in range(9):\n{STEP}"


NOISE = 0.1  # seconds
LINEAR = ("copies", "functions that train")


def long(count: int) -> str:
    """A file of functions that each freeze and train."""
    body = f"    for p in model.layer1.parameters():\n        p.requires_grad = False\n    {OPTIMIZER}{STEP}"
    return HEAD + "".join(f"def train_{n}(model):\n{body}\n\n" for n in range(count))


def branching(count: int) -> str:
    """A program with independent options, each of which freezes another layer."""
    tests = "".join(
        f"if args.option_{n}:\n    for p in model.layer{n % 4 + 1}.parameters():\n        p.requires_grad = False\n"
        for n in range(count)
    )
    parsed = "import argparse\nargs = argparse.ArgumentParser().parse_args()\n"
    return HEAD + parsed + MODEL + tests + OPTIMIZER + LOOP


def deep(count: int) -> str:
    """A program whose training loop lies below so many calls."""
    first = f"def call_0(model, opt):\n{STEP}\n\n"
    calls = "".join(f"def call_{n}(model, opt):\n    return call_{n - 1}(model, opt)\n\n\n" for n in range(1, count))
    return HEAD + first + calls + MODEL + OPTIMIZER + f"call_{count - 1}(model, opt)\n"


def stepping(count: int) -> str:
    """A program with so many optimizers, all of which step."""
    made = "".join(f"opt_{n} = torch.optim.SGD(model.layer{n % 4 + 1}.parameters(), lr=0.1)\n" for n in range(count))
    steps = "".join(f"    opt_{n}.step()\n" for n in range(count))
    return HEAD + MODEL + made + "opt = opt_0\n" + LOOP + steps


KINDS: tuple[tuple[str, Callable[[int], str], tuple[int, ...]], ...] = (
    ("functions that train", long, (20, 40, 80, 160, 320)),
    ("options that freeze", branching, (2, 4, 8, 16, 32)),
    ("calls in one another", deep, (2, 4, 8, 16)),
    ("optimizers", stepping, (2, 4, 8, 16)),
)


def check(path: Path) -> tuple[str, ...]:
    """The command that checks a path."""
    return (sys.executable, "-m", "freezelint", "check", "--isolated", "--no-cache", str(path))


def median(path: Path, runs: int) -> tuple[float, float]:
    """CPU seconds and megabytes."""
    costs = [measure(check(path)) for _ in range(runs)]
    return statistics.median(c.seconds for c in costs), statistics.median(c.megabytes for c in costs)


def line(measured: Sequence[tuple[int, float]]) -> str:
    """The straight line that fits best, and how far what was measured is from it."""
    each, fixed = statistics.linear_regression(*zip(*measured, strict=True))
    far = max(abs(seconds / (fixed + each * count) - 1) for count, seconds in measured)
    return (
        f"The line that fits best: {fixed:.2f} seconds, and {each * 1000:.0f} ms each; all are within {far:.0%} of it."
    )


def rows(what: str, sized: list[tuple[int, Path]], runs: int, start: float) -> list[str]:
    """A table of one kind of growth. What each takes is told where it is more than the process itself may vary by."""
    measured = []
    lines = [f"| {what} | CPU seconds | more than the process, each | peak memory |", "|--:|--:|--:|--:|"]
    for count, path in sized:
        seconds, megabytes = median(path, runs)
        measured.append((count, seconds))
        more = seconds - start
        each = f"{more / count * 1000:.0f} ms" if more > NOISE else "-"
        lines.append(f"| {count} | {seconds:.2f} | {each} | {megabytes:.0f} MB |")
        print(lines[-1], file=sys.stderr)
    return [*lines, "", *([line(measured), ""] if what in LINEAR else [])]


def main() -> None:
    """Measure every kind of growth and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--write", type=Path, help="a Markdown file to write the tables to")
    parser.add_argument("--machine", default=f"{os.cpu_count()} cores", help="how to describe the machine")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "short.py").write_text(HEAD + "loss.backward()\n", encoding="utf-8")
        start, _ = median(folder / "short.py", options.runs)
        copies = []
        for count in (1, 2, 4, 8):
            for number in range(count):
                shutil.copytree(options.folder, folder / f"times_{count}" / f"copy_{number}" / options.folder.name)
            copies.append((count, folder / f"times_{count}"))
        lines = [f"Copies of {options.folder.resolve().name}: {size(options.folder)}.", ""]
        lines += rows("copies", copies, options.runs, start)
        for what, make, counts in KINDS:
            sized = []
            for count in counts:
                file = folder / f"{make.__name__}_{count}.py"
                file.write_text(make(count), encoding="utf-8")
                sized.append((count, file))
            lines += rows(what, sized, options.runs, start)
    head = [
        "# How the cost grows",
        "",
        f"Written by `benchmarks/growth.py`: medians of {options.runs} runs on {options.machine}, Python "
        f"{'.'.join(map(str, sys.version_info[:3]))}.",
        f"A process takes {start:.2f} CPU seconds to check a file in which next to nothing happens. The evaluations",
        "that a program may take are bounded, so that options do not double the work for ever: see",
        "[worlds and fuel](../decisions/worlds-and-fuel.md).",
        "",
    ]
    text = "\n".join([*head, *lines])
    print(text)
    if options.write:
        options.write.write_text(text.rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
