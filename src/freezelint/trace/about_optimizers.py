"""Questions about optimizers: what they hold, what they miss, and what moves without learning."""

from __future__ import annotations

from collections.abc import Iterable

from freezelint.trace import events as ev
from freezelint.trace.about_passes import AboutPasses
from freezelint.trace.regions import Part, Region, leaves
from freezelint.trace.state import Optimizer, find
from freezelint.trace.tri import NO, UNSURE, YES, Tri


class AboutOptimizers(AboutPasses):
    """What a moment says of the optimizers so far."""

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

    def optimizer(self, serial: int) -> Optimizer | None:
        """The optimizer an event speaks of, if it was seen being built."""
        return self.state.optimizers.get(serial)

    def held_elsewhere(self, part: Part, step: ev.Step) -> bool:
        """Whether this leaf is another optimizer's than the one that steps: a gradient only passes through it."""
        mine = self.optimizer(step.optimizer)
        return mine is not None and mine.holds(part) is NO and bool(self.holders(part))

    @property
    def optimizers(self) -> list[Optimizer]:
        """Every optimizer, in the order of construction."""
        return list(self.state.optimizers.values())

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

    def sharded_since(self, optimizer: Optimizer, part: Part) -> ev.Wrap | None:
        """The FSDP that replaced a leaf's parameters after an optimizer took them."""
        fact = find(self.state.wrapped, part)
        event = fact.event if fact is not None and fact.at > optimizer.at else None
        if not isinstance(event, ev.Wrap) or not (event.kind.startswith("FSDP") or event.kind.startswith("FullySh")):
            return None
        keeps = event.kind != "FSDP2" and dict(event.settings).get("use_orig_params", "False") != "False"
        return None if keeps or ("**", "") in event.settings else event

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

    def momentary(self, part: Part) -> bool:
        """Whether a leaf was frozen for this step only, as a GAN's discriminator is: its optimizer existed before."""
        fact = find(self.state.grad, part)
        if fact is None or fact.at < self.state.step_at:
            return False
        return any(held.at < fact.at for held in self.holders(part))

    def awoke(self, part: Part, since: Optimizer) -> bool:
        """Whether a leaf was frozen first and unfrozen after an optimizer was built; a later lap does so once more."""
        fact = find(self.state.grad, part)
        if fact is None or fact.value is not YES or fact.at <= since.at:
            return False
        return fact.was is NO or fact.event.lap > 0

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
