"""The cache: what holds is not looked at again, what may not hold is, and a report never shows which it was."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from freezelint import api, cache, work
from freezelint.__main__ import run
from freezelint.cache import Cache, book
from freezelint.config import Config, Settings
from freezelint.finding import Finding
from freezelint.report.base import Style, renderer
from freezelint.trace.check import all_rules

HERE = Path(__file__).parent

MAIN = """\
import torch
from torch import nn
from helpers import freeze

model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
freeze(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model(torch.ones(1, 4)).sum().backward()
optimizer.step()
"""
FREEZES = "def freeze(model):\n    for p in model.parameters():\n        p.requires_grad = False\n"
HARMLESS = "def freeze(model):\n    for p in model.parameters():\n        p.requires_grad = True\n"
THROUGH = "from {} import freeze\n"
ALONE = "import torch\n\nmodel = torch.nn.Linear(2, 2)\nmodel.eval\n"

Warm = Callable[..., tuple[str, list[str]]]


def shown(settings: Settings | None = None, kept: Cache | None = None, jobs: int = 1) -> str:
    report = api.check([Path(".")], settings or Config(), cache=kept, jobs=jobs)
    excused = sorted(map(str, report.excused))
    return "".join(renderer("json")(report, Style())) + str((report.files, sorted(report.checked), excused))


@pytest.fixture
def warm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Warm:
    """A check with the cache, which must say what one without says, and the files that it had to look into."""
    looked: list[str] = []
    real = work._anew

    def anew(files: Any, *rest: Any, noted: bool) -> work.Batch:
        if noted:
            looked.extend(str(file) for file in files)
        return real(files, *rest, noted=noted)

    monkeypatch.setattr(work, "_anew", anew)

    def check(settings: Settings | None = None, jobs: int = 1) -> tuple[str, list[str]]:
        work_was = list(looked)
        found = shown(settings, Cache(Path(".kept")), jobs)
        forget()
        assert found == shown(settings)
        forget()
        return found, looked[len(work_was) :]

    return check


def forget() -> None:
    from freezelint.static import folders

    folders.forget()


def lay(**files: str) -> None:
    for name, text in files.items():
        file = Path(name.replace("__", "/").removesuffix("/init") + ".py")
        if name.endswith("__init"):
            file = Path(name.removesuffix("__init").replace("__", "/")) / "__init__.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_what_is_unchanged_is_not_looked_at(warm: Warm) -> None:
    lay(main=MAIN, helpers=FREEZES, alone=ALONE)
    cold, looked = warm()
    assert looked == ["alone.py", "helpers.py", "main.py"]
    assert "optimizer" in cold and "alone.py" in cold
    assert warm() == (cold, [])
    os.utime("helpers.py", (1, 1))
    assert warm() == (cold, []), "other times, the same text"


def test_what_is_as_old_as_it_was_is_not_even_read(warm: Warm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book, "FRESH", -(10**12))  # what was written just now counts as old
    lay(main=MAIN, helpers=FREEZES)
    cold, _ = warm()
    monkeypatch.setattr(book, "read", lambda path: pytest.fail(f"{path} was read"))
    assert warm() == (cold, [])


def test_what_was_written_just_now_may_be_written_again(warm: Warm) -> None:
    """The times of a file may stay the same when it is changed twice within a tick of the clock."""
    lay(main=MAIN, helpers=FREEZES)
    warm()
    before = os.stat("helpers.py")
    Path("helpers.py").write_text(HARMLESS.replace("True", "True "))
    os.utime("helpers.py", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert warm()[1] == ["helpers.py", "main.py"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_changed_file(warm: Warm, jobs: int) -> None:
    lay(main=MAIN, helpers=FREEZES, alone=ALONE, other=ALONE)
    cold, _ = warm(jobs=jobs)
    lay(alone=ALONE.replace(".eval", ".eval()"))
    found, looked = warm(jobs=jobs)
    assert found != cold and looked == ["alone.py"]
    lay(alone=ALONE)
    assert warm(jobs=jobs) == (cold, ["alone.py"])


def test_a_changed_helper(warm: Warm) -> None:
    """Who imports it is checked again, whoever it came through."""
    lay(main=MAIN.replace("helpers", "tools.between"), tools__between=THROUGH.format("tools.deep"), alone=ALONE)
    lay(tools__deep=FREEZES, tools__init="")
    cold, _ = warm()
    assert "optimizer" in cold
    lay(tools__deep=HARMLESS)
    found, looked = warm()
    assert "optimizer" not in found and looked == ["main.py", "tools/deep.py"]


def test_a_helper_that_comes_later(warm: Warm) -> None:
    lay(main=MAIN, alone=ALONE)
    assert "optimizer" not in warm()[0]
    lay(helpers=FREEZES)
    found, looked = warm()
    assert "optimizer" in found and {"main.py", "helpers.py"} <= set(looked)


@pytest.mark.parametrize("nearer", ["programs__helpers", "programs__helpers__init", "src__helpers"])
def test_a_file_that_shadows_another(warm: Warm, nearer: str) -> None:
    Path("pyproject.toml").write_text("")
    lay(programs__main=MAIN, helpers=HARMLESS)
    if nearer == "src__helpers":
        Path("helpers.py").unlink()
    assert "optimizer" not in warm()[0]
    lay(**{nearer: FREEZES})
    found, looked = warm()
    assert "optimizer" in found and "programs/main.py" in looked


def test_a_folder_that_becomes_a_package(warm: Warm) -> None:
    lay(main=MAIN.replace("helpers", "tools"), tools__freezing=FREEZES)
    assert "optimizer" not in warm()[0]
    lay(tools__init=THROUGH.format(".freezing"))
    assert "optimizer" in warm()[0]


def test_a_removed_file(warm: Warm) -> None:
    lay(main=MAIN, helpers=FREEZES, alone=ALONE)
    assert "optimizer" in warm()[0]
    Path("helpers.py").unlink()
    assert "optimizer" not in warm()[0]
    Path("alone.py").unlink()
    assert "alone.py" not in warm()[0]
    told = json.loads(next(Path(".kept").glob("*.json")).read_bytes().partition(b"\n")[2])
    lay(helpers=FREEZES)
    warm()
    told = json.loads(next(Path(".kept").glob("*.json")).read_bytes().partition(b"\n")[2])
    assert {Path(path).name for path in told["entries"]} == {"main.py", "helpers.py"}, "what is gone is forgotten"


def test_a_class_that_another_file_makes(warm: Warm) -> None:
    """What is true of a class only as long as nobody makes it is told, or not, by the files of this run."""
    still = (HERE / "fixtures" / "rules" / "eval-overridden-by-train.md").read_text()
    lay(loose=still.partition("## A class alone")[2].partition("```python\n")[2].partition("class Kept")[0])
    assert "first train()" in warm()[0]
    lay(maker="from loose import Loose\n\nmodel = Loose()\nmodel.head.bias.requires_grad = True\n")
    found, looked = warm()
    assert "first train()" not in found and looked == ["maker.py"]
    Path("maker.py").unlink()
    found, looked = warm()
    assert "first train()" in found and not looked


def test_another_choice_of_rules(warm: Warm) -> None:
    lay(main=MAIN, helpers=FREEZES, alone=ALONE)
    cold, looked = warm()
    assert warm(Config(select=("mode",)))[1] == looked
    assert warm(Config(ignore=("mode",)))[1] == looked
    assert warm() == (cold, []), "each choice is remembered"
    assert warm(Config(exclude=(), severity=2))[1] == [], "what is only shown or not needs no other look"  # type: ignore[arg-type]


def test_a_suppression_comment_is_a_change_of_its_file(warm: Warm) -> None:
    lay(alone=ALONE)
    warm()
    lay(alone=ALONE.replace(".eval\n", ".eval  # freezelint: ignore[mode-not-called]: shown\n"))
    found, _ = warm()
    assert "mode-not-called" not in found
    assert warm() == (found, [])
    lay(alone=ALONE.replace("model.eval\n", "x = 1  # freezelint: ignore[mode-not-called]\n"))
    assert "unused-suppression" in warm()[0]
    assert "unused-suppression" in warm()[0]


def test_the_version_of_a_library(warm: Warm) -> None:
    lay(
        main="from transformers import AutoModelForCausalLM\n\nmodel = AutoModelForCausalLM.from_pretrained('gpt2')\n"
        "model.gradient_checkpointing_enable()\nfor p in model.parameters():\n    p.requires_grad = False\n"
    )
    warm()
    Path("requirements.txt").write_text("transformers==4.40\n")
    assert warm()[1] == ["main.py"], "such a file comes"
    assert warm()[1] == []
    Path("requirements.txt").write_text("transformers==5.10\n")
    assert warm()[1] == ["main.py"], "and changes"


def test_notebooks(warm: Warm) -> None:
    def write(*cells: str, outputs: str = "") -> None:
        listed = [{"cell_type": "code", "source": text, "outputs": [outputs]} for text in cells]
        Path("book.ipynb").write_text(json.dumps({"cells": listed, "metadata": {}, "nbformat": 4}))

    write("x = 1", ALONE + "x = 2\n")
    cold, _ = warm()
    assert '"cell": 1' in cold
    assert warm() == (cold, [])
    write("x = 1", ALONE + "x = 2\n", outputs="a picture")
    assert warm() == (cold, []), "what cells have shown is no part of the program"
    write(ALONE + "x = 2\n")
    assert '"cell": 0' in warm()[0]


def test_what_cannot_be_read_is_read_again(warm: Warm) -> None:
    lay(main=MAIN, alone=ALONE)
    Path("helpers.py").write_bytes(b"\0")
    assert "null byte" in warm()[0]
    assert "null byte" in warm()[0]
    lay(helpers=FREEZES)
    assert "optimizer" in warm()[0]
    Path("helpers.py").write_text("def freeze(model:\n")
    assert "syntax-error" in warm()[0]
    assert "syntax-error" in warm()[0]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "one bit": lambda data: data[:-40] + bytes([data[-40] ^ 1]) + data[-39:],
    "foreign": lambda data: data.replace(b"cache 1", b"cache 9", 1),
    "no text": lambda data: bytes(range(256)) * 40,
    "nothing of ours": lambda data: b'{"files": []}',
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_book_counts_for_nothing(warm: Warm, how: str) -> None:
    lay(main=MAIN, helpers=FREEZES)
    cold, looked = warm()
    file = next(Path(".kept").glob("*.json"))
    file.write_bytes(DAMAGE[how](file.read_bytes()))
    assert warm() == (cold, looked)
    assert warm() == (cold, []), "it was written anew"


def test_another_version_starts_anew(warm: Warm, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(main=MAIN, helpers=FREEZES)
    cold, looked = warm()
    with monkeypatch.context() as other:
        other.setattr(cache, "__version__", "99")
        assert warm() == (cold, looked)
    assert warm() == (cold, [])
    state = cache._state
    monkeypatch.setattr(cache, "_state", lambda package: [*state(package), "a file of it has changed"])
    assert warm() == (cold, looked)


def test_a_folder_that_cannot_be_written(warm: Warm, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(main=MAIN, helpers=FREEZES)
    Path(".kept").write_text("a file where the folder should be\n")
    cold, looked = warm()
    assert warm() == (cold, looked)
    Path(".kept").unlink()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("freezelint.files.replace", full)
        assert warm() == (cold, looked)
        assert warm() == (cold, looked)
    assert not list(Path(".kept").glob("*.json*"))


def test_two_at_once(folder: Path) -> None:
    Path("freezelint.toml").write_text("")
    lay(main=MAIN, helpers=FREEZES, **{f"other_{number}": ALONE for number in range(20)})
    command = [sys.executable, "-m", "freezelint", "check", "--isolated", "--output-format", "json", "."]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    told = {process.communicate()[0] for process in both}
    assert len(told) == 1 and "optimizer" in told.pop()
    assert sorted(path.name for path in Path(".freezelint_cache").iterdir())[0] == ".gitignore"
    assert len(list(Path(".freezelint_cache").iterdir())) == 3, "nothing half written is left"


def test_threads(folder: Path) -> None:
    lay(main=MAIN, helpers=FREEZES)
    told: list[str] = []
    threads = [threading.Thread(target=lambda: told.append(shown(kept=Cache(Path(".kept"))))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 4 and len(set(told)) == 1


def test_a_fault_of_freezelint_is_not_kept(warm: Warm, monkeypatch: pytest.MonkeyPatch) -> None:
    from freezelint.static import entries

    lay(alone=ALONE)

    def fall(*_: object) -> None:
        raise RuntimeError("fell over")

    with monkeypatch.context() as broken:
        broken.setattr(entries, "run", fall)
        assert "internal-error" in warm()[0]
    found, looked = warm()
    assert "internal-error" not in found and looked == ["alone.py"]


def test_part_of_a_project(folder: Path) -> None:
    """A check of some files keeps what is known of the others, unless that rests on what has changed."""
    kept = Cache(Path(".kept"))
    lay(main=MAIN, helpers=FREEZES, alone=ALONE, other=ALONE)
    assert "optimizer" in shown(kept=kept)
    lay(helpers=HARMLESS)
    forget()
    api.check([Path("helpers.py")], Config(), cache=kept)
    told = json.loads(next(Path(".kept").glob("*.json")).read_bytes().partition(b"\n")[2])
    assert {Path(path).name for path in told["entries"]} == {"helpers.py", "alone.py", "other.py"}
    assert "optimizer" not in shown(kept=kept)


def test_old_books_go(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "BOOKS", 3)
    monkeypatch.setattr(book, "ENTRIES", 2)
    kept = Cache(folder / "kept")
    lay(main=MAIN, helpers=FREEZES, alone=ALONE)
    for slug in list(all_rules())[:6]:
        shown(Config(select=(slug,)), kept)
    assert kept.size()[0] == 3
    told = json.loads(max((folder / "kept").glob("*.json")).read_bytes().partition(b"\n")[2])
    assert len(told["entries"]) == 2


def test_a_link_that_leads_elsewhere(warm: Warm, folder: Path) -> None:
    lay(one__main=MAIN, one__helpers=FREEZES, two__main=MAIN, two__helpers=HARMLESS)
    Path("now").symlink_to("one")
    kept = Cache(Path(".kept"))

    def linked() -> list[Finding]:
        forget()
        return list(api.check([Path("now")], Config(), cache=kept).findings)

    assert linked() and linked()
    Path("now").unlink()
    Path("now").symlink_to("two")
    assert not linked()


def test_a_cache_that_is_a_link(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A project must not make freezelint write, or remove, somewhere else."""
    (folder / "home").mkdir()
    (folder / "home" / ".gitignore").write_text("mine\n")
    (folder / "project").mkdir()
    (folder / "project" / "freezelint.toml").write_text("")
    (folder / "project" / "alone.py").write_text(ALONE)
    (folder / "project" / cache.NAME).symlink_to("../home")
    for _ in range(2):
        assert "mode-not-called" in said(capsys, "check", "project")
    assert "nothing to remove" in said(capsys, "clean", "project")
    assert [path.name for path in (folder / "home").iterdir()] == [".gitignore"]
    assert (folder / "home" / ".gitignore").read_text() == "mine\n"


def test_warm_is_cold(tmp_path: Path) -> None:
    """Over all examples, and many programs of one file."""
    kept = Cache(tmp_path)
    for top in (HERE.parent / "examples", HERE / "fixtures" / "projects"):
        reports = [api.check([top], Config(), cache=each) for each in (None, kept, kept)]
        told = ["".join(renderer(form)(one, Style())) for one in reports for form in ("sarif", "text", "json")]
        assert told[:3] == told[3:6] == told[6:]
        assert reports[0].excused == reports[2].excused and reports[0].checked == reports[2].checked


def test_any_history_of_a_project(folder: Path) -> None:
    """After each of many changes, a warm check says what a cold one says."""
    texts = {
        "main.py": [MAIN, MAIN.replace("helpers", "tools"), MAIN.replace("helpers", "tools.deep")],
        "sub/main.py": [MAIN, MAIN.replace("helpers", "..helpers"), MAIN.replace("helpers", ".helpers")],
        "helpers.py": [FREEZES, HARMLESS, THROUGH.format("tools"), "from tools.deep import *\n", ""],
        "helpers/__init__.py": [FREEZES, HARMLESS, ""],
        "sub/helpers.py": [FREEZES, HARMLESS, THROUGH.format("tools.deep")],
        "src/helpers.py": [FREEZES, HARMLESS],
        "tools/__init__.py": [THROUGH.format(".deep"), FREEZES, ""],
        "tools/deep.py": [FREEZES, HARMLESS, "def freeze(model:"],
        "tools.py": [FREEZES, HARMLESS],
        "pyproject.toml": ["", "[tool.freezelint]\nignore = ['optimizer']\n"],
        "sub/freezelint.toml": ["select = ['optimizer']\n", ""],
    }
    kept, chance = Cache(folder / "kept"), random.Random(7)
    seen = set()
    for _ in range(120):
        name = chance.choice(list(texts))
        file = folder / name
        if file.exists() and chance.random() < 0.4:
            file.unlink()
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(chance.choice(texts[name]))
        from freezelint.config import Layers

        forget()
        told = shown(Layers(), kept)
        forget()
        assert told == shown(Layers()), name
        seen.add(told)
    assert len(seen) > 10


def loaded(*arguments: str) -> set[str]:
    program = (
        f"from freezelint.__main__ import run; run({list(arguments)!r})\n"
        "import sys; print('loaded:', *(name for name in sys.modules if name.startswith(('libcst', 'freezelint'))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("loaded:")[2].split())


def test_a_warm_run_imports_neither_parser_nor_rules(folder: Path) -> None:
    lay(main=MAIN, helpers=FREEZES, other="import torch\n")
    loaded(".")
    names = loaded(".")
    assert not [name for name in names if name.startswith(("libcst", "freezelint.static.analyse", "freezelint.fixes"))]
    rules = {name.rpartition(".")[2] for name in names if name.count(".") == 3 and ".rules." in name}
    assert len(rules) <= 1, "only that which found something"


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    run(list(arguments))
    return capsys.readouterr().out


def test_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "project" / "deep").mkdir(parents=True)
    (folder / "project" / "freezelint.toml").write_text("")
    (folder / "project" / "deep" / "main.py").write_text(ALONE)
    assert "no cache" in said(capsys, "doctor", "project")
    said(capsys, "check", "--no-cache", "project")
    assert not (folder / "project" / ".freezelint_cache").exists()
    said(capsys, "check", "project/deep")
    kept = folder / "project" / ".freezelint_cache"
    assert (kept / ".gitignore").read_text().endswith("\n*\n")
    assert said(capsys, "check", "--show-files", "project") == "project/deep/main.py\n"
    assert "project/.freezelint_cache: 1 book" in said(capsys, "doctor", "project")
    (kept / "mine.txt").write_text("")
    assert said(capsys, "clean", "project") == "project/.freezelint_cache: removed\n"
    assert [path.name for path in kept.iterdir()] == ["mine.txt"], "what is not freezelint's stays"
    assert said(capsys, "clean", "project") == "project/.freezelint_cache: nothing to remove\n"
    said(capsys, "check", "--cache-dir", "elsewhere", "project")
    assert list((folder / "elsewhere").glob("*.json"))
    assert said(capsys, "clean", "--cache-dir", "elsewhere") == "elsewhere: removed\n"
    assert not (folder / "elsewhere").exists()


def test_without_a_project_it_is_beside_what_is_checked_from(folder: Path) -> None:
    assert cache.where(Path(folder.anchor)) == folder / cache.NAME


@pytest.mark.parametrize("option", ["--trace", "--diff"])
def test_options_that_need_the_analysis(folder: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    lay(alone=ALONE)
    first = said(capsys, "check", option, ".")
    assert said(capsys, "check", option, ".") == first


def test_a_fix_with_a_warm_cache(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay(alone=ALONE)
    assert "mode-not-called" in said(capsys, "check", ".")
    assert "mode-not-called" in said(capsys, "check", ".")
    said(capsys, "check", "--fix", ".")
    assert Path("alone.py").read_text() == ALONE.replace(".eval", ".eval()")
    assert "mode-not-called" not in said(capsys, "check", ".")


def test_the_analysis_asks_the_disk_where_it_is_written_down() -> None:
    """A new question about files belongs into Modules, which notes it in Asked; or the cache would not know of it."""
    asks = re.compile(r"read_(text|bytes)|\bopen\(|is_(file|dir)\(|listdir|scandir|exists\(|glob\(|versions\.older")
    known = {"modules.py", "folders.py", "project.py", "versions.py", "asked.py"}
    folder = Path(book.__file__).parents[1] / "static"
    assert {file.name for file in folder.glob("*.py") if asks.search(file.read_text(encoding="utf-8"))} == known
