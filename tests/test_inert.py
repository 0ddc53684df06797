"""`check` reads code and never runs it, starts no other program and opens no connection: an audit hook stands by."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from freezelint.report.base import FORMATS
from test_fixes import notebook

SECRET = "a word that is in the planted files only"

# What would leave a mark when it ran, and has faults that are found and fixed.
PLANTED = f"""
import pathlib
import sys
SECRET = "{SECRET}"
pathlib.Path(MARK).write_text(__name__)
import torch
from torch import nn
import planted_helper
from planted_package import freeze
from planted_package.models import *

model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8))
model[0].requires_grad = False
model[0].weight.require_grad = False
optimizer = torch.optim.SGD(model.parameters(), lr=eval("pathlib.Path(MARK).touch()"))
for x in []:
    model.eval
    model(x).sum().backward()
    optimizer.step()
"""

# Names that Python, pytest, git or freezelint itself would import from a working directory.
SHADOWS = """click libcst json ast pathspec torch tomllib conftest setup sitecustomize random multiprocessing pickle
html xml difflib tokenize planted_helper usercustomize""".split()
SHADOW = f"""
SECRET = "{SECRET}"
open(MARK, "w").close()
"""

HOOK = """
import os, sys

told = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
tree, secret = sys.argv[2], sys.argv[3]
STARTS = ("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "pty.spawn")
NETWORK = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostby", "socket.sendto", "urllib.",
           "ftplib.", "http.", "smtplib.", "telnetlib.", "webbrowser.")

def holds(code):
    return any(c == secret or (hasattr(c, "co_consts") and holds(c)) for c in code.co_consts)

def hook(event, arguments):
    bad = ""
    if event == "import":
        name = str(arguments[0])
        bad = name if "planted" in name or name.partition(".")[0] in ("torch", "transformers") else ""
    elif event == "exec" and hasattr(arguments[0], "co_filename"):
        code = arguments[0]
        bad = code.co_filename if code.co_filename.startswith(tree) or holds(code) else ""
    elif event == "compile":
        name = os.fsdecode(arguments[1]) if isinstance(arguments[1], (str, bytes)) else ""
        bad = name if name.startswith(tree) else ""
    elif event.startswith(STARTS):
        bad = str(arguments)
    elif event.startswith(NETWORK) and not isinstance(arguments[-1], (str, bytes)):  # a path stays here
        bad = str(arguments)
    if bad:
        os.write(told, f"{event}: {bad}\\n".encode())

sys.addaudithook(hook)
"""
CHECKS = """
from freezelint.__main__ import run

statuses = [run(arguments.split()) for arguments in sys.argv[4].splitlines()]
os.write(told, f"statuses: {statuses}\\n".encode())
"""


@pytest.fixture
def tree(folder: Path) -> Path:
    """A folder full of files that leave a mark when they run."""
    mark = folder / "mark"
    text = PLANTED.replace("MARK", repr(str(mark)))
    tree = folder / "tree"
    (tree / "planted_package").mkdir(parents=True)
    for name in ("train", "planted_package/__init__", "planted_package/models", "planted_package/__main__"):
        (tree / f"{name}.py").write_text(text)
    for name in SHADOWS:
        (tree / f"{name}.py").write_text(SHADOW.replace("MARK", repr(str(mark))))
    (tree / "book.ipynb").write_text(notebook(text, "!touch " + str(mark), f"%run train.py\n{text}"))
    (tree / "planted.pth").write_text("import planted_package\n")
    (tree / "pyproject.toml").write_text('[tool.freezelint]\nextend-select = ["unused-suppression"]\n')
    (tree / "broken.py").write_text(text + "print 'loss'\nloss.backward()\n")
    return tree


def started(tree: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run([sys.executable, *command], cwd=tree, env=environment, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_nothing_that_is_read_runs(tree: Path) -> None:
    told = tree.parent / "told"
    runs = [f"check . --no-cache --output-format {form}" for form in FORMATS]
    runs += ["check . --jobs 2", "check .", "check . --diff --unsafe-fixes", "check . -v --statistics --trace -q"]
    runs.append("doctor .")
    runs += ["check . --write-baseline --baseline base.json", "check . --show-files", "check . --fix --unsafe-fixes"]
    program = f"import sys\ndel sys.path[0]\n{HOOK}{CHECKS}"
    started(tree, "-c", program, str(told), str(tree), SECRET, "\n".join(runs))
    *bad, statuses = told.read_text().splitlines()
    assert bad == []
    assert statuses == f"statuses: {[1] * len(FORMATS) + [1, 1, 1, 1, 0, 0, 0, 1]}"
    assert not (tree.parent / "mark").exists()


def test_the_hook_would_tell(tree: Path) -> None:
    told = tree.parent / "told"
    program = f"{HOOK}import os, socket, planted_helper\nsocket.getaddrinfo('127.0.0.1', 1)\nos.system('')\n"
    started(tree, "-c", program, str(told), str(tree), SECRET)
    events = {line.partition(":")[0] for line in told.read_text().splitlines()}
    assert {"import", "exec", "socket.getaddrinfo", "os.system"} <= events
    assert (tree.parent / "mark").exists()


def test_a_module_in_the_working_directory_is_not_taken_for_one_of_ours(tree: Path) -> None:
    done = started(tree, "-m", "freezelint", "check", "--output-format", "json", "train.py", "book.ipynb")
    assert done.returncode == 1 and {finding["path"] for finding in json.loads(done.stdout)} == {
        "train.py",
        "book.ipynb",
    }
    assert not (tree.parent / "mark").exists()
