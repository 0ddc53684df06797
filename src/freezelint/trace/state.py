"""The state of a training program: what the events so far have made true. Immutable: `apply` gives the next state.

Facts hang on parts of region trees. A fact about a part holds for everything below it until something below is told
otherwise, so a look-up walks up from a leaf and takes the first fact it meets; setting a fact drops those below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from freezelint.trace import events as ev
from freezelint.trace.regions import Part, Region, leaves
from freezelint.trace.tri import NO, UNSURE, YES, Tri, both

FORWARDS_KEPT = 128  # more than any training step runs; older ones can no longer be part of a step


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known and since which event. Equal facts may have different evidence, so that worlds can merge."""

    value: Any
    event: ev.Event = field(compare=False)
    at: int = field(compare=False, default=0)
    was: Any = field(compare=False, default=None)  # the value before, None when nothing was known
    former: ev.Event | None = field(compare=False, default=None)  # and the event behind it

    def over(self, own: Fact) -> Fact:
        """This fact where another one was true before."""
        return Fact(self.value, self.event, self.at, own.value, own.event)


@dataclass(frozen=True, slots=True)
class Group:
    """One parameter group: what it held when it was made."""

    region: Region
    event: ev.BuildOptimizer | ev.AddParamGroup = field(compare=False)
    at: int = field(compare=False, default=0)


@dataclass(frozen=True, slots=True)
class Scheduler:
    """A learning rate scheduler of an optimizer, and its last step."""

    serial: int
    attached: ev.AttachScheduler = field(compare=False)
    at: int = field(compare=False, default=0)
    stepped: ev.StepScheduler | None = field(compare=False, default=None)


@dataclass(frozen=True, slots=True)
class Optimizer:
    """An optimizer: an entity of its own, so that an empty one does not vanish."""

    serial: int
    kind: str
    label: str
    groups: tuple[Group, ...]
    complete: Tri
    built: ev.BuildOptimizer = field(compare=False)
    filtered: bool = False
    perhaps: Region = frozenset()  # filtered by flags that were not known: of these, what required grad then
    stepped: ev.Step | None = field(compare=False, default=None)
    schedulers: tuple[Scheduler, ...] = ()
    at: int = field(compare=False, default=0)
    stepped_at: int = field(compare=False, default=-1)
    saved: frozenset[Any] = field(compare=False, default=frozenset())  # where its state was taken
    loaded: ev.LoadOptimizer | None = field(compare=False, default=None)
    loaded_at: int = field(compare=False, default=-1)

    def holds(self, part: Part) -> Tri:
        """Whether `part` (or what it was split from) is in a group; UNSURE when the groups are not fully known."""
        for above in part.above():
            for group in reversed(self.groups):
                if above in group.region:
                    return UNSURE if above in self.perhaps and group.event is self.built else YES
        return NO if self.complete is YES else UNSURE

    @property
    def region(self) -> Region:
        """Everything in its groups."""
        return frozenset(part for group in self.groups for part in group.region)

    def driver(self, scheduler: int) -> Scheduler | None:
        """One of its schedulers, as it was attached last."""
        return next((one for one in self.schedulers if one.serial == scheduler), None)


@dataclass(frozen=True, slots=True)
class OneShot:
    """A one-shot iterator over parameters, and what consumed it first."""

    taken: ev.TakeParams
    spent: ev.UseParams | None = None


@dataclass(frozen=True, slots=True)
class Pass:
    """One forward with what was true when it ran. `grad` and `mode` are the state's maps of that moment."""

    event: ev.Forward
    recording: Tri
    switched: ev.EnterGradMode | None = field(compare=False)
    grad: Mapping[Part, Fact] = field(compare=False)
    mode: Mapping[Part, Fact] = field(compare=False)
    at: int = field(compare=False, default=0)

    def cut(self, use: ev.Use) -> ev.Cut | None:
        """Where the way from a use of this forward back into it was cut: behind it, or in it by the grad mode."""
        if use.cut is None and self.recording is NO and self.switched is not None:
            return ev.Cut(self.switched.text, self.switched.site, self.switched)
        return use.cut


Facts = Mapping[Part, Fact]


