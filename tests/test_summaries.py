"""Calls that cannot touch training are cut short, and what trains after them, or because of them, is still seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from freezelint.config import Config
from freezelint.static import entries, interpreter
from freezelint.static.analyse import conclude
from freezelint.static.interpreter import Interpreter
from freezelint.static.modules import Modules
from freezelint.static.project import Source

TRAIN = """
import torch
from torch import nn
from torchvision.models import resnet18

{helpers}

model = resnet18(weights="DEFAULT")
for p in model.parameters():
    p.requires_grad = False
model.fc = nn.Linear(512, 2)
optimizer = torch.optim.SGD(model.fc.parameters(), lr=0.1)
for epoch in range(10):
    for images, labels in loader:
        model.train()
        optimizer.zero_grad()
        output = model(images)
        {between}
        loss = nn.functional.cross_entropy(output, labels)
        loss.backward()
        optimizer.step()
"""


def run(tmp_path: Path, helpers: str, between: str) -> tuple[Interpreter, list[str]]:
    """Analyse a program; the interpreter, and the rules that found something."""
    path = tmp_path / "main.py"
    path.write_text(TRAIN.format(helpers=helpers, between=between), encoding="utf-8")
    modules = Modules()
    module = modules.add(Source(str(path), path.read_text(encoding="utf-8")), path)
    events: list[str] = []
    it = Interpreter(modules, Config().rules().values(), events.append)
    it.events = events  # type: ignore[attr-defined]
    entries.run(it, module)
    return it, sorted({f.rule for f in conclude(it.found, it.reached, it.endings)})


LONG = "def draw(image):\n" + "".join(f"    a{n} = image.crop({n}, {n} + 1).resize(({n}, 2))\n" for n in range(300))
KNOWN = ["frozen-bn-train-mode"]


def test_a_long_function_that_names_nothing_of_training_is_given_up(tmp_path: Path) -> None:
    short, found = run(tmp_path, "", "pass")
    assert found == KNOWN
    long, found = run(tmp_path, LONG, "draw(images[0]); draw(images[1])")
    assert found == KNOWN
    assert short.fuel - long.fuel < 1_500, "the first run may take its 400 evaluations, none of the others is run"


def test_what_is_given_up_leaves_unknown_what_it_writes(tmp_path: Path) -> None:
    helpers = LONG.replace("def draw(image):", "class Canvas:\n    def __init__(self):\n        self.drawn = False\n"
        "    def draw(self, image):\n        self.drawn = True").replace("\n    a", "\n        a")  # fmt: skip
    helpers += "canvas = Canvas()\n"
    _, found = run(tmp_path, helpers, "canvas.draw(images)\n        if canvas.drawn: model.eval()")
    assert "frozen-bn-train-mode" in found, "canvas.drawn is not taken to be what it was, nor to be True"


def test_a_function_without_events_is_run_twice_and_then_known(tmp_path: Path) -> None:
    metric = "def accuracy(output, target):\n    with torch.no_grad():\n        model_guess = output.argmax(1)\n"
    metric += "".join(f"        a{n} = (model_guess == target).float().sum() / {n}\n" for n in range(1, 60))
    metric += "        return a1\n"
    once, found = run(tmp_path, metric, "accuracy(output, labels)")
    assert found == KNOWN
    often, found = run(tmp_path, metric, "; ".join(["accuracy(output, labels)"] * 12))
    assert found == KNOWN
    spent = [it.tank + it.reserve - it.fuel for it in (once, often)]
    assert spent[1] < 1.5 * spent[0], spent


@pytest.mark.parametrize(
    ("helpers", "between", "cut"),
    [
        ("def same(x):\n    model_x = x\n    return model_x * 2\n", "output = same(same(same(same(output))))", False),
        ("def cut(x):\n    model_x = x\n    return model_x.detach()\n", "output = cut(cut(cut(cut(output))))", True),
    ],
)
def test_what_is_known_of_a_function_keeps_the_way_back(tmp_path: Path, helpers: str, between: str, cut: bool) -> None:
    _, found = run(tmp_path, helpers, between)
    assert ("detach-cuts-trainable" in found) is cut


def test_a_function_that_reads_the_model_is_run_each_time(tmp_path: Path) -> None:
    helpers = "import sys\ndef still(m):\n    m.eval()\ndef tick():\n    if sys.argv[1] == 'x':\n        still(model)\n"
    it, _ = run(tmp_path, helpers, "tick(); tick(); tick(); tick()")
    stills = [line for line in it.events if "training=no" in line]  # type: ignore[attr-defined]
    assert len(stills) >= 8, "four calls in two laps"


def test_a_function_that_is_given_a_model_is_run_whatever_it_did_without(tmp_path: Path) -> None:
    helpers = "def still(net):\n    if net is not None:\n        net.apply(lambda m: m.eval())\n"
    _, found = run(tmp_path, helpers, "still(None); still(None); still(None)")
    assert found == KNOWN
    _, found = run(tmp_path, helpers, "still(None); still(None); still(None); still(model); output = model(images)")
    assert "frozen-bn-train-mode" not in found or "eval-overridden-by-train" in found


LITTLE = """
import argparse
import torch
from torch import nn
from torchvision.models import resnet18

args = parser.parse_args()
model = resnet18(weights="DEFAULT")
if args.freeze:
    for p in model.parameters():
        p.requires_grad = False
if args.resume:
    model.load_state_dict(torch.load(args.resume))
if args.verbose:
    print(model)
model.fc = nn.Linear(512, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(10):
    if args.staged and epoch == 5:
        {late}
    for images, labels in loader:
        model.train()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
"""


@pytest.mark.parametrize(
    ("late", "rules"),
    [
        ("print(epoch)", {"frozen-bn-train-mode", "optimizer-over-frozen"}),
        # Whoever unfreezes later has a reason to hand the optimizer everything.
        ("model.requires_grad_(True)", {"frozen-bn-train-mode"}),
    ],
)
def test_with_little_fuel_the_way_with_a_freeze_is_taken_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: str, rules: set[str]
) -> None:
    """And what is found on it is not said of the ways that were not taken."""
    monkeypatch.setattr(entries, "ENTRY_FUEL", 20)
    monkeypatch.setattr(interpreter, "RESERVE", 1_000)
    path = tmp_path / "main.py"
    path.write_text(LITTLE.format(late=late), encoding="utf-8")
    modules = Modules()
    module = modules.add(Source(str(path), path.read_text(encoding="utf-8")), path)
    it = Interpreter(modules, Config().rules().values())
    entries.run(it, module)
    excused = {slug for slug, _ in it.excused}
    found = [f for f in conclude(it.found, it.reached, it.endings) if f.rule not in excused]
    assert {f.rule for f in found} == rules
    assert all(f.when is not None and "args.freeze" in f.when for f in found)
