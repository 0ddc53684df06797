"""`freezelint confirm`: a verdict on every finding, whatever the script does, and nothing left behind in torch."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from freezelint.__main__ import run

torch = pytest.importorskip("torch")

FAULTY = """
    import torch
    from torch import nn

    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2))
    for p in model[0].parameters():
        p.requires_grad = False
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for epoch in range(100):
        if epoch == WHEN:
            for p in model[0].parameters():
                p.requires_grad = True
        optimizer.zero_grad()
        model(torch.randn(4, 3, 8, 8)).sum().backward()
        optimizer.step()
"""
UNFREEZE = 11  # the line of FAULTY to blame

Confirm = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def confirm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Confirm:
    """Write a script, confirm it, and give the exit status and the JSON report."""
    monkeypatch.chdir(tmp_path)

    def confirming(script: str, *options: str, arguments: tuple[str, ...] = ()) -> tuple[int, dict[str, Any]]:
        from freezelint.live import hooks

        (tmp_path / "main.py").write_text(textwrap.dedent(script).lstrip("\n"), encoding="utf-8")
        status = run(["confirm", "--isolated", "--output-format", "json", *options, "main.py", "--", *arguments])
        assert not hooks.installed()
        out, err = capfd.readouterr()
        report = json.loads(out)
        report["stderr"] = err
        return status, report

    return confirming


def test_confirmed_with_numbers(confirm: Confirm) -> None:
    status, report = confirm(FAULTY.replace("WHEN", "1"), "--select", "unfreeze-not-in-optimizer")
    assert status == 1
    [finding] = report["findings"]
    assert (finding["rule"], finding["line"], finding["verdict"]) == (
        "unfreeze-not-in-optimizer",
        UNFREEZE,
        "confirmed",
    )
    evidence = finding["evidence"]
    assert evidence["parameters"] == 2 and evidence["held"] == 0 and evidence["optimizers"] == []
    assert evidence["gradient"]["parameters"] == 2 and evidence["gradient"]["norm"] > 0
    assert evidence["weight_change"] == {"parameters": 0, "largest": 0.0}
    assert report["live_only"] == []
    ran = report["run"]
    assert (ran["steps"], ran["stopped_by"], ran["device"], ran["not_reached"]) == (3, "steps", "cpu", [])
    assert set(ran) >= {"device", "torch", "steps", "seconds", "overhead", "stopped_by", "not_reached"}


def test_it_goes_on_until_the_line_of_the_finding_has_run(confirm: Confirm) -> None:
    status, report = confirm(FAULTY.replace("WHEN", "50"), "--select", "unfreeze-not-in-optimizer")
    assert status == 1
    assert [finding["verdict"] for finding in report["findings"]] == ["confirmed"]
    assert (report["run"]["steps"], report["run"]["stopped_by"]) == (50 + 3, "steps")


def test_it_waits_for_a_line_so_long_and_no_longer(confirm: Confirm, monkeypatch: pytest.MonkeyPatch) -> None:
    from freezelint.live import launch

    monkeypatch.setattr(launch, "WAIT", 0.0)
    script = FAULTY.replace("range(100)", "iter(int, 1)").replace("WHEN", "50")
    status, report = confirm(script, "--select", "unfreeze-not-in-optimizer")
    [finding] = report["findings"]
    assert (status, finding["verdict"], report["run"]["stopped_by"]) == (0, "not reached", "steps")
    assert "`--until end`" in finding["evidence"]["why"]


def test_not_reached_within_the_steps(confirm: Confirm) -> None:
    script = FAULTY.replace("WHEN", "50")
    status, report = confirm(script, "--select", "unfreeze-not-in-optimizer", "--until", "steps")
    assert status == 0
    assert [finding["verdict"] for finding in report["findings"]] == ["not reached"]
    assert report["run"]["not_reached"] == [f"main.py:{UNFREEZE}"]
    assert report["run"]["steps"] == 3


def test_reached_when_it_may_run_to_its_end(confirm: Confirm) -> None:
    script = FAULTY.replace("WHEN", "50")
    status, report = confirm(script, "--select", "unfreeze-not-in-optimizer", "--until", "end")
    assert status == 1
    assert [finding["verdict"] for finding in report["findings"]] == ["confirmed"]
    assert (report["run"]["steps"], report["run"]["stopped_by"]) == (100, "end")


def test_a_guarded_line_that_did_not_run_is_not_confirmed(confirm: Confirm) -> None:
    script = FAULTY.replace("if epoch == WHEN:", "if epoch == 1 and len(sys.argv) > 1:").replace(
        "torch\n", "sys, torch\n", 1
    )
    assert confirm(script, "--select", "unfreeze-not-in-optimizer")[1]["findings"][0]["verdict"] == "not reached"
    status, report = confirm(script, "--select", "unfreeze-not-in-optimizer", arguments=("now",))
    assert (status, report["findings"][0]["verdict"]) == (1, "confirmed")


def test_refuted_says_what_was_seen(confirm: Confirm) -> None:
    """The loop that unfreezes runs over nothing: the line is there, the fault is not."""
    script = FAULTY.replace("WHEN", "1").replace(
        "for p in model[0].parameters():\n                p.requires_grad = True",
        "for p in list(model[0].parameters())[:len(__doc__ or '')]:\n                p.requires_grad = True\n"
        "            optimizer.add_param_group({'params': list(model[0].parameters())})",
    )
    _, report = confirm(script)
    # What nobody unfroze is handed over frozen, which the run shows as well; the unfreeze that was feared is not there.
    verdicts = {finding["rule"]: finding["verdict"] for finding in report["findings"]}
    assert verdicts.get("unfreeze-not-in-optimizer") != "confirmed"
    assert {rule for rule, verdict in verdicts.items() if verdict == "confirmed"} <= {"optimizer-over-frozen"}


def test_own_traceback_is_kept_and_the_report_still_comes(confirm: Confirm) -> None:
    status, report = confirm(
        """
        import torch
        model = torch.nn.Linear(2, 2)
        model.requires_grad = False
        raise ValueError("mine")
        """
    )
    assert status == 1  # the line ran, and froze nothing
    assert report["run"]["error"] == "ValueError: mine"
    assert 'main.py", line 4, in <module>' in report["stderr"]
    assert "freezelint/" not in report["stderr"]


def test_failure_before_the_first_step_cannot_be_judged(confirm: Confirm) -> None:
    status, report = confirm("import torch\nimport no_such_module_at_all\n")
    assert status == 2
    assert report["run"]["error"].startswith("ModuleNotFoundError")


@pytest.mark.parametrize(
    "ending, stopped_by", [("raise SystemExit(7)", "sys.exit"), ("raise KeyboardInterrupt", "KeyboardInterrupt")]
)
def test_endings(confirm: Confirm, ending: str, stopped_by: str) -> None:
    script = FAULTY.replace("WHEN", "0") + f"        {ending}\n"
    status, report = confirm(script, "--select", "unfreeze-not-in-optimizer")
    assert status == 1
    assert report["run"]["stopped_by"] == stopped_by


def test_arguments_main_and_folder_are_those_of_a_script(confirm: Confirm) -> None:
    status, report = confirm(
        """
        import os, sys
        assert __name__ == "__main__"
        assert sys.argv == ["main.py", "--lr", "1"], sys.argv
        assert sys.modules["__main__"].__file__ == __file__ == "main.py"
        os.chdir("/")
        print("hello")
        """,
        arguments=("--lr", "1"),
    )
    assert status == 0, report["stderr"]
    assert "hello" in report["stderr"]  # stdout is the report's alone


def test_every_optimizer_gets_its_steps(confirm: Confirm) -> None:
    _, report = confirm(
        """
        import torch
        a, b = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
        first, second = torch.optim.SGD(a.parameters(), lr=0.1), torch.optim.SGD(b.parameters(), lr=0.1)
        for step in range(100):
            first.zero_grad()
            a(torch.ones(1, 2)).sum().backward()
            first.step()
            if step % 2:
                second.zero_grad()
                b(torch.ones(1, 2)).sum().backward()
                second.step()
        """
    )
    assert report["run"]["steps"] == 6 + 3


def test_a_swallowed_end_comes_again(confirm: Confirm) -> None:
    _, report = confirm(
        """
        import torch
        a = torch.nn.Linear(2, 2)
        optimizer = torch.optim.SGD(a.parameters(), lr=0.1)
        caught = 0
        while caught < 3:
            try:
                a(torch.ones(1, 2)).sum().backward()
                optimizer.step()
            except BaseException:
                caught += 1
        """
    )
    assert report["run"]["steps"] == 5 and report["run"]["stopped_by"] == "steps"


def shell(tmp_path: Path, script: str, *options: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "main.py").write_text(textwrap.dedent(script).lstrip("\n"), encoding="utf-8")
    command = [sys.executable, "-m", "freezelint", "confirm", "--isolated", *options, "main.py"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)


def test_os_exit_still_reports(tmp_path: Path) -> None:
    script = FAULTY.replace("WHEN", "0") + "        import os; os._exit(9)\n"
    done = shell(tmp_path, script, "--select", "unfreeze-not-in-optimizer")
    assert done.returncode == 1, done.stderr
    assert "1 confirmed" in done.stdout


@pytest.mark.parametrize("body", ["time.sleep(100)", "[time.sleep(0.01) for _ in iter(int, 1)]"])
def test_time_limit(tmp_path: Path, body: str) -> None:
    done = shell(tmp_path, f"import time, torch\n{body}\n", "--timeout", "1")
    assert done.returncode == 2, done.stderr
    assert "ended by the time limit" in done.stdout


def test_without_torch_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / "main.py").write_text("", encoding="utf-8")
    assert run(["confirm", str(tmp_path / "main.py")]) == 2
    assert capsys.readouterr().err.strip().splitlines() == [
        "Error: confirm needs torch, which is not installed here: pip install '.[live]' in freezelint's checkout"
    ]


@pytest.mark.parametrize("target", ["missing.py", "notebook.ipynb", "broken.py"])
def test_what_cannot_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, target: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebook.ipynb").write_text("{}", encoding="utf-8")
    (tmp_path / "broken.py").write_text("import torch\ndef f(:\n", encoding="utf-8")
    assert run(["confirm", "--isolated", target]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert target in line


# Factories ----------------------------------------------------------------------------------------------------------

NETWORK = """
import torch
from torch import nn


