"""Both witnesses agree: a program that is checked and then run shows the same fault on the same line."""

from __future__ import annotations

import builtins
import importlib.util
import os
import re
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import casefile
from casefile import Case
from freezelint import api
from freezelint.config import Config
from freezelint.finding import Finding
from freezelint.trace.check import Rule, all_rules
from test_rules import CASE_FILES, code

torch = pytest.importorskip("torch")

from freezelint.live import hooks, verdict  # noqa: E402
from freezelint.live.launch import Launch, Limits, Ran  # noqa: E402
from freezelint.live.verdict import BLIND, ONLY_IN_SOURCE  # noqa: E402

Place = tuple[str, str, int]

LOADERS = ("loader", "train_loader", "dataloader")  # what cases leave to the reader to imagine
STAND_INS = Path(__file__).parent / "stand_ins" / "site-packages"  # the name makes them a library
RAISED = ("element 0 of tensors does not require grad", "optimizer got an empty parameter list")
LIVE = {
    slug: rule
    for slug, rule in all_rules().items()
    if rule.sides != "static" and slug not in BLIND and not all(kind in ONLY_IN_SOURCE for kind in rule.on)
}
RUNNABLE = [(file.stem, case) for file in CASE_FILES for case in casefile.read(file) if case.run]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder to run in, and no trace of the program afterwards."""
    monkeypatch.chdir(tmp_path)
    path, environment, known, threads = list(sys.path), dict(os.environ), set(sys.modules), torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    for name in set(sys.modules) - known:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith((str(tmp_path), str(STAND_INS))):
            del sys.modules[name]
    sys.path[:] = path
    torch.set_num_threads(threads)
    torch.set_grad_enabled(True)
    for name in LOADERS:
        vars(builtins).pop(name, None)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    os.environ.clear()
    os.environ.update(environment)
    assert not hooks.installed()


class Batches:
    """A loader. No list: Lightning takes that for several loaders."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def imagined(text: str) -> Batches:
    """Batches as a case's text takes them: images for a convolution, else as many features as the first layer takes."""
    first = re.search(r"\b(?:Linear|GRU|LSTM)\((\d+)", text)
    features = int(first[1]) if first else 8
    shape: tuple[int, ...] = (4, features)
    if re.search(r"\b(Conv2d|torchvision)", text):
        shape = (4, 3, 32, 32)
    elif re.search(r"\b(GRU|LSTM)\(", text):
        shape = (4, 5, features)
    pairs = [(torch.randn(shape), torch.tensor([0, 1, 0, 1])) for _ in range(4)]
    return Batches([x for x, _ in pairs] if re.search(r"for \w+ in \w*loader\b", text) else pairs)


def alone_in_a_group(by_itself: bool) -> None:
    """A process group of one, as the launcher of a distributed program would make it."""
    if not torch.distributed.is_available():
        pytest.skip("this torch has no distributed part")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    names = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in names.items()})
    if not by_itself:
        torch.distributed.init_process_group("gloo")


@dataclass
class Both:
    """What both witnesses say of one program: (rule, file, line), and the verdicts."""

    seen: set[Place]
    told: set[Place]
    verdicts: dict[Place, str]
    alone: set[Place]
    ran: Ran


def asked(main: str) -> Both:
    """Check the files that lie here, run one of them, and judge."""
    files = sorted(Path(".").rglob("*.py"))
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    for name in LOADERS:
        setattr(builtins, name, imagined(text))
    if "torchvision" in text and importlib.util.find_spec("torchvision") is None:
        sys.path.insert(0, str(STAND_INS))
    if "istributed" in text or "fsdp" in text.lower():
        alone_in_a_group("init_process_group" in text)
    checked = api.check(files, Config())
    lines: dict[str, list[int]] = {}
    for finding in checked.findings:
        lines.setdefault(os.path.realpath(finding.site.path), []).append(finding.site.line)
    runs: list[Ran] = []

    def finish(ran: Ran) -> int:
        runs.append(ran)
        return 0

    Launch(all_rules().values(), lines, Limits(until="end", timeout=60), finish=finish).script(main, [])
    [ran] = runs
    assert not ran.recorder.trouble
    if isinstance(ran.error, ModuleNotFoundError):
        pytest.skip(str(ran.error))
    if isinstance(ran.error, OSError) and "connect" in str(ran.error):
        pytest.skip("there is no network to load a model from")
    if "accelerator" in str(ran.error):
        pytest.skip(str(ran.error))
    judged, alone = verdict.judge(checked.findings, all_rules(), ran, checked.excused)
    return Both(
        {place(f) for f in ran.recorder.findings()},
        {place(f) for f in checked.findings},
        {place(one.finding): one.verdict for one in judged},
        {place(one.finding) for one in alone},
        ran,
    )


def place(finding: Finding) -> Place:
    return finding.rule, finding.site.path, finding.site.line


@pytest.mark.parametrize("heading", ["Bad", "Good"])
@pytest.mark.parametrize("rule", [pytest.param(rule, id=slug) for slug, rule in LIVE.items()])
def test_page(rule: Rule, heading: str) -> None:
    """What the page of a rule shows is seen in a run, at the line that `check` names; the mended program is silent."""
    Path("main.py").write_text(code(rule, heading), encoding="utf-8")
    both = asked("main.py")
    mine = {one for one in both.seen if one[0] == rule.slug}
    assert mine == {one for one in both.told if one[0] == rule.slug}, both.ran.error
    assert bool(mine) is (heading == "Bad")
    assert {both.verdicts[one] for one in mine} <= {"confirmed"}
    assert not {one for one in both.alone if one[0] == rule.slug}


@pytest.mark.parametrize("slug, case", [pytest.param(s, c, id=f"{s}:{c.line} {c.title}") for s, c in RUNNABLE])
def test_case(slug: str, case: Case) -> None:
    """A case that is marked `run`: every rule that has an ear says the same of its run as of its source, and the
    rule of the file is confirmed wherever it is expected."""
    case.write(Path("."))
    names = [name for name in case.files if name.endswith(".py")]
    both = asked(next((name for name in ("main.py", "train.py") if name in names), names[-1]))
    if both.ran.error is not None:
        assert case.expected and str(both.ran.error).startswith(RAISED), both.ran.error
    expected = {(one.slug, one.file, one.line) for one in case.expected if one.slug == slug}
    assert {one for one in both.told if one[0] == slug} == expected
    assert both.alone == set()
    for one in both.told:
        if one[0] in LIVE:
            assert both.verdicts[one] == "confirmed", one
        elif one in expected:
            assert both.verdicts[one] in ("confirmed", "could not judge"), one


def test_there_are_enough_cases() -> None:
    assert len(RUNNABLE) >= 60
