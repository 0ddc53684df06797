"""Small whole programs: the verdict on each fault of a faulty one, and silence about a correct one, checked and run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

PROJECTS = sorted((Path(__file__).parent / "fixtures" / "projects").iterdir())


def confirmed(project: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "freezelint", "confirm", "--isolated", "--until", "end"]
    done = subprocess.run(
        [*command, "--output-format", "json", "main.py"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=180,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"},
    )
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["run"]["error"] is None, done.stderr
    return report


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.name)
def test_project(project: Path) -> None:
    expected = json.loads((project / "verdicts.json").read_text(encoding="utf-8"))
    report = confirmed(project)
    verdicts: dict[str, list[str]] = {}
    for finding in report["findings"]:
        verdicts.setdefault(finding["rule"], []).append(finding["verdict"])
    assert verdicts == expected
    assert [(finding["rule"], finding["line"]) for finding in report["live_only"]] == []
    assert bool(expected) is project.name.startswith("faulty")
