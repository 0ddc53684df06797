"""The model that is measured, with its batch and its loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from freezelint.live import factory
from freezelint.live.factory import FactoryError
from freezelint.live.trial import memory, models
from freezelint.measure import jobs


@dataclass
class Subject:
    """`loss` makes a scalar of what the model returns; `own_loss` says that it is the user's."""

    model: nn.Module
    batch: Any
    loss: Callable[[Any], torch.Tensor]
    device: torch.device
    own_loss: bool = False

    def forward(self) -> Any:
        return factory.forward(self.model, self.batch)

    @property
    def samples(self) -> int:
        """How many the batch holds: the first size of its first tensor."""
        for tensor in memory.tensors_in(self.batch):
            if tensor.dim():
                return int(tensor.shape[0])
        return 1


def subject(asked: jobs.Subject) -> Subject:
    """Build it, on its device; FactoryError where the user's factory or input is no use."""
    torch.manual_seed(asked.seed)
    device = factory.device_named(asked.device)
    inputs = tuple(factory.input_from(text) for text in asked.inputs)
    if asked.kind:
        made = factory.Made(_own(asked, inputs), loss=models.loss)
    else:
        made = factory.made(factory.named(asked.target)())
    batch = inputs or made.batch
    if batch is None:
        raise FactoryError("there is no input: give --input 8,3,224,224, or a batch in the factory's dict")
    if asked.batch is not None:
        batch = resized(batch, asked.batch)
    batch = factory.moved(batch, device)
    model = made.model.to(device)

    def loss(output: Any) -> torch.Tensor:
        return factory.scalar(output) if made.loss is None else factory.applied(made.loss, output, batch)

    found = Subject(model, batch, loss, device, made.loss is not None and not asked.kind)
    if any(is_lazy(p) for p in model.parameters()):
        with torch.no_grad():
            found.forward()
    return found


def _own(asked: jobs.Subject, inputs: tuple[Any, ...]) -> nn.Module:
    """One of our own models, made for the size of its input where it depends on that."""
    sizes = dict(asked.sizes)
    if asked.kind == "vit":
        sizes["image"] = inputs[0].shape[-1]
    if asked.kind == "bert":
        sizes["length"] = max(512, inputs[0].shape[-1])
    return models.built(asked.kind, sizes, asked.classes)


def resized(batch: Any, size: int) -> Any:
    """The batch with so many samples: those that are there, over and over. What has another first size stays."""
    samples = next((t.shape[0] for t in memory.tensors_in(batch) if t.dim()), 0)

    def changed(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            if not value.dim() or value.shape[0] != samples:
                return value
            return value[torch.arange(size, device=value.device) % samples]
        if isinstance(value, Mapping):
            return {key: changed(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(changed(inner) for inner in value)
        return value

    return changed(batch) if samples else batch
