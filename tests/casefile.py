"""Case files: Markdown that shows a rule at work, read into cases with the findings they expect.

    ## A heading per case [run] [all]

    A sentence why.

    ```python model.py
    p.require_grad = False  # error: [misspelled-requires-grad] "part of the message"
    p.requires_grad = False  # ok: why nothing is found on this line
    ```

A fence names its language, then its file (main.py if it names none; pyproject.toml for `toml`), then flags. A flag in
the heading or in a fence holds for the case: `all` analyses it with every rule, `run` says that it can be executed too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from freezelint.finding import Finding

HEADING = re.compile(r"#{1,6}\s+(?P<title>.*?)\s*$")
FENCE = re.compile(r"(?P<ticks>`{3,})\s*(?P<info>[^`]*)$")
FLAG = re.compile(r"\s*\[(?P<flag>\w+)\]\s*$")
EXPECTED = re.compile(r'#\s*(?P<severity>error|warning|info):\s*\[(?P<slug>[\w-]+)\](?:\s*"(?P<part>[^"]*)")?')
OK = re.compile(r"#\s*ok:\s*(?P<why>\S.*)?$")
# What looks like a mark and is none would silently assert nothing.
ALMOST = re.compile(r"#\s*(error|warning|info|ok)\b\s*[:\[]", re.IGNORECASE)

FLAGS = frozenset({"all", "run"})
DEFAULT_FILE = {"python": "main.py", "toml": "pyproject.toml"}


class CaseError(ValueError):
    """A case file that cannot be meant as it is written."""


@dataclass(frozen=True)
class Expected:
    """A finding that a line is marked with."""

    file: str
    line: int
    severity: str
    slug: str
    part: str = ""

    def matches(self, finding: Finding) -> bool:
        """Is this the finding that was meant?"""
        site = finding.site
        return (site.path, site.line, finding.rule, str(finding.severity)) == (
            self.file,
            self.line,
            self.slug,
            self.severity,
        ) and self.part in finding.message

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.severity} {self.slug}" + (f' "{self.part}"' if self.part else "")


@dataclass
class Case:
    """One case: its files by name, and what is expected of their lines."""

    title: str
    line: int
    why: str = ""
    files: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    expected: list[Expected] = field(default_factory=list)
    silent: list[tuple[str, int, str]] = field(default_factory=list)

    @property
    def run(self) -> bool:
        """Can this case be executed live as well?"""
        return "run" in self.flags

    @property
    def all_rules(self) -> bool:
        """Is it analysed with every rule?"""
        return "all" in self.flags

    def write(self, folder: Path) -> None:
        """Lay the files out below `folder`."""
        for name, text in self.files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")

    def differences(self, findings: Iterable[Finding]) -> list[str]:
        """What is found and not expected, and the reverse; one line each, none when the case passes."""
        unmet, wrong = list(self.expected), []
        reasons = {(file, line): why for file, line, why in self.silent}
        for finding in findings:
            met = next((expected for expected in unmet if expected.matches(finding)), None)
            if met is not None:
                unmet.remove(met)
                continue
            site = finding.site
            why = reasons.get((site.path, site.line))
            wrong.append(
                f"not expected: {site.path}:{site.line}: {finding.severity} {finding.rule}: {finding.message}"
                + (f" (the line is ok: {why})" if why else "")
            )
        return [f"not found: {expected}" for expected in unmet] + wrong


def read(file: Path) -> list[Case]:
    """The cases of one file."""
    return list(parse(file.read_text(encoding="utf-8"), file.name))


def parse(text: str, name: str = "cases") -> Iterator[Case]:
    """The cases in a text. A heading without code below it, such as the page's title, is no case."""
    case: Case | None = None
    block: list[str] = []
    fence: re.Match[str] | None = None
    opened = 0
    for number, line in enumerate(text.splitlines(), 1):
        if fence is not None:
            if line.strip() == fence["ticks"]:
                _add(case, fence["info"].split(), block, f"{name}:{opened}")
                fence, block = None, []
            else:
                block.append(line)
        elif fence := FENCE.match(line):
            opened = number
        elif heading := HEADING.match(line):
            if case is not None and case.files:
                yield _complete(case, name)
            case = _titled(heading["title"], number, name)
        elif case is not None and line.strip():
            case.why = f"{case.why} {line.strip()}".strip()
    if fence is not None:
        raise CaseError(f"{name}:{opened}: this block of code is not closed")
    if case is not None and case.files:
        yield _complete(case, name)


def _titled(title: str, line: int, name: str) -> Case:
    flags = set()
    while flag := FLAG.search(title):
        flags.add(flag["flag"])
        title = title[: flag.start()]
    _known(flags, f"{name}:{line}")
    return Case(title, line, flags=flags)


def _add(case: Case | None, info: list[str], block: list[str], where: str) -> None:
    """Put a block of code into its case, and read the marks on its lines."""
    if case is None:
        raise CaseError(f"{where}: code before the first heading")
    language, *rest = info or [""]
    if language not in DEFAULT_FILE:
        return  # a block of output or shell is for the reader
    flags = {word for word in rest if "." not in word}
    names = [word for word in rest if "." in word] or [DEFAULT_FILE[language]]
    _known(flags, where)
    if len(names) > 1 or names[0] in case.files:
        raise CaseError(f"{where}: {names[-1]!r} is a second file name, or a second file of this name")
    file = names[0]
    case.flags |= flags
    case.files[file] = "\n".join(block) + "\n"
    for number, line in enumerate(block, 1):
        marks = [
            Expected(file, number, mark["severity"], mark["slug"], mark["part"] or "")
            for mark in EXPECTED.finditer(line)
        ]
        silent = OK.search(line)
        if silent is not None:
            case.silent.append((file, number, silent["why"] or ""))
        case.expected.extend(marks)
        if len(marks) + (silent is not None) < len(ALMOST.findall(line)):
            raise CaseError(f"{where}: line {number} of this block has a mark that cannot be read: {line.strip()}")


def _known(flags: set[str], where: str) -> None:
    if not flags <= FLAGS:
        raise CaseError(f"{where}: unknown flag {sorted(flags - FLAGS)}, known are {sorted(FLAGS)}")


def _complete(case: Case, name: str) -> Case:
    where = f"{name}:{case.line}: {case.title!r}"
    if not case.why:
        raise CaseError(f"{where} does not say why")
    if not case.expected and not case.silent:
        raise CaseError(f"{where} marks no line: `# ok: why` asserts silence")
    if any(not why for _, _, why in case.silent):
        raise CaseError(f"{where} has an `# ok:` without a reason")
    return case
