"""Fuzzing of the whole check: programs of a grammar and mutations of real files, until the time is up.

    python tools/fuzz.py --seconds 3600 --seed 1 [FOLDER...]

Each case is written out, checked twice, reported in every format, and its fixes are planned. A crash, an internal
error, a hang, a second answer that differs from the first: all are failures. The files of a case that failed are kept,
with what went wrong, in a folder that its seed names; `--case N` runs one again. The files of FOLDERs are mutated;
without any these are the cases of the rules and the examples.

A worker does the cases one after another, so that what kills a process is one failure, and the next worker goes on.
"""

from __future__ import annotations

import argparse
import ast
import faulthandler
import io
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import tokenize
import traceback
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from casefile import read as read_cases  # noqa: E402
from freezelint import api, mending  # noqa: E402
from freezelint.config import Config  # noqa: E402
from freezelint.fixes import ways  # noqa: E402
from freezelint.report.base import FORMATS, Report, Style, renderer  # noqa: E402
from freezelint.static import entries, folders  # noqa: E402
from programs import program  # noqa: E402

LARGEST = 20_000  # characters of a file that is mutated
HANG = 120  # seconds after which a case counts as hanging; the slowest that is right takes a few


def corpus(folders: list[Path]) -> list[str]:
    """The files that are mutated."""
    if folders:
        found = (file for folder in folders for file in sorted(folder.rglob("*.py")))
        texts = (file.read_text(encoding="utf-8", errors="ignore") for file in found)
        return [text for text in texts if 50 < len(text) < LARGEST]
    cases = (case for file in sorted((ROOT / "tests/fixtures/rules").glob("*.md")) for case in read_cases(file))
    examples = [file.read_text(encoding="utf-8") for file in sorted((ROOT / "examples").rglob("*.py"))]
    return [text for case in cases for name, text in case.files.items() if name.endswith(".py")] + examples


def mutated(random: Random, texts: list[str]) -> str:
    """A file with lines or tokens deleted, doubled, swapped, moved or taken from another file. Most still parse."""
    text = random.choice(texts)
    for _ in range(random.randint(1, 8)):
        for _ in range(4):
            new = random.choice((_lines, _lines, _tokens))(random, text, random.choice(texts))
            if random.random() < 0.05 or _parses(new):
                text = new
                break
    return text


def _lines(random: Random, text: str, other: str) -> str:
    lines = text.split("\n")
    at, to = (random.randrange(len(lines)) for _ in range(2))
    length = random.choice((1, 1, 1, 2, 5, 20))
    piece = lines[at : at + length]
    match random.randrange(6):
        case 0:
            del lines[at : at + length]
        case 1:
            lines[to:to] = piece
        case 2:
            lines[at], lines[to] = lines[to], lines[at]
        case 3:
            del lines[at : at + length]
            lines[to:to] = piece
        case 4:
            indent = random.choice(("", "    ", "        "))
            lines[at : at + length] = [indent + line.lstrip() if length == 1 else indent + line for line in piece]
        case _:
            theirs = other.split("\n")
            start = random.randrange(len(theirs))
            lines[to:to] = theirs[start : start + random.choice((1, 3, 10, 40))]
    return "\n".join(lines)


_TOKEN = re.compile(r"\w+|[^\w\s]|\s+")


def _tokens(random: Random, text: str, other: str) -> str:
    tokens, theirs = _TOKEN.findall(text), _TOKEN.findall(other)
    if len(tokens) < 2 or not theirs:
        return text
    at, to = (random.randrange(len(tokens)) for _ in range(2))
    match random.randrange(4):
        case 0:
            del tokens[at]
        case 1:
            tokens.insert(at, tokens[at])
        case 2:
            tokens[at], tokens[to] = tokens[to], tokens[at]
        case _:
            tokens[at] = random.choice(theirs)
    return "".join(tokens)


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
        list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError):
        return False
    return True


def case(seed: int, number: int, texts: list[str]) -> dict[str, str]:
    """The files of a case."""
    random = Random(f"{seed}:{number}")
    if number % 2:
        return program(random)
    files = {"main.py": mutated(random, texts)}
    if random.random() < 0.2:
        files["other.py"] = mutated(random, texts)
    if random.random() < 0.05:
        cells = [{"cell_type": "code", "source": part} for part in files.pop("main.py").split("\n\n")]
        files["main.ipynb"] = json.dumps({"cells": cells})
    return files


class Failure(Exception):
    """What went wrong with a case."""


