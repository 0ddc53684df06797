"""Settings: what is read, which file is nearest, what the command line changes, and how wrong ones are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import pretend
from freezelint import config
from freezelint.config import Config, ConfigError
from freezelint.finding import Severity

pytestmark = pytest.mark.usefixtures("made_up_rules")

FULL = """
[tool.freezelint]
select = ["mode", "style-matter"]
extend-select = ["unused-suppression"]
ignore = ["left-in-eval"]
exclude = ["vendored/", "*_pb2.py"]
severity = "warning"
fail-on = "error"

[tool.freezelint.per-file-ignores]
"tests/*" = ["left-frozen"]
"""


def loaded(folder: Path, text: str) -> Config:
    file = folder / "pyproject.toml"
    file.write_text(text, encoding="utf-8")
    settings = config.load(file)
    assert settings is not None
    return settings


def test_every_key(folder: Path) -> None:
    settings = loaded(folder, FULL)
    assert settings.severity is Severity.WARNING and settings.fail_on is Severity.ERROR
    assert list(settings.rules()) == ["left-frozen", "style-matter"]
    assert settings.wants("unused-suppression")
    assert settings.excludes(folder / "vendored" / "deep" / "a.py") and settings.excludes(folder / "x_pb2.py")
    assert not settings.excludes(folder / "a.py")
    assert settings.ignored_in(folder / "tests" / "a.py") == {"left-frozen"}
    assert not settings.ignored_in(folder / "a.py")
    assert not settings.excludes(Path("/elsewhere/vendored/a.py")), "patterns hold below their own folder only"


def test_defaults() -> None:
    settings = Config()
    assert list(settings.rules()) == ["left-frozen", "left-in-eval", "style-matter"]
    assert settings.severity is Severity.INFO and settings.fail_on is Severity.WARNING


def test_nearest_file_with_a_table_wins(folder: Path) -> None:
    inner = folder / "a" / "b"
    inner.mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[tool.freezelint]\nignore = ["left-frozen"]\n')
    (folder / "a" / "pyproject.toml").write_text("[project]\nname = 'inner'\n")
    assert config.find(inner).ignore == ("left-frozen",)
    (folder / "a" / "pyproject.toml").write_text("[tool.freezelint]\n")
    assert config.find(inner).ignore == ()


@pytest.mark.parametrize(
    "text, message",
    [
        ("[tool.freezelint]\nselct = []", "unknown key 'selct' in [tool.freezelint]: did you mean 'select'?"),
        ("[tool.freezelint]\nper_file_ignores = {}", "did you mean 'per-file-ignores'?"),
        ("[tool.freezelint]\nignore = ['left-frozne']", "no rule is called 'left-frozne': did you mean 'left-frozen'?"),
        ("[tool.freezelint]\nignore = 'left-frozen'", "ignore: must be a list of strings, not 'left-frozen'"),
        ("[tool.freezelint]\nselect = [1]", "select: must be a list of strings"),
        ("[tool.freezelint]\nseverity = 'warn'", "unknown severity 'warn': did you mean 'warning'?"),
        ("[tool.freezelint]\nfail-on = 3", "unknown severity 3: use one of error, info, warning"),
        ("[tool.freezelint]\nper-file-ignores = ['a']", "per-file-ignores: must be a table"),
        ("[tool.freezelint.per-file-ignores]\n'a' = ['left-frozne']", "did you mean 'left-frozen'?"),
        ("[tool.freezelint]\nexclude = ['!']", "bad pattern in '!'"),
        ("[tool]\nfreezelint = 1", "must be a table"),
        ("[tool.freezelint\n", "is not valid TOML"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(folder: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(folder, text)
    assert message in str(refused.value)
    assert str(folder / "pyproject.toml") in str(refused.value)
    assert "\n" not in str(refused.value)


def test_settings_that_are_not_utf8(folder: Path) -> None:
    (folder / "pyproject.toml").write_bytes(b"[tool.freezelint]\n# \xff\n")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        config.find(folder)


def test_command_line_select_replaces_the_choice_of_the_file(folder: Path) -> None:
    settings = loaded(folder, FULL)
    assert list(settings.overridden(select=("left-in-eval",)).rules()) == ["left-in-eval"]
    assert list(settings.overridden(select=("mode",), ignore=("left-frozen",)).rules()) == ["left-in-eval"]
    assert list(settings.overridden(ignore=("style-matter",)).rules()) == ["left-frozen"]
    assert settings.overridden(severity=Severity.INFO).severity is Severity.INFO
    assert settings.overridden(exclude=("old/",)).excludes(folder / "old" / "a.py")


def test_notices_about_unusable_input_stay_on_until_ignored() -> None:
    chosen = Config(select=("left-frozen",))
    assert chosen.wants("syntax-error") and chosen.wants("read-error")
    assert not chosen.wants("unused-suppression")
    assert not Config(ignore=("syntax-error",)).wants("syntax-error")
    assert Config(ignore=("internal-error",)).wants("internal-error")


def test_a_rule_that_is_off_is_on_where_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from freezelint.trace import check as rulebook

    rules = rulebook.all_rules()
    off = replace(rules["style-matter"], off=True)
    pretend(monkeypatch, rules | {"style-matter": off})
    assert not Config().wants("style-matter", "optimizer") and "style-matter" not in Config().rules()
    for named in (Config(extend_select=("style-matter",)), Config(select=("optimizer",))):
        assert named.wants("style-matter", "optimizer") and "style-matter" in named.rules()
