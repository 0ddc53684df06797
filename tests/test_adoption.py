"""What brings freezelint into a project that has findings: baselines, changed files, comments, several settings."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freezelint import config, files, ignores, suppress
from freezelint.__main__ import run
from freezelint.config import ConfigError
from freezelint.finding import Finding, Severity, Site

ERROR, WARNING = "x = 'FAULT(left-frozen)'\n", "y = 'FAULT(left-in-eval)'\n"
KNOWN = ["--baseline", "known.json"]


@pytest.fixture(autouse=True)
def _here(folder: Path, made_up_rules: object) -> None:
    Path("bad.py").write_text(ERROR)


def found(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[tuple[str, str, int]]:
    """Path, rule and line of what a JSON report lists."""
    capsys.readouterr()
    run([*arguments, "--output-format", "json"])
    return [(one["path"], one["rule"], one["line"]) for one in json.loads(capsys.readouterr().out)]


def summary(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    run(list(arguments))
    return capsys.readouterr().out.splitlines()[-1]


# Baselines -----------------------------------------------------------------------------------------------------------


def test_a_baseline_hides_what_it_knows(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([".", *KNOWN, "--write-baseline"]) == 0
    assert capsys.readouterr().out == "known.json: 1 finding\n"
    assert run([".", *KNOWN]) == 0
    assert summary(capsys, ".", *KNOWN) == "no findings, 1 in the baseline; 1 file checked"
    Path("bad.py").write_text("\n# moved\n\n" + ERROR + WARNING)
    assert found(capsys, ".", *KNOWN) == [("bad.py", "left-in-eval", 5)]


def test_a_second_equal_line_is_new(capsys: pytest.CaptureFixture[str]) -> None:
    run([".", *KNOWN, "--write-baseline"])
    Path("bad.py").write_text(ERROR * 3)
    assert [line for _, _, line in found(capsys, ".", *KNOWN)] == [2, 3]


def test_a_renamed_file_is_known_and_a_copied_one_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    run([".", *KNOWN, "--write-baseline"])
    Path("copy.py").write_text(ERROR)
    assert found(capsys, ".", *KNOWN) == [("copy.py", "left-frozen", 1)]
    Path("bad.py").unlink()
    assert found(capsys, ".", *KNOWN) == []


def test_what_is_fixed_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("other.py").write_text(WARNING)
    run([".", *KNOWN, "--write-baseline"])
    Path("bad.py").write_text("x = 1\n")
    assert summary(capsys, ".", *KNOWN) == "no findings, 1 in the baseline, 1 of the baseline fixed; 2 files checked"
    run([".", *KNOWN, "--verbose"])
    assert "fixed since the baseline: bad.py: left-frozen" in capsys.readouterr().err
    assert "fixed" not in summary(capsys, "other.py", *KNOWN), "what was not checked is not fixed"
    assert "fixed" not in summary(capsys, ".", *KNOWN, "--select", "left-in-eval"), "nor what was not looked for"
    Path("other.py").unlink()
    assert "2 of the baseline fixed" in summary(capsys, ".", *KNOWN)


def test_writing_keeps_what_was_not_checked(capsys: pytest.CaptureFixture[str]) -> None:
    Path("other.py").write_text(WARNING)
    run([".", *KNOWN, "--write-baseline"])
    Path("bad.py").write_text("x = 1\n")
    run(["bad.py", *KNOWN, "--write-baseline"])
    assert [one["path"] for one in json.loads(Path("known.json").read_text())["findings"]] == ["other.py"]


def test_a_baseline_holds_from_every_folder(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("sub").mkdir()
    Path("sub/a.py").write_text(ERROR)
    Path("pyproject.toml").write_text('[tool.freezelint]\nbaseline = "known.json"\n')
    run([".", "--write-baseline"])
    first = Path("known.json").read_bytes()
    monkeypatch.chdir("sub")
    assert found(capsys, ".") == []
    run([".", "--write-baseline"])
    assert Path("../known.json").read_bytes() == first


def test_unreadable_files_are_in_no_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.py").write_bytes(b"\0")
    run([".", *KNOWN, "--write-baseline"])
    assert found(capsys, ".", *KNOWN) == [("bad.py", "read-error", 1)]


@pytest.mark.parametrize(
    "text, message",
    [
        (None, "there is no such baseline"),
        ("[]", "is no baseline of version 1"),
        ("{", "cannot be read"),
        ('{"version": 1, "findings": [{}]}', "is damaged"),
    ],
)
def test_wrong_baselines(text: str | None, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    if text is not None:
        Path("known.json").write_text(text)
    assert run([".", *KNOWN]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1 and not captured.out


# Changed files -------------------------------------------------------------------------------------------------------


def git(*arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(folder: Path) -> None:
    Path("bad.py").unlink()
    Path("pkg").mkdir()
    Path("pkg/__init__.py").touch()
    Path("pkg/model.py").write_text("x = 1\n")
    Path("pkg/helper.py").write_text("from . import model\n")
    Path("train.py").write_text("def main():\n    from pkg.helper import model\n" + ERROR)
    Path("other.py").write_text("import os\n" + WARNING)
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "one")


def changed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    capsys.readouterr()
    assert run([".", "--show-files", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.usefixtures("repository")
def test_changed_files_and_what_imports_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert changed(capsys, "--changed") == []
    Path("pkg/model.py").write_text(WARNING)
    Path("nëw file.py").write_text(ERROR)
    Path("other.py").unlink()
    assert changed(capsys, "--changed") == ["nëw file.py", "train.py", "pkg/helper.py", "pkg/model.py"]
    told = [("nëw file.py", "left-frozen", 1), ("pkg/model.py", "left-in-eval", 1)]
    assert found(capsys, ".", "--changed") == told, "train.py is run, but what it had before is not told"
    git("add", ".")
    git("commit", "-qm", "two")
    assert changed(capsys, "--changed") == []
    assert found(capsys, ".", "--changed=HEAD~1") == told


@pytest.mark.usefixtures("repository")
def test_what_did_not_change_is_not_taken_for_fixed(capsys: pytest.CaptureFixture[str]) -> None:
    run([".", *KNOWN, "--write-baseline"])
    Path("pkg/model.py").write_text(WARNING)
    assert summary(capsys, ".", *KNOWN, "--changed").startswith("1 finding (1 warning) in 1 file; ")


@pytest.mark.usefixtures("repository")
def test_changed_since_this_branch_began(capsys: pytest.CaptureFixture[str]) -> None:
    git("checkout", "-qb", "mine")
    Path("mine.py").write_text(ERROR)
    git("add", ".")
    git("commit", "-qm", "mine")
    git("checkout", "-q", "main")
    Path("other.py").write_text(ERROR)
    git("commit", "-qam", "theirs")
    git("checkout", "-q", "mine")
    assert changed(capsys, "--changed", "main") == ["mine.py"]


def test_changed_without_git(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(Path.cwd().parent))
    assert run([".", "--changed"]) == 2
    assert "--changed: " in capsys.readouterr().err
    monkeypatch.setenv("PATH", "")
    assert run([".", "--changed"]) == 2
    assert "needs git" in capsys.readouterr().err


@pytest.mark.usefixtures("repository")
def test_changed_with_a_path_for_a_commit(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--changed", "pkg"]) == 2
    assert "put paths before --changed" in capsys.readouterr().err
    assert run(["check", "--changed", "--output=x"]) == 2, "no option of git can be smuggled in"


# Comments ------------------------------------------------------------------------------------------------------------


def test_added_comments_suppress(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.py").write_bytes(
        b"x = 'FAULT(left-frozen)' \r\n"
        b"y = f('FAULT(left-frozen)',\r\n"
        b"      'FAULT(left-in-eval)')  # noqa\r\n"
        b"if 'FAULT(left-frozen)':  # freezelint: ignore[style-matter] -- taste\r\n"
        b"    z = '''FAULT(left-frozen)\r\n'''\r\n"
        b"    q = 1; w = 'FAULT(left-frozen)'"
    )
    assert run([".", "--add-ignores", "measured, none", "--ignore", "unused-suppression"]) == 0
    assert capsys.readouterr().out == "6 findings suppressed in 1 file\n"
    assert Path("bad.py").read_bytes() == (
        b"x = 'FAULT(left-frozen)'  # freezelint: ignore[left-frozen] -- measured, none\r\n"
        b"y = f('FAULT(left-frozen)',\r\n"
        b"      'FAULT(left-in-eval)')  # noqa  # freezelint: ignore[left-frozen, left-in-eval] -- measured, none\r\n"
        b"if 'FAULT(left-frozen)':  # freezelint: ignore[style-matter, left-frozen] -- taste\r\n"
        b"    z = '''FAULT(left-frozen)\r\n'''  # freezelint: ignore[left-frozen] -- measured, none\r\n"
        b"    q = 1; w = 'FAULT(left-frozen)'  # freezelint: ignore[left-frozen] -- measured, none"
    )
    assert [rule for _, rule, _ in found(capsys, ".")] == ["unused-suppression"], "the one for taste"


def test_what_cannot_be_suppressed_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    Path("null.py").write_bytes(b"\0")
    Path("bad.py").write_bytes(b"# coding: latin-1\nx = 'FAULT(left-frozen)' # \xe9\n")
    assert run([".", "--add-ignores", "weil ✓"]) == 1
    output = capsys.readouterr().out
    assert "null.py:1:1: read-error: not suppressed" in output
    assert "bad.py:2:6: left-frozen: not suppressed: the file cannot be written" in output
    assert output.endswith("0 findings suppressed\n")
    assert run([".", "--add-ignores", "weil ü"]) == 1
    assert Path("bad.py").read_bytes().endswith("-- weil ü\n".encode("latin-1"))


@pytest.mark.parametrize("split", [False, True])
def test_comments_in_the_cells_of_a_notebook(split: bool, capsys: pytest.CaptureFixture[str]) -> None:
    def written(*comments: str) -> str:
        cells = [
            f"%matplotlib inline\ny = f('FAULT(left-frozen)',\n  2){comments[0]}\nz = 1",
            f"# π \U0001f600 \\n\n{WARNING.rstrip()}{comments[1]}",
            "%%bash\nls",
        ]
        listed = [{"cell_type": "markdown", "source": "x = 'FAULT(left-frozen)'"}]
        listed += [
            {"outputs": ["\u2028"], "source": cell.splitlines(True) if split else cell, "cell_type": "code"}  # type: ignore[dict-item]
            for cell in cells
        ]
        return json.dumps({"cells": listed, "metadata": {"x": 1e5}}, indent=1) + "\n"

    Path("bad.py").unlink()
    Path("n.ipynb").write_bytes(written("", "").encode())
    assert run([".", "--add-ignores", "gemäß"]) == 0
    assert capsys.readouterr().out == "2 findings suppressed in 1 file\n"
    comment = "  # freezelint: ignore[left-{}] -- gemäß"
    assert Path("n.ipynb").read_bytes().decode() == written(comment.format("frozen"), comment.format("in-eval"))
    assert found(capsys, ".") == []


def test_what_changes_a_cell_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    text = json.dumps({"cells": [{"cell_type": "code", "source": "x = !ls 'FAULT(left-frozen)'"}]})
    finding = Finding("left-frozen", Severity.ERROR, "m", Site("n.ipynb", 1, 1, 1, 2, cell=0), source_line="x = None")
    Path("n.ipynb").write_text(text)
    added = ignores.add([finding, replace(finding, site=Site("n.ipynb", 1, 1, 1, 2, cell=7))], "why")
    told = ["the file has changed meanwhile", "a comment would change the code"]
    assert [why for _, why in added.left] == told and not added.files
    Path("n.ipynb").write_text("{")
    [(_, why)] = ignores.add([finding], "why").left
    assert why.startswith("the file cannot be written: is no valid notebook")


@pytest.mark.parametrize("reason", [" ", "a\nb", "freezelint: ignore-file", "\x1b[1m"])
def test_reasons_that_are_none(reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([".", "--add-ignores", reason]) == 2
    assert Path("bad.py").read_text() == ERROR


LINES = st.sampled_from(
    [
        "x = 1",
        "if x:",
        "    y = (1,",
        "  2)",
        "'''",
        "# note",
        "",
        "\\",
        "    pass",
        "\tz = '#'",
        "\x0c",
        "f(x)  # noqa",
    ]
)


# How long it takes to draw a few lines says how busy the machine is, and no more.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(LINES, max_size=8), st.sampled_from(["\n", "\r\n", "\r"]), st.integers(1, 8))
def test_a_comment_never_changes_the_code(lines: list[str], end: str, number: int) -> None:
    text = end.join(lines)
    line = lines[number - 1] if number <= len(lines) else ""
    finding = Finding("left-frozen", Severity.ERROR, "m", Site("a.py", number, 1, number, 2), source_line=line)
    result, done, left = ignores.annotated(text, [finding], "why")
    assert len(done) + len(left) == 1
    assert suppress.code(result) == suppress.code(text)
    if done:
        assert suppress.parse(result).covering(finding)
        assert len(result.splitlines()) == len(text.splitlines())
    else:
        assert result == text or not left


# Several configurations ----------------------------------------------------------------------------------------------


def test_of_each_file_the_nearest_configuration_holds(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.py").unlink()
    for name in ("one/a.py", "one/deep/a.py", "two/a.py", "two/old/a.py", "three/a.py"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(ERROR + WARNING)
    Path("pyproject.toml").write_text('[tool.freezelint]\nignore = ["left-in-eval"]\nexclude = ["three"]\n')
    Path("one/freezelint.toml").write_text('ignore = ["left-frozen"]\nfail-on = "error"\n')
    Path("one/pyproject.toml").write_text("[tool.freezelint]\nselct = 1\n")  # not even looked at
    Path("two/pyproject.toml").write_text('[tool.freezelint]\nexclude = ["old"]\nseverity = "error"\n')
    told = [("one/a.py", "left-in-eval", 2), ("one/deep/a.py", "left-in-eval", 2), ("two/a.py", "left-frozen", 1)]
    assert found(capsys, ".") == told
    assert found(capsys, "one", "two/a.py") == told
    assert run(["one"]) == 0 and run(["two"]) == 1
    assert len(found(capsys, ".", "--isolated")) == 10
    assert found(capsys, ".", "--select", "left-frozen") == [
        (name, "left-frozen", 1) for name in ("one/a.py", "one/deep/a.py", "two/a.py")
    ]
    assert not found(capsys, ".", "--ignore", "mode")


def test_a_wrong_nested_configuration_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("sub").mkdir()
    Path("sub/a.py").write_text(ERROR)
    Path("sub/freezelint.toml").write_text("selct = []\n")
    assert run(["."]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and not captured.out
    assert "sub/freezelint.toml: unknown key 'selct': did you mean 'select'?" in captured.err


def test_extend(folder: Path) -> None:
    Path("base.toml").write_text('ignore = ["left-frozen"]\nexclude = ["gen/"]\nseverity = "error"\n')
    Path("a/b").mkdir(parents=True)
    Path("a/freezelint.toml").write_text('extend = "../base.toml"\nseverity = "info"\n')
    Path("a/b/pyproject.toml").write_text('[tool.freezelint]\nextend = "../freezelint.toml"\nignore = []\n')
    one, two = config.find(folder / "a"), config.find(folder / "a" / "b")
    assert (one.ignore, one.severity, one.file) == (("left-frozen",), Severity.INFO, folder / "a" / "freezelint.toml")
    assert (two.ignore, two.severity) == ((), Severity.INFO)
    assert two.excludes(folder / "gen" / "x.py") and not two.excludes(folder / "a" / "x.py")


@pytest.mark.parametrize(
    "text, message",
    [
        ('extend = "freezelint.toml"', "leads back to itself"),
        ('extend = "gone.toml"', "there is no file"),
        ('extend = "pyproject.toml"', "has no [tool.freezelint]"),
        ("extend = 1", "must be the name of a file"),
        ('baseline = ""', "must be the name of a file"),
    ],
)
def test_wrong_extensions(folder: Path, text: str, message: str) -> None:
    Path("pyproject.toml").write_text("[project]\n")
    Path("freezelint.toml").write_text(text)
    with pytest.raises(ConfigError) as refused:
        config.find(folder)
    assert message in str(refused.value) and "\n" not in str(refused.value)


# Reports in files, doctor --------------------------------------------------------------------------------------------


def test_reports_in_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([".", "--report", "sarif=a.sarif", "--report", "junit=a.xml", "-q"]) == 1
    assert capsys.readouterr().out == "bad.py:1:6: error left-frozen: left-frozen here\n"
    assert json.loads(Path("a.sarif").read_text())["version"] == "2.1.0"
    assert Path("a.xml").read_text().startswith("<?xml")
    assert run([".", "--report", "sarif"]) == 2
    assert run([".", "--report", "sarif=gone/a.sarif"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    Path("train.py").write_text("import torch, detectron2, bad, os\nloss.backward()\n")
    Path("null.py").write_bytes(b"\0")
    Path(".venv").mkdir()
    Path("old").mkdir()
    Path("freezelint.toml").write_text('ignore = ["mode"]\nexclude = ["old"]\nbaseline = "gone.json"\n')
    assert run(["doctor"]) == 0
    output = capsys.readouterr().out
    for part in (
        "freezelint.toml: of 3 files",
        "baseline = gone.json (does not exist)",
        "1 rules on, 2 off: left-frozen, left-in-eval",
        "Files: 3 of Python, 0 notebooks",
        "  1 with a word of training",
        "excluded by the configuration: 1\n    old",
        "folders of other people's code: 1\n    .venv",
        "cannot be read (holds a null byte on line 1): 1\n    null.py",
        "torch: imported by 1 file; as of 2.",
        "    detectron2 (1)\n",
    ):
        assert part in output
    assert run(["doctor", "--isolated"]) == 0
    assert "Configuration: none" in capsys.readouterr().out
    Path("freezelint.toml").write_text("x = 1")
    assert run(["doctor"]) == 2


# Writing -------------------------------------------------------------------------------------------------------------


def test_a_file_keeps_its_mode_and_a_link_stays_one(folder: Path) -> None:
    Path("real.txt").write_text("a")
    os.chmod("real.txt", 0o640)
    Path("link.txt").symlink_to("real.txt")
    files.replace(Path("link.txt"), b"b")
    assert Path("link.txt").is_symlink() and Path("real.txt").read_text() == "b"
    assert Path("real.txt").stat().st_mode & 0o777 == 0o640
    with pytest.raises(OSError):
        files.replace(Path("gone/a.txt"), b"")
    assert sorted(os.listdir()) == ["bad.py", "link.txt", "real.txt"]
