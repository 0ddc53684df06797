"""Import directions: the vocabulary knows neither parser nor torch, and nothing knows the command line."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import freezelint

ROOT = Path(freezelint.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# package -> the parts of freezelint that it may import besides itself
ALLOWED = {
    "finding": set(),
    "notices": set(),
    "nearest": set(),
    "refused": set(),
    "trace": {"finding", "rules"},  # rules: only to find them, inside a function
    "knowledge": {"trace"},  # the shapes of models are told in the words of the vocabulary
    "rules": {"trace", "finding"},
    "static": {"trace", "knowledge", "finding", "notices", "config"},
    "live": {"trace", "knowledge", "finding", "nearest", "notices", "config", "measure"},  # the words of a job
    "measure": {"nearest", "refused", "report"},
    "fixes": {"finding", "static", "trace"},
    "report": {"finding"},
    "config": {"finding", "nearest", "notices", "refused", "trace"},
    "suppress": {"finding", "nearest", "notices"},
}

# package -> third-party modules that only it may import
OWNERS = {
    "libcst": {"static", "fixes"},
    "torch": {"live"},
    "click": {"cli", "__main__"},
    "pygls": {"lsp"},
    "watchfiles": {"cli"},
    "lsprotocol": {"lsp"},
}


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports, wherever the import stands, by its absolute name."""
    package = [freezelint.__name__, *file.relative_to(ROOT).parent.parts]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            if module == freezelint.__name__:
                yield from (f"{module}.{alias.name}" for alias in node.names)
            else:
                yield module


def part(file: Path) -> str:
    return file.relative_to(ROOT).with_suffix("").parts[0]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_directions(file: Path) -> None:
    here = part(file)
    for module in imports(file):
        top, _, rest = module.partition(".")
        if top == freezelint.__name__ and rest:
            there = rest.partition(".")[0]
            assert there != "cli" or here in ("cli", "__main__"), f"{here} imports the command line"
            if here in ALLOWED and there != "__version__":
                assert there == here or there in ALLOWED[here], f"{here} imports {there}"
        for owned, owners in OWNERS.items():
            assert top != owned or here in owners, f"{here} imports {owned}"


def modules_after(code: str, tmp_path: Path) -> set[str]:
    """The top-level modules that are loaded once `code` has run in a fresh interpreter."""
    program = f"{code}\nimport sys; print('loaded:', *{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("loaded:")[2].split())


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["rules"], ["check", "empty"], ["missing.py"]], ids=" ".join
)
def test_start_up_imports_neither_parser_nor_torch(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    loaded = modules_after(f"from freezelint.__main__ import run; run({arguments!r})", tmp_path)
    assert "freezelint" in loaded
    assert not loaded & {"libcst", "torch"}


def test_the_vocabulary_imports_neither_parser_nor_torch(tmp_path: Path) -> None:
    names = [f"freezelint.trace.{file.stem}" for file in (ROOT / "trace").glob("*.py") if file.stem != "__init__"]
    loaded = modules_after(f"import {', '.join(names)}", tmp_path)
    assert not loaded & {"libcst", "torch", "click"}


@pytest.mark.parametrize("heavy", ["libcst.matchers", "libcst.codemod"])
def test_the_static_side_imports_only_what_it_needs_of_the_parser(heavy: str, tmp_path: Path) -> None:
    """libcst's matchers take as long to import as all the rest of it."""
    program = f"import sys, freezelint.static.analyse; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path).returncode == 0


INFERENCE = """
@torch.no_grad()
def predict(model, x):
    model.eval()
    with torch.no_grad(), torch.inference_mode():
        return model(x).detach()
"""


@pytest.mark.parametrize("text", ["def f(a):\n    return a\n", INFERENCE], ids=["plain", "inference"])
def test_a_file_with_nothing_to_check_needs_no_parser(text: str, tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(f"import torch\n\n\n{text}")
    program = (
        "import sys\nfrom freezelint.__main__ import run\n"
        "status = run(['check', '--isolated', '--no-cache', 'plain.py'])\n"
        "sys.exit(status or any(name in sys.modules for name in ('libcst', 'freezelint.static.analyse')))"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True).returncode == 0
