"""Questions about forwards and what goes back through them: what ran for training, in which mode, where it was cut."""

from __future__ import annotations

from collections.abc import Iterable, Set

from freezelint.trace import events as ev
from freezelint.trace.about_parts import AboutParts, tri_of
from freezelint.trace.regions import Part, Region, leaf_set, leaves
from freezelint.trace.state import Pass, State, find
from freezelint.trace.tri import NO, YES, Tri


class AboutPasses(AboutParts):
    """What a moment says of the forwards so far."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self._narrower: dict[tuple[ev.SetMode, ev.SetMode], bool] = {}

    def recording(self) -> Tri:
        """Whether autograd records now."""
        return self.state.is_recording()

    def inert(self, ran: Pass) -> bool:
        """Whether nothing in a forward could have learnt from it: every parameter was surely frozen."""
        parts = [leaf for leaf in leaves(ran.event.region) if leaf.has("params") is not NO]
        return all(tri_of(ran.grad, leaf) is NO for leaf in parts)

    def passes_in(self, uses: Iterable[ev.Use]) -> list[Pass]:
        """The forwards that tensors came out of, in their order."""
        found = {u.serial: self.state.passes[u.serial] for u in uses if u.serial in self.state.passes}
        return sorted(found.values(), key=lambda ran: ran.at)

    def inputs_open(self, region: Iterable[Part]) -> bool:
        """Whether the inputs of a model were made to require grad."""
        return any(find(self.state.opened, part) is not None for part in region)

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

    def passes_over(self, region: Region) -> list[Pass]:
        """The forwards that ran all of these at once."""
        return [ran for ran in self.state.passes.values() if set(leaves(region)) <= set(leaves(ran.event.region))]

    def ran_alone(self, region: Region) -> bool:
        """Whether a forward ran these, or some of them, and nothing else."""
        inside = set(leaves(region))
        return any(set(leaves(ran.event.region)) <= inside for ran in self.state.passes.values())

    def made_in_mode(self, part: Part, during: Pass) -> ev.CreateModule | None:
        """The construction that a leaf's mode of that moment came from, None when it was switched since."""
        fact = find(during.mode, part)
        return fact.event if fact is not None and isinstance(fact.event, ev.CreateModule) else None

    def in_pass(self, ran: Pass) -> list[Part]:
        """The leaves that a forward ran."""
        return leaves(ran.event.region)

    def flagged_unrun(self, region: Region) -> list[ev.WroteAttribute]:
        """Writes to the `training` flag of modules in a region that nothing has run since."""
        ran = max((one.at for one in self.state.passes.values()), default=-1)
        facts = [fact for part in leaves(region) if (fact := find(self.state.flagged, part)) is not None]
        return list(dict.fromkeys(f.event for f in facts if f.at > ran and isinstance(f.event, ev.WroteAttribute)))

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
        for ran in self.state.passes.values() if recorded else ():
            if ran.recording is NO and ran.at <= self.state.backward_at:
                self._leave_out(found, ran, {use.serial for use in uses})
        return found

    @staticmethod
    def _leave_out(found: dict[Part, Pass], inner: Pass, used: Set[int]) -> None:
        """A forward without a graph inside of one that has it, as of a frozen part: the outer one did not train it."""
        inside = leaf_set(inner.event.region)
        for leaf in inside:
            outer = found.get(leaf)
            if outer is None or outer.at >= inner.at:
                continue
            if inside < leaf_set(outer.event.region) or (inner.event.serial in used and outer.event.serial not in used):
                del found[leaf]

    def went_back(self) -> bool:
        """Whether a backward was seen since the last step."""
        return self.state.backward_at >= self.state.step_at

    def ran_since_backward(self, part: Part) -> bool:
        """Whether a forward that autograd recorded ran this leaf after the last backward."""
        late = [ran for ran in self.state.passes.values() if ran.at > self.state.backward_at and ran.recording is YES]
        return any(above in ran.event.region for ran in late for above in part.above())

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

    def switched_off(self) -> ev.EnterGradMode | None:
        """What keeps autograd from recording now, None when it records."""
        return self.state.switched_off()

    def cut(self, part: Part) -> ev.Cut | None:
        """Where the way from a leaf to every loss so far was cut; None when a gradient reached it, or nothing was."""
        fact = find(self.state.cut, part)
        return fact.value if fact and find(self.state.gradient, part) is None else None
