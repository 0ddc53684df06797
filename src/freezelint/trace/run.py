"""What rules ask: a `Run` is a state together with the questions that make sense of it. Rules never look elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from freezelint.finding import Severity
from freezelint.trace import events as ev
from freezelint.trace.regions import Part, Region, describe, leaf_set, leaves
from freezelint.trace.repair import Repair
from freezelint.trace.state import Fact, Optimizer, Pass, State, find
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


class Run:
    """A moment of a training program, and questions about it. Answers are Tri, events, or lists of leaves."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._narrower: dict[tuple[ev.SetMode, ev.SetMode], bool] = {}

    # What is true now -----------------------------------------------------------------------------------------------

    def flag(self, part: Part) -> Tri:
        """Whether the parameters of a leaf require grad."""
        return _value(self.state.grad, part)

    def mode(self, part: Part, during: Pass | None = None) -> Tri:
        """Whether a leaf is in train mode, now or during an earlier forward."""
        return _value(during.mode if during else self.state.mode, part)

    def weights(self, part: Part) -> str:
        """random, pretrained, loaded or unsure."""
        fact = find(self.state.weights, part)
        return fact.value if fact else "unsure"

    def frozen(self, region: Iterable[Part], during: Pass | None = None) -> list[Part]:
        """The leaves of `region` that surely do not require grad."""
        facts = during.grad if during else self.state.grad
        return [leaf for leaf in leaves(region) if _value(facts, leaf) is NO]

    def trainable(self, region: Iterable[Part], during: Pass | None = None) -> list[Part]:
        """The leaves of `region` that surely require grad and hold parameters, as far as that is known."""
        facts = during.grad if during else self.state.grad
        return [leaf for leaf in leaves(region) if _value(facts, leaf) is YES and leaf.has("params") is not NO]

    def holders(self, part: Part) -> list[Optimizer]:
        """The optimizers that surely hold a leaf."""
        return [o for o in self.state.optimizers.values() if o.holds(part) is YES]

    def held(self, part: Part) -> Tri:
        """Whether any optimizer holds a leaf. UNSURE when it went to code out of view, or an optimizer is not known."""
        answers = [o.holds(part) for o in self.state.optimizers.values()]
        if YES in answers:
            return YES
        return UNSURE if UNSURE in answers or find(self.state.escaped, part) else NO

    def filtered_out(self, part: Part) -> bool:
        """Whether a leaf that was unfrozen since can only be missing: every optimizer that may hold it was filtered by
        flags before, and nothing was added to it."""
        woke = find(self.state.grad, part)
        if woke is None or woke.was in (YES, NO):  # NO: frozen after the filter let it through
            return False
        may = [o for o in self.state.optimizers.values() if o.holds(part) is not NO]
        return bool(may) and all(o.holds(part) is UNSURE and o.complete is YES and o.at < woke.at for o in may)

    def woken_beside(self, step: ev.Step) -> Iterator[tuple[ev.SetRequiresGrad, Region, Optimizer]]:
        """What was frozen, was unfrozen since and is held by no optimizer, with the optimizer of the same model that is
        older than that; nothing where some optimizer is not in view, for it may hold anything."""
        if self.optimizer(step.optimizer) is None:
            return
        awake = [part for part in self.known_parts() if self.flag(part) is YES]
        loose = [part for part in awake if self.held(part) is NO or self.filtered_out(part)]
        for woke, region in grouped(loose, lambda part: self.last(ev.SetRequiresGrad, part)):
            facts = [(part, fact) for part in region if (fact := self.fact("grad", part))]
            if any(fact.was is not NO and self.held(part) is NO for part, fact in facts):
                continue
            if self._opens_inputs(region):
                continue
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

    def optimizer(self, serial: int) -> Optimizer | None:
        """The optimizer an event speaks of, if it was seen being built."""
        return self.state.optimizers.get(serial)

    @property
    def optimizers(self) -> list[Optimizer]:
        """Every optimizer, in the order of construction."""
        return list(self.state.optimizers.values())

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

    def spent(self, iterator: int) -> tuple[ev.TakeParams, ev.UseParams] | None:
        """Where a one-shot iterator was made and used up; None while it can still be used."""
        known = self.state.iterators.get(iterator)
        return (known.taken, known.spent) if known is not None and known.spent is not None else None

    def beside(self, optimizer: Optimizer, region: Region) -> list[Part]:
        """The leaves of the same models that an optimizer does hold."""
        roots = {part.root for part in region} | {part.root for part in self._kin(region)}
        return [
            leaf
            for group in optimizer.groups
            for leaf in leaves(group.region)
            if leaf.root in roots and leaf not in region
        ]

    def _kin(self, region: Region) -> set[Part]:
        """Parts that ran in one forward with these: of the same composed model, though in trees of their own."""
        kin: set[Part] = set()
        for ran in self.state.passes.values():
            if any(above in ran.event.region for part in region for above in part.above()):
                kin |= ran.event.region
        return kin

    def idle(self, optimizer: Optimizer) -> list[Part]:
        """All that an optimizer holds, when it surely holds nothing that could move: every parameter is frozen, and no
        gradient ever reached one. Empty otherwise."""
        held = [leaf for leaf in leaves(optimizer.region) if leaf.has("params") is not NO]
        if optimizer.complete is not YES or not all(self.flag(leaf) is NO for leaf in held):
            return []
        return held if all(self.gradient(leaf) is NO and self.in_use(leaf) for leaf in held) else []

    def left_over(self, optimizer: Optimizer) -> list[tuple[Part, ev.ZeroGrad | None]]:
        """The frozen leaves that a step still moves, since the gradient of their last step was kept: as it was, or
        as the zeros that this ZeroGrad put there, which momentum and weight decay still move."""
        found: list[tuple[Part, ev.ZeroGrad | None]] = []
        for part in self.frozen(optimizer.region):
            froze, got = find(self.state.grad, part), find(self.state.gradient, part)
            if froze is None or got is None or got.value is not YES or optimizer.holds(part) is not YES:
                continue
            if froze.at < got.at or optimizer.stepped_at < got.at or self.state.zeroed_at > got.at:
                continue
            zeroed = find(self.state.zeroed, part)
            if zeroed is None or zeroed.at < got.at:
                found.append((part, None))
            elif zeroed.value is NO and optimizer.built.coasts is YES and isinstance(zeroed.event, ev.ZeroGrad):
                found.append((part, zeroed.event))
        return found

    def taught(self, event: ev.Event) -> list[Part]:
        """The leaves that surely got a gradient for this step. What a model runs without owning it is not counted."""
        ran = [one.event.region for one in self.training_passes(event) if not one.event.foreign]
        found: list[Part] = []
        for part in filter(self.in_use, self.trainable(frozenset().union(*ran))):
            fact = find(self.state.gradient, part)
            loss = fact.event if fact is not None and fact.value is YES else None
            if isinstance(loss, ev.Backward) and (loss.complete is YES or loss.reached is not None):
                found.append(part)
        return found

    def replaces(self, part: Part, since: Optimizer) -> bool:
        """Whether a leaf has taken the place of another after an optimizer was built."""
        joined = find(self.state.joined, part)
        if joined is None or joined.at < since.at:
            return False
        return isinstance(joined.event, ev.ReplaceSubmodule) and bool(joined.event.old)

    def succeeded(self, optimizer: Optimizer) -> Optimizer | None:
        """The optimizer that was built later over the same model, and steps instead of this one."""
        roots = {part.root for part in optimizer.region}
        for other in self.state.optimizers.values():
            later = other.at > max((optimizer.at, optimizer.stepped_at, *(one.at for one in optimizer.schedulers)))
            if later and other.stepped is not None and other.complete is YES:
                if roots & {part.root for part in other.region}:
                    return other
        return None

    def succeeds(self, optimizer: Optimizer) -> Optimizer | None:
        """The optimizer that stepped or was saved over the same model before this one was built, and surely over less
        of it, or more."""
        roots = {part.root for part in optimizer.region}
        for other in reversed(self.optimizers):
            if other.at < optimizer.at and roots & {part.root for part in other.region}:
                surely = other.complete is YES and optimizer.complete is YES
                differs = set(leaves(other.region)) ^ set(leaves(optimizer.region))
                if surely and any(self.flag(leaf) is YES and leaf.count for leaf in differs):
                    return other
        return None

    def recording(self) -> Tri:
        """Whether autograd records now."""
        return self.state.is_recording()

    def inert(self, ran: Pass) -> bool:
        """Whether nothing in a forward could have learnt from it: every parameter was surely frozen."""
        parts = [leaf for leaf in leaves(ran.event.region) if leaf.has("params") is not NO]
        return all(_value(ran.grad, leaf) is NO for leaf in parts)

    def passes_in(self, uses: Iterable[ev.Use]) -> list[Pass]:
        """The forwards that tensors came out of, in their order."""
        found = {u.serial: self.state.passes[u.serial] for u in uses if u.serial in self.state.passes}
        return sorted(found.values(), key=lambda ran: ran.at)

    def loaded_over_random(self, part: Part) -> ev.LoadWeights | None:
        """The load that gave a leaf its weights, which were random before."""
        fact = find(self.state.weights, part)
        event = fact.event if fact is not None and fact.was == "random" else None
        return event if isinstance(event, ev.LoadWeights) else None

    def inputs_open(self, region: Iterable[Part]) -> bool:
        """Whether the inputs of a model were made to require grad."""
        return any(find(self.state.opened, part) is not None for part in region)

    def escaped(self, part: Part) -> bool:
        """Whether some of a part went to code out of view."""
        return any(find(self.state.escaped, leaf) is not None for leaf in leaves((part,)))

    def unsynchronised(self, part: Part) -> ev.Wrap | None:
        """The DistributedDataParallel that was built over a leaf while it was frozen, and knows nothing of it since."""
        fact, flag = find(self.state.synced, part), find(self.state.grad, part)
        if fact is None or flag is None or fact.value is not NO or flag.value is not YES or flag.at < fact.at:
            return None
        return fact.event if isinstance(fact.event, ev.Wrap) else None

    def sharded_since(self, optimizer: Optimizer, part: Part) -> ev.Wrap | None:
        """The FSDP that replaced a leaf's parameters after an optimizer took them."""
        fact = find(self.state.wrapped, part)
        event = fact.event if fact is not None and fact.at > optimizer.at else None
        if not isinstance(event, ev.Wrap) or not (event.kind.startswith("FSDP") or event.kind.startswith("FullySh")):
            return None
        keeps = event.kind != "FSDP2" and dict(event.settings).get("use_orig_params", "False") != "False"
        return None if keeps or ("**", "") in event.settings else event

    def synchronised(self, part: Part) -> ev.Wrap | None:
        """The conversion that made every BatchNorm of a leaf a SyncBatchNorm, as long as the wrapper is known."""
        fact = find(self.state.wrapped, part)
        if fact is None or "SyncBatchNorm" not in fact.value or not isinstance(fact.event, ev.Wrap):
            return None
        return fact.event

    def idle_terms(self, loss: ev.Backward) -> list[tuple[ev.AddTerm, ev.Cut, ev.Forward]]:
        """The terms of a loss that give no gradient to a part which the rest of it does train: what cut that part off
        in the term, and its forward."""
        open_ = {u.serial for u in loss.uses if (ran := self.state.passes.get(u.serial)) and ran.cut(u) is None}
        found = []
        for term in self.state.terms:
            if not term.uses <= loss.uses:
                continue
            for use in sorted(term.uses, key=lambda use: use.serial):
                ran = self.state.passes.get(use.serial)
                cut = ran.cut(use) if ran is not None else None
                if ran is None or cut is None or use.serial not in open_:
                    continue
                if self.trainable(ran.event.region, ran):
                    found.append((term, cut, ran.event))
                    break
        return found

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

    def passes_over(self, region: Region) -> list[Pass]:
        """The forwards that ran all of these at once."""
        return [ran for ran in self.state.passes.values() if set(leaves(region)) <= set(leaves(ran.event.region))]

    def ran_alone(self, region: Region) -> bool:
        """Whether a forward ran these, or some of them, and nothing else."""
        inside = set(leaves(region))
        return any(set(leaves(ran.event.region)) <= inside for ran in self.state.passes.values())

    # How it came to be ----------------------------------------------------------------------------------------------

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

    def made_in_mode(self, part: Part, during: Pass) -> ev.CreateModule | None:
        """The construction that a leaf's mode of that moment came from, None when it was switched since."""
        fact = find(during.mode, part)
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

    def in_pass(self, ran: Pass) -> list[Part]:
        """The leaves that a forward ran."""
        return leaves(ran.event.region)

    def flagged_unrun(self, region: Region) -> list[ev.WroteAttribute]:
        """Writes to the `training` flag of modules in a region that nothing has run since."""
        ran = max((one.at for one in self.state.passes.values()), default=-1)
        facts = [fact for part in leaves(region) if (fact := find(self.state.flagged, part)) is not None]
        return list(dict.fromkeys(f.event for f in facts if f.at > ran and isinstance(f.event, ev.WroteAttribute)))

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

    def used_since(self, event: ev.SetRequiresGrad, region: Iterable[Part]) -> bool:
        """Whether anything ran or held these parts since an event told their flags."""
        inside = set(leaves(region))
        facts = [fact for part in inside if (fact := find(self.state.grad, part)) is not None and fact.event is event]
        at = min((fact.at for fact in facts), default=0)
        if any(ran.at > at and inside & set(leaves(ran.event.region)) for ran in self.state.passes.values()):
            return True
        if any(find(self.state.escaped, part) is not None for part in inside):
            return True
        return any(o.at > at and o.holds(part) is not NO for o in self.optimizers for part in inside)

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

    def training_passes(self, event: ev.Event) -> list[Pass]:
        """The forwards that a Backward goes back through, or that ran since the last step before a Step.

        When it is not known what went into a backward, every recorded forward since the last step counts.
        """
        state = self.state
        if isinstance(event, ev.Backward) and event.complete is YES:
            return [state.passes[n] for n in sorted({use.serial for use in event.uses}) if n in state.passes]
        return [ran for ran in state.passes.values() if ran.at >= state.step_at]

    def ran_with(self, ran: Pass, event: ev.Event) -> list[Part]:
        """The leaves that a forward ran, and those of the same model that other forwards of this step ran."""
        mine = leaf_set(ran.event.region)
        others = set().union(*(leaf_set(other.event.region) for other in self.training_passes(event))) - mine
        family = set(mine)
        if others:
            for joined in self.events_behind("joined", ev.ReplaceSubmodule):
                model = leaf_set(joined.owner | joined.new)
                if not (model.isdisjoint(others) or model.isdisjoint(mine)):
                    family |= model & others
        return sorted(family, key=lambda part: part.serial)

    def trained(self, event: ev.Event, recorded: bool = False) -> dict[Part, Pass]:
        """Every leaf that ran for training, with the pass that ran it last: an inner pass tells more than the outer.

        `recorded` leaves out the passes without a graph, such as a validation between a backward and its step, and
        those that the way back does not lead to, such as features that were detached or what ran after it.
        """
        found: dict[Part, Pass] = {}
        uses = event.uses if isinstance(event, ev.Backward) else frozenset()
        lost = {use.serial for use in uses if use.cut} - {use.serial for use in uses if not use.cut}
        for ran in sorted(self.training_passes(event), key=lambda ran: ran.at):
            if recorded and (ran.recording is NO or ran.event.serial in lost or ran.at > self.state.backward_at):
                continue
            found.update(dict.fromkeys(leaves(ran.event.region), ran))
        return found

    def went_back(self) -> bool:
        """Whether a backward was seen since the last step."""
        return self.state.backward_at >= self.state.step_at

    def trained_before(self, part: Part, during: Pass) -> ev.Event | None:
        """The first forward that trained this leaf in train mode, before it was put in the mode of `during`."""
        switched, trained = find(during.mode, part), find(self.state.trained, part)
        return trained.event if switched and trained and trained.at < switched.at else None

    def supposed(self) -> dict[Part, Pass]:
        """Every leaf that ran after the supposed train() of a class that stands alone, with that pass."""
        found: dict[Part, Pass] = {}
        for ran in self.state.passes.values():
            for leaf in leaves(ran.event.region):
                switched = self.last(ev.SetMode, leaf, during=ran)
                if switched is not None and switched.by == "supposed":
                    found[leaf] = ran
                else:
                    found.pop(leaf, None)
        return found

    def stilled(self, part: Part, during: Pass) -> ev.SetMode | None:
        """The eval() of this leaf (and of less than the whole model) that a wider train() has undone by then."""
        fact = self.fact("mode", part, during)
        if fact is None or fact.value is not YES or fact.was is not NO or not isinstance(fact.event, ev.SetMode):
            return None
        before = fact.former
        if not isinstance(before, ev.SetMode) or before.by == "framework":
            return None
        pair = (before, fact.event)
        if pair not in self._narrower:  # many leaves share one story
            self._narrower[pair] = set(leaves(before.region)) < set(leaves(fact.event.region))
        return before if self._narrower[pair] else None

    def copies(self, part: Part) -> bool:
        """Whether a leaf's weights follow those of another network: a momentum encoder, an EMA, a target network."""
        fact = find(self.state.weights, part)
        event = fact.event if fact else None
        if isinstance(event, ev.LoadWeights):
            return event.by == "copy"
        return isinstance(event, ev.CreateModule) and event.kind == "copy"

    def momentary(self, part: Part) -> bool:
        """Whether a leaf was frozen for this step only, as a GAN's discriminator is: its optimizer existed before."""
        fact = find(self.state.grad, part)
        if fact is None or fact.at < self.state.step_at:
            return False
        return any(held.at < fact.at for held in self.holders(part))

    def switched_off(self) -> ev.EnterGradMode | None:
        """What keeps autograd from recording now, None when it records."""
        return self.state.switched_off()

    def awoke(self, part: Part, since: Optimizer) -> bool:
        """Whether a leaf was frozen first and unfrozen after an optimizer was built; a later lap does so once more."""
        fact = find(self.state.grad, part)
        if fact is None or fact.value is not YES or fact.at <= since.at:
            return False
        return fact.was is NO or fact.event.lap > 0

    def cut(self, part: Part) -> ev.Cut | None:
        """Where the way from a leaf to every loss so far was cut; None when a gradient reached it, or nothing was."""
        fact = find(self.state.cut, part)
        return fact.value if fact and find(self.state.gradient, part) is None else None

    def cuts(self, event: ev.Backward) -> list[tuple[ev.Cut, str]]:
        """What went into a backward that surely finds no graph: where each was cut. Empty when there may be a graph."""
        found = self.state.lost(event)
        # What an optimizer holds is what was meant to learn; a teacher beside it was cut on purpose.
        meant = [(cut, ran) for cut, ran in found if any(self.held(leaf) is YES for leaf in leaves(ran.region))]
        return [(cut, called(ran)) for cut, ran in meant or found if cut.site is not None]

    def meant(self, region: Region) -> bool:
        """Whether these were surely meant to train: told to require grad, or without any weights but random ones."""
        return any(self.last(ev.SetRequiresGrad, p) is not None or self.weights(p) == "random" for p in region)

    def starved(self) -> list[Part]:
        """The leaves that require grad and that a stepping optimizer holds, whose way to every loss was cut."""
        return [
            leaf
            for leaf in self.trainable(self.state.cut)
            if (cut := self.cut(leaf)) is not None
            and cut.site is not None
            and find(self.state.escaped, leaf) is None
            and any(optimizer.stepped is not None for optimizer in self.holders(leaf))
        ]


def _value(facts: Any, part: Part) -> Tri:
    fact = find(facts, part)
    return fact.value if fact is not None and isinstance(fact.value, Tri) else UNSURE


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