def build():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    for p in model[:2].parameters():
        p.require_grad = False
    return model


def pair():
    model = build()
    return model, torch.optim.SGD(model[4].parameters(), lr=0.1)


def everything():
    model, optimizer = pair()
    return {"model": model, "optimizer": optimizer, "batch": torch.randn(2, 3, 8, 8), "loss": lambda out: out.sum()}


def nothing():
    return 1


def fails():
    raise ValueError("mine")
"""


@pytest.fixture
def factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Confirm:
    """Confirm a factory of a module that is written here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "network.py").write_text(NETWORK, encoding="utf-8")

    def confirming(name: str, *options: str) -> tuple[int, dict[str, Any]]:
        sys.modules.pop("network", None)
        status = run(["confirm", "--isolated", "--output-format", "json", f"network:{name}", *options])
        out, err = capfd.readouterr()
        return status, {**(json.loads(out) if out else {}), "stderr": err}

    return confirming


@pytest.mark.parametrize("name", ["build", "pair", "everything"])
def test_factory(factory: Confirm, name: str) -> None:
    status, report = factory(name, *([] if name == "everything" else ["--input", "4,3,8,8"]))
    assert status == 1, report["stderr"]
    assert [(f["rule"], f["verdict"]) for f in report["findings"]] == [("misspelled-requires-grad", "confirmed")]
    assert report["run"]["steps"] == 3


