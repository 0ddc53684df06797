"""Doing to a model what a strategy says."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.checkpoint import checkpoint

from freezelint.live import factory
from freezelint.live.trial import memory
from freezelint.live.trial.layout import Layout, parameters_of, within
from freezelint.live.trial.subject import Subject
from freezelint.measure.jobs import Trial


class NotPossible(Exception):
    """The strategy cannot be done with this model or here; its text says why."""


class Kept:
    """Weights and buffers that are meant to stay as they are, and whether they do."""

    def __init__(self, weights: list[torch.Tensor], buffers: list[torch.Tensor]) -> None:
        self.groups = {"weights": weights, "buffers": buffers}
        self.before = self._digests()
        self._changed: dict[str, int] | None = None

    def _digests(self) -> dict[str, list[bytes]]:
        return {what: [memory.digest(tensor) for tensor in group] for what, group in self.groups.items()}

    def changed(self) -> dict[str, int] | None:
        """How many there are, and how many changed; None when nothing is meant to stay."""
        if self._changed is None:
            told = {what: len(group) for what, group in self.before.items()}
            for what, now in self._digests().items():
                told[f"{what}_changed"] = sum(a != b for a, b in zip(self.before[what], now, strict=True))
            self._changed = told
        return self._changed if any(self.before.values()) else None

    def let_go(self) -> None:
        """Look for the last time."""
        self.changed()
        self.groups = {}


@dataclass
class Prepared:
    """A model as a strategy wants it."""

    run: Callable[[], torch.Tensor]  # forward and loss
    optimizer: torch.optim.Optimizer
    held: list[torch.Tensor]  # weights and buffers that are in memory during a step
    meant: list[nn.Parameter]  # what is meant to train
    learning: list[nn.Parameter]  # every parameter that could get a gradient
    elements: int  # of all parameters
    kept: Kept
    batch: Any = None
    once: float = 0.0  # seconds that were spent before the steps


OPTIMIZERS: dict[str, Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=1e-4, momentum=0.9, weight_decay=1e-4),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=1e-5, weight_decay=1e-4),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=1e-5, weight_decay=1e-2),
}


def prepare(subject: Subject, trial: Trial) -> Prepared:
    """Freeze, wrap and choose as the strategy says."""
    strategy, model = trial.strategy, subject.model
    layout = Layout(trial.order, trial.stages)
    awake = layout.from_(trial.cut)
    meant = {p: None for p in parameters_of(model, awake) if _can_train(p)}
    weights: list[torch.Tensor] = []
    buffers: list[torch.Tensor] = []
    if strategy.cut != "start":  # a part of the model is meant to stay as it is
        weights = [p for p in model.parameters() if p not in meant]
        buffers = [b for name, m in model.named_modules() if name not in awake for b in m.buffers(recurse=False)]
        if not weights:
            raise NotPossible("nothing would be left to freeze")
    model.train()
    if strategy.lora:
        meant = _with_adapters(model, meant, layout.head)
    else:
        for p in model.parameters():
            # Whatever the factory froze; whole numbers cannot train.
            p.requires_grad_((p in meant or not strategy.freeze) and _can_train(p))
    if strategy.batchnorm_eval:
        _batchnorm_in_eval(model, awake)
    if strategy.checkpoint:
        _checkpointed(model, layout, awake, strategy.checkpoint == "unfrozen", strategy.reentrant)
    given = {
        "all": list(model.parameters()),
        "meant": list(meant),
        "trainable": [p for p in model.parameters() if p.requires_grad],
    }[strategy.given]

    if strategy.no_grad:  # until the cut
        model.get_submodule(trial.cut).register_forward_pre_hook(_record_from_here)

    def run() -> torch.Tensor:
        with torch.no_grad() if strategy.no_grad else contextlib.nullcontext():
            output = subject.forward()
        return subject.loss(output)

    prepared = Prepared(
        run,
        OPTIMIZERS[trial.optimizer](given),
        [*model.parameters(), *model.buffers()],
        list(meant),
        list(model.parameters()),
        sum(p.numel() for p in model.parameters()),
        Kept(weights, buffers),
        subject.batch,
    )
    if strategy.cached:
        _from_cache(prepared, subject, trial.cut)
    return prepared


def _can_train(parameter: nn.Parameter) -> bool:
    return bool(parameter.is_floating_point() or parameter.is_complex())


def _record_from_here(*_: Any) -> None:
    torch.set_grad_enabled(True)


def _asleep(layout: Layout, awake: frozenset[str]) -> list[str]:
    """The stages that are frozen as a whole."""
    return [stage for stage in layout.stages if not any(within(name, stage) for name in awake)]


def _batchnorm_in_eval(model: nn.Module, awake: frozenset[str]) -> None:
    frozen = [m for name, m in model.named_modules() if name not in awake and isinstance(m, _NormBase)]
    if not any(m.running_mean is not None for m in frozen):
        raise NotPossible("no BatchNorm in the frozen part")
    for module in frozen:
        module.eval()


def _checkpointed(model: nn.Module, layout: Layout, awake: frozenset[str], unfrozen: bool, reentrant: bool) -> None:
    """Stages compute again in the backward pass what they would have kept: all but the first, which has data for its
    input, and the head."""
    stages = list(layout.stages[1:-1])
    if unfrozen:
        asleep = _asleep(layout, awake)
        stages = [stage for stage in stages if stage not in asleep]
    stages = [name for name in stages if next(model.get_submodule(name).children(), None) is not None] or stages
    if not stages:
        raise NotPossible("there is no stage to checkpoint between the cut and the head")
    for name in stages:
        module = model.get_submodule(name)
        module.forward = _again_in_backward(module.forward, reentrant)


def _again_in_backward(forward: Callable[..., Any], reentrant: bool) -> Callable[..., Any]:
    @functools.wraps(forward)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        return checkpoint(functools.partial(forward, **named), *arguments, use_reentrant=reentrant)

    return wrapper


def _with_adapters(model: nn.Module, head: dict[nn.Parameter, None], name: str) -> dict[nn.Parameter, None]:
    """LoRA of rank 8 on every linear layer but the head (on convolutions where there is none); what trains then."""
    if importlib.util.find_spec("peft") is None:
        raise NotPossible("peft is not installed here")
    from peft import LoraConfig, inject_adapter_in_model

    targets: list[str] = []
    for kind in (nn.Linear, nn.Conv2d):
        targets = targets or [n for n, m in model.named_modules() if isinstance(m, kind) and not within(n, name)]
    if not targets:
        raise NotPossible("there is no linear layer or convolution besides the head")
    before = set(model.parameters())
    inject_adapter_in_model(LoraConfig(r=8, target_modules=targets), model)
    for p in head:
        p.requires_grad_(True)
    adapters = {p: None for p in model.parameters() if p not in before}
    return {**adapters, **head}


def _from_cache(prepared: Prepared, subject: Subject, cut: str) -> None:
    """Run the frozen part once, in eval mode, and let the steps begin with what the head was given."""
    model, head = subject.model, subject.model.get_submodule(cut)
    calls: list[tuple[tuple[Any, ...], dict[str, Any], Any]] = []
    handle = head.register_forward_hook(
        lambda _, arguments, named, output: calls.append((arguments, named, output)), with_kwargs=True
    )
    began = time.perf_counter()
    model.eval()
    with torch.no_grad():
        output = subject.forward()
    model.train()
    handle.remove()
    if len(calls) != 1:
        raise NotPossible(f"the head runs {len(calls)} times in a forward")
    arguments, named, result = calls[0]
    whole = output is result
    if not whole and (subject.own_loss or not any(t is result for t in memory.tensors_in(_plain(output)))):
        raise NotPossible("the model does more with what the head returns")
    loss = subject.loss if whole else factory.scalar
    prepared.once = time.perf_counter() - began
    prepared.run = lambda: loss(head(*arguments, **named))
    prepared.held = [*head.parameters(), *head.buffers()]
    prepared.learning = list(head.parameters())
    prepared.batch = (arguments, named)
    prepared.kept.let_go()
    rest = set(model.modules()) - set(head.modules())
    for module in rest:
        # The frozen part is needed no longer, and would not be in memory either.
        for store in (module._parameters, module._buffers):
            store.clear()
    subject.batch = None


def _plain(output: Any) -> Any:
    """Something to look for tensors in: an object's attributes, unless it is one of the usual containers."""
    return output if isinstance(output, (torch.Tensor, Mapping, list, tuple)) else getattr(output, "__dict__", ())
