"""Programs that nobody wrote, and programs changed in ways that mean nothing; and what has gone wrong with some before.

The long runs are `tools/fuzz.py` and `tools/metamorph.py`; what they found is below, cut down.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casefile import read as read_cases
from freezelint import api
from freezelint.config import Config
from freezelint.report.base import FORMATS, Style, renderer
from freezelint.static import folders
from metamorphic import CHANGES, Program
from programs import program

RULES = Path(__file__).parent / "fixtures" / "rules"

# Randomness that hypothesis has in hand, so that a failure is told with a short program.
RANDOM = st.randoms(use_true_random=False)
PLAIN = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)


def check(files: dict[str, str]) -> api.Report:
    for name, text in files.items():
        Path(name).write_text(text, encoding="utf-8")
    folders.forget()
    report = api.check([Path(name) for name in files], Config())
    assert [f.message for f in report.findings if f.rule == "internal-error"] == []
    return report


@settings(PLAIN, max_examples=8)
@given(RANDOM)
def test_any_program_has_one_answer(folder: Path, random: Random) -> None:
    files = program(random, most=12)
    report = check(files)
    texts = {form: "".join(renderer(form)(report, Style())) for form in FORMATS}
    assert texts["json"] == "".join(renderer("json")(check(files), Style()))
    assert len(json.loads(texts["json"])) == len(report.findings)


CASES = {
    f"{file.stem}: {case.title}": case.files
    for file in sorted(RULES.glob("*.md"))
    for case in read_cases(file)
    if list(case.files) == ["main.py"]
}


@settings(PLAIN, max_examples=25)
@given(st.sampled_from(sorted(CASES)), st.lists(st.sampled_from(CHANGES), min_size=1, max_size=3), RANDOM)
def test_what_means_nothing_changes_nothing(folder: Path, title: str, changes: list, random: Random) -> None:
    first = changed = Program.of(CASES[title])
    for change in changes:
        new = change(random, changed)
        if new is not None:
            changed = new
    expected = first.told(check(first.texts()).findings)
    got = changed.told(check(changed.texts()).findings)
    for name in changed.files:
        Path(name).unlink()
    assert got == expected, changed.texts()


CRASHES = {
    "global-in-one-of-two-ways": """
import torch
model = torch.nn.Linear(2, 2)

def train(flag):
    if flag:
        global model
    global loss
    model.eval
    loss = model(1)

train(other)
""",
}


@pytest.mark.parametrize("text", CRASHES.values(), ids=CRASHES)
def test_what_went_wrong_before(folder: Path, text: str) -> None:
    check({"main.py": text})


# Each had two answers once: which of several equal places was named depended on where objects lay in memory.
TWO_ANSWERS = {
    "two-freezes-of-one-layer": """
import torch
from torch import nn
net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
for m in net.modules():
    if isinstance(m, nn.BatchNorm2d):
        m.track_running_stats = False
        m.weight.requires_grad = False
        m.bias.requires_grad = False
net.train()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for x, y in loader:
    nn.functional.cross_entropy(net(x), y).backward()
    optimizer.step()
""",
}


@pytest.mark.parametrize("text", TWO_ANSWERS.values(), ids=TWO_ANSWERS)
def test_one_answer(folder: Path, text: str) -> None:
    answers = {"".join(renderer("json")(check({"main.py": text}), Style())) for _ in range(8)}
    assert len(answers) == 1
