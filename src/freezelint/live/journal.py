"""The journal: what hooks told, with the objects it was about and the user's line, until it can become events."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch

from freezelint.finding import Site
from freezelint.trace.regions import Part

IN_LOOPS = ("flag", "wrote", "copy")  # what a loop does to one parameter after the other


@dataclass(eq=False)
class Held:
    """An optimizer of the program."""

    serial: int
    ref: weakref.ref[torch.optim.Optimizer]
    kind: str
    site: Site | None
    steps: int = 0
    told: int = 0  # how many of them the state knows of
    groups: list[frozenset[Part]] = field(default_factory=list)


@dataclass
class Entry:
    """Something that happened at `site`, to be told once its objects have parts."""

    what: str
    site: Site | None
    objects: list[weakref.ref[Any]]
    details: dict[str, Any]
    ids: set[int] = field(default_factory=set)


class Journal:
    """Entries in the order of the program. What a loop does to one parameter after the other is one entry."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def note(self, what: str, site: Site | None, objects: Iterable[Any] = (), **details: Any) -> Entry:
        """Write down that something happened to these objects."""
        objects = list(objects)
        refs, ids = [weakref.ref(o) for o in objects], {id(o) for o in objects}
        entry = self._same_loop(what, site, details, ids) if what in IN_LOOPS else None
        if entry is not None:
            entry.objects += refs
            entry.ids |= ids
            return entry
        entry = Entry(what, site, refs, details, ids)
        self.entries.append(entry)
        return entry

    def _same_loop(self, what: str, site: Site | None, details: dict[str, Any], ids: set[int]) -> Entry | None:
        """The entry of the same line, while nothing but a loop over parameters went on in between: it is one event."""
        for entry in reversed(self.entries):
            if entry.what not in IN_LOOPS or entry.ids & ids:
                return None
            if entry.what == what and entry.site == site and entry.details == details:
                return entry
        return None

    def take(self) -> list[Entry]:
        """Everything so far; the journal is empty afterwards."""
        taken, self.entries = self.entries, []
        return taken
