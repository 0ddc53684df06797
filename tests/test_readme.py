"""The README is true: its program and the output shown, its settings, its comments, its two commands."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from freezelint import cli, config, suppress
from freezelint.__main__ import run
from freezelint.finding import Severity
from freezelint.trace.check import all_rules

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return [block["text"] for block in BLOCK.finditer(README) if block["language"] == language]


def test_the_program_and_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("finetune.py").write_text(blocks("python")[0], encoding="utf-8")
    command, shown = blocks("console")[0].split("\n", 1)
    assert command == "$ freezelint check finetune.py"
    assert run(["check", "--isolated", "finetune.py"]) == 1
    assert capsys.readouterr().out == shown, "run `python tools/update_readme.py`, and read what has changed"


def test_the_front_page_of_the_site(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    run(["check", "--isolated", "examples/finetune"])
    front = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    shown = f"```console\n$ freezelint check examples/finetune\n{capsys.readouterr().out}```\n"
    assert shown in front, "run `python tools/update_readme.py`, and read what has changed"


CHINESE = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")


def outline(text: str) -> dict[str, list[str]]:
    """What does not depend on the language: programs and commands without comments, links, names, headings."""
    fences = [re.sub(r" *#(?! freezelint:).*", "", block["text"]) for block in BLOCK.finditer(text)]
    prose = BLOCK.sub("", text)
    return {
        "blocks": fences,
        "links": sorted(re.findall(r"\]\(([^)]*)\)", prose)[1:]),
        "names": sorted(set(re.findall(r"`([^`]+)`", prose))),
        "headings": re.findall(r"^#+(?= )", prose, re.MULTILINE),
        "items": re.findall(r"^\*(?= )", prose, re.MULTILINE),
    }


@pytest.mark.parametrize("what", ["blocks", "links", "names", "headings", "items"])
def test_the_chinese_readme_says_the_same(what: str) -> None:
    assert outline(CHINESE)[what] == outline(README)[what], "change README.md and README.zh-CN.md together"


def test_options_exist() -> None:
    known = {
        option for command in cli.cli.commands.values() for parameter in command.params for option in parameter.opts
    }
    assert set(re.findall(r"`(--[a-z-]+)", README)) <= known


def test_every_command_is_shown() -> None:
    for name in cli.cli.commands:
        page = README if name != "new-rule" else (ROOT / "docs" / "adding-a-rule.md").read_text(encoding="utf-8")
        assert f"freezelint {name}" in page


def test_the_configuration_is_valid_and_complete() -> None:
    [table] = [block for block in blocks("toml") if "tool.freezelint" in block]
    loaded = config.from_table(toml(table)["tool"]["freezelint"], ROOT / "README.md")
    assert (loaded.severity, loaded.fail_on) == (Severity.WARNING, Severity.ERROR)
    for key in config.KEYS:
        shown = re.search(rf"^{key} =|\.{key}\]", table, re.MULTILINE)
        assert shown or f"`{key}`" in README, f"{key} is not explained"
    defaults = config.Config()
    for level in (defaults.severity, defaults.fail_on):
        assert f'default "{level}"' in table


def toml(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)


def test_the_suppressions_are_valid() -> None:
    [shown] = [block for block in blocks("python") if "freezelint:" in block]
    directives = suppress.parse(shown).directives
    assert len(directives) == 2
    for directive in directives:
        assert not directive.fault and set(directive.slugs or ()) <= all_rules().keys()


def test_the_two_commands_for_a_fresh_machine() -> None:
    checks = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "python -m pip install -c constraints.txt -e '.[test,live]' && python -m pytest -q\n" in README
    assert "-c constraints.txt -e '.[test,live]'" in checks and re.search(r"^python -m pytest -q", checks, re.MULTILINE)
    assert "python -m pip install . && freezelint check examples/finetune\n" in README
    assert (ROOT / "examples" / "finetune").is_dir()


def test_the_json_keys(folder: Path, made_up_rules: object, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    Path("a.py").write_text("x = 'FAULT(left-frozen)'\n")
    run(["a.py", "--output-format", "json"])
    [finding] = json.loads(capsys.readouterr().out)
    told = README.partition("### JSON")[2].partition("## ")[0]
    assert [key for key in finding if f"`{key}`" not in told] == []
