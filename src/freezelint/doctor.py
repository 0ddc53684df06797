"""`freezelint doctor`: what was found, what is configured, what is assumed of libraries, and what is not looked at."""

from __future__ import annotations

import json
import platform
import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from freezelint import __version__, knowledge
from freezelint.cache import Cache
from freezelint.config import Config, Pattern, Settings
from freezelint.finding import Finding
from freezelint.knowledge import zoo
from freezelint.report.escape import printable
from freezelint.static.imports import names
from freezelint.static.modules import Modules
from freezelint.static.prefilter import matters
from freezelint.static.project import Source, discover, display_path, read
from freezelint.trace.check import all_rules

# extra -> the library that it brings
EXTRAS = {"live": "torch", "lsp": "pygls", "watch": "watchfiles", "scale": "distributed"}

LISTED = 8


def report(paths: Sequence[Path], config: Settings, kept: Path) -> Iterator[str]:
    """The lines of the report, by section."""
    yield f"freezelint {__version__} on Python {platform.python_version()}, {platform.system()}"
    parser = ", ".join(f"{name} {_installed(name) or 'missing'}" for name in ("libcst", "click", "pathspec"))
    yield f"  runs with {parser}"
    for extra, library in EXTRAS.items():
        found = _installed(library)
        yield f"  freezelint[{extra}]: {library} {found}" if found else f"  freezelint[{extra}]: not installed"
    yield f"  {_cache(kept)}"

    skipped: dict[str, list[str]] = defaultdict(list)
    files = list(discover(paths, config, lambda path, why: skipped[why].append(display_path(path))))
    sources: dict[Path, Source] = {}
    for file in files:
        source = read(file)
        if isinstance(source, Source):
            sources[file] = source
        else:
            skipped[_in_short(source)].append(source.site.path)
    yield ""
    yield from _configuration(files or paths, config)
    yield ""
    yield from _files(files, sources, skipped)
    yield ""
    yield from _libraries(sources)


def _cache(folder: Path) -> str:
    books, size = Cache(folder).size()
    where = printable(display_path(folder))
    if not books:
        return f"no cache: {where} would hold it"
    return f"cache in {where}: {books} {'book' if books == 1 else 'books'}, {size / 1e6:.1f} MB"


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _in_short(unread: Finding) -> str:
    return f"cannot be read ({unread.message.partition(':')[0]})"


def _configuration(files: Sequence[Path], config: Settings) -> Iterator[str]:
    used: dict[Config, int] = Counter(config.within(file.parent) for file in files)
    yield "Configuration" + ("" if any(one.file for one in used) else ": none, the defaults hold")
    for one, count in used.items():
        if one.file is not None or len(used) > 1:
            where = display_path(one.file) if one.file else "the defaults"
            yield f"  {printable(where)}: of {count} {'file' if count == 1 else 'files'}"
        for each in fields(Config):
            value = getattr(one, each.name)
            if each.name != "file" and value != each.default:
                yield f"    {each.name.replace('_', '-')} = {printable(_told(value))}"
        off = sorted(set(all_rules()) - set(one.rules()))
        yield f"    {len(all_rules()) - len(off)} rules on" + (f", {len(off)} off: {', '.join(off)}" if off else "")


def _told(value: Any) -> str:
    if isinstance(value, Pattern):
        return value.glob
    if isinstance(value, Path):
        return display_path(value) + ("" if value.exists() else " (does not exist)")
    if isinstance(value, tuple):
        return ", ".join(f"({_told(item)})" if isinstance(item, tuple) else _told(item) for item in value) or "nothing"
    return str(value)


def _files(files: Sequence[Path], sources: dict[Path, Source], skipped: dict[str, list[str]]) -> Iterator[str]:
    notebooks = sum(file.suffix == ".ipynb" for file in files)
    train = sum(matters(source.text) for source in sources.values())
    yield f"Files: {len(files) - notebooks} of Python, {notebooks} notebooks"
    yield f"  {train} with a word of training in them; the others are run only where a program leads to them"
    if not files:
        yield "  nothing to check: name a folder that holds Python files"
    for why, paths in sorted(skipped.items(), key=lambda item: -len(item[1])):
        more = f" and {len(paths) - LISTED} more" if len(paths) > LISTED else ""
        yield f"  not checked, {why}: {len(paths)}"
        yield f"    {', '.join(map(printable, sorted(paths)[:LISTED]))}{more}"


def _libraries(sources: dict[Path, Source]) -> Iterator[str]:
    yield "Libraries"
    imported: Counter[str] = Counter()
    modules = Modules()
    for file, source in sources.items():
        if matters(source.text):
            imported.update({top for top in _tops(source.text) if not _of_project(top, file, modules)})
    known = _known()
    for name in sorted(set(known) & set(imported)):
        here = _installed(name)
        installed = f"{here} is installed" if here else "not installed, nor needed"
        count = imported[name]
        yield f"  {name}: imported by {count} {'file' if count == 1 else 'files'}; {known[name]}; {installed}"
    yield f"  {len(known) - len(set(known) & set(imported))} more are known and not imported here"
    unknown = [(name, count) for name, count in imported.most_common() if name not in known]
    if unknown:
        told = ", ".join(f"{name} ({count})" for name, count in unknown[: 3 * LISTED])
        yield "  not looked into, so what is given to them may be forgotten (files that import them):"
        yield f"    {told}" + (f" and {len(unknown) - 3 * LISTED} more" if len(unknown) > 3 * LISTED else "")


def _tops(text: str) -> Iterable[str]:
    return {
        "lightning" if top == "pytorch_lightning" else top
        for name, level in names(text)
        if not level and (top := name.partition(".")[0]) not in sys.stdlib_module_names
    }


def _of_project(top: str, file: Path, modules: Modules) -> bool:
    return modules.find(top, file.absolute()) is not None or any(
        (parent / top).is_dir() for parent in file.absolute().parents[:3]
    )


@cache
def _known() -> dict[str, str]:
    """Libraries that freezelint knows something of, with what is assumed."""
    tops = {name.partition(".")[0] for name in knowledge.table()} - set(sys.stdlib_module_names)
    told = dict.fromkeys(tops, "calls of it are known")
    versions: dict[str, list[str]] = defaultdict(list)
    count: Counter[str] = Counter()
    for library in zoo.LIBRARIES:
        header = _header(Path(zoo.__file__).parent / f"{library}.txt.gz")
        versions[header["library"]].append(header["version"])
        count[header["library"]] = max(count[header["library"]], header["models"])
    for library, listed in versions.items():
        told[library] = f"{count[library]} models as of {' and '.join(sorted(listed))}"
    torch = _header(Path(zoo.__file__).parent / "torchvision.txt.gz")["torch"]
    told["torch"] = f"as of {torch}"
    return told


def _header(file: Path) -> dict[str, Any]:
    text = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(file.read_bytes(), 4096)
    header: dict[str, Any] = json.loads(text.partition(b"\n")[0])
    return header
