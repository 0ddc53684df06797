"""Write the figures of docs/measure.md out of what `freezelint measure` found.

    python tools/make_measure_page.py                       # the page, out of docs/benchmarks/measured/*.json
    python tools/make_measure_page.py --measure cpu         # the figures first: an hour, with torch and peft installed
    python tools/make_measure_page.py --measure cuda NAME…  # those of a GPU, or only some of them

A test holds the page to the files.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from freezelint.measure import html, markdown  # noqa: E402
from freezelint.measure.rows import Result, groups, loaded, size  # noqa: E402

PAGE = ROOT / "docs" / "measure.md"
FOLDER = ROOT / "docs" / "benchmarks" / "measured"
PICTURES = ROOT / "docs" / "images"
PICTURED = ("resnet18-cifar", "bert-mini", "cuda-resnet18")
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"

# name -> the title of its section, and the command that makes it
RUNS = {
    "cpu": {
        "resnet18-cifar": (
            "ResNet-18 in the shape of CIFAR-100, batch 32",
            "--model resnet18 --input 32,3,32,32 --steps 3 --warm-up 1",
        ),
        "resnet18": (
            "ResNet-18 in the shape of ImageNet, batch 32",
            "--model resnet18 --optimizer sgd --steps 2 --warm-up 1 --strategy full,frozen-filtered,only-optimizer,cut",
        ),
        "vit_ti_16": (
            "A small Vision Transformer, batch 4",
            "--model vit_ti_16 --batch 4 --optimizer adamw --steps 3 --warm-up 1",
        ),
        "bert-mini": (
            "A small BERT, 8 texts of 64 tokens",
            "--model bert-mini --input int64:8,64:0..30522 --optimizer adamw --steps 3 --warm-up 1",
        ),
        "largest-batch": (
            "The largest batch, by cut point",
            "--model resnet18 --input 32,3,32,32 --optimizer sgd --strategy full,cut,frozen-filtered"
            " --budget 640MiB --largest-batch",
        ),
    },
    "cuda": {
        "cuda-resnet18": (
            "ResNet-18, batch 32, on a GPU",
            "--model resnet18 --device cuda --amp --steps 20 --warm-up 5",
        ),
        "cuda-vit_b_16": (
            "ViT-B/16, batch 32, on a GPU",
            "--model vit_b_16 --device cuda --amp --steps 20 --warm-up 5",
        ),
        "cuda-bert-base": ("BERT-base, on a GPU", "--model bert-base --device cuda --amp --steps 20 --warm-up 5"),
        "cuda-largest-batch": (
            "The largest batch on a GPU, by cut point",
            "--model resnet18 --device cuda --optimizer sgd --strategy full,cut,frozen-filtered --budget 8GiB"
            " --largest-batch",
        ),
    },
}


def page() -> str:
    """The page with the figures that there are."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return before + BEGIN + "".join(figures()) + END + rest.split(END)[1]


def figures() -> Iterator[str]:
    """A section for each run."""
    for runs in RUNS.values():
        for name, (title, arguments) in runs.items():
            file = FOLDER / f"{name}.json"
            if file.is_file():
                result = loaded(json.loads(file.read_text(encoding="utf-8")))
                yield f"\n### {title}\n\n```console\n$ freezelint measure {arguments}\n```\n\n"
                if name in PICTURED:
                    yield f"![Memory by kind](images/measure-{name}.svg)\n\n"
                yield from markdown.render(result)
                yield from beside_tutorials(name, result)
    yield "\n"


def pictures() -> dict[Path, str]:
    """The bars of some runs, by the file they belong into."""
    found = {}
    for name in PICTURED:
        file = FOLDER / f"{name}.json"
        if file.is_file():
            rows = next(iter(groups(loaded(json.loads(file.read_text(encoding="utf-8"))).rows).values()))
            drawn = "".join(html.memory_bars([row for row in rows if row.measured]))
            start = '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="12" fill="#808080"'
            found[PICTURES / f"measure-{name}.svg"] = drawn.replace("<svg", start, 1)
    return found


def beside_tutorials(name: str, result: Result) -> Iterator[str]:
    """Our ratio of frozen to full, where people tell figures of their own."""
    found = {row.strategy: row for row in result.rows if row.measured and row.optimizer == "sgd" and not row.amp}
    if name not in ("resnet18", "cuda-resnet18") or not {"full", "frozen-filtered"} <= found.keys():
        return
    full, frozen = found["full"], found["frozen-filtered"]
    memory = [sum(row.bytes.values()) for row in (full, frozen)]
    yield (
        "\nTutorials tell of 15.4 GB that become 9.8 GB (a factor of 1.6), and of 22 samples per second that become "
        "41 (1.9), when all but the head is frozen, without the model, batch and device that they mean. Here weights, "
        f"gradients, optimizer state and activations together go from {size(memory[0])} to {size(memory[1])} "
        f"(a factor of {memory[0] / memory[1]:.1f}), the peak from {size(full.peak)} to {size(frozen.peak)}, "
        f"and samples per second from {full.samples:.1f} to "
        f"{frozen.samples:.1f} ({frozen.samples / full.samples:.1f}).\n"
    )


def measure(device: str, names: Sequence[str]) -> None:
    """Run the commands; what they found goes to files."""
    FOLDER.mkdir(exist_ok=True)
    for name, (_, arguments) in RUNS[device].items():
        if not names or name in names:
            command = [sys.executable, "-m", "freezelint", "measure", *arguments.split()]
            subprocess.run([*command, "--report", f"json={FOLDER / name}.json"], check=True, cwd=ROOT)


def main(arguments: Sequence[str]) -> None:
    """Measure, if asked to, and write the page."""
    if arguments[:1] == ["--measure"]:
        measure(arguments[1], arguments[2:])
    PAGE.write_text(page(), encoding="utf-8")
    for file, text in pictures().items():
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
