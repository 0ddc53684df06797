"""What rules ask: a `Run` is a state together with the questions that make sense of it. Rules never look elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from freezelint.finding import Severity
from freezelint.trace import events as ev
from freezelint.trace.about_optimizers import AboutOptimizers
from freezelint.trace.regions import Part, Region, leaves
from freezelint.trace.repair import Repair
from freezelint.trace.state import Optimizer
from freezelint.trace.tri import NO, YES
from freezelint.trace.wording import describe


@dataclass(frozen=True)
class Note:
    """A step of the story: where, and what happened there. `each`: told of every world in which it stands elsewhere."""

    site: Any
    message: str
    each: bool = False


INPUTS = ("embeddings", "embed_tokens", "word_embeddings", "wte", "shared", "patch_embed", "conv_in")


@dataclass(frozen=True)
class Fault:
    """What a rule yields: the place to change, what is wrong there, and the rest of the story in order."""

    site: Any
    message: str
    related: tuple[Note, ...] = ()
    severity: Severity | None = None  # None: the rule's own
    about: Any = None  # the site of a cause that may show at several places: one finding tells them all
    repair: Repair | None = None
    # Parts or backward sites: withdrawn if a gradient gets there in any other way. An optimizer's site with a part:
    # withdrawn if it holds that in any other way.
    unless: frozenset[Any] = frozenset()


@dataclass(frozen=True)
class Excuse:
    """What a rule yields when a place is right after all: its faults there are withdrawn, in whichever world they were.

    For faults that a later event disproves: a staged freeze is told from a useless one by its unfreeze alone, which may
    stand behind a test that another world decided otherwise, or in a method that nothing in view calls.
    """

    site: Any  # of the fault, or of its cause


class Run(AboutOptimizers):
    """A moment of a training program, and questions about it. Answers are Tri, events, or lists of leaves.

    They stand by what they are about: in `about_parts`, `about_passes`, `about_optimizers`, and here those whose answer
    is part of a story already.
    """

    def woken_beside(self, step: ev.Step) -> Iterator[tuple[ev.SetRequiresGrad, Region, Optimizer]]:
        """What was frozen, was unfrozen since and is held by no optimizer, with the optimizer of the same model that is
        older than that; nothing where some optimizer is not in view, for it may hold anything."""
        if self.optimizer(step.optimizer) is None:
            return
        awake = [part for part in self.known_parts() if self.flag(part) is YES]
        loose = [part for part in awake if self.held(part) is NO or self.filtered_out(part)]
        ran = [one for one in self.training_passes(step) if one.recording is not NO]
        ran_roots = {part.root for one in ran for part in one.event.region}
        for woke, region in grouped(loose, lambda part: self.last(ev.SetRequiresGrad, part)):
            facts = [(part, fact) for part in region if (fact := self.fact("grad", part))]
            if any(fact.was is not NO and self.held(part) is NO for part, fact in facts):
                continue
            if self._opens_inputs(region):
                continue
            if ran and ran_roots.isdisjoint(part.root for part in {*region, *self._kin(region)}):
                continue  # a step of another model: whether this one is trained on is not known yet
            if woke.within == "on_train_begin" and all(fact.was is not NO for _, fact in facts):
                continue  # a callback that makes all train as training begins, where nobody in view froze anything
            for optimizer in self.optimizers:
                older = optimizer.at < min(fact.at for _, fact in facts)
                # A framework makes every optimizer there is, for one module: nobody else holds what this one does not.
                if older and (step.by == "lightning" or self.beside(optimizer, region) or optimizer.perhaps):
                    yield woke, region, optimizer
                    break

    def _opens_inputs(self, region: Region) -> bool:
        """Whether these are input embeddings beside adapters or under checkpointing: their flag is set so that a
        gradient finds its way to what is behind them (torch.utils.checkpoint, use_reentrant=True)."""
        embeds = all((part.path or "").rpartition(".")[2] in INPUTS for part in region)
        return embeds and bool(self.state.adapters or self.state.checkpointed)

    @staticmethod
    def way_to(woke: ev.SetRequiresGrad) -> tuple[Note, ...]:
        """The call that led to a line in another function, as part of a story."""
        return (Note(woke.via, "called from here"),) if woke.via is not None else ()

    def cuts(self, event: ev.Backward) -> list[tuple[ev.Cut, str]]:
        """What went into a backward that surely finds no graph: where each was cut. Empty when there may be a graph."""
        found = self.state.lost(event)
        # What an optimizer holds is what was meant to learn; a teacher beside it was cut on purpose.
        meant = [(cut, ran) for cut, ran in found if any(self.held(leaf) is YES for leaf in leaves(ran.region))]
        return [(cut, called(ran)) for cut, ran in meant or found if cut.site is not None]


def called(ran: ev.Forward) -> str:
    """What was run, as messages name it."""
    return f"`{ran.label}`" if ran.label and "(" not in ran.label else name(ran.region)


def cut_by(cuts: Iterable[tuple[ev.Cut, str]]) -> str:
    """What cut a loss off: call, with, decorator, statement; "" for no cuts. A call among grad modes is the cause."""
    kinds = {cut.mode.how if cut.mode is not None else "call" for cut, _ in cuts}
    return next((kind for kind in ("call", "with", "decorator", "statement") if kind in kinds), "")


def grouped(parts: Iterable[Part], key: Any) -> Iterator[tuple[Any, Region]]:
    """Parts that share a key, such as the event that made them so, as one region each."""
    found: dict[Any, list[Part]] = {}
    for part in parts:
        value = key(part)
        if value is not None:
            found.setdefault(value, []).append(part)
    for value, members in found.items():
        yield value, frozenset(members)


def same_story(one: Fault, other: Fault, where: Callable[[Any], Any] = lambda site: site) -> bool:
    """Whether the place that one fault blames is part of the other's story. `where` tells sites apart."""

    def places(fault: Fault) -> set[Any]:
        return {where(site) for site in (fault.site, fault.about, *(note.site for note in fault.related)) if site}

    return where(one.site) in places(other) or where(other.site) in places(one)


def name(region: Iterable[Part]) -> str:
    """A region as messages name it, in backquotes."""
    return describe(region, quote="`")


def name_is(region: Iterable[Part], one: str = "is", more: str = "are") -> str:
    """A region with its verb: "`model.fc` is", "4 parts of `model` are"."""
    words = name(region)
    return f"{words} {more if _several(words) else one}"


def its(region: Iterable[Part]) -> str:
    """ "its" or "their", as the name of a region asks for."""
    return "their" if _several(name(region)) else "its"


def _several(words: str) -> bool:
    return words[0].isdigit() or " and " in words
