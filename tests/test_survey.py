"""`freezelint survey` and what it is made of: one row for every repository, whatever does the work, whatever dies."""

from __future__ import annotations

import importlib
import json
import os
import pickle
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from freezelint import api
from freezelint.__main__ import run
from freezelint.processes import Pools
from freezelint.survey import Row, summary

FAULT = "import torch\nfrom {module} import layers\n\nmodel = torch.nn.Linear(2, layers)\nmodel.eval\n"


def lay_out(top: Path, number: int = 4) -> list[str]:
    """Repositories of two files; every third one has no fault."""
    folders = []
    for at in range(number):
        folder = top / f"repository_{at:02}"
        (folder / "source").mkdir(parents=True)
        (folder / "source" / "sizes.py").write_text(f"layers = {at}\n")
        text = FAULT.format(module="sizes")
        (folder / "source" / "train.py").write_text(text if at % 3 else text.replace(".eval", ".eval()"))
        folders.append(str(folder))
    return folders


def rules(row: Row) -> list[str]:
    return [finding["rule"] for finding in row["findings"]]


def test_one_repository(folder: Path) -> None:
    lay_out(folder)
    row = api.survey_repository("repository_01")
    assert (row["repository"], row["files"], row["error"]) == ("repository_01", 2, None)
    [finding] = row["findings"]
    assert (finding["rule"], finding["path"], finding["line"]) == ("mode-not-called", "source/train.py", 5)
    assert finding["fix"]["edits"][0]["path"] == "source/train.py"
    assert json.loads(json.dumps(row)) == row, "plain data"
    assert not api.survey_repository("repository_01", ignore=["mode"])["findings"]
    assert api.survey_repository("missing")["error"] == "missing: there is no such folder"
    assert pickle.loads(pickle.dumps(api.survey_repository)) is api.survey_repository