def run(files: dict[str, str], number: int) -> None:
    """Check a case in the working directory; Failure when something is wrong with the answer."""
    for name, text in files.items():
        Path(name).write_text(text, encoding="utf-8", errors="surrogatepass")
    swallowed.clear()
    report = _checked()
    told = "".join(renderer("json")(report, Style()))
    again = "".join(renderer("json")(_checked(), Style()))
    if told != again:
        raise Failure(f"two answers:\n{told}\n{again}")
    if number % 4 == 0:
        for form in FORMATS:
            "".join(renderer(form)(report, Style(color=True)))
        if any(finding.fix for finding in report.findings):
            list(mending.plan(report, Config(), unsafe=True).diff())
    if swallowed:
        raise Failure("an exception that was put aside:\n" + swallowed[0])


def _checked() -> Report:
    folders.forget()
    report = api.check([Path(".")], Config())
    for finding in report.findings:
        if finding.rule == "internal-error":
            raise Failure(finding.message)
    return report


swallowed: list[str] = []


def _told(function: Any) -> Any:
    """A function whose exceptions are put aside by its caller, and are to be seen here."""

    def told(*args: Any) -> Any:
        try:
            return function(*args)
        except Exception:
            swallowed.append(traceback.format_exc())
            raise

    return told


def work(options: argparse.Namespace, first: int) -> None:
    """Do cases from number `first` on. What is under way is written to a file that the parent reads."""
    faulthandler.enable()
    ways.mend = _told(ways.mend)
    entries.run_alone = _told(entries.run_alone)
    texts = corpus(options.folders)
    end = time.monotonic() + options.seconds
    slowest: list[tuple[float, int]] = []
    number = first
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        while time.monotonic() < end:
            options.progress.write_text(str(number))
            files = case(options.seed, number, texts)
            faulthandler.dump_traceback_later(HANG, exit=True)
            started = time.process_time()
            try:
                run(files, number)
            except Exception as error:
                why = str(error) if isinstance(error, Failure) else traceback.format_exc()
                keep(options, number, files, why)
            faulthandler.cancel_dump_traceback_later()
            slowest = sorted([*slowest, (time.process_time() - started, number)])[-5:]
            for name in files:
                Path(name).unlink()
            number += 1
            if options.case is not None:
                break
        os.chdir("/")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    used = time.process_time()
    shown = ", ".join(f"{number} ({seconds:.1f} s)" for seconds, number in reversed(slowest))
    print(f"cases {first} to {number - 1}: {used:.0f} CPU seconds, peak {peak} MB; slowest: {shown}", flush=True)


def keep(options: argparse.Namespace, number: int, files: dict[str, str], why: str) -> None:
    """Keep the files of a case that failed."""
    folder = options.keep / f"{options.seed}-{number}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8", errors="surrogatepass")
    (folder / "why.txt").write_text(why, encoding="utf-8", errors="replace")
    print(f"FAILED {options.seed}-{number}: {why.strip().splitlines()[-1][:200]}", flush=True)


def _options() -> argparse.Namespace:
    """What is asked for; one line, and the end, when the folders hold nothing to mutate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=lambda name: Path(name).resolve())
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int)
    parser.add_argument("--keep", type=lambda name: Path(name).resolve(), default=Path("fuzz-failures").resolve())
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--progress", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folders and not options.worker and not corpus(options.folders):
        where = ", ".join(map(str, options.folders))
        sys.exit(f"{Path(__file__).name}: no .py file of 50 to {LARGEST:,} characters in {where}")
    return options


def _workers(options: argparse.Namespace) -> Iterator[int]:
    """Workers one after another, until the time is up; the status of each."""
    end = time.monotonic() + options.seconds
    first = options.first if options.case is None else options.case
    with tempfile.TemporaryDirectory() as folder:
        progress = Path(folder) / "number"
        while (left := end - time.monotonic()) > 0:
            arguments = [*sys.argv[1:], "--worker", f"--progress={progress}", f"--first={first}", f"--seconds={left}"]
            done = subprocess.run([sys.executable, __file__, *arguments], stderr=subprocess.PIPE, text=True)
            yield done.returncode
            if done.returncode == 0:
                break
            number = int(progress.read_text())
            keep(options, number, case(options.seed, number, corpus(options.folders)), done.stderr[-20_000:] or "died")
            if options.case is not None:
                break
            first = number + 1


def main() -> None:
    options = _options()
    if options.worker:
        work(options, options.first)
        return
    for _ in _workers(options):
        pass


if __name__ == "__main__":
    main()
