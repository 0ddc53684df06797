"""The other branches of a choice between optimizers, where there is no fuel to follow them.

`if args.optim == "sgd": ... elif ... "adam": ...` over the same parameters makes worlds that differ in nothing but the
optimizer. What a rule says of one optimizer it would say of its twins; so a world that is given up leaves its optimizer
behind as a twin of the one in a world that goes on, and who mends the one line is told of the others at once.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from freezelint.trace import events as ev
from freezelint.trace.state import Optimizer, State
from freezelint.trace.tri import NO

if TYPE_CHECKING:
    from freezelint.static.world import Assumption, World
    from freezelint.trace.run import Fault


@dataclass(frozen=True, slots=True)
class Twin:
    """An optimizer of a world that was given up, and what that world had assumed."""

    built: ev.BuildOptimizer
    assumed: Mapping[Hashable, Assumption]


Twins = Mapping[Hashable, tuple[Twin, ...]]  # by where the optimizer was built that still runs


def speak_for(given_up: World, worlds: Iterable[World]) -> None:
    """Let the first of some worlds that go on speak for one that does not, if only their optimizers differ."""
    for world in worlds:
        if world.flow is given_up.flow and _frozen(world.state) == _frozen(given_up.state):
            pairs = list(zip(world.state.optimizers.values(), given_up.state.optimizers.values(), strict=False))
            if pairs and all(_alike(one, two) for one, two in pairs):
                for one, two in pairs:
                    _add(world, one.built, given_up, two.built)
                return


def _add(world: World, built: ev.BuildOptimizer, given_up: World, other: ev.BuildOptimizer) -> None:
    known = world.twins.get(built.site, ())
    places = {built.site, *(twin.built.site for twin in known)}
    more = (Twin(other, dict(given_up.assumed)), *given_up.twins.get(other.site, ()))
    new = tuple(twin for twin in more if twin.built.site not in places)
    if new:
        world.twins = {**world.twins, built.site: (*known, *new)}


def _alike(one: Optimizer, two: Optimizer) -> bool:
    return one.built.site == two.built.site or (
        [group.region for group in one.groups] == [group.region for group in two.groups]
        and (one.complete, one.filtered, one.perhaps) == (two.complete, two.filtered, two.perhaps)
        and one.built.rates == two.built.rates
        and (one.built.skips_none, one.built.allocates) == (two.built.skips_none, two.built.allocates)
        and (one.stepped is None) is (two.stepped is None)
    )


def _frozen(state: State) -> frozenset[object]:
    return frozenset(part for part, fact in state.grad.items() if fact.value is NO)


def faults(world: World, fault: Fault) -> Iterator[tuple[Fault, Twin]]:
    """What a fault of an optimizer says of its twins."""
    for twin in world.twins.get(fault.site, ()):
        label = next(one.label for one in world.state.optimizers.values() if one.built.site == fault.site)
        told = re.sub(rf"\b{re.escape(label)}\b", twin.built.label, fault.message)
        here = twin.built.site
        notes = tuple(replace(note, site=here) if note.site == fault.site else note for note in fault.related)
        unless = {(here, what[1]) for what in fault.unless if isinstance(what, tuple) and what[0] == fault.site}
        yield replace(fault, site=here, message=told, related=notes, unless=fault.unless | unless), twin


def endings(world: World) -> Iterator[tuple[Mapping[Hashable, Assumption], frozenset[Hashable]]]:
    """How the worlds would have ended that this one speaks for: what they assumed, and what was seen there."""
    for site, twins in world.twins.items():
        for twin in twins:
            seen = ((slug, twin.built.site if place == site else place) for slug, place in world.seen)
            yield {**world.assumed, **twin.assumed}, frozenset(seen)
