"""Questions about parts of a model: their flags, modes and weights, and which events these come from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from freezelint.trace import events as ev
from freezelint.trace.regions import Part, Region, leaves
from freezelint.trace.state import Fact, Pass, State, find
from freezelint.trace.tri import NO, UNSURE, YES, Tri

E = TypeVar("E", bound=ev.Event)

_FACTS_OF = {
    ev.SetRequiresGrad: "grad",
    ev.SetMode: "mode",
    ev.LoadWeights: "weights",
    ev.Escape: "escaped",
    ev.ReplaceSubmodule: "joined",
    ev.Wrap: "wrapped",
    ev.Checkpoint: "checkpointed",
    ev.Backward: "gradient",
    ev.ClipGradients: "clipped",
    ev.ZeroGrad: "zeroed",
}


class AboutParts:
    """A moment of a training program, and what it says of parts."""

    def __init__(self, state: State) -> None:
        self.state = state

    def flag(self, part: Part) -> Tri:
        """Whether the parameters of a leaf require grad."""
        return tri_of(self.state.grad, part)

    def mode(self, part: Part, during: Pass | None = None) -> Tri:
        """Whether a leaf is in train mode, now or during an earlier forward."""
        return tri_of(during.mode if during else self.state.mode, part)

    def weights(self, part: Part) -> str:
        """random, pretrained, loaded or unsure."""
        fact = find(self.state.weights, part)
        return fact.value if fact else "unsure"

    def frozen(self, region: Iterable[Part], during: Pass | None = None) -> list[Part]:
        """The leaves of `region` that surely do not require grad."""
        facts = during.grad if during else self.state.grad
        return [leaf for leaf in leaves(region) if tri_of(facts, leaf) is NO]

    def trainable(self, region: Iterable[Part], during: Pass | None = None) -> list[Part]:
        """The leaves of `region` that surely require grad and hold parameters, as far as that is known."""
        facts = during.grad if during else self.state.grad
        return [leaf for leaf in leaves(region) if tri_of(facts, leaf) is YES and leaf.has("params") is not NO]

    def gradient(self, part: Part) -> Tri:
        """Whether a backward reached a leaf: YES surely, UNSURE perhaps, NO when none did."""
        fact = find(self.state.gradient, part)
        return NO if fact is None else fact.value

    def in_use(self, part: Part) -> bool:
        """Whether a leaf is part of its model still: nothing has replaced it since it joined."""
        joined, left = find(self.state.joined, part), find(self.state.left, part)
        return left is None or (joined is not None and joined.at >= left.at)

    def larger(self, region: Iterable[Part], other: Iterable[Part]) -> bool:
        """Whether a region surely holds more parameters than another, by count, or as the rest of a whole model."""
        first, second = [p.count for p in region], [p.count for p in other]
        if None in first:
            return any(p.is_rest for p in region if p.count is None) and not any(p.is_rest for p in other)
        return None not in second and sum(filter(None, first)) > sum(filter(None, second))

    def loaded_over_random(self, part: Part) -> ev.LoadWeights | None:
        """The load that gave a leaf its weights, which were random before."""
        fact = find(self.state.weights, part)
        event = fact.event if fact is not None and fact.was == "random" else None
        return event if isinstance(event, ev.LoadWeights) else None

    def escaped(self, part: Part) -> bool:
        """Whether some of a part went to code out of view."""
        return any(find(self.state.escaped, leaf) is not None for leaf in leaves((part,)))

    def unsynchronised(self, part: Part) -> ev.Wrap | None:
        """The DistributedDataParallel that was built over a leaf while it was frozen, and knows nothing of it since."""
        fact, flag = find(self.state.synced, part), find(self.state.grad, part)
        if fact is None or flag is None or fact.value is not NO or flag.value is not YES or flag.at < fact.at:
            return None
        return fact.event if isinstance(fact.event, ev.Wrap) else None

    def synchronised(self, part: Part) -> ev.Wrap | None:
        """The conversion that made every BatchNorm of a leaf a SyncBatchNorm, as long as the wrapper is known."""
        fact = find(self.state.wrapped, part)
        if fact is None or "SyncBatchNorm" not in fact.value or not isinstance(fact.event, ev.Wrap):
            return None
        return fact.event

    def known_parts(self) -> list[Part]:
        """The leaves of every region about whose flag something is known."""
        return leaves(self.state.grad)

    def adapters(self) -> list[tuple[ev.Wrap, list[Part]]]:
        """The adapters in models, each with the wrap that hung it in."""
        return [(wrap, leaves(wrap.adapter)) for wrap in self.events_behind("adapters", ev.Wrap)]

    def new_beside_old(self, part: Part, whole: Iterable[Part]) -> bool:
        """Whether a leaf is a layer with random weights in a model that has trained ones: what is new has to train."""
        if self.weights(part) != "random" or part.has("params") is not YES or part.is_bare:
            return False
        return any(self.weights(other) in ("pretrained", "loaded") for other in whole)

    def is_fresh(self, part: Part) -> bool:
        """Whether a leaf belongs to the head of a pretrained model for which its checkpoint holds no weights."""
        created = self.created(part)
        return created is not None and created.fresh

    def made(self, part: Part) -> Any:
        """Where a leaf was made."""
        created = self.created(part)
        return created.site if created is not None else None

    def enabled_before(self, part: Part) -> ev.SetRequiresGrad | None:
        """The line of the program that made a leaf trainable, just before what is true of its flag now."""
        fact = find(self.state.grad, part)
        former = fact.former if fact is not None else None
        mine = isinstance(former, ev.SetRequiresGrad) and former.to is YES and former.how != "framework"
        return former if mine and isinstance(former, ev.SetRequiresGrad) else None

    def frozen_by(self, part: Part) -> ev.SetRequiresGrad | None:
        """What froze a leaf, None when it is not surely frozen."""
        return self.last(ev.SetRequiresGrad, part) if self.flag(part) is NO else None

    def replacements(self) -> list[Part]:
        """The leaves of everything that joined a model in place of something else, or anew."""
        return leaves(self.state.joined)

    def changed_out_of_view(self, part: Part) -> bool:
        """Whether a leaf was wrapped or went to code that is not in view: its names may be others by now."""
        return any(
            find(facts, leaf) is not None
            for leaf in leaves((part,))
            for facts in (self.state.wrapped, self.state.escaped)
        )

    def in_place(self, region: Region) -> bool:
        """Whether nothing replaced these, and no code out of view could have."""
        return all(find(self.state.left, p) is None and find(self.state.escaped, p) is None for p in leaves(region))

    def already(self, region: Region, value: str) -> bool:
        """Whether every flag of a region surely is what a value says in source: "True" or "False"."""
        flag = {"True": YES, "False": NO}.get(value)
        return bool(region) and all(self.flag(leaf) is flag for leaf in leaves(region))

    def since_start(self, name: str, part: Part) -> bool:
        """Whether a fact about a leaf is older than the first step, so that it held during all of the training."""
        fact = find(getattr(self.state, name), part)
        return fact is not None and (self.state.began is None or fact.at < self.state.began)

    def loads(self, part: Part) -> bool:
        """Whether any way through the program loads weights into a leaf's model, or hands it to code out of view."""
        return part.root.traits.get("loads") is YES

    def last(self, kind: type[E], part: Part | None = None, during: Pass | None = None) -> E | None:
        """The event of `kind` behind what is true of `part`, or the last one at all; None if it was another kind."""
        if part is None:
            event = self.state.last.get(kind)
            return event if isinstance(event, kind) else None
        name = _FACTS_OF[kind]
        facts = getattr(during, name) if during and name in ("grad", "mode") else getattr(self.state, name)
        fact = find(facts, part)
        return fact.event if fact is not None and isinstance(fact.event, kind) else None

    def events_behind(self, name: str, kind: type[E]) -> list[E]:
        """The events of `kind` behind the facts of one name, each once, in the order of the facts."""
        found = [fact.event for fact in getattr(self.state, name).values()]
        return list(dict.fromkeys(event for event in found if isinstance(event, kind)))

    def created(self, part: Part) -> ev.CreateModule | None:
        """The construction that gave a leaf its weights, None when they have come from elsewhere since."""
        fact = find(self.state.weights, part)
        return fact.event if fact is not None and isinstance(fact.event, ev.CreateModule) else None

    def origin(self, part: Part) -> ev.CreateModule | None:
        """The construction of a leaf, whether or not weights were loaded since; None when it was not in view."""
        return next((e for above in part.above() if (e := self.state.made.get(above)) is not None), None)

    def untold(self, part: Part) -> ev.CreateModule | None:
        """The construction that a leaf's flag is still from: it requires grad because nobody said otherwise."""
        fact = find(self.state.grad, part)
        return fact.event if fact is not None and isinstance(fact.event, ev.CreateModule) else None

    def in_view(self, part: Part) -> bool:
        """Whether no code out of view got hold of a leaf."""
        return find(self.state.escaped, part) is None

    def rebuilt(self, part: Part) -> bool:
        """Whether something of a leaf's model was replaced: a new head, for which Dropout before it may be meant."""
        return any(gone.root is part.root for gone in self.state.left)

    def stilled_by_setting(self, part: Part) -> ev.WroteAttribute | None:
        """Where a BatchNorm's momentum became 0, or it was told not to track statistics; None when neither holds."""
        fact = find(self.state.settings, part)
        if fact is None or fact.value not in (("momentum", "0"), ("momentum", "0.0"), ("track_running_stats", "False")):
            return None
        return fact.event if isinstance(fact.event, ev.WroteAttribute) else None

    def since(self, event: ev.Event, region: Iterable[Part]) -> bool:
        """Whether the flags of these were told again after what an event of `rewrapped` or `joined` replaced them."""
        at = [fact.at for fact in self.state.rewrapped.values() if fact.event is event]
        told_ = [fact.at for part in leaves(region) if (fact := find(self.state.grad, part)) is not None]
        return bool(at and told_) and max(told_) > max(at)

    def holding(self, region: Region, name: str) -> Part | None:
        """The leaf that holds the parameter of this name, among parts that were only ever split by path."""
        rest = None
        for leaf in leaves(region):
            if leaf.tests:
                return None
            if leaf.path and (name == leaf.path or name.startswith(leaf.path + ".")):
                return leaf
            if not leaf.path:
                rest = leaf
        return rest

    def awake_beside(self, region: Region) -> list[Part]:
        """The leaves that hold the biases of layers whose weights these are, and that surely require grad."""
        roots = {part.root for part in region}
        wanted = {(p.root, f"{n.rpartition('.')[0]}.bias".lstrip(".")) for p in region for n in p.names or ()}
        return [p for p in self.trainable(roots) if any((p.root, name) in wanted for name in p.names or ())]

    def still_frozen_beside(self, region: Region) -> ev.SetRequiresGrad | None:
        """The freeze of some weights and of the biases beside them, of which an event has undone the weights' alone."""
        freezes = {fact.former for part in region if (fact := find(self.state.grad, part)) and fact.was is NO}
        froze = freezes.pop() if len(freezes) == 1 else None
        if not isinstance(froze, ev.SetRequiresGrad):
            return None
        roots = {part.root for part in region}
        biases = {
            (part.root, name)
            for part in self.frozen(roots)
            if self.last(ev.SetRequiresGrad, part) is froze
            for name in part.names or ()
        }
        wanted = [(p.root, f"{n.rpartition('.')[0]}.bias".lstrip(".")) for p in region for n in p.names or ()]
        return froze if wanted and any(one in biases for one in wanted) else None

    def mostly(self, some: Region, whole: Region) -> bool:
        """Whether some parts are more than half of all the parameters of a model, or every part of it."""
        counts = [part.count for part in (*leaves(some), *whole)]
        if None in counts:
            return set(leaves(whole)) <= set(leaves(some))
        held = len(leaves(some))
        return 2 * sum(c or 0 for c in counts[:held]) > sum(c or 0 for c in counts[held:])

    def frozen_since(self, part: Part) -> int:
        """The moment at which what is known of a leaf's flag came to be known, as facts count moments."""
        fact = find(self.state.grad, part)
        return fact.at if fact is not None else 0

    def fact(self, name: str, part: Part, during: Pass | None = None) -> Fact | None:
        """The fact itself, for its order in time (`at`) and what was true before it."""
        return find(getattr(during or self.state, name), part)

    def copies(self, part: Part) -> bool:
        """Whether a leaf's weights follow those of another network: a momentum encoder, an EMA, a target network."""
        fact = find(self.state.weights, part)
        event = fact.event if fact else None
        if isinstance(event, ev.LoadWeights):
            return event.by == "copy"
        return isinstance(event, ev.CreateModule) and event.kind == "copy"

    def meant(self, region: Region) -> bool:
        """Whether these were surely meant to train: told to require grad, or without any weights but random ones."""
        return any(self.last(ev.SetRequiresGrad, p) is not None or self.weights(p) == "random" for p in region)


def tri_of(facts: Any, part: Part) -> Tri:
    """What facts of one kind say of a part, UNSURE when they say nothing."""
    fact = find(facts, part)
    return fact.value if fact is not None and isinstance(fact.value, Tri) else UNSURE
