"""Bad input from end to end: one clear line with its path, and the files beside it are checked all the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from freezelint.__main__ import run

# A fault that has to be found whatever lies beside it.
FAULT = "import torch\n\nmodel = torch.nn.Linear(2, 2)\nfor p in model.parameters():\n    p.require_grad = False\n"
FOUND = ("good.py", 5, "misspelled-requires-grad")


@pytest.fixture(autouse=True)
def _good(folder: Path) -> None:
    Path("good.py").write_text(FAULT)


def check(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit status and findings of a check, the good file's finding taken out: it has to be there."""
    status = run(["check", "--isolated", "--output-format", "json", *(arguments or (".",))])
    captured = capsys.readouterr()
    assert captured.err == ""
    findings = json.loads(captured.out)
    good = [f for f in findings if f["path"] == "good.py"]
    assert [(f["path"], f["line"], f["rule"]) for f in good] == [FOUND]
    return status, [f for f in findings if f["path"] != "good.py"]


def the_line(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, int, str, str]:
    """Path, line, rule and message of the only finding beside the good file's."""
    status, findings = check(capsys, *arguments)
    [finding] = findings
    assert status == 1
    assert "\n" not in finding["message"] and finding["severity"] == "error" and not finding["related"]
    return finding["path"], finding["line"], finding["rule"], finding["message"]


# Files that are no Python ---------------------------------------------------------------------------------------------

SIGN = "loss.backward()\n"  # a file without any sign of training code is read by another parser


@pytest.mark.parametrize("sign", [SIGN, ""], ids=["training code", "other code"])
@pytest.mark.parametrize(
    "text, line",
    [("def f(:\n    pass\n", 1), ("x = 1\n  y = 2\n", 2), ("x = (1,\n\n", 1), ("'abc\n", 1), ("x = = 2", 1)],
    ids=["def", "indent", "bracket", "string", "operator"],
)
def test_syntax_error(capsys: pytest.CaptureFixture[str], sign: str, text: str, line: int) -> None:
    Path("bad.py").write_text(sign + text)
    path, at, rule, message = the_line(capsys)
    assert (path, rule) == ("bad.py", "syntax-error") and "no valid Python 3" in message
    assert line + bool(sign) - 1 <= at <= line + bool(sign) + 1


@pytest.mark.parametrize("sign", [SIGN, ""], ids=["training code", "other code"])
@pytest.mark.parametrize("text", ['print "loss", loss\n', "exec code in space\n", 'raise ValueError, "x"\n'])
def test_python_2(capsys: pytest.CaptureFixture[str], sign: str, text: str) -> None:
    Path("old.py").write_text(sign + text)
    path, line, rule, message = the_line(capsys)
    assert (path, line, rule) == ("old.py", 1 + bool(sign), "syntax-error")
    assert "Python 2" in message or "print" not in text


@pytest.mark.parametrize(
    "text", ["{% if torch %}\nimport torch\n{% endif %}\n", "{{ a }}: = 1\n", "class {{name}}(:\n"]
)
def test_a_template_is_no_error(capsys: pytest.CaptureFixture[str], text: str) -> None:
    folder = Path("{{cookiecutter.name}}")
    folder.mkdir()
    (folder / "train.py").write_text(SIGN + text)
    status, [finding] = check(capsys)
    assert status == 1  # for the good file beside it
    assert (finding["severity"], finding["rule"]) == ("info", "read-error") and "template" in finding["message"]


