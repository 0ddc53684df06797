"""The report does not depend on the order in which files are named, nor on how many processes share them."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

from freezelint import api
from freezelint.config import Config
from freezelint.report.base import Style, renderer
from freezelint.static.project import discover

PROJECTS = Path(__file__).parent / "fixtures" / "projects"

STILL = """\
import torch
from torch import nn


class Embedder(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
        for p in self.body.parameters():
            p.requires_grad = False
        self.body.eval()
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))


loss = nn.CrossEntropyLoss()
"""
MAKES = "from embedder import Embedder\n\nmodel = Embedder()\nmodel.head.bias.requires_grad = True\n"


def shown(files: list[Path], jobs: int = 1) -> str:
    return "".join(renderer("json")(api.check(files, Config(), jobs=jobs), Style()))


@pytest.mark.parametrize("maker", ["a.py", "z.py"])
def test_a_class_that_another_file_makes(folder: Path, maker: str) -> None:
    """What is supposed of a class that nobody makes is not told, whichever file is looked at first."""
    (folder / "embedder.py").write_text(STILL)
    assert "eval-overridden-by-train" in shown([Path("embedder.py")])
    (folder / maker).write_text(MAKES)
    files = [Path("embedder.py"), Path(maker), *(folder / f"other_{number}.py" for number in range(6))]
    for file in files[2:]:
        file.write_text("print(1)\n")
    for order in (files, files[::-1]):
        for jobs in (1, 2):
            assert "eval-overridden-by-train" not in shown(order, jobs)


def test_every_order_of_a_project() -> None:
    files = list(discover([PROJECTS / "faulty-decorated-encoder", PROJECTS / "faulty-late-adapter"], Config()))
    expected = shown(files)
    assert expected.strip() != "[]"
    for order in itertools.islice(itertools.permutations(files), 6):
        assert shown(list(order)) == expected


def test_many_projects_in_one_run() -> None:
    files = list(discover([PROJECTS], Config()))
    expected = shown(files)
    random.Random(0).shuffle(files)
    assert shown(files) == expected
    assert shown(files, jobs=3) == expected
