"""Reading the objects of a program: which parameters a module holds, and what is true of them now.

A `Forest` gives each parameter a `Part` of its own, in a tree that follows the modules, so that a region prints as
`model.layer4` and not as its parameters. Everything is held by weak reference: what the program drops is dropped here.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.dropout import _DropoutNd

from freezelint.finding import Site
from freezelint.trace.regions import BATCHNORM, Layer, Part

V = TypeVar("V")


class ByIdentity(Generic[V]):
    """A mapping from objects to values that neither compares the objects nor keeps them alive."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[weakref.ref[Any], V]] = {}

    def get(self, key: Any) -> V | None:
        """The value of this very object."""
        entry = self._held.get(id(key))
        return entry[1] if entry is not None and entry[0]() is key else None

    def __setitem__(self, key: Any, value: V) -> None:
        number = id(key)

        def forget(ref: weakref.ref[Any], held: dict[int, tuple[weakref.ref[Any], V]] = self._held) -> None:
            entry = held.get(number)
            if entry is not None and entry[0] is ref:
                del held[number]

        self._held[number] = (weakref.ref(key, forget), value)

    def items(self) -> Iterator[tuple[Any, V]]:
        """The objects that are still alive, in the order in which they came."""
        for ref, value in list(self._held.values()):
            key = ref()
            if key is not None:
                yield key, value

    def __len__(self) -> int:
        return len(self._held)


@dataclass(eq=False)
class Owner:
    """What is known of a module: where it stands in its tree, and the leaves that are its own."""

    node: Part | None  # the part of the module and everything below it; None when there is nothing of interest below
    root: Part
    path: str
    kind: str
    own: tuple[Part, ...] = ()


@dataclass(eq=False)
class Leaf:
    """A leaf part and the objects behind it. `parameter` is None for a layer without parameters (Dropout)."""

    part: Part
    module: weakref.ref[nn.Module] | None
    parameter: weakref.ref[torch.Tensor] | None
    name: str
    born: Site | None = None
    random: bool = False
    frozen: bool = False  # from its birth on


@dataclass(eq=False)
class Planted:
    """The leaves that a module brought into the forest."""

    root: Part
    kind: str
    leaves: list[Leaf] = field(default_factory=list)


class Forest:
    """Every module and parameter that was met, and its part."""

    def __init__(self) -> None:
        self.parameters: ByIdentity[Part] = ByIdentity()
        self.modules: ByIdentity[Owner] = ByIdentity()
        self.leaves: dict[Part, Leaf] = {}
        self.roots: list[tuple[weakref.ref[nn.Module], Part]] = []
        self.owners: ByIdentity[weakref.ref[nn.Module]] = ByIdentity()  # parameter -> the module it was registered in
        self.parents: ByIdentity[list[weakref.ref[nn.Module]]] = ByIdentity()
        self.born: ByIdentity[tuple[Site | None, bool, bool]] = ByIdentity()

    # Registration, while modules are being built --------------------------------------------------------------------

    def register_parameter(
        self, module: nn.Module, parameter: torch.Tensor, site: Site | None, random: bool = False
    ) -> None:
        """`parameter` became one of `module`'s own; `random` says that the user's code made a layer of torch's."""
        if self.owners.get(parameter) is None:
            self.born[parameter] = (site, random, not parameter.requires_grad)
        self.owners[parameter] = weakref.ref(module)

    def register_module(self, parent: nn.Module, child: nn.Module) -> None:
        """`child` became a submodule of `parent`."""
        known = self.parents.get(child)
        if known is None:
            known = self.parents[child] = []
        known.append(weakref.ref(parent))

    def root_of(self, module: nn.Module) -> nn.Module:
        """The outermost module that still holds this one."""
        seen = {id(module)}
        while True:
            for ref in self.parents.get(module) or ():
                parent = ref()
                if (
                    parent is not None
                    and id(parent) not in seen
                    and any(child is module for child in parent._modules.values())
                ):
                    seen.add(id(parent))
                    module = parent
                    break
            else:
                return module

    # Planting -------------------------------------------------------------------------------------------------------

    def plant(self, module: nn.Module, label: str) -> Planted | None:
        """Give parts to everything below `module` that has none yet; None when nothing is new."""
        owner = self.modules.get(module)
        planted = Planted(owner.root if owner else Part(label), type(module).__name__)
        if owner is None:
            self.roots.append((weakref.ref(module), planted.root))
        base, top = (owner.path, owner.node) if owner else ("", planted.root)
        nodes: dict[str, Part] = {"": top or planted.root}
        for relative, inner in module.named_modules():
            path = f"{base}.{relative}".strip(".")
            known = self.modules.get(inner)
            if known is None:
                known = Owner(None, planted.root, path, type(inner).__name__)
                self.modules[inner] = known
            fresh = [
                (name, parameter)
                for name, parameter in inner._parameters.items()
                if parameter is not None and self.parameters.get(parameter) is None
            ]
            layer = _layer(inner)
            plain = not layer.params and not known.own and _matters(inner)
            if not fresh and not plain:
                continue
            node = known.node or self._node(nodes, relative, base, planted.root)
            known.node = node
            kept = [part for part in known.own if self.stands(part, inner)]
            for name, parameter in fresh:
                full = f"{path}.{name}".lstrip(".")
                part = _child(node, f"{planted.root.label}.{full}", full, {path: layer}, frozenset({full}))
                self.parameters[parameter] = part
                born = self.born.get(parameter) or (None, False, False)
                leaf = Leaf(part, weakref.ref(inner), weakref.ref(parameter), full, *born)
                self.leaves[part] = leaf
                planted.leaves.append(leaf)
                kept.append(part)
            if plain:
                part = _child(node, f"{planted.root.label}.{path}".rstrip("."), path, {path: layer}, frozenset())
                leaf = Leaf(part, weakref.ref(inner), None, path)
                self.leaves[part] = leaf
                planted.leaves.append(leaf)
                kept.append(part)
            known.own = tuple(kept)
        return planted if planted.leaves else None

    def stands(self, part: Part, module: nn.Module) -> bool:
        """Whether a leaf is still one of a module's own: its parameter may have made way for another."""
        leaf = self.leaves.get(part)
        if leaf is None or leaf.parameter is None:
            return leaf is not None
        parameter = leaf.parameter()
        return parameter is not None and any(parameter is own for own in module._parameters.values())

    def _node(self, nodes: dict[str, Part], relative: str, base: str, root: Part) -> Part:
        """The inner part at a path, with those above it."""
        node = nodes.get(relative)
        if node is None:
            above = self._node(nodes, relative.rpartition(".")[0], base, root)
            path = f"{base}.{relative}".strip(".")
            node = nodes[relative] = _child(above, f"{root.label}.{path}", path, None, None)
        return node

    def lone(self, parameter: torch.Tensor, label: str, site: Site | None) -> Leaf:
        """A parameter that belongs to no module in view."""
        part = Part(label, layers={"": Layer("Parameter", ("parameter",))})
        self.parameters[parameter] = part
        leaf = self.leaves[part] = Leaf(part, None, weakref.ref(parameter), label, site)
        return leaf

    # Regions --------------------------------------------------------------------------------------------------------

    def below(self, module: nn.Module) -> frozenset[Part]:
        """The leaves of a module, tied parameters included."""
        found: set[Part] = set()
        for inner in module.modules():
            found |= self.own(inner)
        return frozenset(found)

    def own(self, module: nn.Module) -> frozenset[Part]:
        """The leaves that a module owns itself."""
        owner = self.modules.get(module)
        found = set(owner.own) if owner else set()
        for parameter in module._parameters.values():
            part = self.parameters.get(parameter) if parameter is not None else None
            if part is not None:
                found.add(part)
        return frozenset(found)

    def of(self, parameters: Iterable[Any]) -> frozenset[Part]:
        """The parts of those parameters that have one."""
        found = (self.parameters.get(parameter) for parameter in parameters)
        return frozenset(part for part in found if part is not None)


