"""Several processes: torchrun starts them, every one records, the first reports; and FSDP2 in a group of one."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import freezelint

torch = pytest.importorskip("torch")
nn = torch.nn

if not (torch.distributed.is_available() and torch.distributed.is_gloo_available()):
    pytest.skip("this torch has no gloo", allow_module_level=True)

PROGRAM = """
    import torch
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel

    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    model[0].requires_grad_(WHEN)
    model = DistributedDataParallel(model)
    model.module[0].requires_grad_(True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.manual_seed(rank)
    for _ in range(5):
        optimizer.zero_grad()
        model(torch.randn(4, 4)).square().sum().backward()
        optimizer.step()
    torch.distributed.destroy_process_group()
"""


def launched(tmp_path: Path, program: str, *options: str) -> tuple[int, str, str]:
    (tmp_path / "main.py").write_text(textwrap.dedent(program).lstrip("\n"), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "freezelint",
    ]
    done = subprocess.run(
        [*command, "confirm", "--isolated", *options, "main.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return done.returncode, done.stdout, done.stderr


def test_weights_that_drift_apart_are_told_by_the_first_rank(tmp_path: Path) -> None:
    status, out, err = launched(tmp_path, PROGRAM.replace("WHEN", "False"), "--output-format", "json")
    report = json.loads(out)  # of one rank alone
    assert status == 1, err
    [finding] = [f for f in report["findings"] if f["rule"] == "unfreeze-after-ddp"]
    assert (finding["verdict"], finding["line"]) == ("confirmed", 11)
    assert finding["evidence"]["ranks"]["largest_difference"] > 0
    ranks = report["run"]["ranks"]
    assert (ranks["count"], ranks["compared"], ranks["trouble"]) == (2, 4, "")
    assert all(".0." in name for name in ranks["differing"]) and len(ranks["differing"]) == 2
    assert [other["steps"] for other in ranks["others"]] == [report["run"]["steps"]] == [3]


def test_weights_that_stay_together(tmp_path: Path) -> None:
    status, out, err = launched(tmp_path, PROGRAM.replace("WHEN", "True"))
    assert status == 0, out + err
    assert "2 ranks; 4 parameters compared, all of them equal" in out
    assert out.count("parameters compared") == 1


def test_a_rank_that_fails_does_not_take_the_report_along(tmp_path: Path) -> None:
    program = PROGRAM.replace("WHEN", "False").replace("    for _", "    assert rank == 0\n    for _")
    _, out, _ = launched(tmp_path, program, "--output-format", "json")
    [other] = json.loads(out)["run"]["ranks"]["others"]
    assert other["error"].startswith("AssertionError")


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def sharded(optimizer_first: bool) -> tuple[Any, Any]:
    fsdp = pytest.importorskip("torch.distributed.fsdp")
    if not hasattr(fsdp, "fully_shard"):
        pytest.skip("this torch has no FSDP2")
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    model[0].requires_grad_(False)
    optimizer = torch.optim.AdamW(model[2].parameters()) if optimizer_first else None
    mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (1,))
    fsdp.fully_shard(model, mesh=mesh)
    return model, optimizer or torch.optim.AdamW(model[2].parameters(), foreach=False)


@pytest.mark.parametrize("optimizer_first", [True, False])
def test_fsdp2_on_cpu(group: None, optimizer_first: bool) -> None:
    with freezelint.watch() as watched:
        model, optimizer = sharded(optimizer_first)
        for _ in range(4):
            optimizer.zero_grad()
            model(torch.randn(4, 8)).square().sum().backward()
            optimizer.step()
    report = watched.report()
    assert not report.trouble
    assert ("optimizer-before-fsdp" in {f.rule for f in report.findings}) is optimizer_first
    rows = {(row.module, row.held): row for row in report.table}
    if not optimizer_first:
        assert rows["2", 2].changed == 2 and rows["0", 0].changed == 0