@pytest.mark.parametrize(
    "name, options, says",
    [
        ("nothing", [], "the factory returned int: give a model"),
        ("missing", [], "network has no 'missing'"),
        ("fails", [], "ValueError: mine"),
        ("build", [], "there is no input"),
        ("build", ["--input", "4,5,8,8"], "expected input[4, 5, 8, 8] to have 3 channels"),
        ("build", ["--input", "a x b"], "--input 'a x b' is none"),
        ("build", ["--input", "4,3,8,8", "--device", "cuda:9"], "there is no device 'cuda:9' here"),
    ],
)
def test_factory_that_cannot_be_used(factory: Confirm, name: str, options: list[str], says: str) -> None:
    if says.startswith("there is no device") and torch.cuda.is_available():
        pytest.skip("there is one")
    status, report = factory(name, *options)
    assert status in (1, 2)
    assert says in report["stderr"]


def test_factory_inputs() -> None:
    from freezelint.live.factory import input_from

    ids = input_from("int64:8,128:5..30")
    assert ids.shape == (8, 128) and ids.dtype is torch.int64 and 5 <= int(ids.min()) and int(ids.max()) < 30
    assert input_from("bfloat16:2,3").dtype is torch.bfloat16


def test_unknown_module_of_a_factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["confirm", "no_such_package:build"]) == 2
    assert "there is no module 'no_such_package' here" in capsys.readouterr().err


