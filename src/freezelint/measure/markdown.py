"""The result as Markdown, for a page or a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.measure.claims import judged
from freezelint.measure.rows import Result, groups, size
from freezelint.measure.text import HEADS, about, cells, failed, fitting, group_title
from freezelint.report.escape import markdown


def render(result: Result) -> Iterator[str]:
    """Piece by piece."""
    for line in about(result):
        yield f"* {markdown(line)}\n"
    heads = ["strategy", *HEADS[1:], "frozen part"]
    for (optimizer, amp), rows in groups(result.rows).items():
        yield f"\n**{markdown(group_title(optimizer, amp))}**\n\n"
        yield f"| {' | '.join(heads)} |\n|---|{'---:|' * (len(heads) - 2)}---|\n"
        for row in rows:
            columns = [*cells(row), row.stayed] if row.measured else [row.title, failed(row)]
            columns += [""] * (len(heads) - len(columns))
            yield f"| {' | '.join(map(markdown, columns))} |\n"
    told = list(judged(result))
    if told:
        yield "\n| often said | here | figures |\n|---|---|---|\n"
    for claim in told:
        yield f"| {markdown(claim.text)} | {claim.verdict} | {markdown(claim.evidence)} |\n"
    for line in fitting(result):
        yield f"\n{markdown(line)}\n"
    if result.largest and result.budget is not None:
        yield f"\n| strategy | optimizer | largest batch within {size(result.budget)} | peak |\n|---|---|---:|---:|\n"
    for one in result.largest:
        batch = f"{one.batch}{'+' if one.bounded else ''}" if one.batch else "none"
        optimizer = group_title(one.optimizer, one.amp)
        yield f"| {markdown(one.title)} | {markdown(optimizer)} | {batch} | {size(one.peak)} |\n"
