"""What watching costs a training step: paired blocks of steps with and without the recorder, in ABBA order.

    python benchmarks/live_overhead.py [--blocks 12] [--steps 8] [--net cnn|transformer|nano]

Prints the median ratio of neighbouring blocks with a 95 % interval by bootstrap. "every" looks at each step closely
(flags, modes, gradients, values), "sampled" at the first three and then at every sixteenth.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

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


def block(model: nn.Module, optimizer: Any, batch: Any, steps: int) -> float:
    """Seconds of processor time a step: on a shared machine the clock on the wall measures the neighbours."""
    started = time.thread_time()
    for _ in range(steps):
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()
    return (time.thread_time() - started) / steps


def compare(make: Callable[[], tuple[nn.Module, Any]], every: int, blocks: int, steps: int) -> str:
    """The ratio of watched to plain steps."""
    torch.manual_seed(0)
    model, batch = make()
    optimizer = torch.optim.AdamW(model.parameters())
    watch = freezelint.watch(model, optimizer, every=every)
    block(model, optimizer, batch, 2)
    with watch:  # what the first steps cost is paid once, and not counted here
        block(model, optimizer, batch, recorder.CLOSE_STEPS + 1)
    ratios, plain = [], []
    for number in range(blocks):
        pair = {}
        for watched in (False, True) if number % 2 else (True, False):
            if watched:
                with watch:
                    pair[True] = block(model, optimizer, batch, steps)
            else:
                pair[False] = block(model, optimizer, batch, steps)
        ratios.append(pair[True] / pair[False])
        plain.append(pair[False])
    draws = sorted(statistics.median(random.choices(ratios, k=len(ratios))) for _ in range(2000))
    low, high = draws[50], draws[-50]
    return (
        f"{statistics.median(ratios) - 1:+.1%} ({low - 1:+.1%} to {high - 1:+.1%})"
        f" of {statistics.median(plain) * 1e3:.2f} ms"
    )


def main() -> None:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--net", choices=["cnn", "transformer", "nano"], action="append")
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--steps", type=int, default=16)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread")
    for name in arguments.net or ["cnn", "transformer", "nano"]:
        for words, every in (("every step", 1), ("sampled", 16), ("asleep", 0)):
            print(f"{name}, {words}: {compare(globals()[name], every, arguments.blocks, arguments.steps)}", flush=True)


if __name__ == "__main__":
    main()
