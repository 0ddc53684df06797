"""Hostile input, small: every kind gets to an end and hides no fault; names of files do not act on their reader.

The full sizes, with what they cost, are in `benchmarks/robustness.py`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from freezelint.__main__ import run
from freezelint.report.base import FORMATS
from hostile import INPUTS

SMALL = {
    "many files": 60,
    "nested ifs": 20,
    "nested loops": 8,
    "nested functions": 20,
    "links": 5,
    "ring of imports": 8,
    "ring of star imports": 4,
    "patterns of a .gitignore": 100,
    "nested .gitignores": 10,
}
SLOW = {"named layers", "branches that freeze"}


@pytest.mark.parametrize("name", INPUTS)
def test_hostile_input(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    INPUTS[name][0](folder, SMALL.get(name, 20 if name in SLOW else 40))
    assert run(["check", "--isolated", "--output-format", "json", "."]) == 1
    found = json.loads(capsys.readouterr().out)
    rules = {finding["rule"] for finding in found if Path(finding["path"]).stem == "main"}
    if name != "many files":
        assert "misspelled-requires-grad" in rules
    assert "internal-error" not in {finding["rule"] for finding in found}


# Names ----------------------------------------------------------------------------------------------------------------

ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\r\n::error::x<script>alert(1)</script>`|*_%0A"
TEXT = """import torch
model = torch.nn.Linear(2, 2)
name = "\x1b[2J\u202e\x9b"
if "\x1b[31m" in args:
    model.weight.require_grad = False; x = "\x1b[2J\x07"  # \x1b]0;owned\x07
model["\x1b[2J"].layer.requires_grad = False
for p in getattr(model, "\x1b[7m").parameters(): p.requires_grad_ = False
"""


@pytest.fixture
def evil(folder: Path) -> str:
    """A file whose name and text would act on a terminal, a build server and a browser."""
    below = ESCAPES.replace("/", "")
    try:
        os.makedirs(below)
        name = os.path.join(below, f"{below}.py")
        Path(name).write_text(TEXT)
        Path(below, "broken.py").write_text("loss.backward()\nprint '\x1b[2J'\n")
        Path(below, "surrogate\udc80.py").write_text("x = '\0'")
        Path(below, "note\x1b[2J.ipynb").write_text("{\x1b[2J")
    except OSError:
        pytest.skip("this system has no such names")
    return name


def harmless(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


@pytest.mark.parametrize("form", FORMATS)
def test_names_of_files_do_not_act(folder: Path, evil: str, capfd: pytest.CaptureFixture[str], form: str) -> None:
    assert run(["check", ".", "--output-format", form]) == 1
    captured = capfd.readouterr()
    assert captured.err == ""
    listed = captured.out
    assert harmless(listed.replace("\x1b", "") if form == "html" and "\x1b" not in TEXT else listed)
    assert "<script>alert" not in listed or form not in ("html", "junit")
    assert not any(line.startswith("::error::") for line in listed.splitlines())
    if form == "json":
        assert {finding["path"] for finding in json.loads(listed)} >= {Path(evil).as_posix()}


@pytest.mark.parametrize(
    "arguments",
    [
        "check . --statistics -v", "check . --color always -q", "check . --show-files", "check . --trace", "doctor .",
        "check . --write-baseline --baseline EVIL.json", "check . --add-ignores why", "check . --baseline EVIL",
        "check . --report json=EVIL/missing", "check EVIL/missing.py", "check . --exclude EVIL", "check . --fix",
        "confirm EVIL",
    ],
)  # fmt: skip
def test_names_do_not_act_in_what_else_is_said(
    folder: Path, evil: str, capfd: pytest.CaptureFixture[str], arguments: str
) -> None:
    below = os.path.dirname(evil)
    assert run([word.replace("EVIL", below) for word in arguments.split()]) in (0, 1, 2)
    captured = capfd.readouterr()
    painted = ("31", "33", "36", "1", "2", "0") if "always" in arguments else ()
    for text in (captured.out, captured.err):
        for code in painted:
            text = text.replace(f"\x1b[{code}m", "")
        assert harmless(text), arguments
    assert "Traceback" not in captured.err


def test_a_configuration_that_cannot_be_read_is_one_line(
    folder: Path, evil: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (Path(evil).parent / "freezelint.toml").write_text("x = \x1b")
    assert run(["check", "."]) == 2
    error = capfd.readouterr().err
    assert harmless(error) and error.count("\n") == 1


def test_a_patch_of_such_a_file_can_be_applied(folder: Path, evil: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path(evil).write_text("import torch\nmodel = torch.nn.Linear(2, 2)\nmodel.weight.require_grad = False\n")
    assert run(["check", "--diff", "."]) == 1
    head, *_ = capfd.readouterr().out.splitlines()
    assert harmless(head) and head.startswith('--- "\\033[2J') and "\\012::error" in head


# Folders --------------------------------------------------------------------------------------------------------------

FAULT = "import torch\nmodel = torch.nn.Linear(2, 2)\nmodel.weight.require_grad = False\n"


def found(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert run(["check", "--output-format", "json", *(arguments or (".",))]) in (0, 1)
    listed: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return listed


def test_folders_that_are_called_like_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("pyproject.toml", "freezelint.toml", ".gitignore", "train.py", "book.ipynb", "torch.py"):
        Path(name).mkdir()
    Path("main.py").write_text(f"import train\n{FAULT}")
    assert [f["path"] for f in found(capsys)] == ["main.py"]


def test_what_lies_outside_is_not_checked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inside, outside = folder / "inside", folder / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret.py").write_text(FAULT)
    (inside / "main.py").write_text(f"import os\n{FAULT}")
    try:
        (inside / "link").symlink_to(outside, target_is_directory=True)
        (inside / "up").symlink_to(inside, target_is_directory=True)
        (inside / "secret.py").symlink_to(outside / "secret.py")
        (inside / "self.py").symlink_to("self.py")
        (inside / "root").symlink_to("/")
    except OSError:
        pytest.skip("this system makes no links")
    assert [f["path"] for f in found(capsys, "inside")] == ["inside/main.py"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes of a name")
def test_nobody_waits_for_a_pipe(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (".gitignore", "pyproject.toml", "train.py", "book.ipynb"):
        os.mkfifo(name)
    Path("main.py").write_text(f"import train\n{FAULT}")
    assert [f["path"] for f in found(capsys)] == ["main.py"]


DEEP = "[" * 100_000


@pytest.mark.parametrize("name", ["book.ipynb", "pyproject.toml", "freezelint.toml", "base.json"])
def test_lists_in_lists_in_lists(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    Path("main.py").write_text(FAULT)
    Path(name).write_text(f"x = {DEEP}" if name.endswith("toml") else DEEP)
    options = ["--baseline", name] if name == "base.json" else []
    status = run(["check", *options, "."])
    captured = capsys.readouterr()
    assert status == (1 if name == "book.ipynb" else 2) and "Traceback" not in captured.err
    assert name in (captured.out if status == 1 else captured.err)
