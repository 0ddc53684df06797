"""The result as text: a table for each optimizer, bars, claims, and what fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from freezelint.measure.claims import judged
from freezelint.measure.rows import KINDS, Result, Row, count, duration, groups, size
from freezelint.measure.strategies import OPTIMIZERS
from freezelint.report.escape import printable, width

HEADS = (
    "",
    "trains",
    "gradients",
    "opt. state",
    "activations",
    "weights",
    "peak",
    "s/step",
    "spread",
    "CPU",
    "samples/s",
)
LETTERS = dict(zip(KINDS, "wgsa", strict=True))
BAR = 60


def render(result: Result) -> Iterator[str]:
    """Line by line."""
    yield from (f"{line}\n" for line in _lines(result))


def about(result: Result) -> Iterator[str]:
    """What was measured, where and how: a few lines that every format begins with."""
    machine, layout = result.machine, result.layout
    inputs = " and ".join(result.inputs) or "the factory's batch"
    yield f"{result.target}: {count(layout['parameters'])} parameters, input {inputs}, batch {layout['batch']}"
    parts = [f"{machine['device']}: {machine.get('name', 'unknown')}"]
    if "threads" in machine:
        parts.append(f"{machine['threads']} thread{'s' if machine['threads'] != 1 else ''}")
    if "memory" in machine:
        parts.append(size(machine["memory"]))
    parts += [machine["system"], *(f"{name} {version}" for name, version in result.versions.items())]
    yield ", ".join(parts)
    settings = result.settings
    yield f"a process of its own for each row; steps: {settings['warm_up']} of warm-up, {settings['steps']} timed"
    if settings.get("interrupted"):
        yield f"interrupted after {len(result.rows)} rows"
    bases = sorted(row.base for row in result.rows if row.base is not None)
    if bases:
        base = size(bases[len(bases) // 2])
        yield f"peak is that of the whole process, which takes {base} before there is a model"


def group_title(optimizer: str, amp: bool) -> str:
    return OPTIMIZERS[optimizer] + (", AMP (bfloat16)" if amp else "")


def cells(row: Row) -> list[str]:
    """The columns of a row that was measured."""
    meant, trained = row.parameters["meant"], row.parameters["trained"]
    seconds = row.seconds
    spread = (seconds["slowest"] - seconds["fastest"]) / 2 / seconds["median"] if seconds["median"] else 0.0
    return [
        row.title,
        count(trained) if trained == meant else f"{count(trained)} of {count(meant)}",
        *(size(row.bytes[kind]) for kind in ("gradients", "optimizer_state", "activations", "weights")),
        size(row.peak),
        duration(seconds["median"]),
        f"±{spread:.0%}",
        duration(seconds.get("cpu")),
        f"{row.samples:.1f}" if row.samples < 1000 else f"{row.samples:.0f}",
    ]


def failed(row: Row) -> str:
    """Why there are no figures."""
    return f"{row.status}: {row.reason}" if row.reason else row.status


def _lines(result: Result) -> Iterator[str]:
    yield from map(printable, about(result))
    for (optimizer, amp), rows in groups(result.rows).items():
        yield ""
        yield group_title(optimizer, amp)
        yield from _table(rows)
        yield ""
        yield from _bars(rows)
    yield from _claims(result)
    yield from _fitting(result)
    yield from _largest(result)


def _table(rows: Sequence[Row]) -> Iterator[str]:
    table = [[*HEADS, "frozen part"]]
    table += [[*map(printable, cells(row)), row.stayed] for row in rows if row.measured]
    wide = [max(width(line[i]) for line in table) for i in range(len(table[0]))]
    wide[0] = max(wide[0], *(width(printable(row.title)) for row in rows))
    measured = iter(table[1:])
    yield _row(table[0], wide)
    for row in rows:
        if row.measured:
            yield _row(next(measured), wide)
        else:
            yield f"  {_left(printable(row.title), wide[0])}  {printable(failed(row))}"


def _row(texts: Sequence[str], wide: Sequence[int]) -> str:
    first, *numbers, last = texts
    padded = [" " * (space - width(text)) + text for text, space in zip(numbers, wide[1:-1], strict=True)]
    return "  ".join(["", _left(first, wide[0]), *padded, last]).rstrip()


def _left(text: str, space: int) -> str:
    return text + " " * (space - width(text))


def _bars(rows: Sequence[Row]) -> Iterator[str]:
    """Memory by kind as letters, and speed."""
    measured = [row for row in rows if row.measured]
    if not measured:
        return
    space = max(width(printable(row.title)) for row in measured)
    most = max(sum(row.bytes.values()) for row in measured) or 1
    told = ", ".join(f"{letter} {kind.replace('_', ' ')}" for kind, letter in LETTERS.items())
    yield f"  memory ({told}; a letter is {size(most / BAR)})"
    for row in measured:
        letters = "".join(LETTERS[kind] * round(row.bytes[kind] / most * BAR) for kind in KINDS)
        yield f"  {_left(printable(row.title), space)}  {letters}"
    fastest = max(row.samples for row in measured if row.strategy != "cached-features" or len(measured) == 1)
    yield ""
    yield "  samples per second"
    for row in measured:
        length = round(row.samples / fastest * BAR) if fastest else 0
        bar = "#" * min(BAR, length) + (">" if length > BAR else "")
        yield f"  {_left(printable(row.title), space)}  {bar} {row.samples:.1f}"


def _claims(result: Result) -> Iterator[str]:
    for number, claim in enumerate(judged(result)):
        if not number:
            yield ""
            yield "What is often said, and what is so here"
        yield f"  {claim.verdict:<9}  {claim.text}"
        yield f"             {claim.evidence}"


def _fitting(result: Result) -> Iterator[str]:
    for line in fitting(result):
        yield ""
        yield printable(line)


def fitting(result: Result) -> Iterator[str]:
    """Which strategies fit the budget."""
    if result.budget is None:
        return
    over = [row for row in result.rows if row.fits is False]
    fit = result.fitting
    if not fit:
        yield f"nothing fits {size(result.budget)} with batch {result.layout['batch']}"
        return
    tried = sum(row.fits is not None for row in result.rows)
    begin = f"{size(result.budget)} with batch {result.layout['batch']}: {len(fit)} of {tried} fit"
    yield f"{begin}, the fastest first: {_some([f'{_full(row, result)} ({size(row.peak)})' for row in fit])}"
    if over:
        yield f"these do not fit: {_some([_full(row, result) for row in over])}"


def _some(names: Sequence[str], most: int = 8) -> str:
    more = f"; and {len(names) - most} more" if len(names) > most else ""
    return "; ".join(names[:most]) + more


def _full(row: Row, result: Result) -> str:
    """A title that no other row has."""
    several = len({(one.optimizer, one.amp) for one in result.rows}) > 1
    return f"{row.title} [{group_title(row.optimizer, row.amp)}]" if several else row.title


def _largest(result: Result) -> Iterator[str]:
    if not result.largest or result.budget is None:
        return
    yield ""
    yield f"largest batch within {size(result.budget)}"
    space = max(width(printable(one.title)) for one in result.largest)
    for one in result.largest:
        title = _left(printable(one.title), space)
        told = f"{one.batch:>6}{'+' if one.bounded else ' '} peak {size(one.peak)}" if one.batch else "  none"
        reason = f"  ({printable(one.reason)})" if one.reason else ""
        yield f"  {title}  {told}  {group_title(one.optimizer, one.amp)}{reason}"
