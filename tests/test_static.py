"""What the static side understands of programs, by the findings that depend on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from freezelint.api import check
from freezelint.config import Config

FROZEN_BACKBONE = """
import argparse
import torch
from torch import nn
from torchvision import models

parser = argparse.ArgumentParser()
parser.add_argument("--arch", default={default})
args = parser.parse_args()
model = {build}
for p in model.parameters():
    p.requires_grad = False
model.fc = nn.Linear(2048, 2)
optimizer = torch.optim.SGD(model.fc.parameters(), lr=0.1)
for images, labels in loader:
    model.train()
    loss = nn.functional.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> list[tuple[str, str | None]]:
    (tmp_path / "main.py").write_text(program, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return [(f.rule, f.when) for f in check([Path("main.py")], Config()).findings]


@pytest.mark.parametrize(
    "build", ["models.__dict__[args.arch](pretrained=True)", "getattr(models, args.arch)(weights='DEFAULT')"]
)
def test_default_of_an_option_is_an_assumption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build: str) -> None:
    program = FROZEN_BACKBONE.format(default="'resnet50'", build=build)
    assert ("frozen-bn-train-mode", "args.arch == 'resnet50'") in found(tmp_path, monkeypatch, program)


def test_default_without_batchnorm_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = FROZEN_BACKBONE.format(default="'vit_b_16'", build="models.__dict__[args.arch](pretrained=True)")
    assert not [rule for rule, _ in found(tmp_path, monkeypatch, program) if rule == "frozen-bn-train-mode"]
