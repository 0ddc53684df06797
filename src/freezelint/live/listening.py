"""Hearing what hooks tell and writing it down: where it happened, and to which objects. Nothing is judged here."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from types import FunctionType
from typing import Any

import torch
from torch import nn

from freezelint.finding import Site
from freezelint.live import probe, schedules, sites
from freezelint.live.journal import Held
from freezelint.live.probe import ByIdentity
from freezelint.live.telling import Teller
from freezelint.trace.regions import NOWHERE

METHODS = ("train", "eval", "requires_grad_")  # that an attribute of the same name hides


class Listener(Teller):
    """Writes the journal."""

    close: bool  # whether everything is wanted, or only what may wake the recorder

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._ran: list[nn.Module] = []
        self._open: list[tuple[Any, int]] = []
        self._schedulers: ByIdentity[int] = ByIdentity()
        self._scheduled: dict[int, tuple[int, int]] = {}  # what had changed when a scheduler's step was told of last
        self._changes = 0  # to what the optimizers hold
        self._forced: ByIdentity[Site | None] = ByIdentity()

    def _ran_so_far(self) -> None:
        """What ran until now is one forward."""
        raise NotImplementedError

    # Parameters and modules -----------------------------------------------------------------------------------------

    def _flag(self, tensor: torch.Tensor, value: bool, how: str, given: bool) -> None:
        frame = sites.user_frame()
        site = sites.site_of(frame)
        if isinstance(tensor, nn.Parameter) or self.forest.parameters.get(tensor) is not None:
            part = self.forest.parameters.get(tensor)
            if part is None or self._flags.get(part) is not value:
                self._wake(site)
            within = sites.function_of(frame)
            self._journal.note("flag", site, [tensor], to=value, how=how, given=given, within=within)
        elif value and tensor.grad_fn is None:
            self._forced[tensor] = site
        elif not value and tensor.is_leaf and tensor.numel():
            self._journal.note("copy", site, [], storage=probe.storage_of(tensor), name="requires_grad")

    def _mode(self, module: nn.Module, result: Any, args: Any, kwargs: Any) -> None:
        asked = bool(args[0] if args else kwargs.get("mode", True))
        inner = list(module.modules())
        known = [self.forest.modules.get(m) for m in inner]
        if any(k is None for k in known) or self._differs(inner):
            frame = sites.user_frame()
            site = sites.site_of(frame)
            self._wake(site)
            by, within = "train" if asked else "eval", sites.function_of(frame)
            self._journal.note("mode", site, inner, by=by, within=within, modes=[m.training for m in inner])

    def _differs(self, modules: Iterable[nn.Module]) -> bool:
        if any(entry.what == "mode" for entry in self._journal.entries):
            return True  # the modes that are known are not up to date
        for module in modules:
            owner = self.forest.modules.get(module)
            if owner is not None and any(self._modes.get(part) is not module.training for part in owner.own):
                return True
        return False

    def _load(self, module: nn.Module, result: Any, args: Any, kwargs: Any) -> None:
        missing = set(getattr(result, "missing_keys", ()))
        names = {name for name, _ in module.named_parameters(remove_duplicate=False)} if missing else set()
        share = "nothing" if names and names <= missing else "a part" if missing else "everything"
        # As they are: one may be replaced until it is told.
        self._journal.note("load", sites.here(), module.modules(), share=share)

    def _zero(self, owner: Any, result: Any, args: Any, kwargs: Any) -> None:
        if not self.close:
            return
        to_none = bool(args[0] if args else kwargs.get("set_to_none", True))
        self._journal.note("zero", sites.here(), [owner], to_none=to_none)

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
        self._journal.note("replace", sites.here(), [parent, child], name=name, old=gone)

    # Optimizers -----------------------------------------------------------------------------------------------------

    def _build(self, optimizer: torch.optim.Optimizer) -> None:
        self._wake("build")
        self._hold(optimizer, sites.here())

    def _hold(self, optimizer: torch.optim.Optimizer, site: Site | None) -> Held:
        held = self._known.get(optimizer)
        if held is None:
            held = Held(next(self._serials), weakref.ref(optimizer), type(optimizer).__name__, site)
            self._slept()
            self._known[optimizer] = held
            self._changes += 1
            self.optimizers[held.serial] = held
            groups = [[weakref.ref(p) for p in group["params"]] for group in getattr(optimizer, "param_groups", ())]
            told = {"by": sites.framework(), "coasts": schedules.coasts(optimizer)}
            self._journal.note("build", site, [optimizer], serial=held.serial, kind=held.kind, groups=groups, **told)
        return held

    def _slept(self) -> None:
        """Note the optimizers that have stepped while the recorder slept."""
        stepped = [held for held in self.optimizers.values() if held.steps > held.told]
        if stepped:
            self._journal.note("slept", None, [], serials=[held.serial for held in stepped])
            for held in stepped:
                held.told = held.steps

    def _group(self, optimizer: torch.optim.Optimizer, parameters: list[torch.Tensor], has_rate: bool) -> None:
        held = self._known.get(optimizer)
        if held is None:  # its constructor was refused this group
            held = self._hold(optimizer, sites.here())
        self._wake("group")
        self._changes += 1
        self._journal.note("group", sites.here(), parameters, serial=held.serial, has_rate=has_rate)

    def _scheduler(self, scheduler: Any, result: Any, args: Any, kwargs: Any) -> None:
        optimizer = getattr(scheduler, "optimizer", None)
        if isinstance(optimizer, torch.optim.Optimizer):
            held = self._hold(optimizer, None)
            number = self._schedulers[scheduler] = next(self._serials)
            told = {"kind": type(scheduler).__name__, "number": number, "fixed": schedules.fixed_groups(scheduler)}
            self._journal.note("scheduler", sites.here(), [], serial=held.serial, **told)

    def _schedule(self, scheduler: Any, raised: bool) -> None:
        number, optimizer = self._schedulers.get(scheduler), getattr(scheduler, "optimizer", None)
        held = self._known.get(optimizer)
        if number is None or held is None:
            return
        # Also while the recorder sleeps, once after each change to the optimizers: this comes once in an epoch.
        changes = (self._changes, sum(other.steps > 0 for other in self.optimizers.values()))
        if self.close or self._scheduled.get(number) != changes:
            self._scheduled[number] = changes
            self._slept()
            fits = not raised and schedules.fits(scheduler)
            self._journal.note("schedule", sites.here(), [], serial=held.serial, number=number, fits=fits)

    def _wrap(self, wrapper: nn.Module, result: Any, args: Any, kwargs: Any) -> None:
        self._wake("wrap")
        inner = getattr(wrapper, "module", None)
        if isinstance(inner, nn.Module):
            self._journal.note("wrap", sites.here(), [inner], kind=type(wrapper).__name__)

    def _shard(self, module: nn.Module, kind: str, settings: tuple[tuple[str, str], ...]) -> None:
        """A model is about to be sharded: its parameters make way for others."""
        self._wake("wrap")
        self._discover(self.forest.root_of(module), None)
        self._sync()
        self._journal.note("shard", sites.here(), [], region=self.forest.below(module), kind=kind, settings=settings)

    def _clip(self, parameters: list[torch.Tensor]) -> None:
        if self.close or not parameters:
            self._journal.note("clip", sites.here(), parameters)

    # Attributes, graphs and grad modes ------------------------------------------------------------------------------

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
        self._journal.note("wrote", sites.site_of(frame), [target], target=kind, name=name, value=repr(value), own=own)

    def _cut(self, tensor: torch.Tensor, how: str) -> None:
        reached = parameters_behind(tensor)
        if reached:
            self._ran_so_far()  # what runs after it is not cut off by it
            self._journal.note("cut", sites.here(), reached, how=how)

    def _enter(self, context: Any, enabled: bool, how: str, site: Site | None, inside: str = "") -> None:
        if self._open and self._open[-1][0] is context:
            for entry in reversed(self._journal.entries):
                if entry.what == "enter" and entry.details["number"] == self._open[-1][1]:
                    entry.details["how"] = "with"  # set_grad_enabled acts when it is made, and again when it is entered
            return
        if self._ran:
            self._ran_so_far()
        number = next(self._serials)
        self._open = [*self._open[-63:], (context, number)]
        self._wake(site)
        kind = type(context).__name__
        self._journal.note("enter", site, [], number=number, enabled=enabled, how=how, kind=kind, inside=inside)

    def _exit(self, context: Any) -> None:
        number = next((number for known, number in reversed(self._open) if known is context), None)
        if number is None:
            return
        self._open = [entry for entry in self._open if entry[1] != number]
        if self._ran:
            self._ran_so_far()
        last = self._journal.entries[-1] if self._journal.entries else None
        if last is not None and last.what == "enter" and last.details["number"] == number:
            self._journal.entries.pop()  # nothing of interest happened inside
        else:
            self._journal.note("exit", sites.here(), [], number=number)


def parameters_behind(tensor: torch.Tensor, limit: int = 20_000) -> list[torch.Tensor]:
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
