"""Files that are not quite Python 3: what is read of them, and what is said."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from freezelint.__main__ import run
from freezelint.static.recovery import UNKNOWN, recovered

FAULT = "for p in model.parameters():\n    p.require_grad = False\n"

# What cannot be read, the line it stands on, and what is read in its place.
OLD = {
    'print "loss", loss': 'print,"loss", loss',
    "print loss": "print,loss",
    'print "a %s" % b,': 'print,"a %s" % b,',
    'print >>log, "x"\nprint "y"': 'print,  log, "x"\nprint,"y"',
    "try:\n    f()\nexcept ValueError, e:\n    print e": "try:\n    f()\nexcept ValueError as e:\n    print,e",
    'def f():\n    raise ValueError, "x"': 'def f():\n    raise ValueError; "x"',
    "x = y.cuda(async=True)": "x = y.cuda(asyn_=True)",
    "if a <> b:\n    pass": "if a != b:\n    pass",
    "<<<<<<< HEAD\na = 1\n=======\na = 2\n>>>>>>> other": "\na = 1\n\n\n",
    "if a:\n        b = 1\n\tc = 2": "if a:\n        b = 1\n        c = 2",
}
LEFT_OUT = {
    "x = = y": f"x = {UNKNOWN}(x, y)",
    "pip install torch": f"{UNKNOWN}(pip, install, torch)",
    "model.": f"{UNKNOWN}(model)",
    "if a b:\n    c = 1": f"if {UNKNOWN}(a, b):\n    c = 1",
    "for a b in c:\n    break": f"while {UNKNOWN}(a, b, c):\n    break",
    "def f(a:\n    return a": f"def {UNKNOWN}():\n    return a",
    "if a:: \\\n  b = 1": f"{UNKNOWN}(a)\n",
    "def f():\n# nothing yet": "def f(): pass\n# nothing yet",
    "x = 1\n    y = 2\n    z = 3": "x = 1\ny = 2\nz = 3",
    "if a:\n    if b:\n        c = 1\n      d = 1": "if a:\n    if b:\n        c = 1\n    d = 1",
    "f('one word' model)": f"{UNKNOWN}(f, model)",
}


@pytest.mark.parametrize("text", OLD)
def test_old_words_are_read_as_what_they_mean(text: str) -> None:
    found = recovered(text)
    assert found is not None and found.text == OLD[text] and not found.left_out


@pytest.mark.parametrize("text", LEFT_OUT)
def test_a_line_at_fault_is_unknown_and_the_rest_is_read(text: str) -> None:
    found = recovered(f"a = 1\n{text}\nb = 2")
    assert found is not None and found.text == f"a = 1\n{LEFT_OUT[text]}\nb = 2" and found.left_out
    ast.parse(found.text)


@pytest.mark.parametrize("text", ["x = 1", "\n".join(f"x{i} = = 1" for i in range(60)), "x = 1\n" * 60_000 + "= 1"])
def test_what_is_python_or_hopeless_is_left_alone(text: str) -> None:
    assert recovered(text) is None


def test_indentation_is_left_alone_where_columns_must_hold() -> None:
    assert recovered("x = 1\n    y = 2", shift=False) is None


@pytest.mark.parametrize("text", [*OLD, *LEFT_OUT])
def test_the_rest_of_a_file_is_checked(folder: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    Path("main.py").write_text(f"{text}\nimport torch\n\nnet = torch.nn.Linear(2, 2)\n{FAULT.replace('model', 'net')}")
    assert run(["check", "--isolated", "--output-format", "json", "."]) == 1
    told = {f["rule"]: f for f in json.loads(capsys.readouterr().out)}
    assert set(told) == {"syntax-error", "misspelled-requires-grad"}
    assert "\n" not in told["syntax-error"]["message"] and not told["misspelled-requires-grad"].get("fix")
    assert told["misspelled-requires-grad"]["line"] == text.count("\n") + 6


def test_nothing_is_believed_of_what_a_lost_line_did(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The line that cannot be read may have called `model.eval()` or unfrozen what is frozen.
    Path("main.py").write_text(
        "import torch\nimport torchvision\n\nmodel = torchvision.models.resnet18(pretrained=True)\n"
        "for p in model.parameters():\n    p.requires_grad = False\nmodel = rebuilt model\n"
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\nmodel(batch).sum().backward()\noptimizer.step()\n"
    )
    assert run(["check", "--isolated", "--output-format", "json", "."]) == 1
    assert [f["rule"] for f in json.loads(capsys.readouterr().out)] == ["syntax-error"]


def test_a_cell_loses_only_the_line_at_fault(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = f"import torch\nnet = torch.nn.Linear(2, 2)\nif a:: \\\n  b = 1\n{FAULT.replace('model', 'net')}"
    Path("n.ipynb").write_text(json.dumps({"cells": [{"cell_type": "code", "source": source}]}))
    assert run(["check", "--isolated", "--output-format", "json", "."]) == 1
    assert [(f["rule"], f["line"]) for f in json.loads(capsys.readouterr().out)] == [("misspelled-requires-grad", 6)]
