"""Put the output of `freezelint check` into the README, below the program that it shows.

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
README = ROOT / "README.md"
COMMAND = "$ freezelint check finetune.py\n"


def main() -> None:
    """Run the program of the first Python block, replace what stands below the command."""
    text = README.read_text(encoding="utf-8")
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
    README.write_text(before + COMMAND + done.stdout + rest[rest.index("```\n") :], encoding="utf-8")


if __name__ == "__main__":
    main()
