"""Put the output of `freezelint check` into the READMEs, below the program that they show.

    python tools/update_readme.py

A test compares the two. Read what has changed before you commit it.
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
COMMAND = "$ freezelint check finetune.py\n"


def main() -> None:
    """Bring every README up to date."""
    for readme in READMES:
        update(readme)


def update(readme: Path) -> None:
    """Run the program of the first Python block, replace what stands below the command."""
    text = readme.read_text(encoding="utf-8")
    program = re.search(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert program is not None
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "finetune.py").write_text(program[1], encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "freezelint", "check", "--isolated", "finetune.py"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONIOENCODING": "utf-8"},
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
    before, rest = text.split(COMMAND, 1)
    readme.write_text(before + COMMAND + done.stdout + rest[rest.index("```\n") :], encoding="utf-8")


if __name__ == "__main__":
    main()
