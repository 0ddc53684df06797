"""Ctrl-C ends a check soon and leaves nothing behind; a check goes on where processes cannot be started, or die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from freezelint import api, processes, work
from freezelint.config import Config
from freezelint.report.base import Style, renderer

FAULT = "import torch\n\nmodel = torch.nn.Linear(2, 2)\nmodel.eval\n"
# A program that takes long to look through, whatever machine it is on: many worlds, deep calls.
SLOW = """\
import torch
from torch import nn

model = nn.Linear(2, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def step_{n}(args, x):
    for _ in range(3):
{tests}
        model(x).sum().backward()
        optimizer.step()
"""


def lay_out(number: int) -> None:
    tests = "\n".join(
        f"        if args.flag_{n}:\n            model.weight.requires_grad = args.to_{n}" for n in range(9)
    )
    for n in range(number):
        Path(f"slow_{n}.py").write_text(SLOW.format(n=n, tests=tests) * 6)


def shown(jobs: int) -> str:
    return "".join(renderer("json")(api.check([Path(".")], Config(), jobs=jobs), Style()))


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C goes another way there")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interruption(folder: Path, jobs: str) -> None:
    lay_out(40)
    before = set(os.listdir("."))
    process = subprocess.Popen(
        [sys.executable, "-m", "freezelint", "check", "--isolated", "--jobs", jobs, "."],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        children = wait_for_work(process, jobs)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, (out, err)
    assert (out, err) == ("", "freezelint: interrupted\n")
    assert set(os.listdir(".")) == before
    assert not [child for child in children if is_alive(child)]


def wait_for_work(process: subprocess.Popen[str], jobs: str) -> list[int]:
    """Until it is in the middle of its work; its children."""
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        children = [child for child in children_of(process.pid) if spent(child) > 0.2]
        if children if jobs != "1" else spent(process.pid) > 1.0:
            return children
        time.sleep(0.05)
    pytest.fail("it ended before it could be interrupted" if process.poll() is not None else "it does not work")


def children_of(pid: int) -> list[int]:
    if not Path(f"/proc/{pid}").exists():
        pytest.skip("needs /proc")
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return list(map(int, listed.split()))


def spent(pid: int) -> float:
    """Seconds of a processor that a process has had."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        pytest.skip("needs /proc")
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    "error", [OSError(11, "Resource temporarily unavailable"), NotImplementedError("no semaphores")]
)
def test_processes_that_cannot_be_started(folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    for number in range(5):
        Path(f"a_{number}.py").write_text(FAULT)
    expected = shown(jobs=1)

    def refuse(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as machine:
        machine.setattr(processes.ProcessPoolExecutor, "__init__", refuse)
        assert shown(jobs=2) == expected
    monkeypatch.setattr(processes.ProcessPoolExecutor, "submit", refuse)
    assert shown(jobs=2) == expected


def analyse_and_die(files: Any, *rest: Any) -> work.Batch:
    if any(file.name == "killer.py" for file in files):
        os.kill(os.getpid(), 9)
    return REAL(files, *rest)


REAL = work._analyse_files


@pytest.mark.skipif(sys.platform != "linux", reason="the workers must be forks to have the test's function")
def test_a_process_that_dies(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file is told; every other one is checked."""
    for number in range(9):
        Path(f"a_{number}.py").write_text(FAULT)
    expected = shown(jobs=1)
    Path("killer.py").write_text("x = 1\n")
    monkeypatch.setattr(work, "_analyse_files", analyse_and_die)
    report = api.check([Path(".")], Config(), jobs=2)
    [told] = [finding for finding in report.findings if finding.rule == "internal-error"]
    assert told.site.path == "killer.py"
    Path("killer.py").unlink()
    monkeypatch.setattr(work, "_analyse_files", REAL)
    assert [f.site.path for f in report.findings if f is not told] == [f"a_{number}.py" for number in range(9)]
    assert shown(jobs=1) == expected