def test_it_does_not_depend_on_where_it_is_done(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = lay_out(folder)
    before = api.survey_repository("repository_01")
    monkeypatch.chdir("/")
    assert api.survey_repository(folders[1]) == before
    texts = {path.relative_to(folders[1]).as_posix(): path.read_text() for path in Path(folders[1]).rglob("*.py")}
    assert api.survey_repository(texts, "repository_01") == before, "a table of sources does as well"


@pytest.mark.parametrize("name", ["../outside.py", "/outside.py", "", "a\0b.py"])
def test_a_text_with_no_place_in_a_repository(folder: Path, name: str) -> None:
    row = api.survey_repository({name: "x = 1\n"}, "odd")
    assert row["repository"] == "odd" and row["error"].startswith("ValueError: ")


def test_every_repository_once_and_in_order(folder: Path) -> None:
    folders = lay_out(folder, 6)
    expected = list(api.survey(folders))
    assert [row["repository"] for row in expected] == [f"repository_{at:02}" for at in range(6)]
    assert [bool(row["findings"]) for row in expected] == [False, True, True, False, True, True]
    again = [*folders, *folders[::-1], f"{folders[2]}/../{Path(folders[2]).name}/"]
    for executor in (ThreadPoolExecutor(3), ProcessPoolExecutor(2), Pools(2)):
        with executor:
            assert list(api.survey(again, executor)) == expected


def test_two_of_one_name(folder: Path) -> None:
    lay_out(folder / "one", 1)
    lay_out(folder / "two", 1)
    rows = api.survey(["one/repository_00", "two/repository_00"])
    assert [row["repository"] for row in rows] == ["one/repository_00", "two/repository_00"]


def until_killed(folder: str, name: str, *rest: Any) -> Row:
    """As the real one, but the process dies in the middle of a repository that has a file `deadly`."""
    deadly = Path(folder, "deadly")
    if deadly.exists():
        if deadly.read_text() == "once":
            deadly.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return REAL(folder, name, *rest)


REAL = api.survey_repository


@pytest.mark.skipif(sys.platform != "linux", reason="the processes must be forks to have the test's function")
def test_a_process_that_is_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = lay_out(folder, 12)
    expected = list(api.survey(folders))
    monkeypatch.setattr("freezelint.survey.survey_repository", until_killed)
    Path(folders[3], "deadly").write_text("once")
    with Pools(2) as pools:
        assert list(api.survey(folders, pools)) == expected
    Path(folders[5], "deadly").write_text("always")
    with Pools(2) as pools:
        rows = list(api.survey(folders, pools))
    assert rows[5]["error"].startswith("BrokenProcessPool: ")
    assert rows[:5] + rows[6:] == expected[:5] + expected[6:]


def test_the_summary() -> None:
    rows = [
        {"repository": "a", "files": 2, "findings": [{"rule": "x"}, {"rule": "x"}, {"rule": "longer"}], "error": None},
        {"repository": "b", "files": 1, "findings": [{"rule": "longer"}], "error": None},
        {"repository": "c", "files": 1, "findings": [], "error": None},
        {"repository": "d", "files": 0, "findings": [], "error": "gone"},
    ]
    assert list(summary(rows)) == [
        "rule    findings  repositories",
        "longer         2             2",
        "x              2             1",
        "",
        "4 repositories, 4 files; nothing found in 1; 1 could not be checked",
    ]
    assert list(summary([])) == ["0 repositories, 0 files; nothing found in 0"]


def test_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay_out(folder / "all")
    (folder / "all" / "notes.txt").write_text("no repository\n")
    assert run(["survey", "all"]) == 0
    out = capsys.readouterr().out
    assert "mode-not-called         2             2" in out and "4 repositories, 8 files; nothing found in 2" in out
    rows = [json.loads(line) for line in Path("survey.jsonl").read_text().splitlines()]
    assert rows == list(api.survey(f"all/repository_{at:02}" for at in range(4)))
    assert run(["survey", "all", "--jobs", "2", "--output", "two.jsonl"]) == 0
    assert Path("two.jsonl").read_text() == Path("survey.jsonl").read_text()
    Path("list.txt").write_text("# some\nall/repository_01\n\nall/repository_01/\nall/missing\n")
    assert run(["survey", "list.txt", "--output", "some.jsonl"]) == 2
    told = capsys.readouterr()
    assert "missing: " in told.err and "2 repositories, 2 files; nothing found in 0; 1 could not be checked" in told.out
    assert len(Path("some.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["nowhere"], "nowhere"),
        (["all", "--select", "unfreez-not-in-optimizer"], "did you mean 'unfreeze-not-in-optimizer'?"),
        (["all", "--output", "no/folder/table.jsonl"], "the table cannot be written: No such file or directory"),
        (["damaged"], "damaged: is no list of folders"),
    ],
)
def test_wrong_use(folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str) -> None:
    (folder / "all").mkdir()
    (folder / "damaged").write_bytes(b"\xff\xfe\x00")
    assert run(["survey", *arguments]) == 2
    assert told in capsys.readouterr().err


def test_parquet(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay_out(folder / "all")
    try:
        import pyarrow.parquet as pq
    except ImportError:
        assert run(["survey", "all", "--output", "table.parquet"]) == 2
        assert "needs pyarrow" in capsys.readouterr().err
        return
    assert run(["survey", "all", "--output", "table.parquet"]) == 0
    rows = pq.read_table("table.parquet").to_pylist()
    assert rows == list(api.survey(f"all/repository_{at:02}" for at in range(4)))


# On a Dask cluster ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A scheduler and two workers, each a process of its own."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs="CRITICAL"
    ) as started:
        yield started


def test_a_cluster_by_its_address(folder: Path, cluster: Any, capsys: pytest.CaptureFixture[str]) -> None:
    lay_out(folder / "all", 8)
    assert run(["survey", "all", "--output", "one.jsonl"]) == 0
    assert run(["survey", str(folder / "all"), "--scheduler", cluster.scheduler_address, "--output", "two.jsonl"]) == 0
    assert Path("one.jsonl").read_text() == Path("two.jsonl").read_text()


def test_a_worker_that_is_killed(folder: Path, cluster: Any) -> None:
    from distributed import Client

    folders = lay_out(folder, 30)
    expected = list(api.survey(folders))
    with Client(cluster) as client:
        workers = client.run(os.getpid)
        assert len(workers) == 2
        rows = []
        for row in api.survey(folders, client.get_executor(pure=False)):
            if not rows:
                os.kill(min(workers.values()), signal.SIGKILL)
            rows.append(row)
        assert rows == expected, "nothing is lost, and nothing is there twice"


def test_a_scheduler_that_does_not_answer(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "all").mkdir()
    monkeypatch.setattr(importlib.import_module("freezelint.cli.survey"), "PATIENCE", 1)
    assert run(["survey", "all", "--scheduler", "tcp://127.0.0.1:1"]) == 2
    told = capsys.readouterr().err
    assert "does not answer" in told or "pip install '.[scale]' in freezelint's checkout" in told
    assert len(told.splitlines()) == 1
