"""Input that is meant to cost more than it should, or to get somewhere it should not: by name, of any size.

Each builder writes its input into a folder; `FULL` holds the size that `benchmarks/hostile.py` runs it with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

FAULT = "for p in model.parameters():\n    p.require_grad = False\n"
HEAD = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n\nmodel = nn.Sequential(nn.Linear(2, 2))\n"
LOOP = (
    "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
    "for x, y in loader:\n"
    "    loss = F.cross_entropy(model(x), y)\n"
    "    loss.backward()\n"
    "    optimizer.step()\n"
)

Builder = Callable[[Path, int], None]


def _file(*pieces: str) -> str:
    return HEAD + "".join(pieces) + FAULT


def _one(text: Callable[[int], str]) -> Builder:
    """A single file."""

    def build(folder: Path, size: int) -> None:
        (folder / "main.py").write_text(text(size), encoding="utf-8")

    return build


def _lines(make: Callable[[int], str], numbers: Iterable[int]) -> str:
    return "".join(map(make, numbers))


def _depth(size: int) -> str:
    return (
        "".join("    " * min(n, 90) + f"if c{n}:\n" for n in range(min(size, 90))) + "    " * min(size, 90) + "pass\n"
    )


def _many_files(folder: Path, size: int) -> None:
    for number in range(size):
        package = folder / f"p{number % 200}"
        package.mkdir(exist_ok=True)
        text = _file(LOOP) if number % 100 == 0 else f"def f{number}(x):\n    return x + {number}\n"
        (package / f"m{number}.py").write_text(text, encoding="utf-8")


def _ring_of_imports(folder: Path, size: int) -> None:
    """Every file imports the next one and the one before, and passes a model on."""
    for n in range(size):
        after, before = (n + 1) % size, (n - 1) % size
        (folder / f"m{n}.py").write_text(
            f"import torch\nfrom m{after} import freeze as freeze_on, thing as thing_{after}\nimport m{before}\n\n"
            f"def freeze(model):\n    for p in model.parameters():\n        p.requires_grad = False\n"
            f"    freeze_on(model)\n\n\nthing = thing_{after}\n\n\n"
            f"def train(model, loader):\n    freeze(model)\n    for x in loader:\n        model(x).sum().backward()\n",
            encoding="utf-8",
        )
    (folder / "main.py").write_text(_file(), encoding="utf-8")


def _stars(folder: Path, size: int) -> None:
    """Every file imports all names of the next."""
    for n in range(size):
        (folder / f"m{n}.py").write_text(
            f"from m{(n + 1) % size} import *\n\n\ndef f{n}(model):\n    g{(n * 7) % size}(model)\n    model.eval\n",
            encoding="utf-8",
        )
    (folder / "main.py").write_text(_file(), encoding="utf-8")


def _gitignore(folder: Path, size: int) -> None:
    (folder / ".git").mkdir()
    patterns = [f"build{n}/**/*.tmp{n}\n!keep{n}/*.py\n" for n in range(size // 2)]
    (folder / ".gitignore").write_text("".join(patterns), encoding="utf-8")
    for n in range(20):
        inner = folder / f"a{n}"
        inner.mkdir()
        for m in range(10):
            (inner / f"m{m}.py").write_text("x = 1\n", encoding="utf-8")
    (folder / "main.py").write_text(_file(), encoding="utf-8")


def _gitignores(folder: Path, size: int) -> None:
    """A folder in a folder in a folder, each with a .gitignore of its own."""
    (folder / ".git").mkdir()
    here = folder
    for _ in range(min(size, 400)):
        (here / ".gitignore").write_text("*.tmp\nold/\n!new.py\n", encoding="utf-8")
        (here / "m.py").write_text("x = 1\n", encoding="utf-8")
        here = here / "d"
        here.mkdir()
    (folder / "main.py").write_text(_file(), encoding="utf-8")


def _links(folder: Path, size: int) -> None:
    for n in range(size):
        (folder / f"out{n}").symlink_to("/", target_is_directory=True)
        (folder / f"in{n}").symlink_to(folder, target_is_directory=True)
        (folder / f"self{n}.py").symlink_to(f"self{n}.py")
    (folder / "main.py").write_text(_file(), encoding="utf-8")


def _notebook(folder: Path, size: int) -> None:
    import json

    cells = [{"cell_type": "code", "source": f"x{n} = {n}\n"} for n in range(size)]
    cells.append({"cell_type": "code", "source": _file(LOOP)})
    (folder / "main.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")


INPUTS: dict[str, tuple[Builder, int]] = {
    "lines": (_one(lambda n: _file(LOOP, _lines(lambda i: f"x{i} = {i}\n", range(n)))), 100_000),
    "lines that call": (_one(lambda n: _file(_lines(lambda i: f"x{i} = f(x{i - 1}, {i})\n", range(n)), LOOP)), 40_000),
    "comments": (_one(lambda n: _file("# p.requires_grad = False\n" * n, LOOP)), 70_000),
    "blank lines": (_one(lambda n: _file("\n" * n, LOOP)), 1_900_000),
    "one long line": (_one(lambda n: _file("x = [" + "1, " * n + "]\n", LOOP)), 600_000),
    "long name": (_one(lambda n: _file("x" * n + " = 1\n", LOOP)), 1_900_000),
    "white space": (_one(lambda n: _file("x = 1" + " " * n + "\n" + "\t" * n + "\n", LOOP)), 900_000),
    "branches": (
        _one(lambda n: _file("mode = model.eval\n", _lines(lambda i: f"if c{i}: mode()\n", range(n)), LOOP)),
        10_000,
    ),
    "elif": (
        _one(lambda n: _file("if a == 0: pass\n", _lines(lambda i: f"elif a == {i}: pass\n", range(n)), LOOP)),
        10_000,
    ),
    "branches that freeze": (
        _one(
            lambda n: _file(
                "def freeze():\n    model.requires_grad_(False)\n\n\n",
                _lines(lambda i: f"if c{i}: freeze()\n", range(n)),
                LOOP,
            )
        ),
        10_000,
    ),
    "nested ifs": (_one(lambda n: _file(_depth(n), LOOP)), 90),
    "nested loops": (
        _one(
            lambda n: _file(
                "".join("    " * i + f"for i{i} in range(3):\n" for i in range(n)) + "    " * n + "model.eval()\n", LOOP
            )
        ),
        18,
    ),
    "nested functions": (
        _one(
            lambda n: _file(
                "".join("    " * i + f"def f{i}(m):\n" for i in range(n)) + "    " * n + "m.eval()\n",
                "f0(model)\n",
                LOOP,
            )
        ),
        90,
    ),
    "nested lists": (_one(lambda n: _file("x = " + "[" * n + "]" * n + "\n", LOOP)), 200),
    "nested calls": (_one(lambda n: _file("x = " + "f(" * n + ")" * n + "\n", LOOP)), 200),
    "sum": (_one(lambda n: _file("x = " + " + ".join(f"x{i}" for i in range(n)) + "\n", LOOP)), 20_000),
    "and": (_one(lambda n: _file("x = " + " and ".join(f"x{i}" for i in range(n)) + "\n", LOOP)), 20_000),
    "not": (_one(lambda n: _file("x = " + "not " * n + "y\n", LOOP)), 20_000),
    "attributes": (_one(lambda n: _file("x = a" + ".b" * n + "\n", LOOP)), 20_000),
    "comparison": (_one(lambda n: _file("x = " + " < ".join(["y"] * n) + "\n", LOOP)), 20_000),
    "strings side by side": (_one(lambda n: _file("x = (" + "'a' " * n + ")\n", LOOP)), 20_000),
    "targets": (_one(lambda n: _file("a = " * n + "1\n", LOOP)), 20_000),
    "number": (_one(lambda n: _file("x = " + "9" * n + "\n", LOOP)), 1_000_000),
    "string": (_one(lambda n: _file("x = '" + "model.eval " * n + "'\n", LOOP)), 150_000),
    "format": (_one(lambda n: _file("x = f'" + "{a}" * n + "'\n", LOOP)), 20_000),
    "dictionary": (
        _one(lambda n: _file("x = {" + _lines(lambda i: f"'k{i}': {i},\n", range(n)) + "}\n", LOOP)),
        90_000,
    ),
    "brackets in a string": (_one(lambda n: _file("x = '" + "[" * n + "'\n", LOOP)), 1_500_000),
    "optimizers": (
        _one(
            lambda n: _file(
                "S, q = torch.optim.SGD, list(model.parameters())\n", _lines(lambda i: f"o{i} = S(q)\n", range(n)), LOOP
            )
        ),
        10_000,
    ),
    "models": (_one(lambda n: _file("L = nn.Linear\n", _lines(lambda i: f"m{i} = L(2)\n", range(n)), LOOP)), 10_000),
    "layers": (_one(lambda n: _file("model = nn.Sequential(" + "nn.Linear(2, 2), " * n + ")\n", LOOP)), 8_000),
    "named layers": (
        _one(
            lambda n: _file(
                "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n",
                _lines(lambda i: f"        self.l{i} = nn.Linear(2, 2)\n", range(n)),
                "    def forward(self, x):\n",
                _lines(lambda i: f"        x = self.l{i}(x)\n", range(n)),
                "        return x\n\nmodel = Net()\n",
                LOOP,
            )
        ),
        2_000,
    ),
    "parameter loops": (
        _one(
            lambda n: _file(
                _lines(lambda i: f"for p in model.parameters():\n    p.requires_grad = {i % 2 == 0}\n", range(n)), LOOP
            )
        ),
        1_000,
    ),
    "name tests": (
        _one(
            lambda n: _file(
                "model = torch.load('x')\n",
                _lines(
                    lambda i: (
                        f"for n, p in model.named_parameters():\n    if 'layer{i}' in n:\n"
                        "        p.requires_grad = False\n"
                    ),
                    range(n),
                ),
                LOOP,
            )
        ),
        1_000,
    ),
    "calls in a row": (
        _one(
            lambda n: _file(
                "def f0(m):\n    m.requires_grad_(False)\n\n\n",
                _lines(lambda i: f"def f{i}(m):\n    f{i - 1}(m)\n\n\n", range(1, n)),
                f"f{n - 1}(model)\n",
                LOOP,
            )
        ),
        5_000,
    ),
    "calls that double": (
        _one(
            lambda n: _file(
                "def f0(m):\n    m.requires_grad_(False)\n\n\n",
                _lines(lambda i: f"def f{i}(m):\n    f{i - 1}(m)\n    f{i - 1}(m)\n\n\n", range(1, n)),
                f"f{n - 1}(model)\n",
                LOOP,
            )
        ),
        2_000,
    ),
    "functions that train": (
        _one(
            lambda n: _file(
                _lines(
                    lambda i: (
                        f"def train{i}(model, loader, optimizer):\n    model.train()\n    for x in loader:\n"
                        "        model(x).sum().backward()\n        optimizer.step()\n\n\n"
                    ),
                    range(n),
                )
            )
        ),
        2_000,
    ),
    "methods": (
        _one(
            lambda n: _file(
                "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
                "        self.body = nn.Linear(2, 2)\n\n",
                _lines(
                    lambda i: (
                        f"    def freeze{i}(self):\n        for p in self.body.parameters():\n"
                        "            p.requires_grad = False\n\n"
                    ),
                    range(n),
                ),
                "\nmodel = Net()\n",
                LOOP,
            )
        ),
        2_000,
    ),
    "classes": (
        _one(
            lambda n: _file(
                "class C0(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
                "        self.body = nn.Linear(2, 2)\n\n",
                "    def freeze(self):\n        self.requires_grad_(False)\n\n\n",
                _lines(
                    lambda i: f"class C{i}(C{i - 1}):\n    def freeze(self):\n        super().freeze()\n\n\n",
                    range(1, n),
                ),
                f"model = C{n - 1}()\nmodel.freeze()\n",
                LOOP,
            )
        ),
        2_000,
    ),
    "decorators": (
        _one(lambda n: _file("@torch.no_grad()\n" * n + "def f(m):\n    return m(1)\n\n\nf(model)\n", LOOP)),
        5_000,
    ),
    "arguments": (
        _one(lambda n: _file(f"def f({', '.join(f'a{i}=model' for i in range(n))}):\n    a0.eval()\n\n\nf()\n", LOOP)),
        5_000,
    ),
    "contexts": (
        _one(lambda n: _file("with " + ", ".join(["torch.no_grad()"] * n) + ":\n    model(x)\n", LOOP)),
        5_000,
    ),
    "cases of a match": (
        _one(lambda n: _file("match a:\n", _lines(lambda i: f"    case {i}:\n        model.eval()\n", range(n)), LOOP)),
        5_000,
    ),
    "tries": (_one(lambda n: _file("try:\n    model(x)\nexcept Exception:\n    model.eval()\n" * n, LOOP)), 4_000),
    "findings": (_one(lambda n: _file("model.eval\n" * n)), 5_000),
    "suppressions": (_one(lambda n: _file("model.eval  # freezelint: ignore[mode-not-called]\n" * n)), 5_000),
    "unused suppressions": (_one(lambda n: _file("x = 1  # freezelint: ignore[mode-not-called]\n" * n)), 5_000),
    "forwards": (
        _one(lambda n: _file("for x in loader:\n", "    x = model(x)\n" * n, "    x.sum().backward()\n")),
        5_000,
    ),
    "losses": (
        _one(lambda n: _file("loss = 0\n", "loss = loss + F.mse_loss(model(x), y)\n" * n, "loss.backward()\n", LOOP)),
        5_000,
    ),
    "comprehensions": (
        _one(lambda n: _file("x = [p " + "for p in model.parameters() if p.requires_grad " * n + "]\n", LOOP)),
        200,
    ),
    "dictionary of models": (
        _one(
            lambda n: _file(
                "table = {" + ", ".join(f"'{i}': nn.Linear" for i in range(n)) + "}\nmodel = table[name](2, 2)\n", LOOP
            )
        ),
        5_000,
    ),
    "many files": (_many_files, 50_000),
    "ring of imports": (_ring_of_imports, 500),
    "ring of star imports": (_stars, 500),
    "patterns of a .gitignore": (_gitignore, 5_000),
    "nested .gitignores": (_gitignores, 300),
    "links": (_links, 1_000),
    "cells": (_notebook, 5_000),
}