def find(facts: Facts, part: Part) -> Fact | None:
    """The fact that holds for `part`: its own, or that of the nearest part it was split from."""
    here: Part | None = part
    while here is not None:
        fact = facts.get(here)
        if fact is not None:
            return fact
        here = here.parent
    return None


def told(facts: Facts, region: Iterable[Part], fact: Fact) -> dict[Part, Fact]:
    """`facts` with `fact` for everything in `region`."""
    new = dict(facts)
    for part in region:
        if part.children:
            for below in part.below():
                own = new.pop(below, None)
                if own is not None and own.value != fact.value:  # what changes below keeps what it was
                    new[below] = fact.over(own)
        former = find(facts, part)
        new[part] = fact if former is None else fact.over(former)
    return new


@dataclass(frozen=True, slots=True)
class State:
    """All facts at one moment. Two states are equal when no rule could tell them apart by what is true now."""

    clock: int = field(default=0, compare=False)
    grad: Facts = field(default_factory=dict)
    mode: Facts = field(default_factory=dict)
    weights: Facts = field(default_factory=dict)
    escaped: Facts = field(default_factory=dict)
    joined: Facts = field(default_factory=dict)  # parts that replaced others, by ReplaceSubmodule
    left: Facts = field(default_factory=dict)  # parts that were replaced
    wrapped: Facts = field(default_factory=dict)
    synced: Facts = field(default_factory=dict)  # the flags parts had when DistributedDataParallel was built over them
    adapters: Facts = field(default_factory=dict)  # parts that an adapter brought, by the Wrap that hung them in
    checkpointed: Facts = field(
        default_factory=dict
    )  # parts under gradient checkpointing, with whether it is reentrant
    opened: Facts = field(default_factory=dict, compare=False)  # models whose inputs were made to require grad
    made: Mapping[Part, ev.CreateModule] = field(default_factory=dict, compare=False)
    rewrapped: Facts = field(default_factory=dict)  # parameters that stand where others stood, by ReplaceParameter
    rebound: Facts = field(default_factory=dict)  # models that a variable holds in place of another, by Rebind
    settings: Facts = field(default_factory=dict)  # BatchNorm settings written on layers, as (name, value)
    pinned: Facts = field(default_factory=dict)  # parts whose own `train` was replaced: a mode call passes them by
    gradient: Facts = field(default_factory=dict)  # parts a backward reached
    trained: Facts = field(default_factory=dict)  # parts trained in train mode, since their first such forward
    clipped: Facts = field(default_factory=dict, compare=False)
    flagged: Facts = field(default_factory=dict, compare=False)  # parts whose module's `training` was written to
    zeroed: Facts = field(default_factory=dict, compare=False)  # parts whose gradients were dropped, or zeroed: NO
    zeroed_at: int = field(default=-1, compare=False)  # the moment when those of something unknown were
    cut: Facts = field(default_factory=dict)  # parts whose way to a loss was cut, with the Cut
    optimizers: Mapping[int, Optimizer] = field(default_factory=dict)
    recording: tuple[Fact, ...] = ()
    passes: Mapping[int, Pass] = field(default_factory=dict, compare=False)
    iterators: Mapping[int, OneShot] = field(default_factory=dict, compare=False)
    terms: tuple[ev.AddTerm, ...] = field(default=(), compare=False)  # of losses, without a graph
    last: Mapping[type, ev.Event] = field(default_factory=dict, compare=False)
    steps: tuple[ev.Step, ...] = field(default=(), compare=False)
    step_at: int = field(default=0, compare=False)
    began: int | None = field(default=None, compare=False)  # the moment of the first step
    backward_at: int = field(default=-1, compare=False)

    def apply(self, event: ev.Event) -> State:
        """The state after `event`."""
        changes = _APPLY[type(event)](self, event) if type(event) in _APPLY else {}
        return replace(self, clock=self.clock + 1, last={**self.last, type(event): event}, **changes)

    def is_recording(self) -> Tri:
        """Whether autograd records now."""
        return self.recording[-1].value if self.recording else YES

    def switched_off(self) -> ev.EnterGradMode | None:
        """What switched recording off: the outermost of nested modes, since leaving an inner one changes nothing."""
        found = None
        for fact in reversed(self.recording):
            if fact.value is not NO or not isinstance(fact.event, ev.EnterGradMode):
                break
            found = fact.event
        return found

    def lost(self, event: ev.Backward) -> list[tuple[ev.Cut, ev.Forward]]:
        """Where the ways back into every forward behind a loss were cut; empty when one of them may be open."""
        found: list[tuple[ev.Cut, ev.Forward]] = []
        if event.complete is not YES or event.loose:
            return []
        for use in sorted(event.uses, key=lambda use: use.serial):
            ran = self.passes.get(use.serial)
            if ran is None:
                return []
            cut = ran.cut(use)
            if cut is not None:
                found.append((cut, ran.event))
            elif any(leaf.has("params") is not NO for leaf in leaves(ran.event.region)):
                return []
        return found


