"""In which order the parts of a model run, which of them are its stages, and where its head is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

from freezelint.live.factory import FactoryError
from freezelint.nearest import did_you_mean

# A model is taken apart until it has so many stages; lists of layers are taken apart in any case.
STAGES = 5


@dataclass(frozen=True)
class Layout:
    """Modules with parameters of their own in the order in which they first run; stages, the last is the head."""

    order: tuple[str, ...]
    stages: tuple[str, ...]

    @property
    def head(self) -> str:
        return self.stages[-1]

    def from_(self, cut: str) -> frozenset[str]:
        """The modules of `order` that lie in a part, and all that first run after its first one."""
        if not cut:
            return frozenset(self.order)
        inside = [i for i, name in enumerate(self.order) if within(name, cut)]
        return frozenset(self.order[inside[0] :]) if inside else frozenset()


def within(name: str, part: str) -> bool:
    """Whether a module is a part of the model or lies in it."""
    return name == part or name.startswith(f"{part}.") or not part


def layout(model: nn.Module, run: Callable[[], Any]) -> Layout:
    """Run the model once and write down who came when."""
    modules = dict(model.named_modules())
    first: dict[str, int] = {}
    handles = []
    for name, module in modules.items():

        def note(*_: Any, name: str = name) -> None:
            first.setdefault(name, len(first))

        handles.append(module.register_forward_pre_hook(note))
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()

    def turn(name: str) -> tuple[int, int]:
        """When a module first ran; one whose weights others use ran with what holds it, one that never ran is first."""
        here = name
        while here not in first and here:
            here = here.rpartition(".")[0]
        return (first.get(here, 0) if here else 0, len(name) if here != name else 0)

    holders = [name for name, module in modules.items() if next(module.parameters(recurse=False), None) is not None]
    order = sorted(holders, key=turn)
    if not order:
        raise FactoryError("the model has no parameters")
    stages = sorted(_stages(model), key=lambda stage: order.index(next(n for n in order if within(n, stage))))
    return Layout(tuple(order), tuple(stages))


def _stages(model: nn.Module) -> list[str]:
    """The parts that a model is made of, by name: its children; while they are few, those of the largest, too."""
    stages = _children(model, "")
    while True:
        lists = [name for name in stages if isinstance(model.get_submodule(name), (nn.ModuleList, nn.ModuleDict))]
        large = sorted(stages, key=lambda name: -len(list(model.get_submodule(name).modules())))
        for name in lists or (large if len(stages) < STAGES else []):
            inner = _children(model.get_submodule(name), f"{name}.")
            if inner and not _uses_its_own(model.get_submodule(name)):
                place = stages.index(name)
                stages[place : place + 1] = inner
                break
        else:
            return stages or [""]


def _children(module: nn.Module, prefix: str) -> list[str]:
    return [f"{prefix}{name}" for name, child in module.named_children() if next(child.parameters(), None) is not None]


def _uses_its_own(module: nn.Module) -> bool:
    """Attention of torch reads its children's weights itself, and is one piece."""
    return isinstance(module, nn.MultiheadAttention)


def cuts(model: nn.Module, found: Layout, most: int) -> list[str]:
    """Some stages to start training from, spread evenly over the model; the last one leaves most of it frozen."""
    inner = [name for name in found.stages[1:-1] if next(model.get_submodule(name).children(), None) is not None]
    inner = inner or list(found.stages[1:-1])
    chosen = min(most, len(inner))
    return [inner[(number + 1) * len(inner) // chosen - 1] for number in range(chosen)]


def checked_name(model: nn.Module, name: str, option: str) -> str:
    """A part that the user named; FactoryError with the nearest name when there is none."""
    known = [known for known, module in model.named_modules() if known and next(module.parameters(), None) is not None]
    if name not in known:
        raise FactoryError(f"{option}: the model has no part {name!r} with parameters{did_you_mean(name, known)}")
    return name


def parameters_of(model: nn.Module, names: Iterable[str]) -> dict[nn.Parameter, None]:
    """The parameters that these modules hold themselves, each once, in order."""
    return {p: None for name in names for p in model.get_submodule(name).parameters(recurse=False)}
