"""What well-known models are made of: layers, parameter names, heads, tied weights. Generated, never edited by hand.

`architecture("torchvision", "resnet50")` gives one model; `names("timm")` gives what is listed. The data lie beside
this file, one compressed text file a library (`zcat` shows it), written by `tools/make_zoo.py`:

    {"library": "torchvision", "version": ..., "nodes": 2, ...}     a header, in JSON
    Conv2d(weight)                                                  node 0: a layer with its own parameters
    . conv=0 :0-3=0                                                 node 1: a container; its children 0 to 3 are alike
    resnet50 wide_resnet50_2<TAB>1<TAB>b<TAB>fc<TAB>...             models: names, root node, flags, head, ...

Equal subtrees of all models are one node, so a line a node is enough for hundreds of models. Only the lines that a
model uses are ever parsed.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from freezelint.trace.regions import Layer

# transformers 5 renamed parameters (`vit.encoder.layer.0` became `vit.layers.0`), so both versions have their data.
LIBRARIES = ("torchvision", "timm", "transformers", "transformers4")


@dataclass(frozen=True)
class Architecture:
    """One model. Where it is not `exact`, its lists in `repeats` have as many layers as the library's defaults say.

    `layers` are the leaf modules and all modules with parameters of their own, in module order; a parameter that has
    two names stands under both. `tied` pairs the name that `named_parameters()` yields with each other name.
    `frozen` are parameters and whole modules that the library itself returns with requires_grad False.
    `functional_dropout` says that the forward pass drops out without a Dropout layer, by an attribute of a module.
    `headless` models have their head only when the caller states a number of classes; it is in `layers` all the same.
    """

    name: str
    layers: Mapping[str, Layer]
    children: tuple[str, ...]
    head: str
    exact: bool
    tied: tuple[tuple[str, str], ...]
    repeats: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    functional_dropout: bool = False
    headless: bool = False


@cache
def architecture(library: str, name: str, pretrained: bool = True) -> Architecture | None:
    """The model that a library builds under this name, None when it is not listed.

    A few builders give another structure without weights (auxiliary heads); `pretrained=False` asks for that one.
    """
    shelf = _shelf(library)
    name = _plain(library, name)
    if name.startswith("!"):
        return None
    line = (None if pretrained else shelf.models.get("!" + name)) or shelf.models.get(name)
    if line is None:
        return None
    root, flags, head, tied, frozen, repeats = line.split("\t")[1:]
    layers: dict[str, Layer] = {}
    shelf.walk(int(root), "", layers)
    pairs = (pair.split("=") for pair in tied.split())
    return Architecture(
        f"{library}.{name}",
        MappingProxyType(layers),
        tuple(child for child, _ in shelf.node(int(root))[1]),
        head,
        "~" not in flags,
        tuple((first, other) for first, other in pairs),
        tuple(repeats.split()),
        tuple(frozen.split()),
        "f" in flags,
        "h" in flags,
    )


@cache
def tops(name: str) -> frozenset[str]:
    """The children and bare parameters of a transformers model, in any version: settings add or drop what is below."""
    found: set[str] = set()
    for library in ("transformers", "transformers4"):
        model = architecture(library, name)
        if model is not None:
            found.update(model.children, *(layer.params for where, layer in model.layers.items() if not where))
    return frozenset(found)


@cache
def usual_names(library: str, name: str) -> tuple[str, ...]:
    """The names of a model's parameters in its default size, of a transformers model in any version."""
    shelves = ("transformers", "transformers4") if library == "transformers" else (library,)
    models = [model for shelf in shelves if (model := architecture(shelf, name)) is not None]
    return tuple(
        dict.fromkeys(
            f"{where}.{p}".lstrip(".")
            for model in models
            for where, layer in model.layers.items()
            for p in layer.params
        )
    )


@cache
def names(library: str) -> Collection[str]:
    """Every name that `architecture` knows of a library."""
    return frozenset(name for name in _shelf(library).models if not name.startswith("!"))


