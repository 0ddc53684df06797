"""Where people meet freezelint: pre-commit runs the hook, and the scripts of the GitHub Action do what they say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
FAULT = "import torch\n\nnet = torch.nn.Linear(2, 2)\nnet.weight.require_grad = False\n"


def shell(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=300,
        check=False,
    )


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    done = shell("git", *identity, *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that holds what is installed of this project, as it is now."""
    if shutil.which("git") is None:
        pytest.skip("no git here")
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("src", "pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml", "action.yml"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copy(source, folder / name)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "as it is")
    return folder


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Packages can be had here."""
    folder = tmp_path_factory.mktemp("index")
    done = shell(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", ".", "pathspec", cwd=folder)
    if done.returncode:
        pytest.skip("no package index here")


@pytest.mark.usefixtures("index")
def test_pre_commit(checkout: Path, tmp_path: Path) -> None:
    pytest.importorskip("pre_commit")
    git(tmp_path, "init", "-q")
    (tmp_path / ".pre-commit-config.yaml").write_text(
        f"repos:\n- repo: {checkout.as_uri()}\n  rev: {git(checkout, 'rev-parse', 'HEAD')}\n"
        "  hooks:\n  - id: freezelint\n"
    )
    (tmp_path / "model.py").write_text(FAULT)
    book = {"cells": [{"cell_type": "code", "source": FAULT}]}
    (tmp_path / "notes.ipynb").write_text(json.dumps(book))
    (tmp_path / "data.csv").write_text("a,b\n")
    git(tmp_path, "add", "-A")
    home = {"PRE_COMMIT_HOME": str(tmp_path / ".git" / "pre-commit"), "PYTHONPATH": ""}
    run = (sys.executable, "-m", "pre_commit", "run", "--color=never")
    done = shell(*run, cwd=tmp_path, **home)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "model.py:4:1: error misspelled-requires-grad" in done.stdout
    assert "notes.ipynb:cell 0:4:1: error misspelled-requires-grad" in done.stdout
    (tmp_path / "model.py").write_text(FAULT.replace("require_grad", "requires_grad"))
    git(tmp_path, "rm", "-qf", "notes.ipynb")
    git(tmp_path, "add", "-A")
    done = shell(*run, cwd=tmp_path, **home)
    assert done.returncode == 0 and "Passed" in done.stdout, done.stdout + done.stderr


def action() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    return loaded


def step(name: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script of one step as the runner would."""
    [script] = [step["run"] for step in action()["runs"]["steps"] if step["name"] == name]
    names = {"GITHUB_ENV": "env", "GITHUB_OUTPUT": "output", "GITHUB_STEP_SUMMARY": "summary"}
    files = {variable: str(folder / "runner" / name) for variable, name in names.items()}
    (folder / "runner").mkdir(exist_ok=True)
    command = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)
    return shell(*command, cwd=folder, RUNNER_TEMP=str(folder / "runner"), **files, **environment)


def test_the_inputs_are_declared_and_never_pasted_into_scripts() -> None:
    described = action()
    for each in described["runs"]["steps"]:
        assert "${{" not in each["run"]
        for value in each["env"].values():
            assert value.removeprefix("${{ inputs.").removesuffix(" }}") in described["inputs"]


@pytest.fixture
def workflow(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A folder to check, and the environment of the step that does it."""
    if shutil.which("bash") is None:
        pytest.skip("no bash here")
    program = tmp_path / "freezelint"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m freezelint "$@"\n')
    program.chmod(0o755)
    (tmp_path / "my code").mkdir()
    (tmp_path / "my code" / "model.py").write_text(FAULT)
    settings = {name.upper(): str(each["default"]) for name, each in action()["inputs"].items()}
    return tmp_path, {**settings, "FREEZELINT": str(program)}


def test_the_check_of_the_action(workflow: tuple[Path, dict[str, str]]) -> None:
    folder, settings = workflow
    done = step("Check", folder, **{**settings, "PATHS": "my code\n$(touch owned)\n"})
    assert done.returncode == 1, done.stderr
    assert "::error title=freezelint%3A misspelled-requires-grad,file=my code/model.py,line=4" in done.stdout
    assert not (folder / "owned").exists()
    assert json.loads((folder / "freezelint.sarif").read_text())["runs"][0]["results"]
    assert (folder / "runner" / "output").read_text() == "status=1\n"
    assert "## freezelint" in (folder / "runner" / "summary").read_text()
    done = step("Check", folder, **{**settings, "OPTIONS": "--exit-zero\n--severity=error", "SUMMARY": "false"})
    assert done.returncode == 0
    assert (folder / "runner" / "summary").read_text().count("## freezelint") == 1
    done = step("Check", folder, **{**settings, "OPTIONS": "--selct=x"})
    assert done.returncode == 2 and "status=2" in (folder / "runner" / "output").read_text()


@pytest.mark.usefixtures("index")
def test_the_installation_of_the_action(checkout: Path, tmp_path: Path) -> None:
    done = step("Install freezelint", tmp_path, PYTHON=sys.executable, GITHUB_ACTION_PATH=str(checkout), PYTHONPATH="")
    assert done.returncode == 0, done.stderr
    program = (tmp_path / "runner" / "env").read_text().strip().removeprefix("FREEZELINT=")
    (tmp_path / "model.py").write_text(FAULT)
    done = shell(program, "model.py", cwd=tmp_path, PYTHONPATH="")
    assert done.returncode == 1 and "misspelled-requires-grad" in done.stdout