@pytest.mark.parametrize(
    "name, data, line, part",
    [
        ("latin.py", b"x = 1\ny = '\xe9'\n", 2, "is not valid UTF-8 on line 2"),
        ("null.py", b"x = 1\ny = '\0'\n", 2, "null byte on line 2"),
        ("utf16.py", "x = 1\n".encode("utf-16"), 1, "UTF-16"),
        ("klingon.py", b"# coding: klingon\nx = 1\n", 1, "declares an encoding that cannot be used"),
        ("ascii.py", b"# coding: ascii\nx = '\xe9'\n", 2, "is not valid ascii on line 2"),
    ],
)
def test_bytes_that_are_no_text(
    capsys: pytest.CaptureFixture[str], name: str, data: bytes, line: int, part: str
) -> None:
    Path(name).write_bytes(data)
    path, at, rule, message = the_line(capsys)
    assert (path, at, rule) == (name, line, "read-error") and part.lower() in message.lower()


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "shift_jis", "utf-8-sig"])
def test_declared_encodings_are_read(capsys: pytest.CaptureFixture[str], encoding: str) -> None:
    declared = "" if encoding == "utf-8-sig" else f"# coding: {encoding}\n"
    letter = "日" if encoding == "shift_jis" else "é"
    Path("other.py").write_bytes((declared + f"name = '{letter}'\n" + FAULT).encode(encoding))
    _, findings = check(capsys)
    assert [(f["path"], f["rule"]) for f in findings] == [("other.py", "misspelled-requires-grad")]


@pytest.mark.parametrize("text", ["", "\n", "# only a comment", "\f\n\n", '"""Only a docstring."""'])
def test_empty_file(capsys: pytest.CaptureFixture[str], text: str) -> None:
    Path("empty.py").write_text(text)
    assert check(capsys)[1] == []


@pytest.mark.parametrize("ends", ["\r\n", "\r"])
def test_line_ends_of_other_systems(capsys: pytest.CaptureFixture[str], ends: str) -> None:
    Path("other.py").write_bytes(FAULT.replace("\n", ends).encode())
    _, findings = check(capsys)
    assert [(f["rule"], f["line"]) for f in findings] == [("misspelled-requires-grad", 5)]


def test_generated_file_of_five_megabytes(capsys: pytest.CaptureFixture[str]) -> None:
    Path("table.py").write_text("DATA = [\n" + "    12345,\n" * 500_000 + "]\n" + FAULT)
    status, [finding] = check(capsys)
    assert (finding["path"], finding["rule"], finding["severity"]) == ("table.py", "read-error", "info")
    assert "5.5 MB" in finding["message"] and status == 1


# Depth ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [SIGN, ""], ids=["training code", "other code"])
@pytest.mark.parametrize("pair", ["[]", "()", "{}"])
def test_200_nested_brackets(capsys: pytest.CaptureFixture[str], pair: str, sign: str) -> None:
    inner = "" if pair != "{}" else "1"
    brackets = pair[0] * 200 + inner + pair[1] * 200
    Path("deep.py").write_text(f"{sign}x = {brackets}\n{FAULT}")
    _, findings = check(capsys)
    assert [f["rule"] for f in findings] == ["misspelled-requires-grad"], "and what stands beside them is still seen"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 50_000 + "]" * 50_000,
        " + ".join(["x"] * 20_000),
        "-" * 20_000 + "1",
        "x" + ".y" * 20_000,
        "x" + "()" * 5_000,
    ],
    ids=["brackets", "sum", "minus", "attributes", "calls"],
)
def test_nested_too_deeply(capsys: pytest.CaptureFixture[str], text: str) -> None:
    Path("deep.py").write_text(f"x = {text}\n{FAULT}")
    path, _, rule, message = the_line(capsys)
    assert (path, rule) == ("deep.py", "syntax-error") and "nested too deeply" in message


@pytest.mark.parametrize(
    "text", ["'" + "[" * 50_000 + "'", '"""' + "a.b\n" * 5_000 + '"""', "[" + "1 + 1, " * 5_000 + "]"]
)
def test_what_only_looks_nested(capsys: pytest.CaptureFixture[str], text: str) -> None:
    Path("flat.py").write_text(f"x = {text}\n{FAULT}")
    _, findings = check(capsys)
    assert [f["rule"] for f in findings] == ["misspelled-requires-grad"]


@pytest.mark.parametrize("text", ["x = 1\n" * 30_000, "x = [\n" + "1,\n" * 40_000 + "]\n"], ids=["lines", "list"])
def test_a_file_that_nobody_wrote(capsys: pytest.CaptureFixture[str], text: str) -> None:
    Path("table.py").write_text(text + FAULT)
    _, [finding] = check(capsys)
    assert (finding["path"], finding["rule"], finding["severity"]) == ("table.py", "read-error", "info")
    assert "tokens, and files of more than 90,000 are taken for generated" in finding["message"]