def _create(s: State, e: ev.CreateModule) -> dict[str, Any]:
    weights = {YES: "pretrained", NO: "random", UNSURE: "unsure"}[e.pretrained]
    return {
        "grad": told(s.grad, e.region, Fact(YES, e, s.clock)),
        "mode": told(s.mode, e.region, Fact(e.training, e, s.clock)),
        "weights": told(s.weights, e.region, Fact(weights, e, s.clock)),
        "made": {**s.made, **dict.fromkeys(e.region, e)},
    }


def _load(s: State, e: ev.LoadWeights) -> dict[str, Any]:
    return {"weights": told(s.weights, e.region, Fact("loaded", e, s.clock))}


def _set_grad(s: State, e: ev.SetRequiresGrad) -> dict[str, Any]:
    region = (part for part in e.region if not (e.to is NO and _frozen_throughout(s.grad, part)))
    return {"grad": told(s.grad, region, Fact(e.to, e, s.clock))}


def _frozen_throughout(grad: Facts, part: Part) -> bool:
    """Whether all of a part is frozen: what freezes it once more changes nothing, and is not what froze it."""
    fact = find(grad, part)
    if fact is None or fact.value is not NO:
        return False
    return not part.children or all(own.value is NO for below in part.below() if (own := grad.get(below)) is not None)


def _replace(s: State, e: ev.ReplaceSubmodule) -> dict[str, Any]:
    return {
        "joined": told(s.joined, e.new, Fact(True, e, s.clock)),
        "left": told(s.left, e.old, Fact(True, e, s.clock)),
    }


def _set_mode(s: State, e: ev.SetMode) -> dict[str, Any]:
    return {"mode": told(s.mode, e.region, Fact(e.training, e, s.clock))}


def _wrote(s: State, e: ev.WroteAttribute) -> dict[str, Any]:
    if e.target == "module" and e.name == "train":
        return {"pinned": told(s.pinned, e.region, Fact(True, e, s.clock))}
    if e.target == "module" and e.name == "training":
        return {"flagged": told(s.flagged, e.region, Fact(e.value, e, s.clock))}
    if e.target == "module" and e.name in ("momentum", "track_running_stats"):
        return {"settings": told(s.settings, e.region, Fact((e.name, e.value), e, s.clock))}
    return {}


def _rewrap(s: State, e: ev.ReplaceParameter) -> dict[str, Any]:
    return {"rewrapped": told(s.rewrapped, e.new, Fact(True, e, s.clock))}


def _rebind(s: State, e: ev.Rebind) -> dict[str, Any]:
    return {"rebound": told(s.rebound, e.new, Fact(True, e, s.clock))}


def _build(s: State, e: ev.BuildOptimizer) -> dict[str, Any]:
    groups = tuple(Group(region, e, s.clock) for region in e.groups)
    return {
        "optimizers": {
            **s.optimizers,
            e.optimizer: Optimizer(
                e.optimizer, e.kind, e.label, groups, e.complete, e, e.filtered, _perhaps(s, e), at=s.clock
            ),
        }
    }


def _perhaps(s: State, e: ev.BuildOptimizer) -> Region:
    """What a filter may have let through or not, since the flags were not known."""
    if not e.filtered:
        return frozenset()
    held = (part for region in e.groups for part in region)
    return frozenset(part for part in held if (fact := find(s.grad, part)) is None or fact.value is not YES)


