"""What the static side understands of programs, by the findings that depend on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from freezelint.api import check
from freezelint.config import Config
from freezelint.static import versions

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


@pytest.mark.parametrize(
    ("said", "is_older"),
    [
        ("lightning==2.0.2", True),
        ("lightning<=2.1", True),
        ("lightning>=2.0,<2.2.0", True),
        ('lightning = {version = "2.0.2", extras = ["extra"]}', True),
        ("lightning==2.2.0", False),
        ("lightning>=2.0,<3", False),
        ("lightning~=2.0", False),
        ('lightning = "^2.0"', False),
        ("lightning==2.*", False),
        ("pytorch-lightning==1.9", False),
    ],
)
def test_versions_are_compared_as_far_as_they_are_said(tmp_path: Path, said: str, is_older: bool) -> None:
    (tmp_path / "requirements.txt").write_text(said + "\n", encoding="utf-8")
    assert versions.older(tmp_path / "main.py", "lightning", 2, 2) is is_older


def test_a_bound_of_a_major_version_may_be_written_with_zeros(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("transformers>=4.30,<5.0\n", encoding="utf-8")
    assert versions.older(tmp_path / "main.py", "transformers", 5)


def test_a_pattern_in_parentheses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in the parentheses of a pattern is no expression, and may need them."""
    monkeypatch.chdir(tmp_path)
    Path("main.py").write_text(
        "import torch\n"
        "def train(model, size, loader):\n"
        "    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "    for x in loader:\n"
        "        match size:\n"
        "            case (int(i), int(j)):\n"
        "                pass\n"
        "            case (int(i), int(j), int(k)) | (None):\n"
        "                continue\n"
        "        model(x).sum().backward()\n"
        "        optimizer.step()\n",
        encoding="utf-8",
    )
    assert check([Path("main.py")], Config()).findings == []
