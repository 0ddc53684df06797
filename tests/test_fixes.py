"""Fixes: what each way makes of a program, what it leaves alone, and how the command line writes the result."""

from __future__ import annotations

import json
import os
import stat
import textwrap
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

import casefile
from freezelint import api, mending
from freezelint.__main__ import run
from freezelint.config import Config
from freezelint.finding import Edit
from freezelint.fixes import edits as editing
from freezelint.fixes.ways import WAYS, readable
from freezelint.trace.check import all_rules

NET = """\
import torch
from torch import nn

model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 2))
"""


def mended(text: str | bytes, *, unsafe: bool = False, name: str = "main.py", select: str = "") -> bytes:
    """What --fix makes of a file; a second run must change nothing."""
    data = text.encode() if isinstance(text, str) else text
    file = Path(name)
    file.write_bytes(data)
    config = Config(select=tuple(select.split())) if select else Config()
    for again in (False, True):
        before = file.read_bytes()
        mending.plan(api.check([file], config), config, unsafe=unsafe).write()
        assert not again or file.read_bytes() == before, "a second run changes something"
    return file.read_bytes()


def unfixed(text: str, *, unsafe: bool = False) -> list[str]:
    """Why the fixes of a program are not made."""
    Path("main.py").write_text(text)
    report = api.check([Path("main.py")], Config())
    made = mending.plan(report, Config(), unsafe=unsafe)
    assert not made.changes
    return [why for _, why in made.left]


@pytest.mark.parametrize(
    "before, after",
    [
        (
            "for p in model.parameters():\n    p.require_grad = False",
            "for p in model.parameters():\n    p.requires_grad = False",
        ),
        ("model[0].weight.required_grad=False  # why", "model[0].weight.requires_grad=False  # why"),
        ("setattr(model[0].bias , 'require_grad',False)", "setattr(model[0].bias , 'requires_grad',False)"),
        ("model[0].require_grad = False", "model[0].requires_grad_(False)"),
        ("model[0].requires_grad = False", "model[0].requires_grad_(False)"),
        ("model.eval\nmodel[0] . requires_grad = False;1", "model.eval()\nmodel[0] . requires_grad_(False);1"),
        ("setattr(model[0], 'requires_grad', False)", "model[0].requires_grad_(False)"),
        ("model[0].requires_grad = \\\n    False  # why", "model[0].requires_grad_(False)  # why"),
        ("model[0].requires_grad = (  # 1\n    False  # 2\n)", "model[0].requires_grad_((  # 1\n    False  # 2\n))"),
        ("model.eval", "model.eval()"),
        ("if True:\n\tmodel.eval  # why", "if True:\n\tmodel.eval()  # why"),
        ("( model.eval )\nmodel[0].eval", "( model.eval() )\nmodel[0].eval()"),
        ("model[0].weight.requires_grad == False", "model[0].weight.requires_grad = False"),
        ("model[0].weight.requires_grad==\\\n  False", "model[0].weight.requires_grad=\\\n  False"),
        ("model[0].weight.requires_grad == (False)", "model[0].weight.requires_grad = (False)"),
        ("model[0].weight.requires_grad_ = False", "model[0].weight.requires_grad_(False)"),
        ("model[0].requires_grad_ = False", "model[0].requires_grad_(False)"),
        ("o = torch.optim.SGD([model.parameters()], lr=1)", "o = torch.optim.SGD([*model.parameters()], lr=1)"),
        (
            "o = torch.optim.SGD(\n    [  # all\n        model.parameters(),\n    ], lr=1)",
            "o = torch.optim.SGD(\n    [  # all\n        *model.parameters(),\n    ], lr=1)",
        ),
    ],
    ids=lambda text: text.replace("\n", "|"),
)  # fmt: skip
def test_safe_fixes(before: str, after: str, folder: Path) -> None:
    assert mended(f"{NET}{before}\n").decode() == f"{NET}{after}\n"


TRAIN = """\
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.bn = nn.BatchNorm1d(4)

    def train(self, mode=True):
"""


