"""The bundled examples: `check` tells their true story, and `confirm` proves every part of it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import freezelint
from freezelint import api
from freezelint.config import Config

EXAMPLES = Path(__file__).parent.parent / "examples"

FAULTS = {
    ("finetune/engine.py", "train-mode-not-restored", "model.eval()"),
    ("finetune/model.py", "misspelled-requires-grad", "model.scale.require_grad = False"),
    ("finetune/model.py", "unfreeze-not-in-optimizer", "parameter.requires_grad = True"),
    ("finetune/train.py", "frozen-bn-train-mode", "model.train()"),
}


def test_the_example_has_the_faults_it_is_there_to_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES)
    findings = api.check([Path("finetune")], Config()).findings
    assert {(f.site.path, f.rule, f.source_line.strip()) for f in findings} == FAULTS


def test_the_story_leads_through_all_three_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES)
    findings = api.check([Path("finetune")], Config()).findings
    [unfrozen] = [finding for finding in findings if finding.rule == "unfreeze-not-in-optimizer"]
    assert list(dict.fromkeys(site.path for site in (unfrozen.site, *unfrozen.related))) == [
        "finetune/model.py",
        "finetune/train.py",
        "finetune/engine.py",
    ]


# What is wrong with each faulty script of examples/resnet18; the fixed ones have nothing.
RESNET = {
    "staged_faulty.py": {
        ("unfreeze-not-in-optimizer", "parameter.requires_grad = True"),
        ("frozen-bn-train-mode", "model.train()"),
    },
    "staged_fixed.py": set(),
    "rates_faulty.py": {("head-replaced-after-optimizer", "model.fc = nn.Linear(512, 100)")},
    "rates_fixed.py": set(),
}


@pytest.mark.parametrize("script", RESNET)
def test_faulty_and_fixed_side_by_side(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.chdir(EXAMPLES / "resnet18")
    findings = api.check([Path(script)], Config()).findings
    assert {(f.rule, f.source_line.strip()) for f in findings} == RESNET[script]
    assert {f.site.path for f in findings} <= {script}


needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch")


def confirmed(folder: str, script: str, *options: str) -> tuple[int, set[tuple[str, str]]]:
    """Exit status of `confirm` in a process of its own, and its verdicts."""
    command = [sys.executable, "-m", "freezelint", "confirm", "--isolated", "--output-format", "json"]
    package = str(Path(freezelint.__file__).resolve().parent.parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([package, *sys.path]), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [*command, *options[: options.index("--")], script, *options[options.index("--") :]],
        cwd=EXAMPLES / folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode in (0, 1), done.stderr
    report = json.loads(done.stdout)
    assert report["live_only"] == []
    return done.returncode, {(f["rule"], f["verdict"]) for f in report["findings"]}


@needs_torch
def test_the_run_confirms_every_fault() -> None:
    assert confirmed("finetune", "train.py", "--") == (1, {(slug, "confirmed") for _, slug, _ in FAULTS})


@needs_torch
@pytest.mark.parametrize("script", RESNET)
def test_the_run_agrees_on_faulty_and_fixed(script: str) -> None:
    status, verdicts = confirmed("resnet18", script, "--until", "end", "--", "--batch", "2", "--batches", "1")
    assert verdicts == {(slug, "confirmed") for slug, _ in RESNET[script]}
    assert status == bool(verdicts)