def _add_group(s: State, e: ev.AddParamGroup) -> dict[str, Any]:
    held = s.optimizers.get(e.optimizer)
    if held is None:
        return {}
    grown = replace(held, groups=(*held.groups, Group(e.region, e, s.clock)), complete=both(held.complete, e.complete))
    return {"optimizers": {**s.optimizers, e.optimizer: grown}}


def _attach(s: State, e: ev.AttachScheduler) -> dict[str, Any]:
    held = s.optimizers.get(e.optimizer)
    if held is None:
        return {}
    others = tuple(one for one in held.schedulers if one.serial != e.scheduler)
    grown = replace(held, schedulers=(*others, Scheduler(e.scheduler, e, s.clock)))
    return {"optimizers": {**s.optimizers, e.optimizer: grown}}


def _save(s: State, e: ev.SaveOptimizer) -> dict[str, Any]:
    held = s.optimizers.get(e.optimizer)
    return {"optimizers": {**s.optimizers, e.optimizer: replace(held, saved=held.saved | {e.site})}} if held else {}


def _restore(s: State, e: ev.LoadOptimizer) -> dict[str, Any]:
    held = s.optimizers.get(e.optimizer)
    return {"optimizers": {**s.optimizers, e.optimizer: replace(held, loaded=e, loaded_at=s.clock)}} if held else {}


def _schedule(s: State, e: ev.StepScheduler) -> dict[str, Any]:
    held = s.optimizers.get(e.optimizer)
    if held is None:
        return {}
    driven = tuple(replace(one, stepped=e) if one.serial == e.scheduler else one for one in held.schedulers)
    return {"optimizers": {**s.optimizers, e.optimizer: replace(held, schedulers=driven)}}


def _enter(s: State, e: ev.EnterGradMode) -> dict[str, Any]:
    fact = Fact(e.enabled, e, s.clock)
    if e.how == "statement":  # replaces what is in force instead of nesting in it
        return {"recording": (*s.recording[:-1], fact)}
    return {"recording": (*s.recording, fact)}


def _exit(s: State, e: ev.ExitGradMode) -> dict[str, Any]:
    return {"recording": s.recording[:-1]}


def _wrap(s: State, e: ev.Wrap) -> dict[str, Any]:
    wrapped = s.wrapped
    for kind, parts in _worn(s, e).items():
        wrapped = told(wrapped, parts, Fact(kind, e, s.clock))
    changes: dict[str, Any] = {"wrapped": wrapped}
    if e.kind == "DistributedDataParallel":
        synced = s.synced
        for leaf in leaves(e.region):
            fact = find(s.grad, leaf)
            synced = told(synced, (leaf,), Fact(fact.value if fact else UNSURE, e, s.clock))
        changes["synced"] = synced
    if e.adapter:
        changes["adapters"] = told(s.adapters, e.adapter, Fact(e.kind, e, s.clock))
    return changes


def _worn(s: State, e: ev.Wrap) -> dict[tuple[str, ...], list[Part]]:
    """The parts that are wrapped, by all the wrappers they wear now, innermost first."""
    found: dict[tuple[str, ...], list[Part]] = {}
    for part in e.region:
        fact = find(s.wrapped, part)
        found.setdefault((*(fact.value if fact else ()), e.kind), []).append(part)
    return found


def _checkpoint(s: State, e: ev.Checkpoint) -> dict[str, Any]:
    return {"checkpointed": told(s.checkpointed, e.region, Fact(e.reentrant if e.on else NO, e, s.clock))}


def _open(s: State, e: ev.OpenInputs) -> dict[str, Any]:
    return {"opened": told(s.opened, e.region, Fact(True, e, s.clock))}


def _forward(s: State, e: ev.Forward) -> dict[str, Any]:
    kept = dict(s.passes)
    changes: dict[str, Any] = {}
    if len(kept) >= FORWARDS_KEPT:
        # What ran without a graph goes first: a validation may be long, and no step goes back through it.
        oldest = next((number for number, ran in kept.items() if ran.recording is NO), next(iter(kept)))
        gone = kept.pop(oldest)
        if gone.recording is not NO:  # a loss behind it may reach it all the same, and nobody will know
            untouched = [leaf for leaf in _requiring(gone) if find(s.gradient, leaf) is None]
            changes["gradient"] = told(s.gradient, untouched, Fact(UNSURE, gone.event, s.clock))
    kept[e.serial] = Pass(e, s.is_recording(), s.switched_off(), s.grad, s.mode, s.clock)
    return {"passes": kept, **changes}


