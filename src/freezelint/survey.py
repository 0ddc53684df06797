"""Many repositories, each checked by itself wherever there is room for it, and one table of what was found.

`survey_repository` is all the work there is for one of them. It takes plain data, gives plain data, depends on nothing
else and never raises, so that whatever runs functions can run it: a pool of processes, a Dask cluster, Spark, Ray.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from freezelint.finding import Finding, Site

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

Row = dict[str, Any]

AHEAD = 64  # repositories that are handed out before their turn


def survey_repository(
    source: str | os.PathLike[str] | Mapping[str, str],
    name: str = "",
    select: Collection[str] = (),
    ignore: Collection[str] = (),
) -> Row:
    """Check one repository, a folder or its files as texts by relative path, with these rules and no configuration.

    The row has `repository` (the name, or the folder's), `files` (how many were checked), `findings` (as in
    `--output-format json`, with paths relative to the repository), and `error`, None or why there is no result.
    """
    row: Row = {"repository": name, "files": 0, "findings": [], "error": None}
    try:
        if isinstance(source, Mapping):
            with tempfile.TemporaryDirectory(prefix="freezelint-") as folder:
                _lay_out(source, Path(folder))
                return row | _checked(folder, select, ignore)
        row["repository"] = name or os.path.basename(os.path.abspath(source))
        if not os.path.isdir(source):
            return row | {"error": f"{os.fspath(source)}: there is no such folder"}
        return row | _checked(os.fspath(source), select, ignore)
    except Exception as error:  # whoever runs thousands wants to hear of it, not to end with it
        return row | {"error": _told(error)}


def _lay_out(texts: Mapping[str, str], folder: Path) -> None:
    (folder / ".git").mkdir()  # the project's top: what lies around it is not looked at
    for name, text in texts.items():
        file = Path(os.path.normpath(folder / name))
        if not file.is_relative_to(folder) or file == folder:
            raise ValueError(f"{name!r} is no path inside a repository")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode("utf-8", "surrogatepass"))


def _checked(folder: str, select: Collection[str], ignore: Collection[str]) -> Row:
    from freezelint import api, work
    from freezelint.config import Config
    from freezelint.report.json import as_dict

    work.forget()
    top = os.path.realpath(folder)
    config = Config().overridden(select=tuple(select), ignore=tuple(ignore))
    report = api.check([Path(top)], config)
    return {"files": report.files, "findings": [as_dict(_inside(finding, top)) for finding in report.findings]}


def _inside(finding: Finding, top: str) -> Finding:
    """A finding with paths relative to its repository."""

    def here(site: Site) -> Site:
        return replace(site, path=os.path.relpath(site.path, top).replace(os.sep, "/"))

    fix = finding.fix and replace(
        finding.fix,
        edits=tuple(
            replace(edit, path=os.path.relpath(edit.path, top).replace(os.sep, "/")) for edit in finding.fix.edits
        ),
    )
    return replace(finding, site=here(finding.site), related=tuple(map(here, finding.related)), fix=fix)


def survey(
    folders: Iterable[str | os.PathLike[str]],
    executor: Executor | None = None,
    *,
    select: Collection[str] = (),
    ignore: Collection[str] = (),
) -> Iterator[Row]:
    """A row for each repository, in their order, checked by an executor, or one after the other in this process.

    Each folder is checked once, however often it is listed. Only so many repositories are handed out ahead of their
    turn. One whose process died is checked once more, in a process of its own.
    """
    names = _names(folders)
    if executor is None:
        yield from (survey_repository(folder, name, select, ignore) for folder, name in names)
        return
    waiting: deque[tuple[str, str, Future[Row]]] = deque()
    for folder, name in names:
        waiting.append((folder, name, executor.submit(survey_repository, folder, name, select, ignore)))
        if len(waiting) > AHEAD:
            yield _row(*waiting.popleft(), select, ignore)
    while waiting:
        yield _row(*waiting.popleft(), select, ignore)


def _row(folder: str, name: str, future: Future[Row], select: Collection[str], ignore: Collection[str]) -> Row:
    from concurrent.futures.process import BrokenProcessPool

    from freezelint.processes import Pool

    try:
        try:
            return future.result()
        except BrokenProcessPool:
            with Pool(1) as pool:
                return pool.submit(survey_repository, folder, name, select, ignore).result()
    except Exception as error:
        return {"repository": name, "files": 0, "findings": [], "error": _told(error)}


def _names(folders: Iterable[str | os.PathLike[str]]) -> Iterator[tuple[str, str]]:
    """Each folder once, and what it is called: by its own name if no other one has that, or by its path."""
    given_as: dict[str, str] = {}
    for folder in folders:
        given_as.setdefault(os.path.realpath(folder), os.fspath(folder))
    own = Counter(map(os.path.basename, given_as))
    for path, given in given_as.items():
        yield path, os.path.basename(path) if own[os.path.basename(path)] == 1 else given


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


# Tables --------------------------------------------------------------------------------------------------------------


def summary(rows: Iterable[Row]) -> Iterator[str]:
    """How often each rule fired and in how many repositories, and how many repositories there were."""
    found: Counter[str] = Counter()
    places: Counter[str] = Counter()
    repositories = files = clean = failed = 0
    for row in rows:
        repositories += 1
        files += row["files"]
        failed += row["error"] is not None
        clean += row["error"] is None and not row["findings"]
        rules = [finding["rule"] for finding in row["findings"]]
        found.update(rules)
        places.update(set(rules))
    if found:
        width = max(map(len, found))
        yield f"{'rule':<{width}}  findings  repositories"
        for rule, count in sorted(found.items(), key=lambda item: (-places[item[0]], -item[1], item[0])):
            yield f"{rule:<{width}}  {count:>8}  {places[rule]:>12}"
        yield ""
    yield (
        f"{_counted(repositories, 'repository', 'repositories')}, {_counted(files, 'file', 'files')}; "
        f"nothing found in {clean}" + (f"; {failed} could not be checked" if failed else "")
    )


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def parquet() -> Callable[[str, Iterable[Row]], Iterator[Row]]:
    """Writes rows to a Parquet file, and passes them on; ImportError without pyarrow."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, number = pa.string(), pa.int64()
    place = {"path": text, "cell": number, "line": number, "column": number}
    end = {"end_line": number, "end_column": number}
    edit = pa.struct({**place, **end, "text": text})
    told = {"rule": text, "severity": text, "message": text, **place, **end, "when": text, "fingerprint": text}
    finding = pa.struct(
        {
            **told,
            "related": pa.list_(pa.struct({**place, "message": text})),
            "fix": pa.struct({"applicability": text, "message": text, "edits": pa.list_(edit)}),
            "url": text,
        }
    )
    schema = pa.schema({"repository": text, "files": number, "findings": pa.list_(finding), "error": text})

    def write(path: str, rows: Iterable[Row]) -> Iterator[Row]:
        with pq.ParquetWriter(path, schema) as file:
            for row in rows:
                file.write_table(pa.Table.from_pylist([row], schema=schema))
                yield row

    return write
