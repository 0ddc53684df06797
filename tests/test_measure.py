"""`freezelint measure` without torch: what is asked, what becomes of a process that fails, how results are shown."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freezelint.__main__ import run
from freezelint.measure import html, jobs, markdown, plan, process, rows, search, text
from freezelint.measure import json as as_json
from freezelint.measure.strategies import OPTIMIZERS, STRATEGIES

EVIL = "<script>document.title='owned'</script>`|<img src=x>\x1b\u202e&\"'"
LAYOUT = {"order": ["a", "b.0", "b.1", "c"], "stages": ["a", "b", "c"], "cuts": ["b"], "parameters": 100, "batch": 8}
LOOK = {
    "status": rows.MEASURED,
    "layout": LAYOUT,
    "machine": {"device": "cpu", "name": "a processor", "memory": 2**34, "threads": 1, "system": "an OS"},
    "versions": {"python": "3", "torch": "2"},
}


def figures(trial: jobs.Trial) -> dict[str, Any]:
    """What a process could answer: all but the head's weights, and a peak that grows with the batch."""
    meant = {"": 100, "b": 50, "c": 10}[trial.cut]
    return {
        "status": rows.MEASURED,
        "parameters": {"all": 100, "meant": meant, "trained": 10 if trial.strategy.reentrant else meant},
        "bytes": {"weights": 400, "gradients": 4 * meant, "optimizer_state": 4 * meant, "activations": 7 * meant},
        "peak": 1000 + meant * (trial.subject.batch or 8),
        "base": 500,
        "seconds": {
            name: at + meant / 1000
            for name, at in zip(("fastest", "median", "cpu", "slowest"), (0.01, 0.02, 0.02, 0.03), strict=True)
        },
        "frozen": None if not trial.cut else {"weights": 3, "weights_changed": 0, "buffers": 2, "buffers_changed": 2},
    }


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[jobs.Trial]:
    """Every process answers at once, and what it was asked is written down."""
    asked: list[jobs.Trial] = []

    def answer(job: jobs.Look | jobs.Trial, timeout: float | None) -> dict[str, Any]:
        assert jobs.loaded(jobs.dumped(job)) == job
        if isinstance(job, jobs.Look):
            return LOOK
        asked.append(job)
        if job.strategy.slug == "lora":
            return {"status": rows.NOT_POSSIBLE, "reason": EVIL}
        if job.strategy.slug == "only-optimizer":
            return {"status": rows.OUT_OF_MEMORY, "reason": "too much"}
        return figures(job)

    monkeypatch.setattr(process, "run", answer)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    return asked


def test_everything_is_tried_with_every_optimizer(
    answers: list[jobs.Trial], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["measure", "--model", "resnet18", "--amp", "-q"]) == 0
    assert {trial.strategy.slug for trial in answers} == set(STRATEGIES)
    assert {(trial.optimizer, trial.amp) for trial in answers} == {(o, a) for o in OPTIMIZERS for a in (False, True)}
    assert {trial.cut for trial in answers if trial.strategy.slug == "cut"} == {"b"}
    assert {trial.subject.inputs for trial in answers} == {("32,3,224,224",)}
    assert capsys.readouterr().err == ""


def test_options_reach_the_processes(answers: list[jobs.Trial]) -> None:
    options = ["--input", "int64:4,5:0..9", "--batch", "3", "--strategy", "full,cut", "--optimizer", "adam"]
    assert run(["measure", "pkg.mod:make", *options, "--steps", "9", "--warm-up", "0", "--seed", "4", "-q"]) == 0
    [first, second] = answers
    assert (first.subject.target, first.subject.inputs, first.subject.batch) == ("pkg.mod:make", ("int64:4,5:0..9",), 3)
    assert (first.steps, first.warm_up, first.subject.seed, first.optimizer) == (9, 0, 4, "adam")
    assert (first.strategy.slug, second.strategy.slug, second.cut) == ("full", "cut", "b")