# What a run says where no rule listens --------------------------------------------------------------------------------


def test_names_that_passed_a_test_are_counted(confirm: Confirm) -> None:
    """One test matches nothing, the other does as soon as the program renames a layer, which source cannot see."""
    script = """
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body, self.head = nn.Linear(2, 2), nn.Linear(2, 2)

        net = Net()
        for name, p in net.named_parameters():
            if not ("backbone" in name or "stem" in name):
                p.requires_grad = False
        exec("net.add_module('neck', nn.Linear(2, 2))")
        for name, p in net.named_parameters():
            p.requires_grad = name.startswith("neck.")
    """
    status, report = confirm(script, "--select", "freeze-matches-nothing")
    verdicts = {f["line"]: (f["verdict"], f["evidence"]["names"]) for f in report["findings"]}
    assert verdicts[11] == ("confirmed", {"asked": 4, "passed": []})
    assert verdicts[15] == ("refuted", {"asked": 6, "passed": ["neck.weight", "neck.bias"]})
    assert status == 1


def test_a_test_that_nothing_passed_and_nothing_else_happened(confirm: Confirm) -> None:
    """There are no numbers of parameters to tell of then, in any format."""
    script = """
        from torch import nn

        net = nn.Sequential()
        net.add_module("body", nn.Linear(2, 2))
        for name, p in net.named_parameters():
            if "boddy" in name:
                p.requires_grad = False
    """
    _, report = confirm(script, "--report", "text=report.txt", "--report", "html=report.html")
    [finding] = report["findings"]
    assert (finding["rule"], finding["verdict"]) == ("freeze-matches-nothing", "confirmed")
    assert "confirmed: none of 2 names passed the test\n" in Path("report.txt").read_text(encoding="utf-8")


def test_what_check_excuses_is_not_told_of_the_run(confirm: Confirm) -> None:
    """The optimizer holds what a method will unfreeze, which these few steps do not call."""
    script = """
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body, self.head = nn.Linear(2, 2), nn.Linear(2, 2)
                for p in self.body.parameters():
                    p.requires_grad = False

            def wake(self):
                for p in self.body.parameters():
                    p.requires_grad = True

            def forward(self, x):
                return self.head(self.body(x))

        net = Net()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(4):
            net(torch.randn(2, 2)).sum().backward()
            optimizer.step()
    """
    assert confirm(script)[1]["live_only"] == []
    awake = script.replace("def wake", "def rest").replace("requires_grad = True", "grad = None")
    assert [f["rule"] for f in confirm(awake)[1]["findings"]] == ["optimizer-over-frozen"]


def test_what_the_script_imports_is_checked_too(confirm: Confirm, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("from . import net\n", encoding="utf-8")
    (tmp_path / "parts" / "net.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Linear):\n    def train(self):\n        return self\n", encoding="utf-8"
    )
    status, report = confirm("from parts.net import Net\nNet(2, 2).eval()\n")
    assert [(f["rule"], f["path"], f["verdict"]) for f in report["findings"]] == [
        ("broken-train-override", "parts/net.py", "confirmed")
    ]
    assert status == 1 and report["run"]["error"].startswith("TypeError")


def test_a_line_of_a_finding_is_watched_closely_however_late_it_runs(confirm: Confirm) -> None:
    script = """
        import torch
        from torch import nn

        net = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(20):
            net(torch.randn(2, 2)).sum().backward()
            optimizer.step()
        net.training = False
    """
    _, report = confirm(script, "--until", "end")
    assert [(f["rule"], f["verdict"]) for f in report["findings"]] == [("training-attr-assigned", "confirmed")]


def test_until_the_end_of_an_epoch(confirm: Confirm) -> None:
    """The first lap of the loader is seen whole, and then so many steps of the second."""
    script = """
        import torch
        from torch import nn
        from torch.utils.data import DataLoader

        loader = DataLoader(torch.randn(20, 2), batch_size=4)
        net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        for p in net[0].parameters():
            p.requires_grad = False
        optimizer = torch.optim.SGD(net[1].parameters(), lr=0.1)
        for epoch in range(9):
            if epoch == 1:
                for p in net[0].parameters():
                    p.requires_grad = True
            for x in loader:
                optimizer.zero_grad()
                net(x).sum().backward()
                optimizer.step()
    """
    only = ("--select", "unfreeze-not-in-optimizer")
    assert [f["verdict"] for f in confirm(script, *only, "--until", "steps")[1]["findings"]] == ["not reached"]
    _, report = confirm(script, *only, "--until", "epoch", "--steps", "2")
    assert [f["verdict"] for f in report["findings"]] == ["confirmed"]
    assert (report["run"]["steps"], report["run"]["stopped_by"]) == (5 + 2, "steps")


@pytest.mark.parametrize(
    "script",
    [
        "import torch\nprint(torch.nn.Linear(2, 2)(torch.ones(1, 2)).sum())\n",
        "import subprocess, sys, torch\nsubprocess.run([sys.executable, '-c', 'print(1)'], check=True)\n",
    ],
    ids=["never trains", "in a subprocess"],
)
def test_a_program_that_does_not_train_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any, script: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "main.py").write_text(script, encoding="utf-8")
    assert run(["confirm", "--isolated", "main.py"]) == 0
    assert "no optimizer took a step in this process" in capfd.readouterr().out


