"""The documentation holds together: links, files, commands, and pages that are made from docstrings."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest

from freezelint import cli
from freezelint.notices import NOTICES
from freezelint.report.base import RULE_PAGE
from freezelint.trace.check import all_rules

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*sorted(ROOT.glob("*.md")), ROOT / "examples" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\[[^\]\n]*\]\((?P<target>[^)\s]+)\)")
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`((?:src|tests|docs|tools|benchmarks|examples)/[\w./-]*)`")
# The rule that docs/adding-a-rule.md adds.
MADE_UP = "optimizer-never-stepped"

every_document = pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.relative_to(ROOT).as_posix())


def commands(text: str) -> list[list[str]]:
    """The freezelint commands that a document shows, as words."""
    lines = re.findall(r"^(?:\$ |    )(?:.*&& )?(freezelint\b.*)$", text, re.MULTILINE)
    lines += re.findall(r"`(freezelint [^`]+)`", text)
    return [shlex.split(line.partition("<")[0], comments=True)[1:] for line in lines]


@every_document
def test_commands_and_options_exist(file: Path) -> None:
    for words in commands(file.read_text(encoding="utf-8")):
        if "--" in words:
            words = words[: words.index("--")]
        name = words[0] if words and words[0] in cli.cli.commands else "check"
        known = {option for parameter in cli.cli.commands[name].params for option in parameter.opts}
        for word in words:
            assert not word.startswith("--") or word.partition("=")[0] in known, f"{name} has no option {word}"


@every_document
def test_links_lead_somewhere(file: Path) -> None:
    for link in LINK.finditer(FENCE.sub("", file.read_text(encoding="utf-8"))):
        target = link["target"].partition("#")[0]
        if target and not target.startswith(("http:", "https:")):
            assert (file.parent / target).exists(), f"{file.name} links to {target}"


@every_document
def test_files_that_are_named_exist(file: Path) -> None:
    for name in NAMED.findall(FENCE.sub("", file.read_text(encoding="utf-8"))):
        assert MADE_UP in name or (ROOT / name).exists(), f"{file.name} names {name}"


def test_every_file_of_the_static_side_has_its_place() -> None:
    page = (ROOT / "docs/how-it-works.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w*]+\.py)`", page)
    files = [file for file in (ROOT / "src/freezelint/static").glob("*.py") if file.name != "__init__.py"]
    assert not [file.name for file in files if not any(file.match(name) for name in named)], "say what lives there"


def test_the_rule_that_the_guide_adds_is_free() -> None:
    assert MADE_UP not in all_rules(), "let docs/adding-a-rule.md add another one"


@pytest.fixture(scope="module")
def make_rule_pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_rule_pages", ROOT / "tools" / "make_rule_pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_rule_pages_are_up_to_date(make_rule_pages: ModuleType) -> None:
    wanted = make_rule_pages.pages()
    there = {file.name: file.read_text(encoding="utf-8") for file in make_rule_pages.FOLDER.glob("*.md")}
    stale = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
    assert not stale, f"run `python tools/make_rule_pages.py`: {', '.join(stale)}"


@pytest.mark.parametrize("slug", [*all_rules(), *NOTICES])
def test_the_url_of_a_finding_leads_to_its_page(slug: str) -> None:
    assert (ROOT / RULE_PAGE.format(slug)).is_file(), "run `python tools/make_rule_pages.py`"