def family_traits(library: str, name: str) -> tuple[str, str] | None:
    """Whether a model has BatchNorm, and Dropout that drops anything: each "yes", "no" or "" where its family varies.

    A name that is not listed is judged by its family, the letters it begins with; None when those are unknown too.
    """
    shelf = _shelf(library)
    name = _plain(library, name)
    line = shelf.models.get(name)
    if line is not None:
        flags = line.split("\t")[2]
        return "yes" if "b" in flags else "no", "yes" if "d" in flags else "no"
    return shelf.families.get(family(library, name))


def family(library: str, name: str) -> str:
    """The letters by which models of a library belong together: "resnet" of "resnet50d", "Bert" of "BertModel"."""
    if library.startswith("transformers"):
        pattern = r".+?(?=For[A-Z]|LMHead|DoubleHeads|Vision|Text|Encoder|Decoder|PreTrained|Model|Backbone|$)"
    else:
        pattern = r"(tf_|gluon_|legacy_)?[a-z]+"
    match = re.match(pattern, name)
    return match[0] if match else name


def about(library: str) -> Mapping[str, object]:
    """The header of a library's data: versions of the libraries it was made from, and the date."""
    return _shelf(library).header


def _plain(library: str, name: str) -> str:
    """A timm name without hub prefix and pretrained tag: "hf_hub:timm/resnet50.a1_in1k" is "resnet50"."""
    if library != "timm":
        return name
    return re.sub(r"^(hf[-_]hub:)?(timm/)?", "", name).partition(".")[0]


_Node = tuple["Layer | None", tuple[tuple[str, int], ...]]


class _Shelf:
    """The data of one library, opened but for the most part not parsed."""

    def __init__(self, text: str) -> None:
        lines = text.split("\n")
        self.header: dict[str, object] = json.loads(lines[0]) if lines[0] else {"nodes": 0, "models": 0}
        nodes = 1 + int(str(self.header["nodes"]))
        models = nodes + int(str(self.header["models"]))
        self.lines = lines[1:nodes]
        self.models = {name: line for line in lines[nodes:models] for name in line.partition("\t")[0].split(" ")}
        traits = (line.split("\t") for line in lines[models:] if line)
        self.families = {name: (batchnorm, dropout) for name, batchnorm, dropout in traits}
        self.parsed: dict[int, _Node] = {}

    def node(self, ref: int) -> _Node:
        """A node: its layer if it counts as one, and its children by name, in order."""
        node = self.parsed.get(ref)
        if node is None:
            own, *rest = self.lines[ref].split(" ")
            children: list[tuple[str, int]] = []
            for token in rest:
                stem, _, target = token.partition("=")
                stem, colon, numbers = stem.partition(":")
                if colon:  # a run of equal children: "layer:0-11=7"
                    first, _, last = numbers.partition("-")
                    children += [(f"{stem}{i}", int(target)) for i in range(int(first), int(last) + 1)]
                else:
                    children.append((stem, int(target)))
            node = self.parsed[ref] = (_layer(own), tuple(children))
        return node

    def walk(self, ref: int, path: str, layers: dict[str, Layer]) -> None:
        """Add the layers below a node, under their paths."""
        layer, children = self.node(ref)
        if layer is not None:
            layers[path] = layer
        for name, child in children:
            self.walk(child, f"{path}.{name}" if path else name, layers)


def _layer(own: str) -> Layer | None:
    """What a node's first word says: `.`, `ReLU`, `Dropout@0.1` or `Conv2d(weight,bias)`."""
    if own == ".":
        return None
    kind, at, rate = own.partition("@")
    kind, _, params = kind.partition("(")
    return Layer(kind, tuple(params.rstrip(")").split(",")) if params else (), float(rate) if at else None)


@cache
def _shelf(library: str) -> _Shelf:
    """The data of a library; one that is not known has no models."""
    file = Path(__file__).with_name(f"{library}.txt.gz")
    if library not in LIBRARIES or not file.exists():
        return _Shelf("")
    return _Shelf(zlib.decompress(file.read_bytes(), wbits=31).decode())