def _child(parent: Part, label: str, path: str, layers: dict[str, Layer] | None, names: frozenset[str] | None) -> Part:
    part = Part(label, parent=parent, path=path, layers=layers, names=names)
    parent.children = (*parent.children, part)
    return part


def _matters(module: nn.Module) -> bool:
    """Whether a module without parameters of its own behaves otherwise in train mode."""
    return isinstance(module, (_NormBase, _DropoutNd)) or "Drop" in type(module).__name__


def _layer(module: nn.Module) -> Layer:
    kind = type(module).__name__
    params = tuple(name for name, parameter in module._parameters.items() if parameter is not None)
    if isinstance(module, _BatchNorm):
        if not moves_statistics(module):
            return Layer(f"{kind} without moving statistics", params)
        return Layer(kind if kind in BATCHNORM else "BatchNorm2d", params)
    if isinstance(module, _DropoutNd):
        return Layer(kind if kind.endswith("Dropout") else "Dropout", params, float(module.p))
    rate = getattr(module, "drop_prob", None) if "Drop" in kind else None
    return Layer(kind, params, float(rate) if isinstance(rate, (int, float)) else None)


def moves_statistics(module: nn.Module) -> bool:
    """Whether a train-mode forward of this BatchNorm would move its running statistics."""
    return (
        isinstance(module, _NormBase)
        and bool(module.track_running_stats)
        and module.running_mean is not None
        and module.momentum != 0.0
    )


# Values ---------------------------------------------------------------------------------------------------------------

WHOLE = 1_000_000  # elements up to which a tensor is copied whole; of a larger one, so many are taken


def sample(tensor: torch.Tensor, limit: int = WHOLE) -> torch.Tensor | None:
    """A copy of a tensor's values, or of evenly spread ones where it is large; None where it has none to read."""
    local = getattr(tensor, "_local_tensor", tensor)
    if local.device.type == "meta" or local.is_sparse or local.is_quantized or local.numel() == 0:
        return None
    with torch.no_grad():
        flat = torch.Tensor.detach(local)
        if flat.numel() > limit:
            flat = flat.reshape(-1)[:: -(-flat.numel() // limit)]
        return flat.clone()


def change(before: torch.Tensor | None, tensor: torch.Tensor, limit: int = WHOLE) -> float | None:
    """The largest difference to an earlier sample; None when they cannot be compared."""
    now = sample(tensor, limit)
    if before is None or now is None or before.shape != now.shape:
        return None
    if before.device != now.device:
        before = before.to(now.device)
    if torch.equal(before, now):
        return 0.0
    with torch.no_grad():
        difference = (now.float() - before.float()).abs()
        return float(difference.nan_to_num(nan=float("inf")).max())


def norm(tensor: torch.Tensor | None) -> float | None:
    """The Euclidean norm of a gradient; None when there is none."""
    if tensor is None:
        return None
    local = getattr(tensor, "_local_tensor", tensor)
    with torch.no_grad():
        if local.is_sparse:
            local = local.coalesce().values()
        return float(torch.linalg.vector_norm(torch.Tensor.detach(local).float()))


def storage_of(tensor: torch.Tensor | None) -> int | None:
    """Where a tensor's values lie; None where they lie nowhere, as those of a sharded parameter while it is apart."""
    try:
        return None if tensor is None else tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):
        return None


def size_of(tensors: Iterable[Any]) -> int:
    """Bytes of those values that are tensors."""
    return sum(t.numel() * t.element_size() for t in tensors if isinstance(t, torch.Tensor))