DEEP = {
    "list": "x = " + "[" * 199 + "]" * 199,
    "minus": "x = " + "-" * 2000 + "1",
    "lambda": "x = " + "lambda: " * 2000 + "1",
    "sum": "x = " + " + ".join(["1"] * 1000),
    "and": "x = " + " and ".join(["y"] * 1000),
    "attribute": "x = a" + ".b" * 1000,
    "call": "x = a" + "()" * 500,
    "elif": "if x == 0: pass\n" + "".join(f"elif x == {i}: y = {i}\n" for i in range(300)),
}


def test_deep_code_of_other_kinds() -> None:
    """In a process of its own: what overflows the stack takes the process with it."""
    for name, text in DEEP.items():
        Path(f"deep_{name}.py").write_text(f"{SIGN}{text}\n{FAULT}")
    done = subprocess.run(
        [sys.executable, "-m", "freezelint", "check", "--isolated", "-q", "."],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    found = {line.partition(":")[0] for line in done.stdout.splitlines() if "misspelled-requires-grad" in line}
    assert found == {"good.py", *(f"deep_{name}.py" for name in DEEP)}


# Paths ----------------------------------------------------------------------------------------------------------------


def test_a_path_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    path, _, rule, message = the_line(capsys, "good.py", "missing/train.py")
    assert (path, rule) == ("missing/train.py", "read-error") and "does not exist" in message


def test_a_file_without_permission(capsys: pytest.CaptureFixture[str]) -> None:
    file = Path("locked.py")
    file.write_text(FAULT)
    file.chmod(0)
    if os.access(file, os.R_OK):
        pytest.skip("this user may read everything")
    path, _, rule, message = the_line(capsys)
    assert (path, rule) == ("locked.py", "read-error") and "may not be read" in message


def test_a_folder_that_cannot_be_entered(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("locked").mkdir()
    listing = os.scandir

    def scandir(path: Any) -> Any:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    path, _, rule, message = the_line(capsys)
    assert (path, rule) == ("locked", "read-error") and "cannot be listed" in message


def test_links_in_a_circle(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        Path("sub").mkdir()
        Path("sub/up").symlink_to(Path("sub").absolute(), target_is_directory=True)
        Path("self.py").symlink_to("self.py")
    except OSError:
        pytest.skip("this system makes no links")
    assert check(capsys)[1] == [], "links below a folder are not followed"
    path, _, rule, message = the_line(capsys, ".", "self.py")
    assert (path, rule) == ("self.py", "read-error") and "cannot be read" in message


# Code that leads in circles -------------------------------------------------------------------------------------------


def test_import_cycle(capsys: pytest.CaptureFixture[str]) -> None:
    Path("first.py").write_text(
        "import second\nfrom second import freeze\n\n\ndef build():\n    return second.make()\n"
    )
    Path("second.py").write_text(
        "from first import build\nimport torch\n\n\n"
        "def make():\n    return torch.nn.Linear(2, 2)\n\n\n"
        "def freeze(model):\n    for p in model.parameters():\n        p.require_grad = False\n"
    )
    Path("train.py").write_text(
        'from first import build, freeze\n\nif __name__ == "__main__":\n    net = build()\n    freeze(net)\n'
    )
    _, findings = check(capsys)
    assert {(f["path"], f["line"], f["rule"]) for f in findings} == {("second.py", 11, "misspelled-requires-grad")}


def test_a_name_that_is_imported_in_a_circle(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.py").write_text("from b import thing\nthing.require_grad = False\n")
    Path("b.py").write_text("from a import thing\n")
    Path("itself.py").write_text("from itself import model\nfor p in model.parameters():\n    p.require_grad = False\n")
    _, findings = check(capsys)
    assert ("itself.py", 3) in {(f["path"], f["line"]) for f in findings}
    assert {f["rule"] for f in findings} == {"misspelled-requires-grad"}


@pytest.mark.parametrize(
    "definition",
    [
        "def freeze(m):\n    freeze(m)\n",
        "def freeze(m):\n    for child in m.children():\n        freeze(child)\n",
        "def freeze(m):\n    thaw(m)\n\n\ndef thaw(m):\n    freeze(m)\n",
        "freeze = lambda m: freeze(m)\n",
        "def freeze(m, depth=0):\n    return freeze(m, depth + 1) if depth < 10 ** 9 else m\n",
    ],
    ids=["itself", "children", "each other", "lambda", "counter"],
)
def test_recursive_functions(capsys: pytest.CaptureFixture[str], definition: str) -> None:
    body = "freeze(model)\nfor p in model.parameters():\n    p.require_grad = False\n"
    Path("deep.py").write_text(f"import torch\n\nmodel = torch.nn.Linear(2, 2)\n\n\n{definition}\n\n{body}")
    _, findings = check(capsys)
    assert [f["rule"] for f in findings] == ["misspelled-requires-grad"]


@pytest.mark.parametrize(
    "classes",
    [
        "class A(A):\n    pass\n",
        "class A(B):\n    pass\n\n\nclass B(A):\n    pass\n",
        "class A:\n    pass\n\n\nclass A(A):\n    pass\n",
        "class A(C):\n    pass\n\n\nclass B(A):\n    pass\n\n\nclass C(B, torch.nn.Module):\n    pass\n",
    ],
    ids=["itself", "each other", "the one before", "through two"],
)
def test_inheritance_in_a_circle(capsys: pytest.CaptureFixture[str], classes: str) -> None:
    methods = (
        "    def __init__(self):\n        super().__init__()\n        self.layer = torch.nn.Linear(2, 2)\n\n"
        "    def freeze(self):\n        for p in self.parameters():\n            p.require_grad = False\n"
    )
    text = f"import torch\n\n\n{classes}\n\nclass Net(A, torch.nn.Module):\n{methods}\n\nNet().freeze()\n"
    Path("circle.py").write_text(text)
    _, findings = check(capsys)
    assert [f["rule"] for f in findings] == ["misspelled-requires-grad"]


def test_inheritance_in_a_circle_of_files(capsys: pytest.CaptureFixture[str]) -> None:
    Path("one.py").write_text("from two import Two\n\n\nclass One(Two):\n    pass\n")
    Path("two.py").write_text(
        "from one import One\n\n\nclass Two(One):\n    def freeze(self):\n"
        "        for p in self.parameters():\n            p.require_grad = False\n"
    )
    _, findings = check(capsys)
    assert [(f["path"], f["rule"]) for f in findings] == [("two.py", "misspelled-requires-grad")]


def test_star_imports(capsys: pytest.CaptureFixture[str]) -> None:
    Path("parts.py").write_text("from torch import nn\n\n\ndef make():\n    return nn.Linear(2, 2)\n")
    Path("more.py").write_text("from parts import *\nfrom missing_package import *\nfrom more import *\n")
    Path("main.py").write_text(
        "from more import *\nfrom torch.nn import *\n\nmodel = make()\nmodel.requires_grad = False\n"
        "other = Sequential(Linear(2, 2))\nother.requires_grad = False\n"
    )
    _, findings = check(capsys)
    assert [(f["path"], f["line"], f["rule"]) for f in findings] == [
        ("main.py", 5, "requires-grad-on-module"),
        ("main.py", 7, "requires-grad-on-module"),
    ]


def test_all_of_it_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.py").write_text("def f(:\n")
    Path("b.py").write_bytes(b"\xff\xfe")
    Path("c.py").write_bytes(b"x = '\0'")
    Path("d.py").write_text("")
    Path("e.py").write_text("from e import *\n")
    status, findings = check(capsys, ".", "missing.py")
    assert status == 1
    assert [(f["path"], f["rule"]) for f in findings] == [
        ("a.py", "syntax-error"),
        ("b.py", "read-error"),
        ("c.py", "read-error"),
        ("missing.py", "read-error"),
    ]