def _backward(s: State, e: ev.Backward) -> dict[str, Any]:
    if e.reached is not None:
        return _measured(s, e, e.reached)
    gradient, cut, trained = s.gradient, s.cut, s.trained
    if e.complete is not YES:  # something more may have gone in: whatever ran with gradients may have got one
        for ran in s.passes.values():
            if ran.at >= s.step_at and ran.recording is not NO:
                trained = _drilled(trained, ran)
                gradient = told(gradient, _requiring(ran), Fact(UNSURE, e, s.clock))
    for use, ran in _ran(s, e):
        if use.cut is None and ran.recording is not NO:
            trained = _drilled(trained, ran)
            gradient = told(gradient, _requiring(ran), Fact(ran.recording, e, s.clock))
        elif not s.lost(e):  # with no graph at all, backward() raises, and the fault is another
            why = ran.cut(use)
            if why:
                cut = told(cut, ran.event.region, Fact(why, e, s.clock))
    return {"gradient": gradient, "cut": cut, "trained": trained, "backward_at": s.clock}


def _drilled(trained: Facts, ran: Pass) -> Facts:
    """`trained` with the parts that this forward ran in train mode."""
    new = [
        leaf
        for leaf in leaves(ran.event.region)
        if (fact := find(ran.mode, leaf)) is not None and fact.value is YES and find(trained, leaf) is None
    ]
    return told(trained, new, Fact(True, ran.event, ran.at)) if new else trained


def _requiring(ran: Pass) -> Iterable[Part]:
    """What ran and may require grad, so that a backward through it leaves gradients."""
    return [leaf for leaf in leaves(ran.event.region) if (fact := find(ran.grad, leaf)) is None or fact.value is not NO]


def _term(s: State, e: ev.AddTerm) -> dict[str, Any]:
    return {"terms": (*s.terms[-7:], e)}


def _clip(s: State, e: ev.ClipGradients) -> dict[str, Any]:
    return {"clipped": told(s.clipped, e.region, Fact(True, e, s.clock))}


def _zero(s: State, e: ev.ZeroGrad) -> dict[str, Any]:
    held = s.optimizers.get(e.optimizer) if e.optimizer is not None else None
    region = e.region
    if held is not None:
        region = held.region
    elif not region:  # of something that is not known: it may be anything
        return {"zeroed_at": s.clock}
    if e.set_to_none is not YES:  # what has no gradient stays without one
        region = frozenset(leaf for leaf in leaves(region) if not _dropped(s, leaf))
    return {"zeroed": told(s.zeroed, region, Fact(e.set_to_none, e, s.clock))}


def _dropped(s: State, leaf: Part) -> bool:
    """Whether the gradient of a leaf was dropped, and no backward gave it another one since."""
    zeroed, got = find(s.zeroed, leaf), find(s.gradient, leaf)
    return zeroed is not None and zeroed.value is YES and (got is None or got.at < zeroed.at)


def _ran(s: State, e: ev.Backward) -> list[tuple[ev.Use, Pass]]:
    """The forwards that went into a loss, in the order in which they ran."""
    return [(u, s.passes[u.serial]) for u in sorted(e.uses, key=lambda u: u.serial) if u.serial in s.passes]


def _measured(s: State, e: ev.Backward, reached: Region) -> dict[str, Any]:
    """A backward of a running program: which parts have a gradient now was read, and need not be inferred."""
    cut, trained, lost = s.cut, s.trained, s.lost(e)
    for use, ran in _ran(s, e):
        why = ran.cut(use)
        if ran.recording is YES:
            trained = _drilled(trained, ran)
        if why is not None and not lost:  # a loss without any graph is another fault
            cut = told(cut, [part for part in leaves(ran.event.region) if part not in reached], Fact(why, e, s.clock))
    gradient = told(s.gradient, reached, Fact(YES, e, s.clock))
    return {"gradient": gradient, "cut": cut, "trained": trained, "backward_at": s.clock}


