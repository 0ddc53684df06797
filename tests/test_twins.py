"""A choice between optimizers, where there is no fuel to follow each branch."""

from __future__ import annotations

from pathlib import Path

import pytest

from freezelint import api, mending
from freezelint.config import Config
from freezelint.finding import Finding
from freezelint.static import entries
from freezelint.static.analyse import analyse
from freezelint.static.project import Source

PROGRAM = """
import sys
import torch
from torch import nn
from torchvision import models


def build(name):
    if name == "vgg16_bn":
        model = models.vgg16_bn(weights="DEFAULT")
    elif name == "densenet121":
        model = models.densenet121(weights="DEFAULT")
    elif name == "mobilenet_v2":
        model = models.mobilenet_v2(weights="DEFAULT")
    else:
        model = models.resnet18(weights="DEFAULT")
    for p in model.parameters():
        p.requires_grad = False
    return nn.Sequential(model, nn.Linear(1000, 2))


model = build(args.arch)
if args.opt == "sgd":
    optimizer = torch.optim.SGD({first}, lr=0.1)
elif args.opt == "adam":
    optimizer = torch.optim.Adam({second}, lr=0.1)
else:
    optimizer = torch.optim.{last}(model.parameters(), lr=0.1)
model.eval()
for epoch in range(10):
    {late}
    for x, y in loader:
        if args.cuda:
            x, y = x.cuda(), y.cuda()
        loss = nn.functional.cross_entropy(model(x), y)
        if args.l1:
            loss = loss + args.l1 * model(x).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        if args.clip:
            nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        optimizer.step()
"""
ALL = "model.parameters()"
HEAD = "model[1].parameters()"


def found(monkeypatch: pytest.MonkeyPatch, fuel: int, late: str = "pass", **parts: str) -> dict[str, Finding]:
    """What is found with so little fuel that not every branch is followed, by the optimizer's name."""
    monkeypatch.setattr(entries, "ENTRY_FUEL", fuel)
    text = PROGRAM.format(late=late, **{"first": ALL, "second": ALL, "last": "AdamW", **parts})
    [checked] = analyse([Source("main.py", text)], Config().rules())
    over = [one for one in checked.findings if one.rule == "optimizer-over-frozen"]
    return {one.message.split("handed to ")[1].split(",")[0]: one for one in over}


@pytest.mark.parametrize("fuel", [100, 300, 600, 800, 2_000, 60_000])
def test_every_branch_is_told_however_few_of_them_are_followed(monkeypatch: pytest.MonkeyPatch, fuel: int) -> None:
    over = found(monkeypatch, fuel)
    assert {name: one.site.line for name, one in over.items()} == {"SGD": 24, "Adam": 26, "AdamW": 28}
    assert all(one.related for one in over.values())
    assert "'sgd'" not in str(over["Adam"].when) and 'args.opt == "adam"' in str(over["Adam"].when)
    assert 'args.opt == "sgd"' == over["SGD"].when
    assert 'not (args.opt == "sgd") and not (args.opt == "adam")' in str(over["AdamW"].when)


def test_a_branch_that_hands_over_something_else_is_no_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(found(monkeypatch, 300, second=HEAD)) <= {"SGD", "AdamW"}
    assert set(found(monkeypatch, 60_000, second=HEAD)) == {"SGD", "AdamW"}


def test_one_that_makes_room_for_frozen_parameters_has_its_own_story(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told of SGD is not true of Adagrad, so that it is told of Adagrad where a world came there."""
    assert "Adagrad" not in found(monkeypatch, 300, last="Adagrad")
    over = found(monkeypatch, 60_000, last="Adagrad")
    assert "allocates its state" in over["Adagrad"].message and "skips" in over["Adam"].message


@pytest.mark.parametrize("test", ["epoch == 5", 'args.opt == "adam" and epoch == 5'])
@pytest.mark.parametrize("fuel", [100, 300, 800])
def test_what_wakes_up_later_in_one_branch_is_said_of_no_twin(
    monkeypatch: pytest.MonkeyPatch, fuel: int, test: str
) -> None:
    late = f"if {test}:\n        model.requires_grad_(True)"
    assert "Adam" not in found(monkeypatch, fuel, late)


@pytest.mark.parametrize("fuel", [100, 60_000])
def test_every_branch_is_fixed_in_one_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fuel: int) -> None:
    """Nobody is told of the next branch only after the fix."""
    monkeypatch.setattr(entries, "ENTRY_FUEL", fuel)
    file = tmp_path / "main.py"
    file.write_text(PROGRAM.format(late="pass", first=ALL, second=ALL, last="AdamW"))
    config = Config(select=("optimizer-over-frozen",))
    plan = mending.plan(api.check([file], config), config, unsafe=True)
    plan.write()
    assert not plan.left
    assert file.read_text().count("[p for p in model.parameters() if p.requires_grad]") == 3
    assert not api.check([file], config).findings
