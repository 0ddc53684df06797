"""Numbers: what each parameter and each BatchNorm did while the program ran."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from freezelint.live import probe
from freezelint.live.probe import Forest, Leaf
from freezelint.trace.regions import Part


@dataclass(eq=False)
class Numbers:
    """What was measured of one leaf. None means: not measured, or there is no such thing."""

    elements: int = 0
    bytes: int = 0
    requires_grad: bool | None = None
    gradient: float | None = None  # the norm at the last step that was watched; None without one
    steps: int = 0  # steps at which the gradient was looked at
    with_gradient: int = 0  # and at which there was one
    change: float | None = None  # largest difference to the value before the first forward
    drift_mean: float | None = None  # of running_mean and running_var
    drift_var: float | None = None
    in_train: int = 0  # recorded forwards in train mode
    in_eval: int = 0
    group: str | None = None  # optimizer and number of the group that holds it
    state: int = 0  # bytes of optimizer state
    tied: tuple[str, ...] = ()


class Measures:
    """Measures the leaves of a forest: a baseline before the first forward, differences after each watched step."""

    def __init__(self, forest: Forest, *, values: bool = True) -> None:
        self.forest = forest
        self.exact = values
        self.limit = probe.WHOLE if values else 64
        self.of: dict[Part, Numbers] = {}
        self._before: dict[Part, torch.Tensor | None] = {}
        self._buffers: dict[Part, tuple[torch.Tensor | None, torch.Tensor | None]] = {}
        self._new: list[Leaf] = []
        self.devices: set[str] = set()

    def met(self, leaves: Iterable[Leaf]) -> None:
        """Leaves that came into view: their baseline is taken before the next forward or step."""
        for leaf in leaves:
            self.of[leaf.part] = Numbers()
            self._new.append(leaf)

    def before_forward(self) -> None:
        """Take the baselines that are due: BatchNorm moves in the first forward already."""
        fresh, self._new = self._new, []
        for leaf in fresh:
            parameter = leaf.parameter() if leaf.parameter else None
            numbers = self.of[leaf.part]
            if parameter is not None:
                numbers.elements = parameter.numel()
                self.devices.add(str(parameter.device))
                numbers.bytes = probe.size_of([parameter])
                self._before[leaf.part] = probe.sample(parameter, self.limit)
            statistics = _statistics(leaf)
            if statistics is not None:
                mean, var = statistics
                self._buffers[leaf.part] = (probe.sample(mean), probe.sample(var))

    def finish(self) -> None:
        """Fill in what is known of leaves that no step has read."""
        self.before_forward()
        for part, numbers in self.of.items():
            leaf = self.forest.leaves.get(part)
            parameter = leaf.parameter() if leaf is not None and leaf.parameter else None
            if parameter is not None and numbers.requires_grad is None:
                numbers.requires_grad = bool(parameter.requires_grad)

    def ran(self, modules: Iterable[nn.Module], recording: bool) -> None:
        """These modules ran."""
        if not recording:
            return
        for module in modules:
            for part in self.forest.own(module):
                numbers = self.of.get(part)
                if numbers is not None and module.training:
                    numbers.in_train += 1
                elif numbers is not None:
                    numbers.in_eval += 1

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Read the gradients that a step is about to use."""
        self.before_forward()
        if isinstance(optimizer, torch.optim.LBFGS):
            return  # its closure has not run yet
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        for part, leaf in self.forest.leaves.items():
            parameter = leaf.parameter() if leaf.parameter else None
            numbers = self.of.get(part)
            if parameter is None or numbers is None:
                continue
            numbers.requires_grad = bool(parameter.requires_grad)
            if id(parameter) not in held and self._held_elsewhere(part, optimizer):
                continue  # another optimizer's turn comes later
            numbers.steps += 1
            if parameter.grad is None:
                numbers.gradient = None
            else:
                numbers.with_gradient += 1
                if self.exact:
                    numbers.gradient = probe.norm(parameter.grad)

    def _held_elsewhere(self, part: Part, optimizer: torch.optim.Optimizer) -> bool:
        numbers = self.of.get(part)
        return numbers is not None and numbers.group is not None

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Compare with the baselines."""
        for number, group in enumerate(optimizer.param_groups):
            text = f"{type(optimizer).__name__}[{number}]"
            for parameter in group["params"]:
                part = self.forest.parameters.get(parameter)
                numbers = self.of.get(part) if part is not None else None
                if numbers is not None:
                    if numbers.state and numbers.group == text:
                        continue  # state is allocated once
                    numbers.group = text
                    state = optimizer.state.get(parameter)
                    numbers.state = probe.size_of(state.values()) if isinstance(state, dict) else 0
        self.compare()

    def compare(self) -> None:
        """What has changed since the first forward."""
        for part, leaf in self.forest.leaves.items():
            numbers = self.of.get(part)
            if numbers is None:
                continue
            parameter = leaf.parameter() if leaf.parameter else None
            if parameter is not None and part in self._before and (self.exact or not numbers.change):
                numbers.change = probe.change(self._before[part], parameter, self.limit)
            if part in self._buffers:
                statistics = _statistics(leaf)
                if statistics is not None:
                    mean, var = self._buffers[part]
                    numbers.drift_mean = probe.change(mean, statistics[0])
                    numbers.drift_var = probe.change(var, statistics[1])


def _statistics(leaf: Leaf) -> tuple[torch.Tensor, torch.Tensor] | None:
    """running_mean and running_var of a normalisation layer; told of once, for the layer's first parameter."""
    module = leaf.module() if leaf.module else None
    mean, var = getattr(module, "running_mean", None), getattr(module, "running_var", None)
    if isinstance(mean, torch.Tensor) and isinstance(var, torch.Tensor):
        return mean, var
    return None
