"""The result as one page that needs no network: bars for memory by kind and for speed, and the tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from freezelint.measure.claims import judged
from freezelint.measure.rows import KINDS, Result, Row, groups, size
from freezelint.measure.text import HEADS, about, cells, failed, fitting, group_title
from freezelint.report.html import escaped, opening

# One colour a kind, told apart in light and dark, and by people who see red and green alike.
COLORS = dict(zip(KINDS, ("#8a94a6", "#e69f00", "#56b4e9", "#009e73"), strict=True))
SPEED = "#cc79a7"
NAMES, BARS, LINE = 370, 460, 22

CSS = """
table { border-collapse: collapse; font-size: .85rem; display: block; overflow-x: auto; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child, th:last-child, td:last-child { text-align: left; }
td.wide { text-align: left; white-space: normal; }
svg { width: 100%; height: auto; margin: .6rem 0; }
svg text { font: 12px system-ui, sans-serif; fill: var(--text); }
body { max-width: 86rem; }
"""


def render(result: Result) -> Iterator[str]:
    """The page. It has no script, and nothing is loaded."""
    yield from opening("freezelint measure", result.target, CSS)
    for line in about(result):
        yield f"<p>{escaped(line)}</p>\n"
    for (optimizer, amp), rows in groups(result.rows).items():
        yield f"<h2>{escaped(group_title(optimizer, amp))}</h2>\n"
        measured = [row for row in rows if row.measured]
        if measured:
            yield from memory_bars(measured)
            yield from speed_bars(measured)
        yield from _table(rows)
    told = list(judged(result))
    if told:
        yield "<h2>What is often said, and what is so here</h2>\n<table>\n"
        for claim in told:
            columns = (claim.text, claim.verdict, claim.evidence)
            yield f"<tr>{''.join(f'<td class=wide>{escaped(column)}</td>' for column in columns)}</tr>\n"
        yield "</table>\n"
    yield from (f"<p>{escaped(line)}</p>\n" for line in fitting(result))
    yield from _largest(result)
    yield "</body>\n</html>\n"


def memory_bars(rows: Sequence[Row]) -> Iterator[str]:
    """A stacked bar for each row."""
    most = max(sum(row.bytes.values()) for row in rows) or 1
    yield _svg_start(len(rows) + 1, "memory by kind")
    x = 0
    for kind, color in COLORS.items():
        name = kind.replace("_", " ")
        yield f'<rect x="{x}" y="5" width="12" height="12" fill="{color}"/><text x="{x + 17}" y="15">{name}</text>\n'
        x += 40 + 7 * len(name)
    for number, row in enumerate(rows, 1):
        yield _label(row, number)
        place = float(NAMES)
        for kind in KINDS:
            wide = row.bytes[kind] / most * BARS
            told = f"{kind.replace('_', ' ')} {size(row.bytes[kind])}"
            yield (
                f'<rect x="{place:.1f}" y="{number * LINE + 3}" width="{wide:.1f}" height="15" fill="{COLORS[kind]}">'
                f"<title>{told}</title></rect>\n"
            )
            place += wide
        yield f'<text x="{place + 6:.1f}" y="{number * LINE + 15}">{size(sum(row.bytes.values()))}</text>\n'
    yield "</svg>\n"


def speed_bars(rows: Sequence[Row]) -> Iterator[str]:
    """Samples per second. What starts from cached features is often off the scale, and its bar ends in an arrow."""
    others = [row for row in rows if row.strategy != "cached-features"] or rows
    fastest = max(row.samples for row in others) or 1.0
    yield _svg_start(len(rows) + 1, "samples per second")
    yield f'<rect x="0" y="5" width="12" height="12" fill="{SPEED}"/><text x="17" y="15">samples per second</text>\n'
    for number, row in enumerate(rows, 1):
        yield _label(row, number)
        off = row.samples > fastest
        wide = BARS if off else row.samples / fastest * BARS
        yield f'<rect x="{NAMES}" y="{number * LINE + 3}" width="{wide:.1f}" height="15" fill="{SPEED}"/>\n'
        told = f"{'→ ' if off else ''}{row.samples:.1f}"
        yield f'<text x="{NAMES + wide + 6:.1f}" y="{number * LINE + 15}">{told}</text>\n'
    yield "</svg>\n"


def _svg_start(lines: int, what: str) -> str:
    return f'<svg viewBox="0 0 {NAMES + BARS + 80} {lines * LINE + 6}" role="img" aria-label="{what}">\n'


def _label(row: Row, number: int) -> str:
    return f'<text x="0" y="{number * LINE + 15}">{escaped(_short(row.title))}</text>\n'


def _short(title: str, most: int = 56) -> str:
    """A title that fits beside a bar."""
    return title if len(title) <= most else f"{title[: most - 1]}…"


def _table(rows: Sequence[Row]) -> Iterator[str]:
    heads = ["strategy", *HEADS[1:], "frozen part"]
    yield f"<table>\n<tr>{''.join(f'<th>{escaped(head)}</th>' for head in heads)}</tr>\n"
    for row in rows:
        if row.measured:
            yield f"<tr>{''.join(f'<td>{escaped(cell)}</td>' for cell in [*cells(row), row.stayed])}</tr>\n"
        else:
            why = f'<td class=wide colspan="{len(heads) - 1}">{escaped(failed(row))}</td>'
            yield f"<tr><td>{escaped(row.title)}</td>{why}</tr>\n"
    yield "</table>\n"


def _largest(result: Result) -> Iterator[str]:
    if not result.largest or result.budget is None:
        return
    yield f"<h2>Largest batch within {size(result.budget)}</h2>\n<table>\n"
    for one in result.largest:
        batch = f"{one.batch}{'+' if one.bounded else ''}" if one.batch else f"none {one.reason}"
        columns = (one.title, group_title(one.optimizer, one.amp), batch, size(one.peak))
        yield f"<tr>{''.join(f'<td>{escaped(column)}</td>' for column in columns)}</tr>\n"
    yield "</table>\n"
