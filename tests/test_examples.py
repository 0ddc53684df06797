"""The bundled example: `check` tells its true story, and `confirm` proves every part of it."""

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


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch")
def test_the_run_confirms_every_fault() -> None:
    command = [sys.executable, "-m", "freezelint", "confirm", "--isolated", "--output-format", "json"]
    package = str(Path(freezelint.__file__).resolve().parent.parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([package, *sys.path]), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [*command, "finetune/train.py"],
        cwd=EXAMPLES,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 1, done.stderr
    findings = json.loads(done.stdout)["findings"]
    assert {(f["rule"], f["verdict"]) for f in findings} == {(slug, "confirmed") for _, slug, _ in FAULTS}
