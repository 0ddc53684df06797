"""What watching costs a training step: paired blocks of steps with and without the recorder, in ABBA order.

    python benchmarks/live_overhead.py [--blocks 12] [--net cnn|transformer|nano] [--starts 7] [--write]

Prints the median ratio of neighbouring blocks with a 95 % interval by bootstrap. "every step" looks at each step
closely (flags, modes, gradients, values), "sampled" at the first three and then at every sixteenth. Processor time is
what counts on a machine that others use; time on the wall is printed beside it. The start is what `freezelint confirm`
adds to a program that trains for one step: reading it, checking it, setting up, and the report.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pages
import torch
from torch import nn

import freezelint
from freezelint.live import recorder


class Block(nn.Module):
    def __init__(self, width: int, into: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, into, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(into)
        self.conv2 = nn.Conv2d(into, into, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(into)
        self.side = nn.Sequential(nn.Conv2d(width, into, 1, stride, bias=False), nn.BatchNorm2d(into))

    def forward(self, x: Any) -> Any:
        return (self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())) + self.side(x)).relu()


def cnn() -> tuple[nn.Module, Any]:
    """The size of a ResNet-18, batch 32 of 3x64x64."""
    widths = [64, 64, 128, 128, 256, 256, 512, 512]
    blocks = [Block(a, b, 1 + (a != b)) for a, b in zip([64, *widths], widths, strict=False)]
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)]
    model = nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))
    return model, torch.randn(32, 3, 64, 64)


def transformer() -> tuple[nn.Module, Any]:
    """Four layers of width 192, 8 sequences of 64."""
    layer = nn.TransformerEncoderLayer(192, 4, 768, batch_first=True)
    return nn.Sequential(nn.TransformerEncoder(layer, 4), nn.Linear(192, 10)), torch.randn(8, 64, 192)


def nano() -> tuple[nn.Module, Any]:
    """Sixty small layers: nearly all of the step is Python."""
    return nn.Sequential(*(nn.Linear(8, 8) for _ in range(60))), torch.randn(4, 8)


PROGRAM = """import torch
from torch import nn
net = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
for p in net[0].parameters():
    p.requires_grad = False
net[1].eval()
optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
net(torch.randn(4, 8)).square().mean().backward()
optimizer.step()
"""


@dataclass(frozen=True)
class Cost:
    """Seconds of processor time, and on the wall."""

    processor: float
    wall: float


def block(model: nn.Module, optimizer: Any, batch: Any, steps: int) -> Cost:
    """What a step costs, on average over a few."""
    processor, wall = time.process_time(), time.perf_counter()
    for _ in range(steps):
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()
    return Cost((time.process_time() - processor) / steps, (time.perf_counter() - wall) / steps)


def between(values: list[float]) -> tuple[float, float, float]:
    """The median, and a 95 % interval for it by bootstrap."""
    draw = random.Random(0)
    draws = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(4000))
    return statistics.median(values), draws[100], draws[-101]


def percent(pairs: list[tuple[float, float]]) -> str:
    """Of pairs (plain, watched): how much more the second is."""
    median, low, high = between([watched / plain - 1 for plain, watched in pairs])
    return f"{median:+.1%} ({low:+.1%} to {high:+.1%})"


def compare(make: Callable[[], tuple[nn.Module, Any]], every: int, blocks: int, steps: int) -> str:
    """The cells of one row: plain step, more processor time, more time on the wall."""
    torch.manual_seed(0)
    model, batch = make()
    optimizer = torch.optim.AdamW(model.parameters())
    watch = freezelint.watch(model, optimizer, every=every)
    block(model, optimizer, batch, 2)
    with watch:  # what the first steps cost is paid once, and not counted here
        block(model, optimizer, batch, recorder.CLOSE_STEPS + 1)
    pairs: list[tuple[Cost, Cost]] = []
    for number in range(blocks):
        pair: dict[bool, Cost] = {}
        for watched in (False, True) if number % 2 else (True, False):
            if watched:
                with watch:
                    pair[True] = block(model, optimizer, batch, steps)
            else:
                pair[False] = block(model, optimizer, batch, steps)
        pairs.append((pair[False], pair[True]))
    plain = statistics.median(cost.processor for cost, _ in pairs) * 1e3
    processor = percent([(a.processor, b.processor) for a, b in pairs])
    wall = percent([(a.wall, b.wall) for a, b in pairs])
    return f"{plain:.1f} ms | {processor} | {wall} | {blocks} x {steps}"


def start(runs: int) -> str:
    """What `confirm` adds to a program of one step: processor time and time on the wall."""
    more: list[Cost] = []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "main.py").write_text(PROGRAM, encoding="utf-8")
        plain, watched = [sys.executable, "main.py"], [sys.executable, "-m", "freezelint", "confirm", "main.py"]
        _process(watched, folder)  # once for the compiled files
        for number in range(runs):
            order = (plain, watched) if number % 2 else (watched, plain)
            costs = {len(command): _process(command, folder) for command in order}
            a, b = costs[len(plain)], costs[len(watched)]
            more.append(Cost(b.processor - a.processor, b.wall - a.wall))
    cells = [between([getattr(cost, kind) for cost in more]) for kind in ("processor", "wall")]
    told = [f"{median:.2f} s ({low:.2f} to {high:.2f})" for median, low, high in cells]
    return f"The start: {told[0]} of processor time, {told[1]} on the wall, medians of {runs} pairs of runs."


def _process(command: list[str], folder: str) -> Cost:
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    path = str(Path(freezelint.__file__).parents[1])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(processor, time.perf_counter() - wall)


def main() -> None:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--net", choices=["cnn", "transformer", "nano"], action="append")
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--starts", type=int, default=7)
    parser.add_argument("--write", action="store_true", help="write the page docs/benchmarks/live.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    rows = []
    for name in arguments.net or ["cnn", "transformer", "nano"]:
        make = globals()[name]
        for words, every, steps in (("every step", 1, 4), ("sampled", 16, 16)):
            blocks = arguments.blocks * (2 if every == 1 else 1)
            rows.append(f"| {make.__doc__.rstrip('.')} | {words} | {compare(make, every, blocks, steps)} |")
            print(rows[-1], flush=True)
    started = start(arguments.starts)
    version = ".".join(map(str, sys.version_info[:3]))
    lines = [
        "## What watching costs",
        "",
        "Blocks of steps with and without the recorder follow one another in one process, each kind as often first.",
        "The ratio of neighbours: its median, and a 95 % interval by bootstrap. The start is what `freezelint confirm`",
        "adds to a program that trains for one step, the report included.",
        "",
        "| model | looked at | plain step | more processor time | more time on the wall | pairs x steps |",
        "|---|---|--:|--:|--:|--:|",
        *rows,
        "",
        started,
        "",
        f"{pages.processor()}, {os.cpu_count()} shared cores (load {load:.1f} when it began), one thread; torch "
        f"{torch.__version__}, Python {version}, AdamW.",
    ]
    print("\n".join(lines))
    if arguments.write:
        pages.put(pages.PAGE, "live_overhead.py", lines)


if __name__ == "__main__":
    main()
