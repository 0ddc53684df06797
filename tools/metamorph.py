"""Metamorphic testing: programs are changed in ways that mean nothing, and what is found must stay the same.

    python tools/metamorph.py --seconds 3600 --seed 1 [FOLDER...]

The programs are the cases of the rules and the examples, or else the single files below FOLDERs. Each variant is
checked and compared with its original by rule and statement (`tests/metamorphic.py`). Variants with a difference are
kept in a folder that their seed names.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from casefile import read as read_cases  # noqa: E402
from freezelint import api  # noqa: E402
from freezelint.config import Config  # noqa: E402
from freezelint.static import folders  # noqa: E402
from freezelint.static.interpreter import Interpreter  # noqa: E402
from metamorphic import Program, variant  # noqa: E402

# Differences that are known and meant, by rule and change.
EXPLAINED = {
    ("freeze-argument-unused", "split"): "the rule looks for the call in the file of the function",
    ("frozen-loss-net-cut", "split"): "a loss class is run by itself where its own file has a grad mode",
    ("freeze-matches-nothing", "if_true"): "a file without any sign is a program by its calls at the left margin",
    ("head-frozen", "if_true"): "a file without any sign is a program by its calls at the left margin",
    ("frozen-random-weights", "if_true"): "a file without any sign is a program by its calls at the left margin",
    ("frozen-dropout-active", "if_true"): "a file without any sign is a program by its calls at the left margin",
    ("empty-optimizer", "if_true"): "what head-frozen tells better, where that can be told",
}

LARGEST = 30_000  # characters of a file of FOLDER
EACH = 8  # variants of a program before the next one


def programs(folders: list[Path]) -> list[tuple[str, dict[str, str]]]:
    """Programs by name."""
    if folders:
        files = (file for folder in folders for file in sorted(folder.rglob("*.py")))
        texts = ((str(file), file.read_text(encoding="utf-8", errors="ignore")) for file in files)
        return [(name, {"main.py": text}) for name, text in texts if len(text) < LARGEST and "\r" not in text]
    found = []
    for file in sorted((ROOT / "tests/fixtures/rules").glob("*.md")):
        for case in read_cases(file):
            if all(name.endswith(".py") for name in case.files):
                found.append((f"{file.stem}: {case.title}", case.files))
    examples = sorted((ROOT / "examples").rglob("*.py"))
    return found + [(str(file), {"main.py": file.read_text(encoding="utf-8")}) for file in examples]


class Fuel:
    """Whether a check used up so much fuel that worlds were dropped: a changed text may be followed less far then."""

    def __init__(self) -> None:
        self.low = False
        limit = Interpreter.limit.fget
        assert limit is not None

        def watched(it: Interpreter) -> int:
            worlds: int = limit(it)
            self.low = self.low or worlds < 64
            return worlds

        Interpreter.limit = property(watched)  # type: ignore[assignment, method-assign]


def check(program: Program) -> Counter[tuple[str, object]]:
    """What is found in a program, in the working directory."""
    for name in os.listdir():
        if os.path.isfile(name):
            os.unlink(name)
    for name, text in program.texts().items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8", errors="surrogatepass")
    folders.forget()
    found: Counter[tuple[str, object]] = Counter(program.told(api.check([Path(".")], Config()).findings))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=lambda name: Path(name).resolve())
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="programs with this in their names")
    parser.add_argument(
        "--keep", type=lambda name: Path(name).resolve(), default=Path("metamorphic-failures").resolve()
    )
    options = parser.parse_args()
    fuel = Fuel()
    found = [(at, *one) for at, one in enumerate(programs(options.folders)) if options.only in one[0]]
    if not found:
        where = ", ".join(map(str, options.folders)) or "the cases and the examples"
        named = f" with {options.only!r} in its name" if options.only else ""
        sys.exit(f"{Path(__file__).name}: no program of less than {LARGEST:,} characters{named} in {where}")
    Random(options.seed).shuffle(found)
    end = time.monotonic() + options.seconds
    compared: Counter[str] = Counter()
    different = explained = low = with_findings = total = rounds = told = 0
    while time.monotonic() < end:
        for at, name, files in found:
            if time.monotonic() > end:
                break
            if total >= told:
                told += 1000
                _tell(total, with_findings, different, explained, low, compared)
            with tempfile.TemporaryDirectory() as folder:
                os.chdir(folder)
                program = Program.of(files)
                fuel.low = False
                expected = check(program)
                for number in range(rounds * EACH, (rounds + 1) * EACH):
                    random = Random(f"{options.seed}:{at}:{number}")
                    made = variant(random, program)
                    if made is None:
                        continue
                    other, changes = made
                    got = check(other)
                    total += 1
                    with_findings += bool(expected)
                    compared.update(set(changes))
                    if got == expected:
                        continue
                    if fuel.low:
                        low += 1
                        continue
                    rules = {rule for rule, _ in (*(expected - got), *(got - expected))}
                    if all(any((rule, change) in EXPLAINED for change in changes) for rule in rules):
                        explained += 1
                        continue
                    different += 1
                    kept = options.keep / f"{options.seed}-{at}-{number}"
                    kept.mkdir(parents=True, exist_ok=True)
                    for file, text in other.texts().items():
                        (kept / file).parent.mkdir(parents=True, exist_ok=True)
                        (kept / file).write_text(text, encoding="utf-8", errors="replace")
                    why = f"{name}\n{changes}\nlost: {list(expected - got)}\nnew: {list(got - expected)}\n"
                    (kept / "why.txt").write_text(why, encoding="utf-8")
                    print(f"DIFFERENT {kept.name} {why.strip()}".replace("\n", "\n    "), flush=True)
                os.chdir("/")
        rounds += 1
    _tell(total, with_findings, different, explained, low, compared)


def _tell(total: int, found: int, different: int, explained: int, low: int, compared: Counter[str]) -> None:
    print(
        f"{total} comparisons ({found} of programs with findings), {different} different, {explained} more that are "
        f"explained, {low} more where fuel ran low; {time.process_time():.0f} CPU seconds; {dict(compared)}",
        flush=True,
    )


if __name__ == "__main__":
    main()
