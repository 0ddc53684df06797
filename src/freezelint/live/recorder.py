"""The recorder: what hooks tell becomes a journal, and the journal becomes events, once the objects in it have parts.

An entry of the journal names objects and the user's line. It is turned into an event at the next forward, backward,
step or end, because a parameter that is frozen in a constructor belongs to a model only later. Flags, modes and
membership are then read from the objects themselves: an entry tells where, the object tells what.

The first steps are watched closely, rules and all. After that the recorder sleeps (it only compares flags and modes
at each step) until something new happens: an unfreeze, another mode, another optimizer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from freezelint.finding import Site
from freezelint.live import hooks, sites
from freezelint.live.journal import Held
from freezelint.live.listening import Listener, parameters_behind
from freezelint.trace import events as ev
from freezelint.trace.check import Rule
from freezelint.trace.regions import Part, leaves
from freezelint.trace.state import Pass
from freezelint.trace.tri import YES

CLOSE_STEPS = 3  # steps that are watched closely at the start
AWAKE_STEPS = 2  # and after something new
AWAKE_TIMES = 4  # how often the same line counts as new


class Recorder(Listener):
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
        super().__init__(rules, trace, values)
        self.spent = 0.0  # seconds inside the recorder
        self.trouble: list[str] = []  # errors of the recorder itself
        self.close = False
        self.looked = False  # whether the values were looked at in the last step
        self.every = every
        self._on_step = on_step
        self._thread = threading.get_ident()
        self._busy = False
        self._depth = 0
        self._outer: nn.Module | None = None
        self._awake = CLOSE_STEPS
        self._woken: dict[Any, int] = {}
        self._recording = True
        self._outer_site: Site | None = None
        self._ran_site: Site | None = None
        self._outer_recording = True
        self._gradients: dict[Part, tuple[int, int]] = {}
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
            "schedule": self._schedule,
            "wrap": self._wrap,
            "shard": self._shard,
            "before backward": self._before_backward,
            "backward": self._backward,
            "clip": self._clip,
            "enter": self._enter,
            "exit": self._exit,
            "attribute": self._attribute,
            "cut": self._cut,
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
        self.measures.finish()

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

    def rouse(self, why: Any) -> None:
        """Watch closely from here on, for some steps."""
        self._wake(why)

    def add(self, module: nn.Module, label: str | None = None) -> None:
        """Watch a module that was built before the recorder started."""
        self._guarded(self._discover, module, label)

    def add_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """Watch an optimizer that was built before the recorder started."""
        self._guarded(lambda: self._hold(optimizer, None))

    def _wake(self, why: Any) -> None:
        """Something new happened: watch the next steps closely. What happens again and again soon wakes nobody."""
        times = self._woken[why] = self._woken.get(why, 0) + 1
        if times > AWAKE_TIMES:
            return
        self._awake = max(self._awake, AWAKE_STEPS)
        if not self.close:
            self.close = True
            hooks.refresh()

    # Forwards, backwards, steps -------------------------------------------------------------------------------------

    def _before_forward(self, module: nn.Module) -> None:
        if self._depth == 0:
            self._outer = module
            self._ran_site = self._outer_site = sites.here()
            self._outer_recording = torch.is_grad_enabled()
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
            if not self._ran:  # what runs in a grad mode of its own is told where it was called
                self._ran_site = self._outer_site if recording is self._outer_recording else sites.here()
            self._recording = recording
            self._ran.append(module)

    def _forward(self, module: nn.Module) -> None:
        self._depth = max(0, self._depth - 1)
        if self._depth == 0 and self._outer is not None:
            if not self._ran and not any(e.what == "ran" for e in self._journal.entries):
                self._recording = torch.is_grad_enabled()
                self._ran = list(self._outer.modules())  # compiled, scripted, or spread over replicas: nothing was seen
            self._ran_so_far()
            self._outer = None
            self._sync()

    def _ran_so_far(self) -> None:
        """What ran under one grad mode is one forward."""
        if self._ran:
            self.measures.ran(self._ran, self._recording)
            self._journal.note("ran", self._ran_site, self._ran, recording=self._recording)
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
        losses = [t for t in given if isinstance(t, torch.Tensor)]
        forced = next((self._forced_at(t) for t in losses if t.grad_fn is None), None)
        loose = any(t.grad_fn is not None for t in losses)
        since = {serial: ran for serial, ran in self.state.passes.items() if ran.at >= self.state.step_at}
        if loose and not fresh and self._learns(since.values()):
            leaves_behind = [leaf for t in losses for leaf in parameters_behind(t)]
            if leaves_behind and not any(self._is_parameter(leaf) for leaf in leaves_behind):
                forced, loose = self._forced_at(leaves_behind[0]), False  # its graph begins behind the models
        if fresh:
            self._reached |= fresh | {sites.here()}
        uses = set()
        taught = {part for ran in since.values() if ran.recording is YES for part in ran.event.region}
        for serial, ran in since.items():
            if ran.recording is not YES and taught.issuperset(ran.event.region):
                continue  # a look at the model in between, such as a validation
            cuts = {self._cuts.get(part) for part in leaves(ran.event.region) if self._trains(part)}
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

    def _learns(self, passes: Iterable[Pass]) -> bool:
        """Whether a forward could have left gradients: it was recorded, and some of what it ran requires grad."""
        return any(ran.recording is YES and any(map(self._trains, leaves(ran.event.region))) for ran in passes)

    def _trains(self, part: Part) -> bool:
        return self.forest.leaves[part].parameter is not None and self._flags.get(part, False)

    def _is_parameter(self, tensor: torch.Tensor) -> bool:
        return isinstance(tensor, nn.Parameter) or self.forest.parameters.get(tensor) is not None

    def _forced_at(self, loss: torch.Tensor) -> Site | None:
        """Where a loss without a graph came to require grad: by its flag, or when it was made, which is not seen."""
        site = self._forced.get(loss)
        if site is None and loss.requires_grad and not self._is_parameter(loss):
            return sites.here()
        return site

    def _before_step(self, optimizer: torch.optim.Optimizer) -> None:
        self._restart()
        held = self._hold(optimizer, sites.here()) if self._known.get(optimizer) is None else self._known.get(optimizer)
        assert held is not None
        self._sync()
        self.looked = self.close or (self.every > 0 and self.steps % self.every == 0)
        if self.looked:
            self.measures.before_step(optimizer)
        if self.close:
            by = sites.framework()
            self._dropped(held)
            held.told = held.steps + 1
            self._emit(ev.Step(site=sites.here(), optimizer=held.serial, lap=self._lap(), by=by))

    def _dropped(self, held: Held) -> None:
        """Tell of the gradients of frozen parameters that are gone: it takes no call to drop one."""
        found = []
        for part in (part for group in held.groups for part in group):
            ref = self.forest.leaves[part].parameter
            parameter = ref() if ref is not None else None
            if parameter is not None and not parameter.requires_grad and parameter.grad is None:
                found.append(part)
        if found:
            self._emit(ev.ZeroGrad(site=None, region=frozenset(found), lap=self._lap()))

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
