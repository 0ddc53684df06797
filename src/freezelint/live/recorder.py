"""The recorder: what hooks tell becomes a journal, and the journal becomes events, once the objects in it have parts.

An entry of the journal names objects and the user's line. It is turned into an event at the next forward, backward,
step or end, because a parameter that is frozen in a constructor belongs to a model only later. Flags, modes and
membership are then read from the objects themselves: an entry tells where, the object tells what.

The first steps are watched closely, rules and all. After that the recorder sleeps (it only compares flags and modes
at each step) until something new happens: an unfreeze, another mode, another optimizer.
"""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from types import FunctionType
from typing import Any

import torch
from torch import nn

from freezelint.finding import Finding, Site
from freezelint.live import hooks, sites
from freezelint.live.measure import Measures
from freezelint.live.probe import ByIdentity, Forest, Leaf
from freezelint.trace import events as ev
from freezelint.trace import run as asking
from freezelint.trace.check import Rule
from freezelint.trace.regions import NOWHERE, Part, Region, leaves
from freezelint.trace.state import State
from freezelint.trace.tri import NO, UNSURE, YES, Tri

CLOSE_STEPS = 3  # steps that are watched closely at the start
AWAKE_STEPS = 2  # and after something new
AWAKE_TIMES = 4  # how often the same line counts as new
METHODS = ("train", "eval", "requires_grad_")  # that an attribute of the same name hides
IN_LOOPS = ("flag", "wrote", "copy")  # what a loop does to one parameter after the other


@dataclass
class Seen:
    """A fault that a rule saw in the run."""

    rule: Rule
    fault: asking.Fault


@dataclass(eq=False)
class Held:
    """An optimizer of the program."""

    serial: int
    ref: weakref.ref[torch.optim.Optimizer]
    kind: str
    site: Site | None
    steps: int = 0
    groups: list[frozenset[Part]] = field(default_factory=list)


@dataclass
class Entry:
    """Something that happened at `site`, to be told once its objects have parts."""

    what: str
    site: Site | None
    objects: list[weakref.ref[Any]]
    details: dict[str, Any]
    ids: set[int] = field(default_factory=set)


