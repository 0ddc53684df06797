"""The outcome as one page that needs no network: verdicts, the truth table, and bars of what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from freezelint.confirm import Outcome
from freezelint.confirm.text import closing
from freezelint.report.base import Style
from freezelint.report.html import article, escaped, opening

if TYPE_CHECKING:
    from freezelint.live.table import Row
    from freezelint.live.verdict import Judged

MOST = 40  # bars of one picture, the longest first
NAMES, BARS, LINE = 300, 420, 20
MEMORY = (("weights", "#8a94a6"), ("gradients", "#e69f00"), ("optimizer state", "#56b4e9"))
DRIFT, NORM = "#cc79a7", "#009e73"

CSS = """
table { border-collapse: collapse; font-size: .85rem; display: block; overflow-x: auto; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
svg { width: 100%; height: auto; margin: .6rem 0; }
svg text { font: 12px system-ui, sans-serif; fill: var(--text); }
"""

Bar = tuple[str, Sequence[tuple[float, str]], str]  # its name, stretches with their colours, and what is written behind


def render(outcome: Outcome, style: Style) -> Iterator[str]:
    """The page. It has no script, and nothing is loaded."""
    from freezelint.live.table import HEAD, cells

    lines = list(closing(outcome))
    yield from opening("freezelint confirm", lines[0], CSS)
    yield from (f"<p>{escaped(line)}</p>\n" for line in lines)
    yield from _findings("What check found", outcome.judged, outcome)
    yield from _findings("Seen in the run only", outcome.alone, outcome)
    table = outcome.ran.recorder.table()
    if table:
        yield from _memory(table)
        yield from _longest("Gradients: the norm at the last step", table, lambda row: row.norm, NORM)
        yield from _longest("BatchNorm: how far running statistics moved", table, lambda row: row.drift, DRIFT)
        yield f"<h2>What is true of each module</h2>\n<table>\n{_line('th', HEAD)}"
        yield from (_line("td", cells(row)) for row in table)
        yield "</table>\n"
    yield "</body>\n</html>\n"


def _findings(title: str, judged: Sequence[Judged], outcome: Outcome) -> Iterator[str]:
    from freezelint.live.verdict import in_words

    if judged:
        yield f"<h2>{title}</h2>\n"
    for number, one in enumerate(judged):
        rule = outcome.rules.get(one.finding.rule)
        numbers = in_words(one.evidence, rule.group if rule else "")
        said = [f"{one.verdict}: {one.why}", *([f"measured: {numbers}"] if numbers else [])]
        yield from article(one.finding, f"{one.finding.rule}-{number}", outcome.checked, said)


def _line(tag: str, columns: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escaped(column)}</{tag}>' for column in columns)}</tr>\n"


# Bars ----------------------------------------------------------------------------------------------------------------


def _memory(table: Sequence[Row]) -> Iterator[str]:
    """Bytes of weights, gradients and optimizer state, of the modules that have most."""
    from freezelint.live.verdict import size

    def bar(row: Row) -> Bar:
        parts = (row.bytes, row.gradient_bytes, row.state_bytes)
        shown = [(float(part), color) for part, (_, color) in zip(parts, MEMORY, strict=True)]
        return row.module, shown, size(sum(parts))

    bars = [bar(row) for row in table if row.bytes]
    yield from _picture("Memory: weights, gradients and optimizer state", bars, MEMORY)


def _longest(title: str, table: Sequence[Row], value: Callable[[Row], float | None], color: str) -> Iterator[str]:
    found = [(row, number) for row in table if (number := value(row)) is not None]
    yield from _picture(title, [(row.module, [(number, color)], f"{number:.3g}") for row, number in found])


def _picture(title: str, bars: Sequence[Bar], legend: Sequence[tuple[str, str]] = ()) -> Iterator[str]:
    def length(bar: Bar) -> float:
        return sum(number for number, _ in bar[1])

    longest = max(map(length, bars), default=0.0)
    if not 0 < longest < float("inf"):
        return
    kept = sorted(bars, key=length, reverse=True)[:MOST] if len(bars) > MOST else bars
    yield f"<h2>{title}</h2>\n"
    if len(kept) < len(bars):
        yield f"<p>the {MOST} largest of {len(bars)}</p>\n"
    top = 1 if legend else 0
    high = (len(kept) + top) * LINE + 6
    yield f'<svg viewBox="0 0 {NAMES + BARS + 80} {high}" role="img" aria-label="{escaped(title)}">\n'
    x = 0
    for name, color in legend:
        yield f'<rect x="{x}" y="4" width="12" height="12" fill="{color}"/><text x="{x + 17}" y="14">{name}</text>\n'
        x += 40 + 7 * len(name)
    for number, (name, stretches, told) in enumerate(kept, top):
        y, place = number * LINE, float(NAMES)
        yield f'<text x="0" y="{y + 14}">{escaped(name[-46:])}</text>\n'
        for amount, color in stretches:
            wide = amount / longest * BARS
            yield f'<rect x="{place:.1f}" y="{y + 3}" width="{wide:.1f}" height="13" fill="{color}"/>\n'
            place += wide
        yield f'<text x="{place + 6:.1f}" y="{y + 14}">{escaped(told)}</text>\n'
    yield "</svg>\n"
