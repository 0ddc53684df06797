"""The command line from end to end: options, exit status, standard input, and every way to use it wrongly."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from freezelint import __main__, __version__
from freezelint.__main__ import run
from freezelint.cli import check
from freezelint.trace import check as rulebook

ERROR, WARNING, INFO = "x = 'FAULT(left-frozen)'\n", "x = 'FAULT(left-in-eval)'\n", "x = 'FAULT(style-matter)'\n"


@pytest.fixture(autouse=True)
def _here(folder: Path, made_up_rules: object) -> None:
    Path("bad.py").write_text(ERROR)
    Path("good.py").write_text("x = 1\n")


def found(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[tuple[str, str]]:
    """Path and rule of what a JSON report lists."""
    run([*arguments, "--output-format", "json"])
    return [(finding["path"], finding["rule"]) for finding in json.loads(capsys.readouterr().out)]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["."],
        ["check"],
        ["check", "."],
        ["--select", "left-frozen", "bad.py"],
        ["bad.py", "--ignore=style-matter"],
        ["-q", "."],
    ],
    ids=" ".join,
)
def test_check_is_the_default_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 1
    assert "bad.py:1:6: error left-frozen: left-frozen here" in capsys.readouterr().out


def test_a_folder_that_is_called_like_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    Path("rules").mkdir()
    Path("rules/a.py").write_text(ERROR)
    assert found(capsys, "check", "rules") == [("rules/a.py", "left-frozen")]
    assert found(capsys, "./rules") == [("rules/a.py", "left-frozen")]


@pytest.mark.parametrize(
    "text, options, status",
    [
        ("x = 1\n", [], 0),
        ("", [], 0),
        (ERROR, [], 1),
        (WARNING, [], 1),
        (INFO, [], 0),
        (INFO, ["--fail-on", "info"], 1),
        (WARNING, ["--fail-on", "error"], 0),
        (ERROR, ["--fail-on", "error"], 1),
        (ERROR, ["--exit-zero"], 0),
        (WARNING, ["--severity", "error"], 0),
        (ERROR, ["--ignore", "mode"], 0),
        (ERROR, ["--no-cache"], 1),
    ],
)
def test_exit_status(text: str, options: list[str], status: int) -> None:
    Path("bad.py").write_text(text)
    assert run([".", *options]) == status


def test_severity_hides_what_is_lower(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.py").write_text(ERROR + WARNING + INFO)
    rules = ["left-frozen", "left-in-eval", "style-matter"]
    assert [rule for _, rule in found(capsys, ".")] == rules
    assert [rule for _, rule in found(capsys, ".", "--severity", "warning")] == rules[:2]


@pytest.mark.parametrize(
    "options, rules",
    [
        (["--select", "left-frozen,style-matter"], ["left-frozen", "style-matter"]),
        (["--select", "left-frozen", "--select", "style-matter"], ["left-frozen", "style-matter"]),
        (["--select", "mode"], ["left-frozen", "left-in-eval"]),
        (["--select", "optimizer", "--extend-select", "left-frozen"], ["left-frozen", "style-matter"]),
        (["--ignore", "mode"], ["style-matter"]),
    ],
)
def test_choice_of_rules(options: list[str], rules: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.py").write_text(ERROR + WARNING + INFO)
    assert [rule for _, rule in found(capsys, "bad.py", *options)] == rules


def test_configuration_of_the_nearest_pyproject(capsys: pytest.CaptureFixture[str]) -> None:
    Path("pyproject.toml").write_text(
        '[tool.freezelint]\nexclude = ["old"]\nfail-on = "error"\n'
        '[tool.freezelint.per-file-ignores]\n"*_test.py" = ["mode"]\n'
    )
    for name in ("old/a.py", "old_test.py", "sub/b_test.py", "sub/c.py"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(WARNING)
    Path("bad.py").unlink()
    assert found(capsys, ".") == [("sub/c.py", "left-in-eval")]
    assert run(["."]) == 0
    capsys.readouterr()
    assert len(found(capsys, ".", "--isolated")) == 4
    assert found(capsys, ".", "--exclude", "sub/c.py") == []
    Path("sub/pyproject.toml").write_text('[tool.freezelint]\nignore = ["mode"]\n')
    assert found(capsys, "sub") == []


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--selct", "x"], "--select"),
        (["--select", "left-frozne", "."], "no rule is called 'left-frozne': did you mean 'left-frozen'?"),
        (["--ignore", "optimiser", "."], "did you mean 'optimizer'?"),
        (["--severity", "warn", "."], "'warning'"),
        (["--output-format", "jsn", "."], "'json'"),
        (["--jobs", "0", "."], "--jobs"),
        (["explian", "left-frozen"], "did you mean 'explain'?"),
        (["explain", "left-frozne"], "did you mean 'left-frozen'?"),
        (["explain"], "Missing argument"),
        (["-", "bad.py"], "cannot be checked together"),
        (["bad.py", "--stdin-filename", "a.py"], "needs `-`"),
        (["new-rule", "optimiser", "a-b"], "there is no folder src/freezelint/rules"),
    ],
)
def test_wrong_use(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err and not captured.out


def test_wrong_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    Path("pyproject.toml").write_text("[tool.freezelint]\nselct = []\n")
    assert run(["."]) == 2
    error = capsys.readouterr().err
    assert "did you mean 'select'?" in error and error.count("\n") == 1
    assert run([".", "--isolated"]) == 1


def test_bad_files_do_not_stop_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    Path("null.py").write_bytes(b"\0")
    Path("latin.py").write_bytes(b"x = '\xe9'\n")
    assert run([".", "missing.py"]) == 1
    lines = capsys.readouterr().out.splitlines()
    for start in (
        "null.py:1:1: error read-error: ",
        "latin.py:1:1: error read-error: ",
        "missing.py:1:1: error read-error: ",
        "bad.py:1:6: error left-frozen: ",
    ):
        assert sum(line.startswith(start) for line in lines) == 1
    assert lines[-1] == "4 findings (4 errors) in 4 files; 5 files checked"


def test_internal_error_is_2_and_names_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.py").write_text("FAULT(crash)\n# freezelint: ignore-file\n")
    Path("null.py").write_bytes(b"\0")
    assert run([".", "--exit-zero"]) == 2
    output = capsys.readouterr().out
    assert "bad.py:1:1: error internal-error: RuntimeError: the analyser fell over" in output
    assert "please report it" in output
    assert "null.py:1:1: error read-error" in output, "what was found elsewhere is still shown"


def test_unforeseen_failure_is_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(rulebook, "all_rules", lambda: {}[0])
    assert run(["rules"]) == 2
    assert __main__.REPORT_IT in capsys.readouterr().err


def test_interruption(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(check, "_check", interrupt)
    assert run(["."]) == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize(
    "choice, environment, colored",
    [
        ("auto", {}, False),
        ("always", {}, True),
        ("never", {"FORCE_COLOR": "1"}, False),
        ("auto", {"FORCE_COLOR": "1"}, True),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_color(
    choice: str,
    environment: dict[str, str],
    colored: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    run([".", "--color", choice])
    assert ("\x1b[" in capsys.readouterr().out) is colored


def test_show_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([".", "--show-files", "--exclude", "bad.py"]) == 0
    assert capsys.readouterr().out == "good.py\n"


def test_quiet_verbose_statistics_and_trace(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.py").write_text(ERROR * 2 + INFO)
    run([".", "--quiet", "--statistics"])
    assert capsys.readouterr().out.splitlines()[-2:] == ["     2  left-frozen", "     1  style-matter"]
    run([".", "--output-format", "json", "--statistics", "--verbose", "--trace"])
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)) == 3
    for part in ("     2  left-frozen", "rules: 3; files: 2; ", "saw bad.py\nsaw good.py\n"):
        assert part in captured.err


def test_rules_and_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rules"]) == 0
    assert capsys.readouterr().out == (
        "mode:\n  left-frozen   error    What left-frozen finds.\n"
        "  left-in-eval  warning  What left-in-eval finds.\n"
        "optimizer:\n  style-matter  info     What style-matter finds.\n"
    )
    assert run(["explain", "left-frozen"]) == 0
    assert capsys.readouterr().out == "left-frozen (error, group mode)\n\nWhat left-frozen finds.\n\nWhy\nBecause.\n"
    assert run(["explain", "read-error"]) == 0
    assert capsys.readouterr().out.startswith("read-error\n\nA file could not be read")


def test_new_rule(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    group = folder / "src" / "freezelint" / "rules" / "mode"
    group.mkdir(parents=True)
    (group / "__init__.py").touch()
    assert run(["new-rule", "mod", "two-words"]) == 2
    assert run(["new-rule", "mode", "Two_Words"]) == 2
    assert run(["new-rule", "mode", "two-words"]) == 0
    written = (group / "two_words.py").read_text()
    compile(written, "two_words.py", "exec")
    assert "[two-words]" in (folder / "tests" / "fixtures" / "rules" / "two-words.md").read_text()
    (group / "two_words.py").write_text("mine")
    assert run(["new-rule", "mode", "two-words"]) == 2
    assert (group / "two_words.py").read_text() == "mine"


def shell(*arguments: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """freezelint in a process of its own, with the real rules."""
    return subprocess.run(
        [sys.executable, "-m", "freezelint", *arguments],
        input=stdin,
        capture_output=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_module_and_version() -> None:
    done = shell("--version")
    assert (done.returncode, done.stdout.decode().strip()) == (0, f"freezelint, version {__version__}")


def test_standard_input() -> None:
    done = shell("-", stdin=b"x = '\xe9'\n")
    assert done.returncode == 1 and done.stdout.startswith(b"<stdin>:1:1: error read-error")
    done = shell("-", "--stdin-filename", "pkg/a.py", "--output-format", "json", stdin=b"\0")
    assert [finding["path"] for finding in json.loads(done.stdout)] == ["pkg/a.py"]


def test_standard_input_has_source_frames(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Stdin:
        class buffer:
            @staticmethod
            def read() -> bytes:
                return ERROR.encode()

    monkeypatch.setattr(sys, "stdin", Stdin)
    assert run(["-", "--stdin-filename", "new.py"]) == 1
    assert "new.py:1:6: error" in (output := capsys.readouterr().out) and "1 | x = 'FAULT" in output


def test_watch() -> None:
    pytest.importorskip("watchfiles")
    fault = "import torch\nnet = torch.nn.Linear(2, 2)\nnet.weight.require_grad = False\n"
    Path("bad.py").write_text("x = 1\n")
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "freezelint", "--watch", "-q"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None

        def heard(expected: str) -> bool:
            assert process.stdout is not None
            return any(expected in line for line in process.stdout)

        def change(name: str, text: str, expected: str) -> bool:
            """Write until it is noticed: nothing says when the folder has come under watch."""
            noticed = threading.Event()

            def write() -> None:
                while not noticed.wait(0.5):
                    Path(name).write_text(text)

            writer = threading.Thread(target=write)
            writer.start()
            try:
                return heard(expected)
            finally:
                noticed.set()
                writer.join()

        alarm = threading.Timer(60, process.kill)
        alarm.start()
        assert heard("watching")
        assert change("bad.py", fault, "bad.py:3:1: error misspelled-requires-grad")
        assert change("freezelint.toml", "selct = []\n", "did you mean 'select'?")
        process.send_signal(signal.SIGINT)
        process.communicate()
        alarm.cancel()
        assert process.returncode in (1, 130), "of the last check that could be done, or in the middle of another"


def test_progress_is_shown_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, told in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr("freezelint.cli.progress.PATIENCE", 0.0)
        monkeypatch.setattr("freezelint.cli.progress.PAUSE", 0.0)
        run([".", "--output-format", "json"])
        assert ("checking 1 of 2: bad.py" in stream.getvalue()) is told
        assert stream.getvalue().endswith("\r\x1b[K" if told else "")


@pytest.mark.parametrize(
    "typed, expected, never",
    [
        ("freezelint ", {"check", "explain", "doctor"}, {"--select"}),
        ("freezelint exp", {"explain"}, {"check"}),
        ("freezelint --sel", {"--select"}, {"explain"}),
        ("freezelint check --out", {"--output-format"}, set()),
        ("freezelint --output-format s", {"sarif"}, {"text"}),
        ("freezelint explain unfreeze", {"unfreeze-not-in-optimizer"}, {"optimizer"}),
        ("freezelint check --select noop,frozen-bn", {"noop,frozen-bn-train-mode"}, set()),
    ],
)
def test_completion(typed: str, expected: set[str], never: set[str]) -> None:
    words = typed.split(" ")
    done = shell(_FREEZELINT_COMPLETE="bash_complete", COMP_WORDS=typed.rstrip(), COMP_CWORD=str(len(words) - 1))
    offered = {line.partition(",")[2] for line in done.stdout.decode().splitlines()}
    assert expected <= offered and not never & offered, done.stderr.decode()


def test_completion_is_installed_by_a_script_of_click() -> None:
    for name in ("bash", "zsh", "fish"):
        done = shell(_FREEZELINT_COMPLETE=f"{name}_source")
        if b"version is not supported" not in done.stderr:  # of an old bash
            assert b"_FREEZELINT_COMPLETE" in done.stdout


def test_jobs_do_not_change_the_report() -> None:
    for number in range(9):
        Path(f"damaged_{number}.py").write_bytes(b"\0")
        Path(f"odd_{number}.py").write_bytes(b"# freezelint: ignroe\nimport torch\n")
    one, many = (shell(".", "--output-format", "json", "--jobs", jobs) for jobs in ("1", "3"))
    assert one.stdout == many.stdout and one.returncode == many.returncode == 1
    rules = [finding["rule"] for finding in json.loads(one.stdout)]
    assert (rules.count("read-error"), rules.count("unused-suppression"), len(rules)) == (9, 9, 18)


def test_a_name_that_the_terminal_cannot_show() -> None:
    Path("bad.py").unlink()
    Path("good.py").unlink()
    Path("naïve\n.py").write_bytes(b"\0")
    done = shell(".", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert rb"na\xefve\n.py:1:1: error read-error" in done.stdout
    assert done.returncode == 1


def test_a_reader_that_goes_away() -> None:
    for number in range(3000):
        Path(f"missing_{number}.py").write_bytes(b"\0")
    with subprocess.Popen(
        [sys.executable, "-m", "freezelint", "."], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141
