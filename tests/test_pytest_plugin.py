"""The fixture `freezelint_watch`, in a pytest of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

TESTS = """
import torch
from torch import nn


def parts():
    body, head = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), nn.Linear(4, 2)
    model = nn.Sequential(body, head)
    body.requires_grad_(False)
    return model, torch.optim.SGD(head.parameters(), lr=0.1)


def train(model, optimizer):
    for _ in range(4):
        optimizer.zero_grad()
        model(torch.randn(4, 3)).sum().backward()
        optimizer.step()


def test_good(freezelint_watch):
    model, optimizer = parts()
    model[0].eval()
    freezelint_watch(model, optimizer, expect_frozen="0", expect_trainable="1")
    train(model, optimizer)


def test_bad(freezelint_watch):
    model, optimizer = parts()
    freezelint_watch(model, optimizer, expect_frozen="0", fail=False)
    train(model, optimizer)


def test_not_used():
    pass
"""


def test_a_bad_report_fails_the_test(tmp_path: Path) -> None:
    (tmp_path / "test_training.py").write_text(TESTS, encoding="utf-8")
    plugin = ["-p", "no:freezelint", "-p", "freezelint.live.pytest_plugin", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *plugin, "-q", "test_training.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert "3 passed" in done.stdout and "1 error" in done.stdout, done.stdout + done.stderr
    assert "ERROR test_training.py::test_bad" in done.stdout
    assert "running statistics" in done.stdout
