"""Small whole programs: the verdict on each fault of a faulty one, and silence about a correct one, checked and run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from freezelint.__main__ import run

torch = pytest.importorskip("torch")

PROJECTS = sorted((Path(__file__).parent / "fixtures" / "projects").iterdir())
OPTIONS = ["confirm", "--isolated", "--until", "end", "--output-format", "json", "main.py"]
ALONE = ("correct-gan", "faulty-late-unfreeze")  # these get a process of their own, as users start them


@pytest.fixture(autouse=True)
def no_trace(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The programs follow one another in this process, and importing torch is most of what each would cost."""
    known, threads = set(sys.modules), torch.get_num_threads()
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    for name in set(sys.modules) - known:
        if "projects" in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]
    torch.set_num_threads(threads)
    torch.set_grad_enabled(True)


def confirmed(project: Path, capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    if project.name in ALONE:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "freezelint", *OPTIONS]
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=180, env=environment)
        out = done.stdout
    else:
        run(OPTIONS)
        out = capfd.readouterr().out
    report: dict[str, Any] = json.loads(out)
    return report


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.name)
def test_project(project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(project)
    expected = json.loads((project / "verdicts.json").read_text(encoding="utf-8"))
    report = confirmed(project, capfd)
    raised = expected.pop("error", None)
    assert report["run"]["error"] is None if raised is None else raised in report["run"]["error"]
    verdicts: dict[str, list[str]] = {}
    for finding in report["findings"]:
        verdicts.setdefault(finding["rule"], []).append(finding["verdict"])
    assert verdicts == expected
    assert [(finding["rule"], finding["line"]) for finding in report["live_only"]] == []
    assert bool(expected) is project.name.startswith("faulty")


def test_every_program_has_its_counterpart() -> None:
    names = {project.name for project in PROJECTS}
    faulty = {name.partition("-")[2] for name in names if name.startswith("faulty-")}
    assert len(faulty & {name.partition("-")[2] for name in names if name.startswith("correct-")}) >= 45
