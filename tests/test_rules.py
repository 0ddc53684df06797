"""Every rule at once: its page is complete and true, and each of its cases finds exactly what the case marks."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

import casefile
from casefile import Case
from freezelint import api, config
from freezelint.config import Config
from freezelint.finding import Finding
from freezelint.notices import NOTICES
from freezelint.trace.check import HEADINGS, Rule, all_rules

FIXTURES = Path(__file__).parent / "fixtures" / "rules"
CASE_FILES = sorted(FIXTURES.glob("*.md"))
RULES = all_rules()

every_rule = pytest.mark.parametrize("rule", [pytest.param(rule, id=slug) for slug, rule in RULES.items()])
every_case = pytest.mark.parametrize(
    "slug, case",
    [
        pytest.param(file.stem, case, id=f"{file.stem}:{case.line} {case.title}")
        for file in CASE_FILES
        for case in casefile.read(file)
    ],
)


def found_in(folder: Path, settings: Config) -> list[Finding]:
    return list(api.check([folder], settings).findings)


@every_case
def test_case(slug: str, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    case.write(tmp_path)
    settings = config.load(tmp_path / "pyproject.toml") if "pyproject.toml" in case.files else Config()
    assert settings is not None, "the toml of this case has no [tool.freezelint]"
    if not case.all_rules and settings.select is None:
        settings = replace(settings, select=(slug,))
    differences = case.differences(found_in(Path("."), settings))
    assert not differences, "\n".join((f"{slug}: {case.title}", *differences))


@pytest.mark.parametrize("file", CASE_FILES, ids=lambda file: file.stem)
def test_case_file_belongs_to_a_rule(file: Path) -> None:
    assert file.stem in RULES, f"{file.name}: there is no such rule"


@every_rule
def test_case_file_has_hits_and_as_many_near_misses(rule: Rule) -> None:
    file = FIXTURES / f"{rule.slug}.md"
    assert file.is_file(), f"{rule.slug} has no case file"
    cases = casefile.read(file)
    hits = sum(expected.slug == rule.slug for case in cases for expected in case.expected)
    silent = sum(len(case.silent) for case in cases)
    assert hits, f"{rule.slug}: no case expects it"
    assert silent >= hits, f"{rule.slug}: {hits} lines expect it, only {silent} are marked ok"


@every_rule
def test_name_and_place(rule: Rule) -> None:
    folder = Path(config.__file__).parent / "rules" / rule.group
    assert (folder / f"{rule.slug.replace('-', '_')}.py").is_file()
    assert rule.slug not in NOTICES


@every_rule
def test_page_is_complete(rule: Rule) -> None:
    assert rule.summary.endswith("."), "the first line is a sentence"
    headings = [line.strip().rstrip(":") for line in rule.page.splitlines() if not line.startswith(" ")]
    order = [heading for heading in headings if heading in HEADINGS]
    assert order == list(HEADINGS), "each heading once, in order, on a line of its own"
    for heading in HEADINGS:
        assert rule.section(heading).strip(), f"{heading} is empty"


def code(rule: Rule, heading: str) -> str:
    """The indented block below a heading, without the sentences around it."""
    lines = [line for line in rule.section(heading).splitlines() if line.startswith("    ") or not line.strip()]
    return textwrap.dedent("\n".join(lines)).strip() + "\n"


@every_rule
@pytest.mark.parametrize("heading", ["Bad", "Good"])
def test_page_is_true(rule: Rule, heading: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad shows this rule's fault, Good does not, each with every rule switched on."""
    program = code(rule, heading)
    compile(program, f"{heading} of {rule.slug}", "exec")
    (tmp_path / "main.py").write_text(program, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    findings = found_in(Path("main.py"), Config(extend_select=(rule.slug,)))
    fired = {finding.rule for finding in findings}
    assert not fired & NOTICES.keys(), findings
    if heading == "Bad":
        assert rule.slug in fired, f"Bad is not found; found instead: {sorted(fired)}"
        mine = [finding for finding in findings if finding.rule == rule.slug]
        assert all(finding.confirm and finding.source_line for finding in mine)
    else:
        assert rule.slug not in fired, [finding.message for finding in findings if finding.rule == rule.slug]
