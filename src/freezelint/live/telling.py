"""From journal to events: what an entry says of objects is told of their parts, and the rules listen.

Flags, modes and membership are read from the objects themselves: an entry tells where, the object tells what.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from torch import nn

from freezelint.finding import Finding, Site, by_cause
from freezelint.live import sites, table
from freezelint.live.journal import Entry, Held, Journal
from freezelint.live.measure import Measures
from freezelint.live.probe import ByIdentity, Forest, Leaf, storage_of
from freezelint.live.table import Named, Row
from freezelint.trace import events as ev
from freezelint.trace import run as asking
from freezelint.trace.check import Rule
from freezelint.trace.regions import NOWHERE, Part, Region
from freezelint.trace.state import State
from freezelint.trace.tri import NO, UNSURE, YES, Tri
from freezelint.trace.wording import describe


@dataclass
class Seen:
    """A fault that a rule saw in the run."""

    rule: Rule
    fault: asking.Fault


class Teller:
    """What is known of a running program: its objects, their parts, and the state that its events have led to."""

    def __init__(self, rules: Iterable[Rule], trace: Callable[[str], None] | None, values: bool) -> None:
        self.forest = Forest()
        self.state = State()
        self.faults: list[Seen] = []
        self.excused: set[Any] = set()
        self.optimizers: dict[int, Held] = {}
        self.steps = 0
        self.touched: dict[tuple[str, int], set[Part]] = {}  # what events at a line were about
        self.effects: dict[tuple[str, int], set[str]] = {}  # and which kinds of events they were
        self.measures = Measures(self.forest, values=values)
        self._trace = trace
        self._listeners: dict[type, list[Rule]] = {}
        for rule in rules:
            if rule.sides != "static":
                for kind in rule.on:
                    self._listeners.setdefault(kind, []).append(rule)
        self._journal = Journal()
        self._known: ByIdentity[Held] = ByIdentity()
        self._flags: dict[Part, bool] = {}
        self._modes: dict[Part, bool] = {}
        self._serials = itertools.count(1)
        self._entered: list[int] = []
        self._outer_label = ""
        self._sightings: set[tuple[str, str, int]] = set()
        self._cuts: dict[Part, ev.Cut] = {}
        self._reached: set[Any] = set()  # parts that got a gradient, and where a backward gave any

    def _wake(self, why: Any) -> None:
        """Something new happened."""

    def _lap(self) -> int:
        return min(self.steps, 1)

    def _discover(self, module: nn.Module, label: str | None) -> None:
        if self.forest.modules.get(module) is not None and not self._grew(module):
            return
        planted = self.forest.plant(module, label or _name_of(module))
        if planted is None:
            return
        born: dict[tuple[Site | None, bool, bool], set[Part]] = {}
        for leaf in planted.leaves:
            born.setdefault((leaf.born, leaf.random, leaf.frozen), set()).add(leaf.part)
            self._flags[leaf.part], self._modes[leaf.part] = not leaf.frozen, True
        for (site, random, frozen), parts in born.items():
            region = frozenset(parts)
            pretrained = NO if random else UNSURE  # what a library made may come with weights
            self._emit(ev.CreateModule(site=site, region=region, kind=planted.kind, pretrained=pretrained))
            if frozen:
                self._emit(ev.SetRequiresGrad(site=site, region=region, to=NO, how="framework"))
        self.measures.met(planted.leaves)

    def _grew(self, module: nn.Module) -> bool:
        """Whether something below `module` has no part yet."""
        return any(
            self.forest.modules.get(inner) is None
            or any(p is not None and self.forest.parameters.get(p) is None for p in inner._parameters.values())
            for inner in module.modules()
        )

    def _sync(self) -> None:
        """Tell what the journal holds, then what the objects say and no entry told."""
        for entry in self._journal.take():
            for event in self._events(entry):
                self._emit(event)
        self._reconcile()

    def _parts(self, objects: Iterable[Any], site: Site | None) -> Region:
        """The parts of parameters. What has none yet gets one, along with the model it belongs to."""
        found = []
        for parameter in objects:
            part = self.forest.parameters.get(parameter)
            if part is None:
                ref = self.forest.owners.get(parameter)
                owner = ref() if ref is not None else None
                if owner is not None:
                    self._discover(self.forest.root_of(owner), None)
                    part = self.forest.parameters.get(parameter)
            if part is None:
                leaf = self.forest.lone(parameter, "a parameter", site)
                part = leaf.part
                self._flags[part] = self._modes[part] = True
                self._emit(ev.CreateModule(site=site, region=frozenset({part}), kind="Parameter"))
                self.measures.met([leaf])
            found.append(part)
        return frozenset(found)

    def _events(self, entry: Entry) -> Iterable[ev.Event]:
        alive = [o for ref in entry.objects if (o := ref()) is not None]
        site, details, lap = entry.site, entry.details, self._lap()
        match entry.what:
            case "flag":
                region = self._parts(alive, site)
                self._flags.update(dict.fromkeys(region, details["to"]))
                if region:
                    more = {k: details[k] for k in ("given", "within") if k in _GRAD_FIELDS}
                    to = Tri.of(details["to"])
                    yield ev.SetRequiresGrad(site=site, lap=lap, region=region, to=to, how=details["how"], **more)
            case "copy":
                same = [
                    leaf
                    for leaf in self.forest.leaves.values()
                    if details["storage"] and _storage(leaf) == details["storage"]
                ]
                if same:
                    region = frozenset(leaf.part for leaf in same)
                    yield ev.WroteAttribute(
                        site=site,
                        lap=lap,
                        region=region,
                        target="copy",
                        name=details["name"],
                        value="False",
                        how=".data",
                    )
            case "mode":
                for value in (True, False):
                    region = frozenset(
                        part
                        for ref, mode in zip(entry.objects, details["modes"], strict=False)
                        if mode is value and (module := ref()) is not None
                        for part in self.forest.own(module)
                    )
                    if region:
                        self._modes.update(dict.fromkeys(region, value))
                        yield ev.SetMode(
                            site=site,
                            lap=lap,
                            region=region,
                            training=Tri.of(value),
                            by=details["by"],
                            within=details["within"],
                        )
            case "load":
                region = frozenset(part for module in alive for part in self.forest.own(module))
                if site is not None:
                    self.effects.setdefault((site.path, site.line), set()).add(f"LoadWeights of {details['share']}")
                if region and details["share"] != "nothing":
                    yield ev.LoadWeights(site=site, lap=lap, region=region)
            case "zero" if alive:
                to_none = Tri.of(details["to_none"])
                if isinstance(alive[0], nn.Module):
                    yield ev.ZeroGrad(site=site, lap=lap, region=self.forest.below(alive[0]), set_to_none=to_none)
                else:
                    held = self._known.get(alive[0])
                    number = held.serial if held else None
                    yield ev.ZeroGrad(site=site, lap=lap, optimizer=number, set_to_none=to_none)
            case "build":
                groups = []
                for refs in details["groups"]:
                    groups.append(self._parts([p for ref in refs if (p := ref()) is not None], site))
                held = self.optimizers[details["serial"]]
                held.groups = list(groups)
                yield ev.BuildOptimizer(
                    site=site,
                    lap=lap,
                    optimizer=held.serial,
                    kind=held.kind,
                    groups=tuple(groups),
                    label=held.kind,
                    by=details["by"],
                    filtered=any(self._flags.get(p) is False for p in self._siblings(groups)),
                    coasts=details["coasts"],
                )
            case "group":
                region = self._parts(alive, site)
                self.optimizers[details["serial"]].groups.append(region)
                yield ev.AddParamGroup(
                    site=site, lap=lap, optimizer=details["serial"], region=region, has_lr=Tri.of(details["has_rate"])
                )
            case "scheduler":
                yield ev.AttachScheduler(
                    site=site,
                    lap=lap,
                    optimizer=details["serial"],
                    kind=details["kind"],
                    scheduler=details["number"],
                    fixed_groups=details["fixed"],
                )
            case "slept":  # no rule is asked: what ran before these steps was not seen
                for number in details["serials"]:
                    self.state = self.state.apply(ev.Step(site=None, lap=lap, optimizer=number))
            case "schedule":
                known = self.state.optimizers.get(details["serial"])
                driver = known.driver(details["number"]) if known is not None else None
                if known is not None and driver is not None and details["fits"]:
                    if any(group.at > driver.at for group in known.groups):  # its lists were brought up to date
                        yield driver.attached
                yield ev.StepScheduler(site=site, lap=lap, optimizer=details["serial"], scheduler=details["number"])
            case "wrap" if alive:
                self._discover(self.forest.root_of(alive[0]), None)
                assert isinstance(alive[0], nn.Module)
                yield ev.Wrap(site=site, lap=lap, region=self.forest.below(alive[0]), kind=details["kind"])
            case "shard":
                region, kind, settings = details["region"], details["kind"], details["settings"]
                yield ev.Wrap(site=site, lap=lap, region=region, kind=kind, settings=settings)
            case "replace" if len(alive) > 1:
                parent, child = alive[:2]
                self._discover(self.forest.root_of(parent), None)
                if not self.forest.below(child):
                    return
                yield ev.ReplaceSubmodule(
                    site=site,
                    lap=lap,
                    owner=self.forest.below(parent),
                    name=details["name"],
                    old=details["old"],
                    new=self.forest.below(child),
                )
            case "wrote" if alive:
                modules = [target for target in alive if isinstance(target, nn.Module)]
                if details["name"] == "training":  # what train() would have reached, and the flag has not
                    modules = [m for m in modules if any(i.training is not m.training for i in m.modules())]
                region = self._parts([target for target in alive if not isinstance(target, nn.Module)], site)
                region = region.union(*map(self.forest.below, modules))
                if not region:
                    return
                yield ev.WroteAttribute(
                    site=site,
                    lap=lap,
                    region=region,
                    target=details["target"],
                    name=details["name"],
                    value=details["value"],
                    text=f"{_short(region)}.{details['name']}",
                    own=details["own"],
                )
            case "cut":
                cut = ev.Cut(details["how"], site)
                for part in self.forest.of(alive):
                    other = self._cuts.get(part)
                    if other is None or _on_purpose(cut) > _on_purpose(other):
                        self._cuts[part] = cut
            case "clip":
                yield ev.ClipGradients(site=site, lap=lap, region=self._parts(alive, site))
            case "enter":
                self._entered.append(details["number"])
                yield ev.EnterGradMode(
                    site=site,
                    lap=lap,
                    enabled=Tri.of(details["enabled"]),
                    kind=details["kind"],
                    how=details["how"],
                    inside=details["inside"],
                )
            case "exit":
                if self._entered and self._entered[-1] == details["number"]:
                    self._entered.pop()
                    yield ev.ExitGradMode(site=site, lap=lap)
            case "ran":
                region = frozenset(part for module in alive for part in self.forest.own(module))
                if region:
                    recording = details["recording"]
                    if recording is not (self.state.is_recording() is YES):
                        yield ev.EnterGradMode(
                            site=None, lap=lap, enabled=Tri.of(recording), kind="set_grad_enabled", how="with"
                        )
                        yield self._passed(site, lap, region)
                        yield ev.ExitGradMode(site=None, lap=lap)
                    else:
                        yield self._passed(site, lap, region)

    def _passed(self, site: Site | None, lap: int, region: Region) -> ev.Forward:
        return ev.Forward(site=site, lap=lap, serial=next(self._serials), region=region, label=self._outer_label)

    def _siblings(self, groups: list[Region]) -> set[Part]:
        roots = {part.root for group in groups for part in group}
        held = {part for group in groups for part in group}
        return {part for part in self.forest.leaves if part.root in roots and part not in held}

    def _reconcile(self) -> None:
        """What the objects say and no entry told: flags that were set at birth or by code that was not seen."""
        frozen: dict[tuple[Site | None, bool], set[Part]] = {}
        modes: dict[bool, set[Part]] = {}
        for part, leaf in self.forest.leaves.items():
            parameter = leaf.parameter() if leaf.parameter is not None else None
            if parameter is not None and parameter.requires_grad is not self._flags[part]:
                self._flags[part] = parameter.requires_grad
                frozen.setdefault((leaf.born, parameter.requires_grad), set()).add(part)
            module = leaf.module() if leaf.module is not None else None
            if module is not None and module.training is not self._modes[part]:
                self._modes[part] = module.training
                modes.setdefault(module.training, set()).add(part)
        if frozen or modes:
            self._wake("found")
        for (site, flag), parts in frozen.items():
            self._emit(
                ev.SetRequiresGrad(
                    site=site, lap=self._lap(), region=frozenset(parts), to=Tri.of(flag), how="framework"
                )
            )
        for mode, parts in modes.items():
            self._emit(
                ev.SetMode(site=None, lap=self._lap(), region=frozenset(parts), training=Tri.of(mode), by="attribute")
            )

    # Rules ----------------------------------------------------------------------------------------------------------

    def _emit(self, event: ev.Event) -> None:
        """Let the rules see an event in the state before it, then apply it."""
        if self._trace is not None:
            from freezelint.trace.show import show

            where = f"{event.site.path}:{event.site.line}: " if event.site is not None else ""
            self._trace(where + show(event))
        if event.site is not None:
            self._touch(event)
        run = asking.Run(self.state)
        for rule in self._listeners.get(type(event), ()):
            for fault in rule.check(run, event):
                if not isinstance(fault, asking.Fault):
                    self.excused.add((rule.slug, fault.site))
                    continue
                if fault.site is None and event.site is not None:  # it was so before the watch began
                    fault = replace(fault, site=event.site, message=f"{fault.message} (since before the watch began)")
                if isinstance(fault.site, Site):
                    key = (rule.slug, fault.site.path, fault.site.line)
                    if key not in self._sightings:
                        self._sightings.add(key)
                        self.faults.append(Seen(rule, fault))
        self.state = self.state.apply(event)

    def _touch(self, event: ev.Event) -> None:
        regions: list[Region] = [getattr(event, "region", NOWHERE), *getattr(event, "groups", ())]
        regions.append(getattr(event, "new", NOWHERE))
        if isinstance(event, ev.Step) and (held := self.optimizers.get(event.optimizer)):
            regions += held.groups
        place = (event.site.path, event.site.line)
        kind = type(event).__name__
        given = event.groups if isinstance(event, ev.BuildOptimizer) else (getattr(event, "region", NOWHERE),)
        empty = isinstance(event, (ev.ClipGradients, ev.BuildOptimizer, ev.AddParamGroup)) and not all(given)
        self.effects.setdefault(place, set()).add(f"{kind} of nothing" if empty else kind)
        parts = self.touched.setdefault(place, set())
        for region in regions:
            parts |= region

    def table(self) -> tuple[Row, ...]:
        """What is true of every module that was met, its name below that of its model."""
        return table.rows(self._named(), {}, {})

    def _named(self) -> Iterator[Named]:
        for part, leaf in self.forest.leaves.items():
            numbers = self.measures.of.get(part)
            module = leaf.module() if leaf.module is not None else None
            if numbers is not None and (module is None or self.forest.stands(part, module)):
                yield f"{part.root.label}.{leaf.name}" if leaf.module is not None else leaf.name, leaf, numbers

    def findings(self, line_of: Callable[[Site], str] = lambda site: "") -> list[Finding]:
        """What the rules saw in this run: once for each cause, and not what a rule that tells more has told."""
        told = [seen for seen in self.faults if not self._withdrawn(seen)]
        return by_cause(
            _finding(seen, line_of)
            for seen in told
            if not any(
                other.rule.slug in seen.rule.yields_to and asking.same_story(seen.fault, other.fault, _line)
                for other in told
            )
        )

    def _withdrawn(self, seen: Seen) -> bool:
        """Whether something that came later showed that this is no fault."""
        fault, slug = seen.fault, seen.rule.slug
        return (
            (slug, fault.site) in self.excused
            or (fault.about is not None and (slug, fault.about) in self.excused)
            or bool(fault.unless & self._reached)
        )


def _line(site: Any) -> Any:
    return (site.path, site.line) if isinstance(site, Site) else site


def _finding(seen: Seen, line_of: Callable[[Site], str]) -> Finding:
    rule, fault = seen.rule, seen.fault
    return Finding(
        rule.slug,
        fault.severity or rule.severity,
        fault.message,
        fault.site,
        related=tuple(note.site.note(note.message) for note in fault.related if isinstance(note.site, Site)),
        confirm=" ".join(rule.section("Confirm").split()),
        source_line=line_of(fault.site),
        about=fault.about if isinstance(fault.about, Site) else None,
    )


def _on_purpose(cut: ev.Cut) -> bool:
    """Whether a cut goes before one that may as well have been for a log or a metric."""
    return cut.how not in (".item()", ".tolist()", ".argmax()", ".argmin()", ".argsort()", ".int()", ".bool()")


_GRAD_FIELDS = {item.name for item in fields(ev.SetRequiresGrad)}


def _storage(leaf: Leaf) -> int | None:
    return storage_of(leaf.parameter() if leaf.parameter is not None else None)


def _short(region: Region) -> str:
    return describe(region, 1)


def _name_of(module: nn.Module) -> str:
    """What the user calls a module: the variable that holds it in a frame of theirs, else its class."""
    for frame in sites.user_frames():
        for scope in (frame.f_locals, frame.f_globals):
            for name, value in list(scope.items()):
                if value is module and name != "self" and not name.startswith("_"):
                    return name
    return type(module).__name__
