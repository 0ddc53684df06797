"""Both witnesses agree: a program that is checked and then run shows the same fault on the same line."""

from __future__ import annotations

import builtins
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import casefile
from casefile import Case
from freezelint import api
from freezelint.config import Config
from freezelint.trace.check import Rule, all_rules
from test_rules import CASE_FILES, code

torch = pytest.importorskip("torch")

from freezelint.live import hooks  # noqa: E402
from freezelint.live.launch import Launch, Limits, Ran  # noqa: E402
from freezelint.live.verdict import BLIND, ONLY_IN_SOURCE  # noqa: E402

LOADERS = ("loader", "train_loader", "dataloader")  # what cases leave to the reader to imagine
STAND_INS = Path(__file__).parent / "stand_ins"
LIVE = {
    slug: rule
    for slug, rule in all_rules().items()
    if rule.sides != "static" and slug not in BLIND and not all(kind in ONLY_IN_SOURCE for kind in rule.on)
}
RUNNABLE = [(file.stem, case) for file in CASE_FILES for case in casefile.read(file) if case.run]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder to run in, stand-ins for large libraries, and no trace of the program afterwards."""
    monkeypatch.chdir(tmp_path)
    try:
        import torchvision  # noqa: F401
    except ImportError:
        monkeypatch.syspath_prepend(str(STAND_INS))
    known, threads = set(sys.modules), torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    for name in set(sys.modules) - known:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith((str(tmp_path), str(STAND_INS))):
            del sys.modules[name]
    torch.set_num_threads(threads)
    torch.set_grad_enabled(True)
    for name in LOADERS:
        vars(builtins).pop(name, None)
    assert not hooks.installed()


def executed(main: str) -> tuple[set[tuple[str, str, int]], Ran]:
    """What the rules saw in a run: (rule, file, line)."""
    text = "".join(file.read_text(encoding="utf-8") for file in Path(".").rglob("*.py"))
    shape = (4, 3, 32, 32) if re.search(r"\bConv2d|torchvision", text) else (4, 8)
    batches = [(torch.randn(shape), torch.tensor([0, 1, 0, 1])) for _ in range(4)]
    for name in LOADERS:
        setattr(builtins, name, batches)
    runs: list[Ran] = []

    def finish(ran: Ran) -> int:
        runs.append(ran)
        return 0

    Launch(all_rules().values(), {}, Limits(until="end", timeout=60), finish=finish).script(main, [])
    [ran] = runs
    assert not ran.recorder.trouble
    if isinstance(ran.error, ModuleNotFoundError):
        pytest.skip(str(ran.error))
    return {(f.rule, f.site.path, f.site.line) for f in ran.recorder.findings()}, ran


def checked(files: list[Path]) -> set[tuple[str, str, int]]:
    return {(f.rule, f.site.path, f.site.line) for f in api.check(files, Config()).findings}


@pytest.mark.parametrize("heading", ["Bad", "Good"])
@pytest.mark.parametrize("rule", [pytest.param(rule, id=slug) for slug, rule in LIVE.items()])
def test_page(rule: Rule, heading: str) -> None:
    """What the page of a rule shows is seen in a run, at the line that `check` names; the mended program is silent."""
    Path("main.py").write_text(code(rule, heading), encoding="utf-8")
    seen, ran = executed("main.py")
    mine = {place for place in seen if place[0] == rule.slug}
    assert mine == {place for place in checked([Path("main.py")]) if place[0] == rule.slug}, ran.error
    assert bool(mine) is (heading == "Bad")


@pytest.mark.parametrize("slug, case", [pytest.param(s, c, id=f"{s}:{c.line} {c.title}") for s, c in RUNNABLE])
def test_case(slug: str, case: Case) -> None:
    """A case that is marked `run` ends without an error, and its run shows what the case marks."""
    case.write(Path("."))
    names = [name for name in case.files if name.endswith(".py")]
    main = next((name for name in ("main.py", "train.py") if name in names), names[-1])
    seen, ran = executed(main)
    assert ran.error is None, ran.error
    assert {place for place in seen if place[0] == slug} == {
        (one.slug, one.file, one.line) for one in case.expected if one.slug == slug
    }
