"""Which files are checked, and how one is read: discovery below named paths, and decoding as Python does it."""

from __future__ import annotations

import io
import os
import tokenize
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from freezelint.config import Config, ConfigError, Settings, compiled
from freezelint.finding import Finding, Severity, Site
from freezelint.notices import READ_ERROR
from freezelint.static.notebook import NEWLINE, BrokenNotebook, Cell, ForeignKernel, program

if TYPE_CHECKING:
    import pathspec

SUFFIXES = (".py", ".ipynb")

# Folders that hold other people's code or nothing of interest. One that is named on the command line is checked.
NEVER_ENTERED = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        ".venv",
        "venv",
        ".tox",
        ".nox",
        ".eggs",
        "node_modules",
        "site-packages",
        "build",
        "dist",
        "__pycache__",
        "__pypackages__",
        ".ipynb_checkpoints",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".freezelint_cache",
    }
)

# No hand-written module comes near it, and one generated file would cost more than the rest of its project.
LARGEST = 2_000_000
LARGEST_NOTEBOOK = 60_000_000  # mostly pictures, which are not looked at


@dataclass(frozen=True)
class Source:
    """One file's text, under the name that findings call it by."""

    path: str
    text: str
    cells: tuple[Cell, ...] = ()  # of a notebook, whose text is the program that its code cells make

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The lines as Python counts them: a form feed or U+2028 ends none."""
        return tuple(NEWLINE.split(self.text))


@dataclass(frozen=True)
class Ignores:
    """Patterns of one .gitignore, or of the configuration, and the folder that they are relative to."""

    base: str
    spec: pathspec.GitIgnoreSpec

    def verdict(self, path: str) -> bool | None:
        """Ignored (True), taken back in by a `!pattern` (False), or not mentioned. A folder's path ends in a slash."""
        below = self.base.rstrip(os.sep) + os.sep
        inside = path[len(below) :].rstrip("/") if path.startswith(below) else os.path.relpath(path, self.base)
        inside = inside.replace(os.sep, "/") or "."
        if inside == "." or inside.startswith("../"):
            return None
        return self.spec.check_file(inside + "/" if path.endswith("/") else inside).include


def _nobody(path: Path, why: str) -> None:
    """Nobody asked what is left out."""


def discover(
    paths: Iterable[Path],
    config: Settings,
    left_out: Callable[[Path, str], None] = _nobody,
    real_path: Real | None = None,
) -> Iterator[Path]:
    """The files to check, each once, in an order that depends only on names; `left_out` hears of the others, and why.

    A named file is always checked, and a path that cannot be entered comes out as it is, so that reading it says why.
    Links are not followed below a named folder: what they lead to is checked where it really is, or is not part of
    this project.
    """
    seen: set[str] = set()
    real_path = real_path or Real()
    for path in paths:
        walked = os.path.isdir(path)
        for file in _walk(path, config, left_out) if walked else (path,):
            real = real_path(file, walked)
            if real not in seen:
                seen.add(real)
                yield file


def _walk(root: Path, config: Settings, left_out: Callable[[Path, str], None]) -> Iterator[Path]:
    excluded: dict[Config, tuple[Ignores, ...]] = {}  # by the configuration of the folder
    pending = [(root, _unless_named(root, _gitignores_above(root)))]
    while pending:
        folder, ignores = pending.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError:
            yield folder
            continue
        if any(entry.name == ".gitignore" for entry in entries):
            ignores = (*_gitignore(folder / ".gitignore", folder), *ignores)
        settings = config.within(folder)
        if settings not in excluded:
            excluded[settings] = _unless_named(root, _excludes(settings))
        folders = []
        for entry in entries:
            path = folder / entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            if not is_folder and not entry.name.endswith(SUFFIXES):
                continue
            why = _why_not(entry, is_folder, excluded[settings], ignores)
            if why:
                left_out(path, why)
            elif is_folder:
                folders.append((path, ignores))
            else:
                yield path
        pending.extend(reversed(folders))


def _why_not(entry: os.DirEntry[str], is_folder: bool, excludes: Sequence[Ignores], ignores: Sequence[Ignores]) -> str:
    """Why a folder is not entered, or a file not checked; empty when it is.

    The configuration has the last word, and then the nearest .gitignore. Folders above it have been asked before.
    """
    if is_folder and entry.name in NEVER_ENTERED:
        return "folders of other people's code"
    if not is_folder and not entry.is_file(follow_symlinks=False):
        return "links and what is no file"
    if not excludes and not ignores:
        return ""
    here = os.path.abspath(entry.path) + ("/" if is_folder else "")
    for patterns, reason in ((excludes, "excluded by the configuration"), (ignores, "ignored by git")):
        for layer in patterns:
            verdict = layer.verdict(here)
            if verdict is not None:
                return reason if verdict else ""
    return ""


def _unless_named(root: Path, patterns: Iterable[Ignores]) -> tuple[Ignores, ...]:
    """Patterns without those that ignore `root` itself: it was named, so it is wanted."""
    return tuple(layer for layer in patterns if layer.verdict(f"{root.absolute()}/") is not True)


def _excludes(config: Config) -> Iterator[Ignores]:
    for base, patterns in groupby(config.exclude, key=lambda pattern: pattern.base):
        yield Ignores(os.path.abspath(base), compiled(*(pattern.glob for pattern in patterns)))


