"""Training steps for code without a script: a factory returns a model, inputs are made by shape, and it is trained."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

SHAPE = re.compile(r"(?:(?P<dtype>[a-z]+\d*):)?(?P<shape>\d+(?:,\d+)*)(?::(?P<low>-?\d+)\.\.(?P<high>-?\d+))?$")
WANTED = "a model, (model, optimizer), or a dict with model and perhaps optimizer, loss and batch"


class FactoryError(Exception):
    """The factory or an input cannot be used; one line for the user."""


@dataclass
class Made:
    """What a factory returned, in full: `loss` turns the model's output (and the batch) into a scalar."""

    model: nn.Module
    optimizer: torch.optim.Optimizer | None = None
    loss: Callable[..., Any] | None = None
    batch: Any = None


def device_named(name: str) -> torch.device:
    """The device for `--device`; FactoryError when it is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(name.partition(":")[0], False):
        raise FactoryError(f"there is no device {name!r} here: use cpu or auto")
    return torch.device(name)


def named(text: str) -> Any:
    """What `pkg.module:name` stands for, imported with the current folder on the path."""
    module, _, name = text.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    found = importlib.import_module(module)
    for part in name.split("."):
        if not hasattr(found, part):
            raise FactoryError(f"{module} has no {name!r}")
        found = getattr(found, part)
    return found


def made(result: Any) -> Made:
    """What a factory returned, whatever its form."""
    match result:
        case nn.Module():
            return Made(result)
        case (nn.Module() as model, torch.optim.Optimizer() as optimizer):
            return Made(model, optimizer)
        case {"model": nn.Module()}:
            unknown = [key for key in result if key not in ("model", "optimizer", "loss", "batch")]
            if unknown:
                raise FactoryError(f"the factory's dict has {unknown[0]!r}, which is not known: give {WANTED}")
            return Made(**result)
    raise FactoryError(f"the factory returned {type(result).__name__}: give {WANTED}")


def input_from(text: str) -> Any:
    """An input by shape (`8,3,224,224`), by dtype, shape and range (`int64:8,128:0..30000`), or from a callable."""
    found = SHAPE.match(text)
    if found is None:
        if ":" in text and not text[0].isdigit():
            return named(text)()
        raise FactoryError(f"--input {text!r} is none: write 8,3,224,224, int64:8,128:0..30000, or pkg.module:function")
    shape = tuple(int(size) for size in found["shape"].split(","))
    dtype = getattr(torch, found["dtype"] or "float32", None)
    if not isinstance(dtype, torch.dtype):
        raise FactoryError(f"--input {text!r}: torch has no dtype {found['dtype']!r}")
    if dtype.is_floating_point or dtype.is_complex:
        return torch.randn(shape, dtype=dtype)
    low, high = int(found["low"] or 0), int(found["high"] or 2)
    if low >= high:
        raise FactoryError(f"--input {text!r}: the range is empty")
    return torch.randint(low, high, shape, dtype=torch.int64).to(dtype)


def moved(value: Any, device: torch.device) -> Any:
    """Tensors, in whatever they are packed, on the device."""
    if isinstance(value, (torch.Tensor, nn.Module)):
        return value.to(device)
    if isinstance(value, Mapping):
        return {key: moved(inner, device) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(moved(inner, device) for inner in value)
    return value


def scalar(output: Any) -> torch.Tensor:
    """A loss for an output of any kind: its own, or the mean over every tensor that has a graph."""
    own = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    if isinstance(own, torch.Tensor):
        return own
    found: list[torch.Tensor] = []
    pending = [output]
    while pending:
        value = pending.pop()
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, Mapping):
            pending += value.values()
        elif isinstance(value, (list, tuple)):
            pending += value
    usable = [t for t in found if t.is_floating_point()]
    if not usable:
        raise FactoryError(f"the model returned {type(output).__name__}, of which no loss can be made: give one")
    with_graph = [t for t in usable if t.requires_grad] or usable
    return torch.stack([t.float().square().mean() for t in with_graph]).sum()


def training(
    factory: str, inputs: Sequence[str], *, steps: int, device: str = "cpu", amp: bool = False, seed: int = 0
) -> Callable[[], None]:
    """A body for `Launch.call`: build what the factory builds, and train it for so many steps."""
    where = device_named(device)

    def body() -> None:
        torch.manual_seed(seed)
        what = made(named(factory)())
        model = what.model.to(where)
        batch = what.batch if what.batch is not None else tuple(input_from(text) for text in inputs)
        if isinstance(batch, tuple) and not batch:
            raise FactoryError("there is no input: give --input 8,3,224,224, or a batch in the factory's dict")
        batch = moved(batch, where)
        optimizer = what.optimizer
        if optimizer is None:
            learning = [p for p in model.parameters() if p.requires_grad]
            optimizer = torch.optim.SGD(learning, lr=1e-3) if learning else None
        for _ in range(steps):
            with torch.autocast(where.type, dtype=torch.bfloat16) if amp else contextlib.nullcontext():
                output = forward(model, batch)
                loss = scalar(output) if what.loss is None else applied(what.loss, output, batch)
            if optimizer is not None:
                optimizer.zero_grad()
            loss.backward()
            if optimizer is not None:
                optimizer.step()

    return body


def forward(model: nn.Module, batch: Any) -> Any:
    if isinstance(batch, Mapping):
        return model(**batch)
    return model(*batch) if isinstance(batch, (list, tuple)) else model(batch)


def applied(loss: Callable[..., Any], output: Any, batch: Any) -> Any:
    """Call the loss with as much as it takes: (output), or (output, batch)."""
    try:
        takes = loss.__code__.co_argcount
    except AttributeError:
        takes = 1
    return loss(output, batch) if takes > 1 else loss(output)
