"""Notebooks: checked in cell order, told in cells, with IPython's own lines out of the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from freezelint.api import check
from freezelint.config import Config
from freezelint.finding import Finding
from freezelint.static.notebook import BrokenNotebook, ForeignKernel, program

FREEZE = """import torch
from torchvision import models
model = models.resnet18()
for p in model.parameters():
    p.require_grad = False"""


def write(folder: Path, *cells: str, language: str = "python") -> Path:
    book = {
        "cells": [{"cell_type": "markdown", "source": "words"}]
        + [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells],
        "metadata": {"kernelspec": {"language": language}},
        "nbformat": 4,
    }
    path = folder / "train.ipynb"
    path.write_text(json.dumps(book), encoding="utf-8")
    return path


def found(folder: Path, monkeypatch: pytest.MonkeyPatch, *cells: str, language: str = "python") -> list[Finding]:
    path = write(folder, *cells, language=language)
    before = path.read_bytes()
    monkeypatch.chdir(folder)
    findings = check([Path(path.name)], Config()).findings
    assert path.read_bytes() == before
    return list(findings)


def places(findings: list[Finding]) -> list[tuple[str, int | None, int]]:
    return [(f.rule, f.site.cell, f.site.line) for f in findings]


def test_findings_name_cell_and_its_own_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    findings = found(tmp_path, monkeypatch, "%matplotlib inline\nx = 1", FREEZE)
    assert places(findings) == [("misspelled-requires-grad", 1, 5)]
    assert findings[0].source_line.strip() == "p.require_grad = False"


@pytest.mark.parametrize(
    "noise", ["!pip install torch", "%load_ext x", "%%bash\nls -l", "x = !ls", "model?", "def broken(:"]
)
def test_a_cell_that_is_no_python_loses_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noise: str
) -> None:
    assert ("misspelled-requires-grad", 1, 5) in places(found(tmp_path, monkeypatch, noise, FREEZE))


def test_python_below_a_timing_magic_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert places(found(tmp_path, monkeypatch, "%%time\n" + FREEZE)) == [("misspelled-requires-grad", 0, 6)]


def test_modulo_at_the_start_of_a_line_is_no_magic() -> None:
    text, _ = program(json.dumps({"cells": [{"cell_type": "code", "source": "x = (7\n% 2)"}], "metadata": {}}))
    assert "% 2)" in text


def test_last_expression_of_a_cell_is_display(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = "from torch import nn\nmodel = nn.Linear(2, 2)"
    assert places(found(tmp_path, monkeypatch, build, "model.eval")) == []
    assert places(found(tmp_path, monkeypatch, build, "model.eval\ny = 1")) == [("mode-not-called", 1, 1)]


def test_suppression_in_a_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = FREEZE + "  # freezelint: ignore[misspelled-requires-grad]"
    assert places(found(tmp_path, monkeypatch, "x = 1", quiet)) == []


def test_other_kernels_are_skipped_with_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    findings = found(tmp_path, monkeypatch, "model <- lm(y ~ x)", language="R")
    assert [(f.rule, str(f.severity)) for f in findings] == [("read-error", "info")]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cells": 3}', '"text"'])
def test_broken_notebooks_say_so(text: str) -> None:
    with pytest.raises(BrokenNotebook):
        program(text)


def test_kernel_language_is_named() -> None:
    with pytest.raises(ForeignKernel, match="julia"):
        program(json.dumps({"cells": [], "metadata": {"language_info": {"name": "julia"}}}))


def test_a_notebook_saved_as_a_script_keeps_its_magics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "# -*- coding: utf-8 -*-",
        "!pip install torch",
        "%matplotlib inline",
        "from torchvision import models",
        "found = !ls",
        "model = models.resnet18(pretrained=True)",
        "for p in model.parameters():",
        "    p.requires_grads = False",
    ]
    (tmp_path / "colab.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "broken.py").write_text("!ls\nif True print(1)\nx.requires_grad = 1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = [(f.site.path, f.rule, f.site.line) for f in check([Path(".")], Config()).findings]
    assert ("colab.py", "misspelled-requires-grad", 8) in found
    assert [f[:2] for f in found if f[0] == "broken.py"] == [("broken.py", "syntax-error")]


def test_a_line_ends_where_python_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = "words = 'a\u2028b\x85c'\n\x0c\n" + FREEZE
    findings = found(tmp_path, monkeypatch, "x = 1", odd)
    assert places(findings) == [("misspelled-requires-grad", 1, 7)]
    assert findings[0].source_line.strip() == "p.require_grad = False"
    (tmp_path / "train.py").write_text(odd, encoding="utf-8")
    [finding] = check([Path("train.py")], Config()).findings
    assert (finding.site.line, finding.source_line.strip()) == (7, "p.require_grad = False")
