"""What reports look like: text for people, character by character, and the contract of the JSON list."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freezelint.finding import Edit, Finding, Fix, Severity, Site
from freezelint.report.base import FORMATS, Report, Style, Suppressed, renderer

FILES = {
    "model.py": [
        "class Net:",
        "    def freeze(self):",
        "        for p in self.layer4.parameters():",
        "            p.requires_grad = False",
    ],
    "train.py": [
        "optimizer = SGD(net.parameters())",
        "net.unfreeze(",
        "    'layer4')",
        "\tnet.step('日本', π)",
        "x" * 300 + "FAULT" + "y" * 300,
        "a\x1b[31mb = 1",
    ],
}

STORY = Finding(
    "unfreeze-not-in-optimizer",
    Severity.ERROR,
    "layer4 is unfrozen here, but held by no optimizer",
    Site("train.py", 2, 1, 3, 14),
    related=(
        Site("model.py", 4, 13, 4, 36, message="frozen here"),
        Site("train.py", 1, 13, 1, 34, message="optimizer built here"),
        Site("gone.py", 1, message="a file that is not at hand"),
    ),
    when="args.freeze",
    confirm="compare layer4.weight before and after a step:\nit has not moved",
    source_line="net.unfreeze(",
)

BOTH = [Suppressed(STORY, "comment")] * 2

AS_TEXT = """\
train.py:2:1: error unfreeze-not-in-optimizer: layer4 is unfrozen here, but held by no optimizer
  when `args.freeze`
     2 | net.unfreeze(
       | ^^^^^^^^^^^^^...
  1. model.py:4:13: frozen here
        4 |             p.requires_grad = False
          |             ^^^^^^^^^^^^^^^^^^^^^^^
  2. train.py:1:13: optimizer built here
        1 | optimizer = SGD(net.parameters())
          |             ^^^^^^^^^^^^^^^^^^^^^
  3. gone.py:1:1: a file that is not at hand
  confirm: compare layer4.weight before and after a step:
           it has not moved

1 finding (1 error) in 1 file, 2 suppressed; 7 files checked
"""


def written(*findings: Finding, style: Style = Style(), form: str = "text", **counts: Any) -> str:  # noqa: B008
    report = Report(findings, lines_of=lambda site: FILES.get(site.path, ()), **counts)
    return "".join(renderer(form)(report, style))


def at(site: Site, message: str = "here", **more: str) -> Finding:
    return Finding("some-rule", Severity.WARNING, message, site, **more)  # type: ignore[arg-type]


def test_the_whole_story() -> None:
    assert written(STORY, files=7, suppressed=BOTH) == AS_TEXT


def test_color_changes_nothing_but_color() -> None:
    colored = written(STORY, files=7, suppressed=BOTH, style=Style(color=True))
    assert "\x1b[31merror\x1b[0m" in colored
    for code in ("31", "1", "2", "0"):
        colored = colored.replace(f"\x1b[{code}m", "")
    assert colored == AS_TEXT


def test_brief() -> None:
    assert written(STORY, style=Style(brief=True)) == (
        "train.py:2:1: error unfreeze-not-in-optimizer: layer4 is unfrozen here, but held by no optimizer "
        "(when args.freeze)\n"
    )


@pytest.mark.parametrize(
    "findings, files, line",
    [
        ([], 0, "no findings; 0 files checked"),
        ([], 1, "no findings; 1 file checked"),
        (
            [STORY, at(Site("a.py", 1)), at(Site("a.py", 2))],
            3,
            "3 findings (1 error, 2 warnings) in 2 files; 3 files checked",
        ),
    ],
)
def test_closing_line(findings: list[Finding], files: int, line: str) -> None:
    assert written(*findings, files=files).splitlines()[-1] == line


def test_underline_stands_below_wide_characters_and_tabs() -> None:
    line = FILES["train.py"][3]
    text = written(at(Site("train.py", 4, line.index("π") + 1, 4, line.index("π") + 2)))
    assert "     4 |     net.step('日本', π)\n       |" + " " * 22 + "^\n" in text
    wide = written(at(Site("train.py", 4, line.index("日") + 1, 4, line.index("本") + 2)))
    assert wide.splitlines()[2].endswith(" ^^^^")


def test_long_lines_are_cut_around_the_site() -> None:
    frame = written(at(Site("train.py", 5, 301, 5, 306))).splitlines()[1:3]
    assert all(len(line) < 180 for line in frame)
    assert frame[0][frame[1].index("^") :].startswith("FAULTyyy")
    assert frame[1].count("^") == 5


@pytest.mark.parametrize(
    "site",
    [
        Site("train.py", 99),
        Site("train.py", 0),
        Site("train.py", 1, 99, 1, 120),
        Site("train.py", 2, 5, 1, 1),
        Site("train.py", 5, 400, 9, 1),
    ],
)
def test_sites_beside_the_text_do_no_harm(site: Site) -> None:
    assert written(at(site)).startswith(f"train.py:{site.line}:{site.column}: warning some-rule: here\n")


def test_nothing_acts_on_the_terminal() -> None:
    evil = "a\x1b[2J\n\r\x9b\u202e\udc80b"
    finding = Finding(
        "some-rule",
        Severity.INFO,
        evil,
        Site(f"{evil}.py", 1),
        related=(Site(evil, 1, message=evil),),
        when=evil,
        confirm=evil,
    )
    for style in (Style(), Style(brief=True)):
        text = written(finding, at(Site("train.py", 6, 1, 6, 3)), style=style)
        assert all(character.isprintable() or character == "\n" for character in text)
    assert r"a\x1b[2J\n\r\x9b\u202e\udc80b.py:1:1: info some-rule: " in text
    assert json.loads(written(finding, form="json"))[0]["path"] == f"{evil}.py"
    assert written(finding, form="json").isascii()


def test_cell_of_a_notebook() -> None:
    assert written(at(Site("a.ipynb", 2, 3, cell=4))).startswith("a.ipynb:cell 4:2:3: warning")


def test_json_contract() -> None:
    (finding,) = json.loads(written(STORY, form="json"))
    fingerprint = finding.pop("fingerprint")
    assert len(fingerprint) == 16 and int(fingerprint, 16) >= 0
    assert finding == {
        "rule": "unfreeze-not-in-optimizer",
        "severity": "error",
        "message": "layer4 is unfrozen here, but held by no optimizer",
        "path": "train.py",
        "cell": None,
        "line": 2,
        "column": 1,
        "end_line": 3,
        "end_column": 14,
        "when": "args.freeze",
        "related": [
            {"path": "model.py", "cell": None, "line": 4, "column": 13, "message": "frozen here"},
            {"path": "train.py", "cell": None, "line": 1, "column": 13, "message": "optimizer built here"},
            {"path": "gone.py", "cell": None, "line": 1, "column": 1, "message": "a file that is not at hand"},
        ],
        "fix": None,
        "url": "docs/rules/unfreeze-not-in-optimizer.md",
    }


def test_json_fix_and_point() -> None:
    fix = Fix("safe", "correct the name", (Edit("a.py", 1, 2, 1, 5, "x"),))
    finding = Finding("some-rule", Severity.INFO, "m", Site("a.py", 3, 4), fix=fix)
    (listed,) = json.loads(written(finding, form="json"))
    assert (listed["end_line"], listed["end_column"]) == (3, 4)
    assert listed["fix"] == {
        "applicability": "safe",
        "message": "correct the name",
        "edits": [{"path": "a.py", "cell": None, "line": 1, "column": 2, "end_line": 1, "end_column": 5, "text": "x"}],
    }
    assert json.loads(written(form="json")) == []


def test_fingerprint_outlives_moved_lines() -> None:
    here, moved = at(Site("a.py", 1), source_line="x = 1"), at(Site("a.py", 9), source_line="    x =  1")
    other = at(Site("a.py", 1), source_line="y = 1")
    assert here.fingerprint == moved.fingerprint != other.fingerprint


def test_statistics() -> None:
    text = written(STORY, at(Site("a.py", 1)), at(Site("a.py", 2)), style=Style(brief=True, statistics=True))
    assert text.splitlines()[-2:] == ["     2  some-rule", "     1  unfreeze-not-in-optimizer"]


def test_every_format_can_be_loaded() -> None:
    assert all(callable(renderer(name)) for name in FORMATS)


def test_on_a_narrow_terminal_a_line_is_cut_so_that_its_marks_stay_below_it() -> None:
    line = "        loss = torch.nn.functional.cross_entropy(model(images.to(device)), labels, weight=weights)"
    start = line.index("model(")
    site = Site("a.py", 1, start + 1, 1, start + 30)
    report = Report([Finding("slug", Severity.ERROR, "wrong", site, source_line=line)], lines_of=lambda at: [line])
    shown = [text.rstrip("\n") for text in renderer("text")(report, Style(columns=60))]
    frame = [text for text in "\n".join(shown).splitlines() if " | " in text]
    assert frame and all(len(text) <= 60 for text in frame)
    assert "model(images" in frame[0] and frame[0].index("model(") == frame[1].index("^")