class Recorder:
    """Watches the program it runs in, between `start` and `stop`. One thread's forwards and modes are followed."""

    def __init__(
        self,
        rules: Iterable[Rule] = (),
        *,
        trace: Callable[[str], None] | None = None,
        on_step: Callable[[Recorder], None] | None = None,
        every: int = 16,
        values: bool = True,
    ) -> None:
        self.forest = Forest()
        self.state = State()
        self.faults: list[Seen] = []
        self.excused: set[Any] = set()
        self.optimizers: dict[int, Held] = {}
        self.steps = 0
        self.spent = 0.0  # seconds inside the recorder
        self.trouble: list[str] = []  # errors of the recorder itself
        self.close = False
        self.looked = False  # whether the values were looked at in the last step
        self.touched: dict[tuple[str, int], set[Part]] = {}  # what events at a line were about
        self.effects: dict[tuple[str, int], set[str]] = {}  # and which kinds of events they were
        self.measures = Measures(self.forest, values=values)
        self.every = every
        self._trace = trace
        self._on_step = on_step
        self._listeners: dict[type, list[Rule]] = {}
        for rule in rules:
            if rule.sides != "static":
                for kind in rule.on:
                    self._listeners.setdefault(kind, []).append(rule)
        self._journal: list[Entry] = []
        self._known: ByIdentity[Held] = ByIdentity()
        self._flags: dict[Part, bool] = {}
        self._modes: dict[Part, bool] = {}
        self._serials = itertools.count(1)
        self._thread = threading.get_ident()
        self._busy = False
        self._depth = 0
        self._ran: list[nn.Module] = []
        self._outer: nn.Module | None = None
        self._entered: list[int] = []
        self._awake = CLOSE_STEPS
        self._woken: dict[Any, int] = {}
        self._recording = True
        self._open: list[tuple[Any, int]] = []
        self._outer_site: Site | None = None
        self._outer_label = ""
        self._sightings: set[tuple[str, str, int]] = set()
        self._gradients: dict[Part, tuple[int, int]] = {}
        self._forced: ByIdentity[Site | None] = ByIdentity()
        self._cuts: dict[Part, ev.Cut] = {}
        self._reached: set[Any] = set()  # parts that got a gradient, and where a backward gave any
        self._handlers: dict[str, Callable[..., None]] = {
            "flag": self._flag,
            "mode": self._mode,
            "load": self._load,
            "zero": self._zero,
            "copied": self._copied,
            "build": self._build,
            "group": self._group,
            "scheduler": self._scheduler,
            "wrap": self._wrap,
            "before backward": self._before_backward,
            "backward": self._backward,
            "clip": self._clip,
            "enter": self._enter,
            "exit": self._exit,
            "attribute": self._attribute,
            "detach": self._detach,
            "parameter": self._parameter,
            "module": self._module,
            "before forward": self._before_forward,
            "forward": self._forward,
            "before step": self._before_step,
            "step": self._step,
        }

    # Life -----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to watch."""
        self.close = self._awake > 0
        hooks.listen(self)

    def stop(self) -> None:
        """Watch no more, and draw the conclusions that only the end allows."""
        self.close = False
        hooks.leave(self)
        self._guarded(self._end)

    def _end(self) -> None:
        for _, ref in self.forest.owners.items():  # models that never ran are still told of
            module = ref()
            if module is not None and self.forest.modules.get(module) is None:
                self._discover(self.forest.root_of(module), None)
        self._sync()
        self._emit(ev.End(site=None))

    def hear(self, what: str, *details: Any) -> None:
        """What a hook tells."""
        if self._busy:
            return
        if threading.get_ident() != self._thread and what not in ("flag", "parameter", "module"):
            return
        self._guarded(self._handlers[what], *details)
        if what == "step" and self._on_step is not None:
            self._on_step(self)

    def _guarded(self, action: Callable[..., object], *details: Any) -> None:
        """Do something of the recorder's own: not seen by its hooks, timed, and never the program's trouble."""
        started = time.perf_counter()
        self._busy = True
        try:
            action(*details)
        except Exception as error:
            last = error.__traceback__
            while last is not None and last.tb_next is not None:
                last = last.tb_next
            where = f" at {last.tb_frame.f_code.co_filename.rpartition('/')[2]}:{last.tb_lineno}" if last else ""
            text = f"{type(error).__name__}: {error}{where}"
            if text not in self.trouble:
                self.trouble.append(text)
        finally:
            self._busy = False
            self.spent += time.perf_counter() - started

    def add(self, module: nn.Module, label: str | None = None) -> None:
        """Watch a module that was built before the recorder started."""
        self._guarded(self._discover, module, label)

    def add_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """Watch an optimizer that was built before the recorder started."""
        self._guarded(lambda: self._hold(optimizer, None))

    # The journal ----------------------------------------------------------------------------------------------------

    def _note(self, what: str, site: Site | None, objects: Iterable[Any] = (), **details: Any) -> Entry:
        objects = list(objects)
        refs, ids = [weakref.ref(o) for o in objects], {id(o) for o in objects}
        entry = self._same_loop(what, site, details, ids) if what in IN_LOOPS else None
        if entry is not None:
            entry.objects += refs
            entry.ids |= ids
            return entry
        entry = Entry(what, site, refs, details, ids)
        self._journal.append(entry)
        return entry

    def _same_loop(self, what: str, site: Site | None, details: dict[str, Any], ids: set[int]) -> Entry | None:
        """The entry of the same line, while nothing but a loop over parameters went on in between: it is one event."""
        for entry in reversed(self._journal):
            if entry.what not in IN_LOOPS or entry.ids & ids:
                return None
            if entry.what == what and entry.site == site and entry.details == details:
                return entry
        return None

    def _wake(self, why: Any) -> None:
        """Something new happened: watch the next steps closely. What happens again and again soon wakes nobody."""
        times = self._woken[why] = self._woken.get(why, 0) + 1
        if times > AWAKE_TIMES:
            return
        self._awake = max(self._awake, AWAKE_STEPS)
        if not self.close:
            self.close = True
            hooks.refresh()

    def _flag(self, tensor: torch.Tensor, value: bool, how: str, given: bool) -> None:
        frame = sites.user_frame()
        site = sites.site_of(frame)
        if isinstance(tensor, nn.Parameter) or self.forest.parameters.get(tensor) is not None:
            part = self.forest.parameters.get(tensor)
            if part is None or self._flags.get(part) is not value:
                self._wake(site)
            within = frame.f_code.co_name if frame and not frame.f_code.co_name.startswith("<") else ""
            self._note("flag", site, [tensor], to=value, how=how, given=given, within=within)
        elif value and tensor.grad_fn is None:
            self._forced[tensor] = site
        elif not value and tensor.is_leaf and tensor.numel():
            self._note("copy", site, [], storage=tensor.untyped_storage().data_ptr(), name="requires_grad")

    def _mode(self, module: nn.Module, result: Any, args: Any, kwargs: Any) -> None:
        asked = bool(args[0] if args else kwargs.get("mode", True))
        inner = list(module.modules())
        known = [self.forest.modules.get(m) for m in inner]
        if any(k is None for k in known) or self._differs(inner):
            site = sites.here()
            self._wake(site)
            self._note("mode", site, inner, by="train" if asked else "eval", modes=[m.training for m in inner])

    def _differs(self, modules: Iterable[nn.Module]) -> bool:
        if any(entry.what == "mode" for entry in self._journal):
            return True  # the modes that are known are not up to date
        for module in modules:
            owner = self.forest.modules.get(module)
            if owner is not None and any(self._modes.get(part) is not module.training for part in owner.own):
                return True
        return False

    def _load(self, module: nn.Module, result: Any, args: Any, kwargs: Any) -> None:
        self._note("load", sites.here(), [module])

    def _zero(self, owner: Any, result: Any, args: Any, kwargs: Any) -> None:
        if not self.close:
            return
        to_none = bool(args[0] if args else kwargs.get("set_to_none", True))
        self._note("zero", sites.here(), [owner], to_none=to_none)

    def _copied(self, module: nn.Module, result: Any, args: Any, kwargs: Any) -> None:
        for child in module._modules.values():
            if child is not None:
                self.forest.register_module(module, child)
        for parameter in module._parameters.values():
            if parameter is not None:
                self.forest.register_parameter(module, parameter, sites.here())

    def _parameter(self, module: nn.Module, name: str, parameter: torch.Tensor) -> None:
        self.forest.register_parameter(module, parameter, sites.here(), sites.by_hand())

    def _module(self, parent: nn.Module, name: str, child: nn.Module) -> None:
        self.forest.register_module(parent, child)
        old = parent._modules.get(name)
        if old is child:
            return
        if old is None and not sites.in_person():
            return  # a container, or a library's model, is being built
        if isinstance(old, nn.Module):
            self._wake(name)
            self._discover(self.forest.root_of(parent), None)  # while the old one is still there
        gone = self.forest.below(old) if isinstance(old, nn.Module) else NOWHERE
        self._note("replace", sites.here(), [parent, child], name=name, old=gone)

    def _build(self, optimizer: torch.optim.Optimizer) -> None:
        self._wake("build")
        self._hold(optimizer, sites.here())

    def _hold(self, optimizer: torch.optim.Optimizer, site: Site | None) -> Held:
        held = self._known.get(optimizer)
        if held is None:
            held = Held(next(self._serials), weakref.ref(optimizer), type(optimizer).__name__, site)
            self._known[optimizer] = held
            self.optimizers[held.serial] = held
            groups = [[weakref.ref(p) for p in group["params"]] for group in getattr(optimizer, "param_groups", ())]
            self._note("build", site, [optimizer], serial=held.serial, kind=held.kind, groups=groups)
        return held

    def _group(self, optimizer: torch.optim.Optimizer, parameters: list[torch.Tensor], has_rate: bool) -> None:
        held = self._known.get(optimizer)
        if held is None:
            self._hold(optimizer, None)
            return
        self._wake("group")
        self._note("group", sites.here(), parameters, serial=held.serial, has_rate=has_rate)

    def _scheduler(self, scheduler: Any, result: Any, args: Any, kwargs: Any) -> None:
        optimizer = getattr(scheduler, "optimizer", None)
        if isinstance(optimizer, torch.optim.Optimizer):
            held = self._hold(optimizer, None)
            self._note("scheduler", sites.here(), [], serial=held.serial, kind=type(scheduler).__name__)

    def _wrap(self, wrapper: nn.Module, result: Any, args: Any, kwargs: Any) -> None:
        self._wake("wrap")
        inner = getattr(wrapper, "module", None)
        if isinstance(inner, nn.Module):
            self._note("wrap", sites.here(), [inner], kind=type(wrapper).__name__)

    def _clip(self, parameters: list[torch.Tensor]) -> None:
        if self.close:
            self._note("clip", sites.here(), parameters)

    def _attribute(self, target: Any, name: str, value: Any) -> None:
        frame = sites.user_frame()
        if frame is None or name.startswith("_") or not isinstance(value, (bool, int, str, type(None), FunctionType)):
            return
        if hasattr(type(target), name) and name not in METHODS:
            return  # a property, or torch's own attribute: it does what it does
        if isinstance(target, nn.Module):
            if name not in (*METHODS, "training") and "grad" not in name.lower():
                return
            if name == "training" and (frame.f_code.co_name == "train" or not target._modules):
                return  # what train() does itself, or a layer whose flag is all there is
        kind = "module" if isinstance(target, nn.Module) else "parameter"
        own = name not in (*METHODS, "training") and sites.reads(frame, type(target), name)
        self._note("wrote", sites.site_of(frame), [target], target=kind, name=name, value=repr(value), own=own)

    def _detach(self, tensor: torch.Tensor) -> None:
        reached = _parameters_behind(tensor)
        if reached:
            self._ran_so_far()  # what runs after it is not cut off by it
            self._note("detach", sites.here(), reached)

    def _enter(self, context: Any, enabled: bool, how: str, site: Site | None, inside: str = "") -> None:
        if self._open and self._open[-1][0] is context:
            for entry in reversed(self._journal):
                if entry.what == "enter" and entry.details["number"] == self._open[-1][1]:
                    entry.details["how"] = "with"  # set_grad_enabled acts when it is made, and again when it is entered
            return
        if self._ran:
            self._ran_so_far()
        number = next(self._serials)
        self._open = [*self._open[-63:], (context, number)]
        self._wake(site)
        kind = type(context).__name__
        self._note("enter", site, [], number=number, enabled=enabled, how=how, kind=kind, inside=inside)

    def _exit(self, context: Any) -> None:
        number = next((number for known, number in reversed(self._open) if known is context), None)
        if number is None:
            return
        self._open = [entry for entry in self._open if entry[1] != number]
        if self._ran:
            self._ran_so_far()
        last = self._journal[-1] if self._journal else None
        if last is not None and last.what == "enter" and last.details["number"] == number:
            self._journal.pop()  # nothing of interest happened inside
        else:
            self._note("exit", sites.here(), [], number=number)

    # Forwards, backwards, steps -------------------------------------------------------------------------------------

    def _before_forward(self, module: nn.Module) -> None:
        if self._depth == 0:
            self._outer = module
            self._outer_site = sites.here()
            self._discover(self.forest.root_of(module), None)
            if self.forest.modules.get(module) is None:
                self._discover(module, None)
            owner = self.forest.modules.get(module)
            self._outer_label = owner.node.label if owner is not None and owner.node is not None else ""
            self._sync()
            self.measures.before_forward()
        self._depth += 1
        if module._parameters or self.forest.own(module):
            recording = torch.is_grad_enabled()
            if self._ran and recording is not self._recording:
                self._ran_so_far()
            self._recording = recording
            self._ran.append(module)

    def _forward(self, module: nn.Module) -> None:
        self._depth = max(0, self._depth - 1)
        if self._depth == 0 and self._outer is not None:
            if not self._ran and not any(e.what == "ran" for e in self._journal):
                self._recording = torch.is_grad_enabled()
                self._ran = list(self._outer.modules())  # compiled, scripted, or spread over replicas: nothing was seen
            self._ran_so_far()
            self._outer = None
            self._sync()

    def _ran_so_far(self) -> None:
        """What ran under one grad mode is one forward."""
        if self._ran:
            self.measures.ran(self._ran, self._recording)
            self._note("ran", self._outer_site, self._ran, recording=self._recording)
            self._ran = []

    def _restart(self) -> None:
        """A forward that raised and was caught must not swallow those that follow."""
        if self._depth and self._outer is not None:
            self._ran_so_far()
        self._depth, self._outer = 0, None

    def _before_backward(self, tensors: Any) -> None:
        if not self.close:
            return
        self._restart()
        self._sync()
        self._gradients = self._gradients_now()

    def _gradients_now(self) -> dict[Part, tuple[int, int]]:
        found = {}
        for part, leaf in self.forest.leaves.items():
            parameter = leaf.parameter() if leaf.parameter is not None else None
            gradient = parameter.grad if parameter is not None else None
            if gradient is not None:
                found[part] = (id(gradient), gradient._version)
        return found

    def _backward(self, tensors: Any) -> None:
        if not self.close:
            return
        now = self._gradients_now()
        reached = frozenset(
            part for part, mark in now.items() if self._gradients.get(part) != mark or self._flags[part]
        )
        fresh = frozenset(part for part, mark in now.items() if self._gradients.get(part) != mark)
        given = tensors if isinstance(tensors, (list, tuple)) else [tensors]
        lost = [self._forced.get(t) for t in given if isinstance(t, torch.Tensor) and t.grad_fn is None]
        forced = next((site for site in lost if site is not None), None)
        loose = any(isinstance(t, torch.Tensor) and t.grad_fn is not None for t in given)
        if fresh:
            self._reached |= fresh | {sites.here()}
        uses = set()
        since = {serial: ran for serial, ran in self.state.passes.items() if ran.at >= self.state.step_at}
        taught = {part for ran in since.values() if ran.recording is YES for part in ran.event.region}
        for serial, ran in since.items():
            if ran.recording is not YES and taught.issuperset(ran.event.region):
                continue  # a look at the model in between, such as a validation
            cuts = {self._cuts.get(part) for part in leaves(ran.event.region)}
            whole = len(cuts) == 1 and None not in cuts
            cut = next(iter(cuts)) if whole and not fresh & ran.event.region else None
            if cut is None and ran.recording is YES and forced is not None and not loose:
                cut = ev.Cut("an operation without a gradient", forced)
            uses.add(ev.Use(serial, cut))
        self._emit(
            ev.Backward(
                site=sites.here(),
                uses=frozenset(uses),
                reached=reached,
                loose=loose,
                forced=forced,
                lap=self._lap(),
            )
        )

    def _before_step(self, optimizer: torch.optim.Optimizer) -> None:
        self._restart()
        held = self._hold(optimizer, sites.here()) if self._known.get(optimizer) is None else self._known.get(optimizer)
        assert held is not None
        self._sync()
        self.looked = self.close or (self.every > 0 and self.steps % self.every == 0)
        if self.looked:
            self.measures.before_step(optimizer)
        if self.close:
            self._emit(ev.Step(site=sites.here(), optimizer=held.serial, lap=self._lap()))

    def _step(self, optimizer: torch.optim.Optimizer) -> None:
        held = self._known.get(optimizer)
        if held is None:
            return
        held.steps += 1
        self.steps += 1
        if self.looked:
            self.measures.after_step(optimizer)
        self._cuts.clear()
        if self._awake > 0:
            self._awake -= 1
        close = self._awake > 0
        if close != self.close:
            self.close = close
            hooks.refresh()

    def _lap(self) -> int:
        return min(self.steps, 1)

    # From journal to events -----------------------------------------------------------------------------------------

    def _discover(self, module: nn.Module, label: str | None) -> None:
        if self.forest.modules.get(module) is not None and not self._grew(module):
            return
        planted = self.forest.plant(module, label or _name_of(module))
        if planted is None:
            return
        born: dict[tuple[Site | None, bool], set[Part]] = {}
        for leaf in planted.leaves:
            born.setdefault((leaf.born, leaf.random), set()).add(leaf.part)
            self._flags[leaf.part] = self._modes[leaf.part] = True
        for (site, random), parts in born.items():
            pretrained = NO if random else UNSURE  # what a library made may come with weights
            self._emit(ev.CreateModule(site=site, region=frozenset(parts), kind=planted.kind, pretrained=pretrained))
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
        entries, self._journal = self._journal, []
        for entry in entries:
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
                same = [leaf for leaf in self.forest.leaves.values() if _storage(leaf) == details["storage"]]
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
                        yield ev.SetMode(site=site, lap=lap, region=region, training=Tri.of(value), by=details["by"])
            case "load" if alive:
                if region := self.forest.below(alive[0]):
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
                    filtered=any(self._flags.get(p) is False for p in self._siblings(groups)),
                )
            case "group":
                region = self._parts(alive, site)
                self.optimizers[details["serial"]].groups.append(region)
                yield ev.AddParamGroup(
                    site=site, lap=lap, optimizer=details["serial"], region=region, has_lr=details["has_rate"]
                )
            case "scheduler":
                yield ev.AttachScheduler(site=site, lap=lap, optimizer=details["serial"], kind=details["kind"])
            case "wrap" if alive:
                self._discover(self.forest.root_of(alive[0]), None)
                assert isinstance(alive[0], nn.Module)
                yield ev.Wrap(site=site, lap=lap, region=self.forest.below(alive[0]), kind=details["kind"])
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
            case "detach":
                cut = ev.Cut("detach()", site)
                for part in self.forest.of(alive):
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
        self.effects.setdefault(place, set()).add(type(event).__name__)
        parts = self.touched.setdefault(place, set())
        for region in regions:
            parts |= region

    def findings(self, line_of: Callable[[Site], str] = lambda site: "") -> list[Finding]:
        """What the rules saw in this run."""
        found = []
        for seen in self.faults:
            rule, fault = seen.rule, seen.fault
            if (rule.slug, fault.site) in self.excused or fault.unless & self._reached:
                continue
            related = tuple(note.site.note(note.message) for note in fault.related if isinstance(note.site, Site))
            found.append(
                Finding(
                    rule.slug,
                    fault.severity or rule.severity,
                    fault.message,
                    fault.site,
                    related=related,
                    confirm=" ".join(rule.section("Confirm").split()),
                    source_line=line_of(fault.site),
                )
            )
        return found


_GRAD_FIELDS = {item.name for item in fields(ev.SetRequiresGrad)}


def _storage(leaf: Leaf) -> int | None:
    parameter = leaf.parameter() if leaf.parameter is not None else None
    return parameter.untyped_storage().data_ptr() if parameter is not None else None


def _short(region: Region) -> str:
    from freezelint.trace.regions import describe

    return describe(region, 1)


def _name_of(module: nn.Module) -> str:
    """What the user calls a module: the variable that holds it in a frame of theirs, else its class."""
    for frame in sites.user_frames():
        for scope in (frame.f_locals, frame.f_globals):
            for name, value in list(scope.items()):
                if value is module and name != "self" and not name.startswith("_"):
                    return name
    return type(module).__name__


def _parameters_behind(tensor: torch.Tensor, limit: int = 20_000) -> list[torch.Tensor]:
    """The parameters that a tensor's graph leads to."""
    found: list[torch.Tensor] = []
    seen: set[Any] = set()
    pending = [tensor.grad_fn]
    while pending and len(seen) < limit:
        node = pending.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if variable is not None:
            found.append(variable)
        pending += [following for following, _ in node.next_functions]
    return found