@pytest.mark.parametrize(
    "before, after",
    [
        ("        super().train(mode)\n", "        super().train(mode)\n        return self\n"),
        ("        super().train(mode)", "        super().train(mode)\n        return self"),
        (
            "        super().train(mode)\n        if mode:\n            pass  # kept\n\n\nx = 1\n",
            "        super().train(mode)\n        if mode:\n            pass  # kept\n        return self\n\n\nx = 1\n",
        ),
        ("        super().train(mode); x = 1\n", "        super().train(mode); x = 1\n        return self\n"),
    ],
)  # fmt: skip
def test_return_self(before: str, after: str, folder: Path) -> None:
    assert mended(TRAIN + before).decode() == TRAIN + after


def test_return_self_on_the_line_of_the_def(folder: Path) -> None:
    text = TRAIN.rstrip("\n") + " super().train(mode)  # short\n"
    assert mended(text).decode() == text.replace("(mode)  #", "(mode); return self  #")


@pytest.mark.parametrize(
    "line",
    [
        "model[0].weight.requires_grad_",  # True or False?
        "not model[0].weight.requires_grad",
        "torch.no_grad()",  # around what?
        "model[0].requires_grad = model[1].requires_grad = False",
    ],
)
def test_what_has_two_meanings_has_no_fix(line: str, folder: Path) -> None:
    text = f"{NET}{line}\n"
    assert mended(text, unsafe=True).decode() == text
    findings = api.check([Path("main.py")], Config()).findings
    assert findings and all(finding.fix is None for finding in findings)


@pytest.mark.parametrize(
    "before, after",
    [("model.training = False", "model.eval()"), ("model[0].requires_grad = flag", "model[0].requires_grad_(flag)")],
)
def test_what_changes_training_is_asked_for(before: str, after: str, folder: Path) -> None:
    text = f"{NET}import flags\nflag = flags.get()\n{before}\n"
    assert mended(text).decode() == text
    assert mended(text, unsafe=True).decode() == text.replace(before, after)


RESNET = """\
import torch
from torch import nn
from torchvision.models import resnet18

model = resnet18(weights="DEFAULT")
"""
LOOP = """\
for epoch in range(9):
    loss = model(torch.randn(4, 3, 64, 64)).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
FROZEN = """\
for p in model.parameters():
    p.requires_grad = False
model.eval()
model.fc = nn.Linear(512, 10)
"""
BUILT = "optimizer = torch.optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), lr=0.1)\n"


@pytest.mark.parametrize(
    "before, after",
    [
        (
            "    if epoch == 3:\n        model.layer4.requires_grad_(True)  # why\n        x = 1\n",
            "    if epoch == 3:\n        model.layer4.requires_grad_(True)  # why\n"
            '        optimizer.add_param_group({"params": model.layer4.parameters()})\n        x = 1\n',
        ),
        (
            "    if epoch == 3:\n        for p in model.layer4.parameters():\n            p.requires_grad = True\n",
            "    if epoch == 3:\n        for p in model.layer4.parameters():\n            p.requires_grad = True\n"
            '        optimizer.add_param_group({"params": model.layer4.parameters()})\n',
        ),
        ("    if epoch > 3:\n        model.layer4.requires_grad_(True)\n", ""),  # in every epoch that follows
        ("    if epoch == 3:\n        model.requires_grad_(True)\n", ""),  # the head is held
        (
            "    if epoch == 3:\n        for n, p in model.named_parameters():\n            if 'layer4' in n:\n"
            "                p.requires_grad = True\n",
            "",
        ),
    ],
)
def test_unfreeze_not_in_optimizer(before: str, after: str, folder: Path) -> None:
    start, rest = LOOP.split("\n", 1)
    text = RESNET + FROZEN + BUILT + f"{start}\n{before}{rest}"
    slug = "unfreeze-not-in-optimizer"
    assert mended(text, unsafe=True, select=slug).decode() == text.replace(before, after or before)
    assert slug in {finding.rule for finding in api.check([Path("main.py")], Config()).findings} or after


def test_unfreeze_in_a_method_of_the_class_that_has_the_optimizer(folder: Path) -> None:
    head = """\
import torch
from torchvision.models import resnet18


class Trainer:
    def __init__(self):
        self.model = resnet18(weights="DEFAULT")
        self.model.layer4.requires_grad_(False)
        self.optimizer = torch.optim.SGD([p for p in self.model.parameters() if p.requires_grad], lr=0.1)

    def unfreeze(self):
        self.model.layer4.requires_grad_(True)
"""
    tail = """\

    def fit(self):
        for epoch in range(9):
            if epoch == 3:
                self.unfreeze()
            loss = self.model(torch.randn(4, 3, 64, 64)).sum()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


Trainer().fit()
"""
    added = '        self.optimizer.add_param_group({"params": self.model.layer4.parameters()})\n'
    made = mended(head + tail, unsafe=True, select="unfreeze-not-in-optimizer").decode()
    assert made == head + added + tail


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_eval_overridden_by_train(newline: str, folder: Path) -> None:
    text = textwrap.dedent("""\
        import torch
        from torch import nn

        backbone = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
        model = nn.Sequential(backbone, nn.Linear(8 * 36, 2))
        for p in backbone.parameters():
            p.requires_grad = False
        backbone.eval()
        optimizer = torch.optim.SGD(model[1].parameters(), lr=0.1)
        for epoch in range(3):
        \tmodel.train()  # every epoch
        \tloss = model(torch.randn(4, 3, 8, 8)).sum()
        \toptimizer.zero_grad()
        \tloss.backward()
        \toptimizer.step()
        """).replace("\n", newline)
    after = text.replace("# every epoch", f"# every epoch{newline}\tbackbone.eval()")
    assert mended(text, unsafe=True).decode() == after


@pytest.mark.parametrize(
    "before, after",
    [
        (
            "# how fast\noptimizer = torch.optim.SGD(\n    model.parameters(), lr=0.1\n)  # why\n"
            "model.fc = nn.Linear(512, 10)\n",
            "model.fc = nn.Linear(512, 10)\n"
            "# how fast\noptimizer = torch.optim.SGD(\n    model.parameters(), lr=0.1\n)  # why\n",
        ),
        (
            "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
            "optimizer.zero_grad()\n"
            "model.fc = nn.Linear(512, 10)\n",
            "",
        ),
        (
            "rate = 1\n"
            "optimizer = torch.optim.SGD(model.parameters(), lr=rate)\n"
            "rate = 2\n"
            "model.fc = nn.Linear(512, 10)\n",
            "",
        ),
    ],
)
def test_head_replaced_after_optimizer(before: str, after: str, folder: Path) -> None:
    text = RESNET + before + LOOP
    assert mended(text, unsafe=True).decode() == RESNET + (after or before) + LOOP


@pytest.mark.parametrize(
    "before, after",
    [
        ("SGD(model.parameters(), lr=0.1)", "SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)"),
        (
            "SGD(\n    lr=0.1,\n    params=model.parameters(),  # all\n)",
            "SGD(\n    lr=0.1,\n    params=[p for p in model.parameters() if p.requires_grad],  # all\n)",
        ),
    ],
)
def test_optimizer_over_frozen(before: str, after: str, folder: Path) -> None:
    head = f"{RESNET}{FROZEN}optimizer = torch.optim."
    assert mended(f"{head}{before}\n{LOOP}", unsafe=True).decode() == f"{head}{after}\n{LOOP}"


def test_a_freeze_that_works_at_last_may_lead_to_another_finding(folder: Path) -> None:
    text = f"{RESNET}{FROZEN.replace('requires_', 'require_')}"
    text += f"optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n{LOOP}"
    (why,) = unfixed(text)
    assert why.startswith("it would lead to optimizer-over-frozen in main.py:")
    assert mended(text, select="misspelled-requires-grad").decode() == text.replace("require_", "requires_")
    filtered = "[p for p in model.parameters() if p.requires_grad]"
    after = text.replace("require_", "requires_").replace("SGD(model.parameters()", f"SGD({filtered}")
    assert mended(text, unsafe=True).decode() == after, "together they are right"


RANDOM = """\
import torch
from torchvision.models import resnet18

model = resnet18()
model.requires_grad = False
"""
STEP = """\
head = torch.nn.Linear(1000, 2)
optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
for _ in range(9):
    loss = head(model(torch.randn(4, 3, 64, 64))).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


# Dropped fixes --------------------------------------------------------------------------------------------------------


def test_a_fix_that_leads_to_another_finding_is_dropped_with_a_note(folder: Path) -> None:
    (why,) = unfixed(RANDOM + STEP)
    assert why.startswith("it would lead to frozen-random-weights in main.py:4:9: ")


def test_the_others_are_made_all_the_same(folder: Path) -> None:
    text = RANDOM + "model.train\n" + STEP
    assert mended(text).decode() == text.replace("train", "train()")


def test_a_suppressed_line_is_left_alone(folder: Path) -> None:
    text = f"{NET}model.eval  # freezelint: ignore[mode-not-called]\n"
    assert mended(text).decode() == text
    text = f"{NET}model.eval  # freezelint: ignore[requires-grad-on-module]\n"
    assert unfixed(text) == ["a suppression comment stands there"]
    text = f"{NET}# freezelint: ignore[mode-not-called]\nmodel.eval\nmodel.eval\n"
    assert unfixed(text) == [mending.SAME], "which of them is meant cannot be told by their text"


def test_a_file_that_changed_is_left_alone(folder: Path) -> None:
    file = Path("main.py")
    file.write_text(f"{NET}model.eval\n")
    report = api.check([file], Config())
    made = mending.plan(report, Config())
    file.write_text(f"{NET}model.eval\nx = 1\n")
    assert made.write() == [] and [why for _, why in made.left] == [mending.CHANGED] and not made.fixed
    file.write_text(f"{NET}x = 1\nmodel.train\n")
    assert [why for _, why in mending.plan(report, Config()).left] == [mending.CHANGED]


def test_what_is_fixed_is_not_left(folder: Path) -> None:
    Path("main.py").write_text(NET + "model[0].requires_grad = False\n")
    report = api.check([Path("main.py")], Config())
    # As it is where more files are checked than those that lead to this one.
    report = replace(report, findings=[replace(finding, when="args.freeze") for finding in report.findings])
    made = mending.plan(report, Config())
    assert len(made.fixed) == 1 and made.left == []


def test_a_file_that_was_not_named_is_left_alone(folder: Path) -> None:
    Path("helper.py").write_text(
        "def freeze(model):\n    for p in model.parameters():\n        p.require_grad = False\n"
    )
    Path("main.py").write_text(f"from helper import freeze\n{NET}freeze(model)\nprint('__main__')\n")
    before = Path("helper.py").read_bytes()
    report = api.check([Path("main.py")], Config())
    made = mending.plan(report, Config())
    assert [(f.site.path, why) for f, why in made.left] == [("helper.py", "outside of what is checked")]
    assert not made.write() and Path("helper.py").read_bytes() == before
    made = mending.plan(api.check([Path()], Config()), Config())
    assert made.write() == ["helper.py"]
    assert not [f for f in api.check([Path()], Config()).findings if f.rule == "misspelled-requires-grad"]


def test_what_the_baseline_knows_is_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"{NET}model.eval\n"
    Path("main.py").write_text(text)
    run(["main.py", "--baseline", "known.json", "--write-baseline"])
    Path("main.py").write_text(text + "model[0].requires_grad = False\n")
    run(["main.py", "--baseline", "known.json", "--fix"])
    assert Path("main.py").read_text() == text + "model[0].requires_grad_(False)\n"


# The cases of the rules --------------------------------------------------------------------------------------------

MENDED = (
    "broken-train-override",
    "head-replaced-after-optimizer",
    "misspelled-requires-grad",
    "mode-not-called",
    "optimizer-over-frozen",
    "params-list-of-generator",
    "requires-grad-not-set",
    "requires-grad-on-module",
    "training-attr-assigned",
    "unfreeze-not-in-optimizer",
)


@pytest.mark.parametrize("slug", MENDED)
def test_the_cases_of_a_rule(slug: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is fixed is found no longer, nothing else is found, every file is Python, and a second run does nothing."""
    fixed = 0
    for number, case in enumerate(casefile.read(Path(__file__).parent / "fixtures" / "rules" / f"{slug}.md")):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        case.write(folder)
        config = Config(extend_select=(slug,))
        report = api.check([Path()], config)
        if not any(finding.fix for finding in report.findings):
            continue
        plan = mending.plan(report, config, unsafe=True)
        plan.write()
        assert all(not draft.text or readable(draft.source.text) for draft in plan.drafts.values())
        after = api.check([Path()], config)
        left = Counter((finding.rule, finding.site.path) for finding in report.findings)
        left.subtract((finding.rule, finding.site.path) for finding in plan.fixed)
        found = Counter((finding.rule, finding.site.path) for finding in after.findings)
        assert all(found[key] <= left[key] for key in found), case.title
        assert not mending.plan(after, config, unsafe=True).changes, case.title
        fixed += len(plan.fixed)
    assert fixed, "no case of this rule is ever fixed"


# Files ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff", "# -*- coding: latin-1 -*-\n# é\n", "# coding: gb18030\n# 冻结\n"])
@pytest.mark.parametrize("end", ["", "\n", "\n\n# end"])
def test_encoding_newlines_and_the_last_line_stay(newline: str, mark: str, end: str, folder: Path) -> None:
    encoding = "latin-1" if "latin" in mark else "gb18030" if "gb" in mark else "utf-8"
    before = (mark + TRAIN + "        super().train(mode)" + end).replace("\n", newline)
    after = (mark + TRAIN + "        super().train(mode)\n        return self" + end).replace("\n", newline)
    assert mended(before.encode(encoding)) == after.encode(encoding)


def test_what_cannot_be_written_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Path("main.py")
    file.write_bytes(f"# coding: utf-7\n{NET}model.eval\n# +AGE-\n".encode("ascii"))
    made = mending.plan(api.check([file], Config()), Config())
    assert [why for _, why in made.left] == ["its encoding, utf-7, would not give back the same bytes"]
    file.write_text(f"{NET}model.eval\n")
    made = mending.plan(api.check([file], Config()), Config())
    with monkeypatch.context() as patched:
        patched.setattr(os, "access", lambda path, mode: False)
        assert made.write() == [] and [why for _, why in made.left] == ["the file is read-only"]
    file.unlink()
    assert made.write() == []


def test_a_fix_of_several_edits_in_one_line(folder: Path) -> None:
    text = f"{NET}a, b = model[0].weight, model[0].bias\na.require_grad = b.require_grad = False\n"
    assert mended(text).decode() == text.replace("require_", "requires_")


def test_two_files_are_mended_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one.py", "two.py"):
        Path(name).write_text(f"{NET}model.eval\nmodel[0].requires_grad = False\n")
    assert run([".", "--fix"]) == 0
    assert "4 findings fixed in 2 files" in capsys.readouterr().err


def test_form_feeds_and_tabs(folder: Path) -> None:
    text = f"{NET}\f\n\fif model:\n\f\tmodel[0].requires_grad = False\n\tmodel.eval\n"
    assert mended(text).decode() == text.replace("requires_grad = False", "requires_grad_(False)").replace(
        "eval", "eval()"
    )


@pytest.mark.skipif(os.name == "nt", reason="modes of files")
def test_the_mode_and_the_link_stay(folder: Path) -> None:
    Path("real.py").write_text(f"{NET}model.eval\n")
    Path("real.py").chmod(0o750)
    Path("main.py").symlink_to("real.py")
    report = api.check([Path("main.py")], Config())
    assert mending.plan(report, Config()).write() == ["main.py"]
    assert Path("main.py").is_symlink() and stat.S_IMODE(os.stat("real.py").st_mode) == 0o750
    assert Path("real.py").read_text() == f"{NET}model.eval()\n"


def notebook(*cells: str | list[str], indent: int | None = 1) -> str:
    listed = [{"cell_type": "markdown", "source": "# é"}]
    listed += [{"cell_type": "code", "outputs": ["\u2028"], "source": cell} for cell in cells]  # type: ignore[list-item, dict-item]
    return json.dumps({"cells": listed, "metadata": {"x": 1e5}}, indent=indent, ensure_ascii=indent is None) + "\n"


@pytest.mark.parametrize("indent", [None, 1, 4])
def test_notebooks_keep_every_other_byte(indent: int | None, folder: Path) -> None:
    before = notebook(
        NET,
        ["# 冻结 \U0001f600 \\n\n", "%matplotlib inline\n", "model[0].requires_grad = False\n", "x = 1"],
        indent=indent,
    )
    after = before.replace("requires_grad = False", "requires_grad_(False)")
    assert mended(before, name="main.ipynb").decode() == after


@pytest.mark.parametrize("split", [False, True])
def test_a_new_line_in_a_notebook_is_a_line(split: bool, folder: Path) -> None:
    text = TRAIN + "        super().train(mode)"
    before = notebook(text.splitlines(keepends=True) if split else text)
    after = text + "\n        return self"
    made = mended(before, name="main.ipynb").decode()
    assert made == notebook(after.splitlines(keepends=True) if split else after)


def test_magic_lines_are_never_changed(folder: Path) -> None:
    text = notebook(NET, "model[0].requires_grad = False\n!ls model.eval\n%timeit model.eval\nx = 1")
    assert mended(text, name="main.ipynb").decode() == text.replace("_grad = False", "_grad_(False)")


# The command line -----------------------------------------------------------------------------------------------------


def test_fix_writes_and_reports_what_is_left(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("main.py").write_text(f"{NET}model.eval\ntorch.no_grad()\n")
    assert run(["main.py", "--fix", "--output-format", "json"]) == 1
    out, err = capsys.readouterr()
    assert [finding["rule"] for finding in json.loads(out)] == ["no-grad-no-effect"]
    assert err == "1 finding fixed in 1 file\n"
    assert Path("main.py").read_text() == f"{NET}model.eval()\ntorch.no_grad()\n"


def test_diff_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"{NET}model.eval"
    Path("main.py").write_text(text)
    assert run(["main.py", "--diff"]) == 1
    assert capsys.readouterr().out == textwrap.dedent("""\
        --- a/main.py
        +++ b/main.py
        @@ -2,4 +2,4 @@
         from torch import nn

         model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 2))
        -model.eval
        \\ No newline at end of file
        +model.eval()
        \\ No newline at end of file
        """).replace("\n\n", "\n \n")
    assert Path("main.py").read_text() == text
    Path("main.py").write_text(NET)
    assert run(["main.py", "--diff"]) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["-", "--fix"],
        ["-", "--diff"],
        [".", "--unsafe-fixes"],
        [".", "--fix", "--add-ignores", "x"],
        [".", "--diff", "--watch"],
        [".", "--fix", "--show-files"],
    ],
    ids=" ".join,
)
def test_wrong_use(arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    said = capsys.readouterr().err
    assert any(option in said for option in ("--fix", "--diff", "--watch"))


def test_json_tells_the_fix(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("main.ipynb").write_text(notebook(NET, "x = 1\nmodel.training = False\ny = 1"))
    run(["main.ipynb", "--output-format", "json", "--select", "training-attr-assigned"])
    (finding,) = json.loads(capsys.readouterr().out)
    assert finding["fix"] == {
        "applicability": "unsafe",
        "message": "call eval()",
        "edits": [
            {
                "path": "main.ipynb",
                "cell": 1,
                "line": 2,
                "column": 1,
                "end_line": 2,
                "end_column": 23,
                "text": "model.eval()",
            }
        ],
    }


# Edits ----------------------------------------------------------------------------------------------------------------


def test_edits_that_overlap_are_refused() -> None:
    one, other = Edit("a", 1, 1, 1, 3, "x"), Edit("a", 1, 2, 1, 4, "y")
    with pytest.raises(editing.Clash):
        editing.applied("abcd", [one, other])
    with pytest.raises(editing.Clash):
        editing.applied("abcd", [Edit("a", 2, 1, 2, 1, "x")])
    assert editing.overlap([one], [other]) and not editing.overlap([one], [Edit("b", 1, 1, 1, 1, "")])


def test_every_way_is_asked_for_by_a_rule() -> None:
    folder = Path(all_rules.__wrapped__.__code__.co_filename).parent.parent / "rules"
    texts = "".join(file.read_text(encoding="utf-8") for file in folder.rglob("*.py"))
    for name in WAYS:
        assert f'"{name}"' in texts, f"no rule asks for {name}"


def test_the_page_names_every_rule_that_has_a_fix() -> None:
    root = Path(__file__).parent.parent
    rules = {
        file.stem for file in (root / "src/freezelint/rules").rglob("*.py") if "Repair(" in file.read_text("utf-8")
    }
    page = (root / "docs" / "fixes.md").read_text(encoding="utf-8")
    named = {line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| ")} - {"rule", ""}
    assert named == {stem.replace("_", "-") for stem in rules}