@pytest.mark.parametrize(
    "arguments, says",
    [
        ([], "name either a factory, as pkg.module:function, or one of our own models with --model"),
        (["a:b", "--model", "resnet18"], "name either a factory"),
        (["model.py"], "'model.py' is no factory: write pkg.module:function, or --model resnet18"),
        (["--model", "resnet81"], "--model: there is no 'resnet81': did you mean 'resnet18'?"),
        (["--model", "resnet18", "--strategy", "frozen-filterd"], "did you mean 'frozen-filtered'?"),
        (["--model", "resnet18", "--optimizer", "adamx"], "--optimizer: there is no 'adamx': did you mean 'adam'?"),
        (["--model", "resnet18", "--budget", "lots"], "--budget: 'lots' is no size: write 8GiB, 500MB"),
        (["--model", "resnet18", "--budget", "0"], "--budget: '0' is no size"),
        (["--model", "resnet18", "--largest-batch"], "--largest-batch on this device needs a --budget"),
    ],
)
def test_wrong_use_is_one_line(
    answers: list[jobs.Trial], arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["measure", *arguments, "-q"]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert says in line and answers == []


def test_without_torch_there_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run(["measure", "--model", "resnet18"]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert line == f"Error: {plan.NO_TORCH}"


@pytest.mark.parametrize(
    "size, number",
    [("8GiB", 2**33), ("8 gib", 2**33), ("500MB", 500 * 10**6), ("1.5k", 1500), ("1000000", 10**6), ("1KiB", 1024)],
)
def test_sizes(size: str, number: int) -> None:
    assert rows.parsed_size(size) == number


@pytest.mark.parametrize("size", ["", "lots", "-1GiB", "8iB", "8GiBs", "1..5G", "GiB"])
def test_what_is_no_size(size: str) -> None:
    assert rows.parsed_size(size) is None


# What becomes of a process --------------------------------------------------------------------------------------------

TRIAL = jobs.Trial(jobs.Subject("a:b"), STRATEGIES["full"], "", "sgd", False, (), (), 1, 0)


@pytest.mark.parametrize(
    "program, status, says",
    [
        ("print('{}')", rows.FAILED, "the process ended with status 0: {}"),
        ("import os; print('last words', flush=True); os._exit(7)", rows.FAILED, "ended with status 7: last words"),
        ("raise ValueError('mine')", rows.FAILED, "ended with status 1: ValueError: mine"),
        ("import time; time.sleep(60)", rows.TIMED_OUT, "more than 0.5 s"),
        ("import sys; open(sys.argv[2], 'w').write('[1]')", rows.FAILED, "ended with status 0"),
        ("import os; os.kill(os.getpid(), 9)", rows.OUT_OF_MEMORY, "as it does when memory runs out"),
    ],
)
def test_a_process_that_gives_no_answer(
    folder: Path, monkeypatch: pytest.MonkeyPatch, program: str, status: str, says: str
) -> None:
    if "os.kill" in program and sys.platform == "win32":
        pytest.skip("there are no signals")
    Path("stand_in.py").write_text(program)
    monkeypatch.setattr(process, "WORKER", "stand_in")
    found = process.run(TRIAL, 0.5 if "sleep" in program else 60)
    assert found["status"] == status and says in found["reason"]


def test_the_answer_is_what_the_process_leaves(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user's code prints does not get in its way."""
    Path("stand_in.py").write_text("import sys; print('noise'); open(sys.argv[2], 'w').write('{\"status\": \"x\"}')")
    monkeypatch.setattr(process, "WORKER", "stand_in")
    assert process.run(TRIAL, None) == {"status": "x"}


# Budgets --------------------------------------------------------------------------------------------------------------


def test_what_fits(answers: list[jobs.Trial], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["measure", "--model", "resnet18", "--optimizer", "sgd", "--budget", "1500", "-q"]) == 0
    out = capsys.readouterr().out
    assert "1.5 KiB with batch 8: 7 of 12 fit, the fastest first: frozen, optimizer over everything" in out
    assert "these do not fit: full fine-tuning; nothing frozen, optimizer over the head" in out
    assert run(["measure", "--model", "resnet18", "--optimizer", "sgd", "--budget", "1000", "-q"]) == 1
    assert "nothing fits 1000 B with batch 8" in capsys.readouterr().out


def test_largest_batch_by_cut(answers: list[jobs.Trial], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--strategy", "full,cut,frozen-filtered", "--optimizer", "sgd", "--output-format", "json", "-q"]
    assert run(["measure", "--model", "resnet18", *arguments, "--budget", "11000", "--largest-batch"]) == 0
    found = {one["cut"]: one for one in json.loads(capsys.readouterr().out)["largest"]}
    for cut, exact in (("", 100), ("b", 200), ("c", 1000)):
        assert 0.95 * exact <= found[cut]["batch"] <= exact and found[cut]["runs"] <= search.RUNS


def row(batch: int, peak: int | None) -> rows.Row:
    status = rows.MEASURED if peak is not None else rows.OUT_OF_MEMORY
    return rows.Row("full", "full", "", "sgd", False, batch, status, peak=peak)


@given(base=st.integers(0, 1000), each=st.integers(1, 1000), budget=st.integers(1, 10**6), start=st.integers(1, 256))
def test_the_search_stays_within_the_budget(base: int, each: int, budget: int, start: int) -> None:
    def attempt(batch: int) -> dict[str, Any]:
        peak = base + each * batch
        return {"status": rows.MEASURED, "peak": peak} if peak <= 2 * budget else {"status": rows.OUT_OF_MEMORY}

    found = search.searched(attempt, row(start, base + each * start), budget)
    exact = max(0, (budget - base) // each)
    assert found.batch <= exact and found.runs <= search.RUNS
    assert found.batch == 0 or found.peak == base + each * found.batch
    if start <= exact:
        assert found.batch >= 0.9 * min(exact, search.BOUND)


def test_the_search_when_memory_grows_in_steps() -> None:
    def attempt(batch: int) -> dict[str, Any]:
        return {"status": rows.MEASURED, "peak": 100 + 64 * (batch // 16)}

    found = search.searched(attempt, row(4, 100), 1000)
    assert 200 <= found.batch < 240


def test_the_search_goes_down_and_says_why_there_is_none() -> None:
    def attempt(batch: int) -> dict[str, Any]:
        return {"status": rows.FAILED, "reason": "mine"} if batch == 1 else {"status": rows.OUT_OF_MEMORY, "reason": ""}

    found = search.searched(attempt, row(32, None), 1000)
    assert (found.batch, found.peak, found.reason) == (0, None, "batch 1 failed: mine")


def test_the_search_ends_at_its_bound() -> None:
    found = search.searched(lambda batch: {"status": rows.MEASURED, "peak": 5}, row(8, 5), 1000)
    assert found.batch == search.BOUND and found.bounded


# How it is shown ------------------------------------------------------------------------------------------------------


@pytest.fixture
def result(answers: list[jobs.Trial]) -> rows.Result:
    asked = plan.Request("a:b", inputs=("8,3",), budget=2000, largest=True, optimizers=("sgd", "adam"))
    return plan.measure(asked)


def test_json_can_be_read_again(result: rows.Result) -> None:
    found = json.loads("".join(as_json.render(result)))
    assert rows.loaded(found).as_dict() == result.as_dict()
    assert {
        "freezelint",
        "target",
        "machine",
        "versions",
        "layout",
        "rows",
        "budget",
        "largest",
        "claims",
    } <= found.keys()


@pytest.mark.parametrize("render", [text.render, markdown.render, html.render], ids=["text", "markdown", "html"])
def test_every_format_tells_every_row(result: rows.Result, render: Callable[[rows.Result], Any]) -> None:
    shown = "".join(render(result))
    for one in result.rows:
        assert one.title.split(",")[0] in shown
    for told in ("a processor", "SGD with momentum", "Adam", "out of memory: too much", "2 buffers changed", "±"):
        assert told in shown
    for claim in ("confirmed", "refuted"):
        assert claim in shown
    assert "\x1b" not in shown and "\u202e" not in shown


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [name for name, _ in attrs if name in ("src", "href", "srcset", "data", "action")]


def test_the_page_runs_and_loads_nothing(result: rows.Result) -> None:
    page = "".join(html.render(result))
    shown = Tags(page)
    assert not {"script", "img", "link", "iframe"} & set(shown.tags) and shown.loads == []
    assert "default-src 'none'" in page and shown.tags.count("svg") == 4
    memory = [one for one in result.rows if one.measured]
    assert shown.tags.count("rect") == 2 * (4 + 1) + len(memory) * (4 + 1), "a bar for each kind, and one for speed"


def test_reports_go_to_files(answers: list[jobs.Trial], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["measure", "--model", "vit_b_16", "--optimizer", "sgd", "-q"]
    assert run([*arguments, "--report", "html=a.html", "--report", "json=a.json"]) == 0
    assert Path("a.html").read_text().startswith("<!doctype html>") and json.loads(Path("a.json").read_text())
    capsys.readouterr()
    assert run([*arguments, "--report", "html=no/such/folder/a.html"]) == 2
    assert "the report cannot be written" in capsys.readouterr().err
    assert run([*arguments, "--report", "pdf=a.pdf"]) == 2


def test_nothing_measured_is_no_success(monkeypatch: pytest.MonkeyPatch, answers: list[jobs.Trial]) -> None:
    assert run(["measure", "a:b", "--strategy", "lora", "--optimizer", "sgd", "-q"]) == 2


def test_the_page_of_figures_is_up_to_date() -> None:
    file = Path(__file__).parent.parent / "tools" / "make_measure_page.py"
    spec = importlib.util.spec_from_file_location("make_measure_page", file)
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(), "run `python tools/make_measure_page.py`"
    assert all(picture.read_text(encoding="utf-8") == text for picture, text in tool.pictures().items())
    there = {found.stem for found in tool.FOLDER.glob("*.json")}
    assert there <= {name for runs in tool.RUNS.values() for name in runs}


def test_what_was_measured_before_an_interruption_is_shown(
    answers: list[jobs.Trial], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = process.run

    def interrupted(job: jobs.Look | jobs.Trial, timeout: float | None) -> dict[str, Any]:
        if len(answers) == 2:
            raise KeyboardInterrupt
        return answer(job, timeout)

    monkeypatch.setattr(process, "run", interrupted)
    assert run(["measure", "--model", "resnet18", "-q"]) == 130
    out = capsys.readouterr().out
    assert "interrupted after 2 rows" in out and "frozen, optimizer over everything" in out


def test_a_search_ends_when_something_else_than_memory_fails() -> None:
    def attempt(batch: int) -> dict[str, Any]:
        return {"status": rows.FAILED, "reason": "labels are 8"}

    found = search.searched(attempt, row(8, 5), 1000)
    assert (found.batch, found.runs, found.reason) == (8, 1, "batch 16 failed: labels are 8")
