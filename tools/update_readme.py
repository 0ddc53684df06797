"""Put the output of `freezelint check` into the READMEs and the first page of the site, below the commands they show.

    python tools/update_readme.py

Tests compare them. Read what has changed before you commit it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
FRONT = ROOT / "docs" / "index.md"
PROGRAM, EXAMPLE = "finetune.py", "examples/finetune"


def main() -> None:
    """Bring every page up to date."""
    for readme in READMES:
        text = readme.read_text(encoding="utf-8")
        program = re.search(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        assert program is not None
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, PROGRAM).write_text(program[1], encoding="utf-8")
            put(readme, PROGRAM, output(PROGRAM, Path(folder)))
    put(FRONT, EXAMPLE, output(EXAMPLE, ROOT))


def output(path: str, folder: Path) -> str:
    """What the check of a path says."""
    return subprocess.run(
        [sys.executable, "-m", "freezelint", "check", "--isolated", path],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    ).stdout


def put(page: Path, path: str, text: str) -> None:
    """Replace what stands below the command in a page, to the end of the block."""
    command = f"$ freezelint check {path}\n"
    before, rest = page.read_text(encoding="utf-8").split(command, 1)
    page.write_text(before + command + text + rest[rest.index("```\n") :], encoding="utf-8")


if __name__ == "__main__":
    main()
