"""The tools for long runs: what they say of a small tree, and of folders that hold nothing for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from two_files import MODEL, TRAIN

TOOLS = Path(__file__).resolve().parent.parent / "tools"


def run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(TOOLS / tool), *arguments], capture_output=True, text=True)


def test_fixscan_mends_a_copy(folder: Path) -> None:
    tree = folder / "tree"
    tree.mkdir()
    (tree / "model.py").write_text(MODEL)
    (tree / "train.py").write_text(TRAIN)
    (tree / "old.py").write_text("print 'Python 2'\n")
    (folder / "empty").mkdir()
    done = run("fixscan.py", "--diffs", "kept", "tree", "empty")
    assert done.returncode == 0, done.stderr
    first, second, total = done.stdout.splitlines()
    assert first.startswith("tree: 3 files, 3 findings, 1 fix proposed, 1 made in 1 file: ok (")
    assert second.startswith("empty: 0 files, 0 findings, 0 fixes proposed: ok (")
    assert total == "2 folders, 3 files, 3 findings, 1 fix proposed, 1 made in 1 file; none not ok"
    assert "+    net[0].weight.requires_grad = False\n" in (folder / "kept" / "tree.diff").read_text()
    assert (tree / "model.py").read_text() == MODEL
    unsafe = run("fixscan.py", "--unsafe", "tree").stdout.splitlines()[0]
    assert unsafe.startswith("tree: 3 files, 3 findings, 2 fixes proposed, 2 made in 2 files: ok (")


@pytest.mark.parametrize("tool", ["fuzz.py", "metamorph.py", "fixscan.py"])
def test_folders_that_hold_nothing_are_told_in_a_line(folder: Path, tool: str) -> None:
    done = run(tool, str(folder / "gone"))
    assert done.returncode != 0 and not done.stdout
    assert "gone" in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr
