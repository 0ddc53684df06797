"""Fixes in files of every shape: what they are not about keeps every byte, and nothing new is found."""

from __future__ import annotations

import io
import tokenize
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freezelint import api, mending
from freezelint.config import Config
from freezelint.fixes.edits import applied
from freezelint.static.project import Source, read
from test_fixes import notebook

HEAD = [
    "import torch",
    "from torch import nn",
    "model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 2))",
    "scale = nn.Parameter(torch.ones(1))",
]

# A line with a fault, and what becomes of it; ~ is a place where white space or a line break may stand.
FAULTS = [
    ("scale.require_grad~=~False", "scale.requires_grad~=~False"),
    ("setattr(~scale~,~'require_grad'~,~False)", "setattr(~scale~,~'requires_grad'~,~False)"),
    ("model[0].requires_grad =~False", "model[0].requires_grad_(False)"),
    ("model[~2~].requires_grad = (~False~)", "model[~2~].requires_grad_((~False~))"),
    ("model[0].requires_grad_ = False", "model[0].requires_grad_(False)"),
    ("scale.requires_grad~==~False", "scale.requires_grad~=~False"),
    ("model~.eval", "model~.eval()"),
    ("model[0]~.~train", "model[0]~.~train()"),
]

CONTINUED = "\\\n  "


@st.composite
def programs(draw: st.DrawFn) -> tuple[str, str, int]:
    """A program, what it is to become, and the number of its faults; lines end in \\n."""
    before, after, faults = [], [], 0
    depth, opened, tab = 0, False, draw(st.sampled_from(["\t", "  ", "    ", " \t"]))

    def put(one: str, other: str | None = None) -> None:
        nonlocal opened
        comment = draw(
            st.sampled_from(["", "", "  # model.eval", "# π: x.require_grad = False ", "\t#", " ;", ";x = 1"])
        )
        comment = comment if not one.endswith(":") or ";" not in comment else ""
        for lines, text in ((before, one), (after, one if other is None else other)):
            lines.append(tab * depth + text + comment)
        opened = one.endswith(":")

    for line in HEAD:
        before.append(line)
        after.append(line)
    if draw(st.booleans()):
        before.insert(0, '"""A text\n\f\tmodel.eval\n"""')
        after.insert(0, before[0])
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["fault", "fault", "fault", "blank", "feed", "comment", "if", "out", "text"]))
        if kind == "fault":
            one, other = draw(st.sampled_from(FAULTS))
            gap = draw(st.sampled_from(["", " ", "  ", "\t", CONTINUED]))
            put(one.replace("~", gap), other.replace("~", gap))
            faults += 1
        elif kind in ("blank", "feed", "comment"):
            text = {"blank": "", "feed": "\f", "comment": "# scale.require_grad = False"}[kind]
            before.append(text)
            after.append(text)
        elif kind == "if":
            put("if True:")
            depth += 1
        elif kind == "out" and depth and not opened:
            depth -= 1
        elif kind == "text":
            put("y = '''model.eval\n  x''' + (  # é\n  '')")
    if opened:
        put("pass")
    end = draw(st.sampled_from(["", "\n", "\n\n", "\n# end"]))
    return "\n".join(before) + end, "\n".join(after) + end, faults


def declared(text: str, encoding: str, newline: str) -> bytes:
    text = text.replace("π", "p")  # in every encoding, for all that é is in most
    if encoding not in ("utf-8", "utf-8-sig"):
        text = f"# -*- coding: {encoding} -*-\n{text}"
    if encoding in ("koi8-r", "cp1251"):
        text = text.replace("é", "ж")
    return text.replace("\n", newline).encode(encoding)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    programs(),
    st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "latin-1", "koi8-r", "gb18030", "shift_jis_2004"]),
    st.sampled_from(["\n", "\n", "\r\n"]),
)
def test_every_other_byte_stays(folder: Path, program: tuple[str, str, int], encoding: str, newline: str) -> None:
    before, after, faults = program
    file = Path("main.py")
    file.write_bytes(declared(before, encoding, newline))
    config = Config(ignore=("training-attr-assigned",))
    report = api.check([file], config)
    made = mending.plan(report, config)
    assert len(report.findings) <= faults
    fixable = Counter((finding.rule, finding.fix is not None) for finding in report.findings)
    assert len(made.fixed) + len(made.left) == sum(number for (_, fix), number in fixable.items() if fix)
    assert not made.left
    made.write()
    left = api.check([file], config).findings
    assert Counter(f.rule for f in left) == Counter(f.rule for f in report.findings if f.fix is None)
    if not left and len(report.findings) == faults:
        assert file.read_bytes() == declared(after, encoding, newline)
    else:
        assert comments(file) == Counter(comments_of(declared(before, encoding, newline)))
    assert not mending.plan(api.check([file], config), config).changes


def comments(file: Path) -> Counter[str]:
    return Counter(comments_of(file.read_bytes()))


def comments_of(data: bytes) -> list[str]:
    return [one.string for one in tokenize.tokenize(io.BytesIO(data).readline) if one.type == tokenize.COMMENT]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(programs(), min_size=1, max_size=3),
    st.sampled_from([None, 1, 2]),
    st.booleans(),
    st.lists(
        st.sampled_from(["%matplotlib inline", "!ls # model.eval", "%%bash\nmodel.eval", "", "é\u2028 ="]), max_size=2
    ),
)
def test_every_other_byte_of_a_notebook_stays(
    folder: Path, cells: list[tuple[str, str, int]], indent: int | None, split: bool, others: list[str]
) -> None:
    def written(texts: list[str]) -> str:
        sources = [text for pair in zip(texts, [*others, *[""] * 9], strict=False) for text in pair]
        return notebook(*(s.splitlines(keepends=True) if split else s for s in sources), indent=indent)

    # A form feed ends a line for a notebook's reader; what stands behind it is no part of this test.
    befores, afters = ([cell[which].replace("\f", " ") for cell in cells] for which in (0, 1))
    file = Path("main.ipynb")
    file.write_bytes(written(befores).encode())
    report = api.check([file], Config())
    made = mending.plan(report, Config())
    assert not made.left
    made.write()
    if all(finding.fix for finding in report.findings) and len(report.findings) == sum(cell[2] for cell in cells):
        assert file.read_bytes() == written(afters).encode()
    assert not mending.plan(api.check([file], Config()), Config()).changes
    assert isinstance(read(file), Source)


@pytest.mark.parametrize("text", ["", "a", "a\n", "a\r\nb", "\ufeffa\x0cb\u2028c\rd"])
def test_no_edit_changes_nothing(text: str) -> None:
    assert applied(text, []) == text
