"""Suppression comments: which findings they cover, and which of them are reported themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freezelint import api, suppress
from freezelint.config import Config
from freezelint.finding import Finding

pytestmark = pytest.mark.usefixtures("made_up_rules")


def checked(text: str, settings: Config | None = None) -> list[tuple[int, str]]:
    """Line and rule of what is found in one file."""
    return [(f.site.line, f.rule) for f in findings_in(text, settings)]


def findings_in(text: str, settings: Config | None = None) -> list[Finding]:
    Path("main.py").write_text(text, encoding="utf-8")
    return list(api.check([Path("main.py")], settings or Config()).findings)


@pytest.fixture(autouse=True)
def _here(folder: Path) -> None:
    pass


@pytest.mark.parametrize(
    "text",
    [
        "x = 'FAULT(left-frozen)'  # freezelint: ignore[left-frozen]\n",
        "x = 'FAULT(left-frozen)'  # freezelint:ignore [ left-frozen ] because\n",
        "x = 'FAULT(left-frozen)'  # noqa  # freezelint: ignore[left-frozen]\n",
        "x = 'FAULT(left-frozen)'  # freezelint: ignore\n",
        "x = 'FAULT(left-frozen) FAULT(left-in-eval)'  # freezelint: ignore[left-frozen, left-in-eval]\n",
        "# freezelint: ignore[left-frozen]\nx = 'FAULT(left-frozen)'\n",
        "# freezelint: ignore[left-frozen]\n# and why\nx = 'FAULT(left-frozen)'\n",
        "if x:\n    # freezelint: ignore[left-frozen]\n    x = 'FAULT(left-frozen)'\n",
        "# freezelint: ignore-file\n\n\nx = 'FAULT(left-frozen)'\n",
        "x = 'FAULT(left-frozen)'\n# freezelint: ignore-file[left-frozen]\n",
        "x = (1,\n     'FAULT(left-frozen)',\n)  # freezelint: ignore[left-frozen]\n",
        "x = (  # freezelint: ignore[left-frozen]\n     'FAULT(left-frozen)',\n)\n",
        "# freezelint: ignore[left-frozen]\nx = (1,\n     'FAULT(left-frozen)',\n)\n",
        "x = (1,\n     # freezelint: ignore[left-frozen]\n     'FAULT(left-frozen)',\n)\n",
        "x = ('FAULT(left-frozen:3)',\n     1,  # freezelint: ignore[left-frozen]\n)\n",
        "x = 'FAULT(left-frozen)'  # freezelint: ignore[left-frozen]\r\ny = 1\r\n",
        "x = '\f\u2028'\ny = 'FAULT(left-frozen)'  # freezelint: ignore[left-frozen]\n",
    ],
)
def test_suppressed(text: str) -> None:
    assert checked(text) == []


@pytest.mark.parametrize(
    "text, left",
    [
        (
            "x = 'FAULT(left-frozen)'  # freezelint: ignore[style-matter]\n",
            [(1, "left-frozen"), (1, "unused-suppression")],
        ),
        ("x = 'FAULT(left-frozen) # freezelint: ignore'\n", [(1, "left-frozen")]),
        ("'''\n# freezelint: ignore-file\n'''\nx = 'FAULT(left-frozen)'\n", [(4, "left-frozen")]),
        ("# freezelint: ignore\n\nx = 'FAULT(left-frozen)'\n", [(1, "unused-suppression"), (3, "left-frozen")]),
        ("x = 1  # freezelint: ignore\ny = 'FAULT(left-frozen)'\n", [(1, "unused-suppression"), (2, "left-frozen")]),
        (
            "def f():  # FAULT(left-frozen:3)\n    x = 1\n    y = 2  # freezelint: ignore\n",
            [(1, "left-frozen"), (3, "unused-suppression")],
        ),
        (
            "for x in y:  # freezelint: ignore\n    z = 'FAULT(left-frozen)'\n",
            [(1, "unused-suppression"), (2, "left-frozen")],
        ),
    ],
)
def test_not_suppressed(text: str, left: list[tuple[int, str]]) -> None:
    assert checked(text) == left


@pytest.mark.parametrize(
    "comment, message",
    [
        ("ignore", "`# freezelint: ignore` suppresses nothing: remove it"),
        ("ignore-file", "`# freezelint: ignore-file` suppresses nothing: remove it"),
        ("ignore[left-frozen]", "no left-frozen is found here: remove it from `# freezelint: ignore[left-frozen]`"),
        ("ignore[left-frozne]", "names no rule 'left-frozne': did you mean 'left-frozen'?"),
        ("ignored[left-frozen]", "unknown directive 'ignored': did you mean 'ignore'?"),
        ("ignore[left-frozen", "the closing bracket is missing"),
        ("ignore[]", "the list of rules is empty"),
    ],
)
def test_useless_comments_are_reported(comment: str, message: str) -> None:
    (finding,) = findings_in(f"x = 1  # freezelint: {comment}\n")
    assert (finding.rule, str(finding.severity), finding.site.line, finding.site.column) == (
        "unused-suppression",
        "warning",
        1,
        8,
    )
    assert message in finding.message


def test_one_of_two_slugs_is_unused() -> None:
    text = "x = 'FAULT(left-frozen)'  # freezelint: ignore[left-frozen, left-in-eval]\n"
    (finding,) = findings_in(text)
    assert finding.message.startswith("no left-in-eval is found here")


def test_a_rule_that_did_not_run_is_not_called_unused() -> None:
    chosen = Config(select=("left-in-eval", "unused-suppression"))
    assert checked("x = 1  # freezelint: ignore[left-frozen]\ny = 1  # freezelint: ignore\n", chosen) == []
    assert checked("x = 1  # freezelint: ignore[left-in-eval]\n", chosen) == [(1, "unused-suppression")]
    assert checked("x = 1  # freezelint: ignore\n", Config(ignore=("unused-suppression",))) == []


def test_comments_of_a_broken_file_count_up_to_the_fault() -> None:
    text = "x = 'FAULT(left-frozen)'  # freezelint: ignore\nx = (((\n"
    assert checked(text) == []


def test_unreadable_files_cannot_be_waved_through() -> None:
    Path("main.py").write_bytes(b"# freezelint: ignore-file\n\0")
    assert [f.rule for f in api.check([Path("main.py")], Config()).findings] == ["read-error"]


def test_a_file_that_does_not_mention_freezelint_is_not_tokenized(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suppress, "_tokens", lambda text: pytest.fail("tokenized"))
    assert suppress.parse("x = 1  # noqa\n") is suppress.NOTHING


@given(st.text("#freezlint: ignore[]-'\"\\\n\t(){}a,", max_size=60))
def test_any_text_can_be_read(text: str) -> None:
    suppress.parse(f"# freezelint:{text}")
