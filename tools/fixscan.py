"""What `--fix` does to other people's code: each FOLDER is copied, checked, mended and checked again.

    python tools/fixscan.py [--unsafe] [--diffs FOLDER] FOLDER...

One line tells of each folder: what was proposed, what was made, and `ok` when every file can still be parsed, the
findings that the fixes speak for are gone, no other has come, and a second run changes nothing. The folders themselves
are left as they are. `--diffs` keeps a patch of each folder that has one; `--left` tells what was not made, and why.
The exit status is 1 when something was not ok.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src")]

from freezelint import api, mending  # noqa: E402
from freezelint.config import Config  # noqa: E402
from freezelint.finding import Finding  # noqa: E402
from freezelint.fixes.ways import readable  # noqa: E402
from freezelint.report.base import Report, place  # noqa: E402
from freezelint.report.text import count  # noqa: E402
from freezelint.static import folders  # noqa: E402
from freezelint.static.project import Source, read  # noqa: E402

NOT_COPIED = shutil.ignore_patterns(".git", ".freezelint_cache")


@dataclass
class Outcome:
    """What came of one folder."""

    files: int = 0
    findings: int = 0
    proposed: int = 0
    made: int = 0
    written: int = 0
    patch: str = ""
    left: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()

    def __str__(self) -> str:
        told = f"{count(self.files, 'file')}, {count(self.findings, 'finding')}, {count(self.proposed, 'fix')} proposed"
        if self.proposed:
            told += f", {self.made} made in {count(self.written, 'file')}"
        return told


def scan(folder: Path, unsafe: bool = False) -> Outcome:
    """Mend a copy of a folder, and see what became of it."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "copy"
        shutil.copytree(folder, copy, symlinks=True, ignore=NOT_COPIED)
        os.chdir(copy)
        try:
            return _scan(unsafe)
        except Exception as error:
            traceback.print_exc()
            return Outcome(wrong=(f"{type(error).__name__}: {error}",))
        finally:
            os.chdir(here)


def _scan(unsafe: bool) -> Outcome:
    config = Config()
    before = _checked(config)
    wanted = [f for f in before.findings if f.fix and (unsafe or f.fix.applicability == mending.SAFE)]
    outcome = Outcome(before.files, len(before.findings), len(wanted))
    if not wanted:
        return outcome
    parsed = {path for path in before.checked if _parses(path)}
    plan = mending.plan(before, config, unsafe=unsafe)
    outcome.patch = "".join(plan.diff())
    outcome.written = len(plan.write())
    outcome.made = len(plan.fixed)
    outcome.left = tuple(f"{place(finding.site)}: {finding.rule}: {why}" for finding, why in plan.left)
    wrong = [f"{path} cannot be parsed" for path in sorted(parsed) if not _parses(path)]
    after = _checked(config)
    allowed = _counted(before.findings) - _counted(plan.fixed)
    for (rule, path, cell), number in (_counted(after.findings) - allowed).items():
        fixed = _counted(plan.fixed)[rule, path, cell]
        wrong.append(
            f"{rule} in {path}: {number} more than the {fixed} fixes leave" if fixed else f"{rule} in {path} is new"
        )
    again = mending.plan(after, config, unsafe=unsafe)
    wrong += [f"a second run changes {draft.path}" for draft in again.changes]
    outcome.wrong = tuple(wrong)
    return outcome


def _checked(config: Config) -> Report:
    folders.forget()
    return api.check([Path(".")], config)


def _parses(path: str) -> bool:
    source = read(Path(path))
    return isinstance(source, Source) and readable(source.text)


def _counted(findings: Iterable[Finding]) -> Counter[tuple[str, str, int | None]]:
    return Counter((finding.rule, finding.site.path, finding.site.cell) for finding in findings)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--unsafe", action="store_true", help="make the fixes that change training, too")
    parser.add_argument("--diffs", type=Path, metavar="FOLDER", help="keep the patches there")
    parser.add_argument("--left", action="store_true", help="tell what was not made, and why")
    options = parser.parse_args()
    for folder in options.folders:
        if not folder.is_dir():
            sys.exit(f"{Path(__file__).name}: {folder} is no folder")
    outcomes = []
    for folder in options.folders:
        started = time.process_time()
        outcome = scan(folder, options.unsafe)
        outcomes.append(outcome)
        seconds = time.process_time() - started
        print(f"{folder.resolve().name}: {outcome}: {'; '.join(outcome.wrong) or 'ok'} ({seconds:.0f} s)", flush=True)
        for line in outcome.left if options.left else ():
            print(f"    not made: {line}", flush=True)
        if options.diffs and outcome.patch:
            options.diffs.mkdir(parents=True, exist_ok=True)
            # surrogates: a name of a file need not be text.
            data = outcome.patch.encode("utf-8", "surrogateescape")
            (options.diffs / f"{folder.resolve().name}.diff").write_bytes(data)
    bad = sum(bool(outcome.wrong) for outcome in outcomes)
    names = ("files", "findings", "proposed", "made", "written")
    total = Outcome(*(sum(getattr(outcome, name) for outcome in outcomes) for name in names))
    print(f"{count(len(outcomes), 'folder')}, {total}; {bad or 'none'} not ok")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
