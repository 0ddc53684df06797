"""Input that is meant to cost too much: CPU seconds and peak memory of one check of each, at full size and at half.

    python benchmarks/robustness.py [--only NAME] [--scale 1.0]

Growth is what doubling the size costs: 2 is linear. It is told where a check takes more than a few seconds.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from hostile import INPUTS  # noqa: E402

LONGEST = 600  # seconds
WORTH = 3.0  # seconds


def measured(name: str, size: int) -> tuple[float, int, str]:
    """CPU seconds, megabytes and the ending of a check."""
    with tempfile.TemporaryDirectory() as folder:
        INPUTS[name][0](Path(folder), size)
        command = [sys.executable, "-m", "freezelint", "check", "--isolated", "--no-cache", "-q", "."]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        # A process in between, so that the peak is that of one check.
        timed = (
            "import resource, subprocess, sys\n"
            "try:\n    done = subprocess.run(sys.argv[2:], stdout=-1, stderr=-1, timeout=float(sys.argv[1]))\n"
            "except subprocess.TimeoutExpired:\n    print(0, 0, 'timeout'); sys.exit()\n"
            "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
            "said = {b'internal': 'INTERNAL ERROR', b'misspelled-requires-grad': 'the fault beside it is found',\n"
            "        b'taken for generated': 'is said to be generated',\n"
            "        b'nested too deeply': 'is said to be nested too deeply',\n"
            "        b'no valid Python': 'is said to be no Python'}\n"
            "found = [words for sign, words in said.items() if sign in done.stdout + done.stderr]\n"
            "found.append('fuel ends before the fault')\n"
            "print(used.ru_utime + used.ru_stime, used.ru_maxrss // 1024, found[0])\n"
        )
        arguments = [sys.executable, "-c", timed, str(LONGEST), *command]
        done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True)
        seconds, peak, ending = done.stdout.strip().split(maxsplit=2)
        return float(seconds), int(peak), ending


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="one input, by its name")
    parser.add_argument("--size", type=int, help="another size than the full one")
    parser.add_argument("--scale", type=float, default=1.0, help="a part of the full sizes")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print("| input | size | CPU seconds | growth | peak memory | ending |\n|---|--:|--:|--:|--:|---|", flush=True)
    for name, (_, full) in INPUTS.items():
        if options.only not in (None, name):
            continue
        size = options.size or max(2, int(full * options.scale))
        seconds, peak, ending = measured(name, size)
        half = measured(name, size // 2)[0] if seconds > WORTH else 0
        growth = f"{seconds / half:.1f}" if half else ""
        print(f"| {name} | {size:,} | {seconds:.2f} | {growth} | {peak} MB | {ending} |", flush=True)


if __name__ == "__main__":
    main()