def test_out_of_memory_is_the_programs_own_error(confirm: Confirm) -> None:
    status, report = confirm("import torch\nraise torch.cuda.OutOfMemoryError('too much')\n")
    assert status == 2
    assert report["run"]["error"] == "OutOfMemoryError: too much"


def test_a_page_with_verdicts_table_and_bars(confirm: Confirm, tmp_path: Path) -> None:
    evil = FAULTY.replace("WHEN", "1").replace("model = ", "script = '<script>alert(1)</script>'\n    model = ")
    page = tmp_path / "report.html"
    _, report = confirm(evil, "--report", f"html={page}", "--report", f"json={tmp_path / 'report.json'}")
    text = page.read_text(encoding="utf-8")
    assert text.count("<article") == len(report["findings"]) and "confirmed: the run shows the same" in text
    assert "<script" not in text and "default-src 'none'" in text and "http" not in text.replace("http-equiv", "")
    for title in ("Memory: weights", "Gradients: the norm", "running statistics moved", "What is true of each module"):
        assert title in text
    table = {row["module"]: row for row in report["run"]["table"]}
    assert table["model.0"]["held"] == 0 and table["model.0"]["gradient"] == 2 and not table["model.0"]["changed"]
    assert table["model.3"]["changed"] == 2 and table["model.3"]["bytes"] == 4 * (144 * 2 + 2)
    assert table["model.1"]["statistics_moved"] and table["model.1"]["drift"] > 0
    assert f"<td>{table['model.0']['module']}</td>" in text
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["run"]["table"] == report["run"]["table"]


def test_a_report_that_cannot_be_written(confirm: Confirm, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "main.py").write_text("print(1)\n", encoding="utf-8")
    assert run(["confirm", "--isolated", "--report", "html=gone/report.html", "main.py"]) == 2
    assert "gone/report.html cannot be written: No such file or directory" in capfd.readouterr().err
    assert run(["confirm", "--isolated", "--report", "pdf=report.pdf", "main.py"]) == 2
    assert "is not FORMAT=FILE, with a format of text, json, html" in capfd.readouterr().err


def test_another_exception_on_the_line_proves_nothing(confirm: Confirm) -> None:
    script = """
        import torch
        from torch import nn

        model = nn.Linear(2, 2)
        for p in model.parameters():
            p.requires_grad = False
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=RATE)
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(4, 2)).sum().backward()
            optimizer.step()
    """
    _, report = confirm(script, "--select", "empty-optimizer")
    [finding] = report["findings"]
    assert report["run"]["error"].startswith("NameError") and finding["verdict"] != "confirmed"
    _, report = confirm(script.replace("RATE", "0.1"), "--select", "empty-optimizer")
    assert report["findings"][0]["verdict"] == "confirmed"


def test_names_of_a_wrapped_model_are_counted(confirm: Confirm) -> None:
    script = """
        import torch
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Linear(2, 2)
                self.head = nn.Linear(2, 2)

            def forward(self, x):
                return self.head(self.body(x))

        net = nn.DataParallel(Net())
        for name, p in net.named_parameters():
            if name.startswith("body"):
                p.requires_grad = False
        optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            net(torch.randn(4, 2)).sum().backward()
            optimizer.step()
    """
    _, report = confirm(script, "--select", "name-prefix-after-wrap")
    [finding] = report["findings"]
    assert finding["verdict"] == "confirmed" and finding["evidence"]["names"] == {"asked": 4, "passed": []}