def _step(s: State, e: ev.Step) -> dict[str, Any]:
    held = s.optimizers.get(e.optimizer)
    changes: dict[str, Any] = {"steps": (*s.steps[-3:], e), "step_at": s.clock}
    if s.began is None:
        changes["began"] = s.clock
    if held:
        changes["optimizers"] = {**s.optimizers, e.optimizer: replace(held, stepped=e, stepped_at=s.clock)}
    return changes


def _take(s: State, e: ev.TakeParams) -> dict[str, Any]:
    return {"iterators": {**s.iterators, e.iterator: OneShot(e)}}


def _use(s: State, e: ev.UseParams) -> dict[str, Any]:
    known = s.iterators.get(e.iterator)
    if known is None or known.spent is not None:
        return {}
    return {"iterators": {**s.iterators, e.iterator: replace(known, spent=e)}}


def _escape(s: State, e: ev.Escape) -> dict[str, Any]:
    fact = Fact(UNSURE, e, s.clock)
    return {
        "grad": told(s.grad, e.region, fact),
        "mode": told(s.mode, e.region, fact),
        "weights": told(s.weights, e.region, Fact("unsure", e, s.clock)),
        "escaped": told(s.escaped, e.region, fact),
    }


_APPLY: dict[type, Callable[[State, Any], dict[str, Any]]] = {
    ev.CreateModule: _create,
    ev.LoadWeights: _load,
    ev.SetRequiresGrad: _set_grad,
    ev.ReplaceSubmodule: _replace,
    ev.ReplaceParameter: _rewrap,
    ev.Rebind: _rebind,
    ev.SetMode: _set_mode,
    ev.WroteAttribute: _wrote,
    ev.BuildOptimizer: _build,
    ev.AddParamGroup: _add_group,
    ev.AttachScheduler: _attach,
    ev.StepScheduler: _schedule,
    ev.SaveOptimizer: _save,
    ev.LoadOptimizer: _restore,
    ev.EnterGradMode: _enter,
    ev.ExitGradMode: _exit,
    ev.Wrap: _wrap,
    ev.Checkpoint: _checkpoint,
    ev.OpenInputs: _open,
    ev.AddTerm: _term,
    ev.Forward: _forward,
    ev.Backward: _backward,
    ev.ClipGradients: _clip,
    ev.ZeroGrad: _zero,
    ev.Step: _step,
    ev.TakeParams: _take,
    ev.UseParams: _use,
    ev.Escape: _escape,
}


def joined(first: State, second: State) -> State:
    """One state for both: what they do not agree on is Unsure. The overflow of worlds ends here."""
    changes: dict[str, Any] = {}
    for name in ("grad", "mode", "gradient"):
        changes[name] = _agreed(getattr(first, name), getattr(second, name), UNSURE)
    changes["weights"] = _agreed(first.weights, second.weights, "unsure")
    known = ("escaped", "joined", "left", "wrapped", "rewrapped", "rebound", "settings", "pinned", "trained")
    for name in (*known, "adapters", "opened"):
        changes[name] = {**getattr(second, name), **getattr(first, name)}
    for name in ("synced", "checkpointed"):
        changes[name] = _agreed(getattr(first, name), getattr(second, name), UNSURE)
    changes["cut"] = {p: f for p, f in first.cut.items() if p in second.cut}
    optimizers = dict(second.optimizers)
    for serial, held in first.optimizers.items():
        other = second.optimizers.get(serial)
        optimizers[serial] = held if held == other else replace(held, complete=UNSURE)
    for serial in second.optimizers.keys() - first.optimizers.keys():
        optimizers[serial] = replace(optimizers[serial], complete=UNSURE)
    return replace(
        first,
        clock=max(first.clock, second.clock),
        optimizers=optimizers,
        passes={**second.passes, **first.passes},
        made={**second.made, **first.made},
        **changes,
    )


def _agreed(first: Facts, second: Facts, unsure: Any) -> Facts:
    if first is second:
        return first
    merged: dict[Part, Fact] = {}
    for part in {**first, **second}:
        here, there = first.get(part), second.get(part)
        if here is not there:
            here, there = here or find(first, part), there or find(second, part)
        known = here or there
        assert known is not None
        agree = here is there or (here is not None and there is not None and here.value == there.value)
        merged[part] = known if agree else replace(known, value=unsure)
    return merged
