"""The truth table: what is true of each module's own parameters and statistics, after so many steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from freezelint.live.measure import Numbers
from freezelint.live.probe import Leaf

Named = tuple[str, Leaf, Numbers]


@dataclass(frozen=True)
class Row:
    """What is true of one module's own parameters and statistics. `tied` are other names of the same parameters.

    Sizes are in bytes; `norm` is that of the last gradients that were looked at, `change` and `drift` are the largest
    differences to the values before the first forward. None: not measured, or there is no such thing.
    """

    module: str
    kind: str
    parameters: int
    elements: int
    expected: str  # frozen, trainable, or empty where nothing was said
    requires_grad: int  # of so many parameters
    groups: tuple[str, ...]
    held: int
    gradient: int
    changed: int
    statistics_moved: bool | None  # None: there are none
    mode: str
    tied: tuple[str, ...]
    bytes: int = 0
    gradient_bytes: int = 0
    state_bytes: int = 0
    norm: float | None = None
    change: float | None = None
    drift: float | None = None


def rows(named: Iterable[Named], expected: Mapping[str, str], tied: Mapping[str, list[str]]) -> tuple[Row, ...]:
    """One row a module, in the order in which the leaves come; `expected` and `tied` by the name of a parameter."""
    modules: dict[str, list[Named]] = {}
    for name, leaf, numbers in named:
        owner = name.rpartition(".")[0] if leaf.parameter is not None else name
        modules.setdefault(owner, []).append((name, leaf, numbers))
    return tuple(_row(name, members, expected, tied) for name, members in modules.items())


def _row(module: str, members: Sequence[Named], wanted: Mapping[str, str], tied: Mapping[str, list[str]]) -> Row:
    params = [(name, numbers) for name, leaf, numbers in members if leaf.parameter is not None]
    leaf = members[0][1]
    own = leaf.module() if leaf.module is not None else None
    layer = next(iter((leaf.part.layers or {}).values()), None)
    statistics = [numbers for _, _, numbers in members if numbers.drift_mean is not None]
    norms = [numbers.gradient for _, numbers in params if numbers.gradient is not None]
    changes = [numbers.change for _, numbers in params if numbers.change is not None]
    return Row(
        module=module or "(the model itself)",
        kind=type(own).__name__ if own is not None else layer.kind if layer is not None else "",
        parameters=len(params),
        elements=sum(numbers.elements for _, numbers in params),
        expected=" and ".join(sorted({wanted[name] for name, _ in params if name in wanted})),
        requires_grad=sum(bool(numbers.requires_grad) for _, numbers in params),
        groups=tuple(sorted({numbers.group for _, numbers in params if numbers.group})),
        held=sum(numbers.group is not None for _, numbers in params),
        gradient=sum(numbers.with_gradient > 0 for _, numbers in params),
        changed=sum(bool(numbers.change) for _, numbers in params),
        statistics_moved=any(n.drift_mean or n.drift_var for n in statistics) if statistics else None,
        mode="" if own is None else "train" if own.training else "eval",
        tied=tuple(other for name, _ in params for other in tied.get(name, ())),
        bytes=sum(numbers.bytes for _, numbers in params),
        gradient_bytes=sum(numbers.bytes for _, numbers in params if numbers.with_gradient),
        state_bytes=sum(numbers.state for _, numbers in params),
        norm=math.sqrt(sum(norm * norm for norm in norms)) if norms else None,
        change=max(changes, default=None),
        drift=max((max(n.drift_mean or 0.0, n.drift_var or 0.0) for n in statistics), default=None),
    )


HEAD = ("module", "kind", "expected", "requires grad", "in optimizer", "gradient", "changed", "statistics", "mode")


def cells(row: Row) -> tuple[str, ...]:
    """A row in words, one for each column of HEAD."""
    of = row.parameters
    moved = "" if row.statistics_moved is None else "moved" if row.statistics_moved else "unchanged"
    name = row.module + (f" (= {', '.join(row.tied)})" if row.tied else "")
    held = f"{_share(row.held, of)} {', '.join(row.groups)}".strip() if row.held else _share(0, of)
    flags, gradients, changed = (_share(number, of) for number in (row.requires_grad, row.gradient, row.changed))
    return (name, row.kind, row.expected, flags, held, gradients, changed, moved, row.mode)


def drawn(table: Sequence[Row]) -> Iterator[str]:
    """The table for people, line by line."""
    lines = [HEAD, *map(cells, table)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _share(number: int, of: int) -> str:
    if not of:
        return ""
    return "yes" if number == of else "no" if not number else f"{number} of {of}"