def _gitignores_above(root: Path) -> Iterator[Ignores]:
    """What the repository around `root` ignores, nearest first; nothing outside a repository."""
    absolute = root.absolute()
    repository = next((folder for folder in (absolute, *absolute.parents) if (folder / ".git").exists()), None)
    if repository is not None:
        for folder in absolute.parents:
            if folder.is_relative_to(repository):
                yield from _gitignore(folder / ".gitignore", folder)
        yield from _gitignore(repository / ".git" / "info" / "exclude", repository)


def _gitignore(file: Path, base: Path) -> Iterator[Ignores]:
    """The patterns of one .gitignore; none when there is no such file, or it is broken: git would go on as well."""
    try:
        if not file.is_file():  # a pipe would be waited for
            return
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        yield Ignores(os.path.abspath(base), compiled(*lines))
    except (OSError, ConfigError):
        return


class Real:
    """Real paths, of which many lie in the same folders."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def __call__(self, path: str | Path, plain: bool = False) -> str:
        """The real path of a file or folder; `plain` when it is known to be no link."""
        text = os.fspath(path)
        below: list[tuple[str, str]] = []
        while (found := self._known.get(text)) is None:
            above, name = os.path.split(text)
            if name in ("", os.curdir, os.pardir) or (not plain and os.path.islink(text)):
                found = self._known[text] = os.path.realpath(text)
                break
            below.append((text, name))
            text, plain = above or os.curdir, False
        for text, name in reversed(below):
            found = self._known[text] = os.path.join(found, name)
        return found


def display_path(path: Path) -> str:
    """The name findings call a file by: relative to the working directory when it lies below, posix style."""
    return shown(os.path.abspath(path), os.getcwd())


def shown(absolute: str, here: str) -> str:
    """The name findings call a file by, of its absolute path and the working directory."""
    if os.sep == "/" and absolute.startswith(f"{here}/"):
        return absolute[len(here) + 1 :]
    try:
        inside = os.path.relpath(absolute)
    except ValueError:  # another drive
        inside = os.pardir
    outside = inside == os.pardir or inside.startswith(os.pardir + os.sep)
    return (absolute if outside else inside).replace(os.sep, "/")


def read(path: Path) -> Source | Finding:
    """The text of a file, or the one line that says why there is none."""
    shown = display_path(path)
    try:
        with open(path, "rb") as file:
            largest = LARGEST_NOTEBOOK if path.suffix == ".ipynb" else LARGEST
            data = file.read(largest + 1)  # bounded, so that a device without end does no harm
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return _unreadable(shown, "does not exist: check the spelling, or it vanished while freezelint ran")
    except PermissionError:
        return _unreadable(shown, "may not be read: change its permissions, or name it in `exclude`")
    except IsADirectoryError:
        return _unreadable(shown, "is a folder that cannot be listed: change its permissions, or name it in `exclude`")
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        return _unreadable(shown, f"cannot be read: {getattr(error, 'strerror', None) or error}")
    if len(data) > largest:
        return _unreadable(
            shown,
            f"is not checked: {max(size, len(data)) / 1e6:.1f} MB, and files over "
            f"{largest / 1e6:.0f} MB are taken for generated",
            severity=Severity.INFO,
        )
    source = decode(data, shown)
    return source if isinstance(source, Finding) or path.suffix != ".ipynb" else opened(source)


def opened(notebook: Source) -> Source | Finding:
    """The program in a notebook's cells."""
    try:
        text, cells = program(notebook.text)
    except BrokenNotebook as error:
        return _unreadable(notebook.path, str(error))
    except ForeignKernel as error:
        return _unreadable(notebook.path, f"is not checked: its kernel's language is {error}", severity=Severity.INFO)
    return Source(notebook.path, text, cells)


def decode(data: bytes, shown: str) -> Source | Finding:
    """The text in the bytes of a file: UTF-8 or what its coding line declares, as Python reads it (PEP 263)."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _unreadable(shown, "is UTF-16, which Python does not read: save it as UTF-8")
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        return _unreadable(shown, f"holds a null byte on line {line}: it is damaged, or no text", line)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return Source(shown, data.decode(encoding))
    except UnicodeDecodeError as error:
        return _undecodable(shown, error)
    except (SyntaxError, LookupError, UnicodeError) as error:
        # detect_encoding says SyntaxError to a coding line it does not know, and to a first line that is not UTF-8.
        if "unknown encoding" not in str(error):
            try:
                data.decode("utf-8-sig")
            except UnicodeDecodeError as broken:
                return _undecodable(shown, broken)
        return _unreadable(
            shown, f"declares an encoding that cannot be used ({str(error).splitlines()[0]}): correct its coding line"
        )


def _undecodable(shown: str, error: UnicodeDecodeError) -> Finding:
    line = error.object.count(b"\n", 0, error.start) + 1
    return _unreadable(
        shown,
        f"is not valid {error.encoding} on line {line} (byte 0x{error.object[error.start]:02x}): "
        "save it as UTF-8, or declare its encoding in the first line",
        line,
    )


def _unreadable(shown: str, why: str, line: int = 1, severity: Severity = Severity.ERROR) -> Finding:
    return Finding(READ_ERROR, severity, why, Site(shown, line, 1, line, 1))
