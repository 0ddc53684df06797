"""Region trees: which parameters of a model a piece of code means.

A `Part` stands for some parameters of one model and the layers that own them. When code distinguishes some of them
(`model.layer4`, `"bn" in name`, `isinstance(m, nn.BatchNorm2d)`, `i < 6`) the leaves concerned split, and the two
halves become parts of their own. Where the layers of the model are known (a zoo model, a class of the project) a
split is exact; where they are not, both halves may be empty, and no trait of theirs is known.

Names are relative to the root of the tree. A tree is shared by all worlds: splitting is a refinement, not a change.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from freezelint.trace.misspelt import misspelt
from freezelint.trace.tri import NO, UNSURE, YES, Tri

_serials = itertools.count(1)

# Layer kinds with parameters, as far as their names are fixed; "bias" may be absent, which a Layer says itself.
BATCHNORM = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm", "LazyBatchNorm1d", "LazyBatchNorm2d")
DROPOUT = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "DropPath")


HEADS = ("fc", "classifier", "head", "heads", "lm_head", "score", "last_linear", "_fc", "qa_outputs", "output_layer")


@dataclass(frozen=True)
class Layer:
    """A leaf module: its class name and the names of its own parameters; `rate` is a Dropout's probability if known."""

    kind: str
    params: tuple[str, ...] = ()
    rate: float | None = None


# Where a network normalises by the batch at all, its first layers do: a convolution, and then a BatchNorm.
STEM = 4

BY_NAME = "chosen by name"  # the text of the test that `getattr(model, name)` is, with a name that is not known


@dataclass(frozen=True)
class Test:
    """A question code asks of a parameter's name, of its module's kind, or of its position.

    `kind` is one of in, startswith, endswith, equals, regex, layer, listed, opaque; `args` are its alternatives (any
    may hold). What is `listed` was told by its place among the parameters, and is tested by its name.
    """

    kind: str
    args: tuple[str, ...]
    text: str = field(compare=False, default="")
    first: int = field(compare=False, default=0)  # so many from the beginning pass; negative: fail
    _hash: int = field(compare=False, default=0, init=False, repr=False)  # it is asked for more than anything else

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.kind, self.args)))

    def __hash__(self) -> int:
        return self._hash

    def of_name(self, name: str) -> Tri:
        """Whether a parameter with this full name passes."""
        match self.kind:
            case "in":
                return Tri.of(any(a in name for a in self.args))
            case "startswith":
                return Tri.of(name.startswith(self.args))
            case "endswith":
                return Tri.of(name.endswith(self.args))
            case "equals" | "listed":
                return Tri.of(name in self.args)
            case "regex":
                try:
                    return Tri.of(any(re.search(a, name) for a in self.args))
                except re.error:
                    return UNSURE
        return UNSURE

    def of_prefix(self, prefix: str) -> Tri:
        """Whether every parameter (YES) or none (NO) below `prefix` passes, from the prefix alone."""
        if not prefix:
            return UNSURE
        stem = prefix + "."
        match self.kind:
            case "in":
                return YES if any(a in stem for a in self.args) else UNSURE
            case "startswith":
                if stem.startswith(self.args):
                    return YES
                return UNSURE if any(a.startswith(stem) for a in self.args) else NO
            case "equals" | "listed":
                return UNSURE if any(a.startswith(stem) for a in self.args) else NO
        return UNSURE

    def of_layer(self, kind: str) -> Tri:
        """Whether a layer of this class name passes an isinstance test."""
        if self.kind != "layer":
            return UNSURE
        return Tri.of(any(kind == a or kind in LAYER_BASES.get(a, ()) for a in self.args))


@dataclass(frozen=True, slots=True)
class View:
    """How names of a tree look from the model that is asked: what is below `below`, hung up at `prefix`."""

    prefix: str = ""
    below: str = ""
    _hash: int = field(compare=False, default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.prefix, self.below)))

    def __hash__(self) -> int:
        return self._hash

    def name(self, name: str) -> str:
        """The name as the asked model lists it."""
        if self.below:
            name = name[len(self.below) + 1 :]
        return f"{self.prefix}.{name}".strip(".") if self.prefix else name


HERE = View()
LAYER_BASES: Mapping[str, tuple[str, ...]] = {
    "_BatchNorm": BATCHNORM,
    "_NormBase": (*BATCHNORM, "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"),
    "_ConvNd": ("Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"),
    "_DropoutNd": DROPOUT,
}


FINEST = 600  # parts a tree may fall into; code that asks for more asks what cannot be told apart


class TooFine(Exception):
    """A tree was split into too many parts: what tells them apart cannot be read from the source."""


class Part:
    """A node of a region tree. Compare by identity; `layers` is None when the layers are not known."""

    __slots__ = (
        "_by_path",
        "_by_test",
        "children",
        "label",
        "layers",
        "likely",
        "names",
        "opaque",
        "parent",
        "path",
        "root",
        "serial",
        "size",
        "tests",
        "tops",
        "traits",
        "untested",
    )

    def __init__(
        self,
        label: str,
        *,
        parent: Part | None = None,
        path: str | None = "",
        layers: Mapping[str, Layer] | None = None,
        names: frozenset[str] | None = None,
        traits: Mapping[str, Tri] | None = None,
        tests: tuple[tuple[Test, bool], ...] = (),
    ) -> None:
        self.serial = next(_serials)
        self.parent = parent
        self.root: Part = parent.root if parent else self
        self.path = path  # None for a half without a path of its own
        self.label = label
        self.layers = layers
        self.names = (
            names
            if names is not None or layers is None
            else frozenset(f"{where}.{p}".lstrip(".") for where, layer in layers.items() for p in layer.params)
        )
        self.traits = dict(traits or {})
        self.tests = tests
        self.opaque = sum(test.kind == "opaque" for test, _ in tests)  # how many of them cannot be read
        self.untested: Part = parent.untested if tests and parent else self  # what tests split this from
        self.tops: frozenset[str] = frozenset()  # the children of a root whose layers are not all known
        self.likely: tuple[str, ...] = ()  # and the names that it has in its default size
        self.children: tuple[Part, ...] = ()
        self.size = 1
        if parent is not None:
            self.root.size += 1
            if self.root.size > FINEST:
                raise TooFine(self.root.label)
        self._by_path: dict[str, tuple[Part, ...]] = {}
        self._by_test: dict[tuple[Test, View], tuple[tuple[Part, ...], tuple[Part, ...]]] = {}

    def __repr__(self) -> str:
        return f"<{self.label}>"

    # Questions ------------------------------------------------------------------------------------------------------

    def above(self) -> Iterator[Part]:
        """This part and all it was split from, nearest first."""
        part: Part | None = self
        while part is not None:
            yield part
            part = part.parent

    def is_in(self, parts: Collection[Part]) -> bool:
        """Whether this or something it was split from is among some parts."""
        here: Part | None = self
        while here is not None:
            if here in parts:
                return True
            here = here.parent
        return False

    def leaves(self) -> Sequence[Part]:
        """The leaves below, or the part itself."""
        return [part for part in self.below() if not part.children] if self.children else (self,)

    def below(self) -> Sequence[Part]:
        """Every part below this one, without itself."""
        if not self.children:
            return ()
        found: list[Part] = []
        pending = [*reversed(self.children)]
        while pending:
            part = pending.pop()
            found.append(part)
            pending += part.children[::-1]
        return found

    def has(self, trait: str) -> Tri:
        """Whether the part surely holds "batchnorm", "dropout" or "params": from its layers, else from what is said."""
        if self.layers is not None:
            if trait == "params":
                return Tri.of(bool(self.names))
            if trait == "batchnorm":
                return Tri.of(any(layer.kind in BATCHNORM for layer in self.layers.values()))
            if trait == "dropout":
                return Tri.of(any(layer.kind in DROPOUT and layer.rate != 0 for layer in self.layers.values()))
        for part in self.above():
            said = part.traits.get(trait)
            if said is None and part is not self and part.layers is not None:
                said = part.has(trait)
            if said is not None:
                # A trait of the whole holds for a half only when it is a No: half of a ResNet may lack BatchNorm.
                return said if part is self or said is NO or self._all_but_a_child_of(part) else UNSURE
        return UNSURE

    def _all_but_a_child_of(self, whole: Part) -> bool:
        """Whether this is what `getattr(model, name)` left of a model, with a name that is not known: a child less."""
        chosen = self.tests[len(whole.tests) :]
        return (self.path or "") == (whole.path or "") and all(
            test.text == BY_NAME and not held for test, held in chosen
        )

    def only(self, trait: str) -> bool:
        """Whether the part surely holds BatchNorm (or Dropout) layers and nothing else."""
        kinds = BATCHNORM if trait == "batchnorm" else DROPOUT
        if self.layers is not None:
            return bool(self.layers) and all(layer.kind in kinds for layer in self.layers.values())
        if any(test.kind == "layer" and held and set(test.args) <= {*kinds, "_BatchNorm"} for test, held in self.tests):
            return True
        return bool(self.children) and all(child.only(trait) for child in self.children)

    @property
    def may_be_empty(self) -> bool:
        """Whether nothing may be left here: a test that cannot be read may pass all parameters or none, and what is
        left of a model that is not known may be nothing once several of its children were named."""
        if self.names is not None:
            return not self.names
        named = {part.path.partition(".")[0] for part in self.root.below() if part.path}
        return self.is_opaque or (self.path is None and len(named) > 1)

    @property
    def is_opaque(self) -> bool:
        """Whether a test that cannot be read chose this, or what it left."""
        return self.opaque > 0

    @property
    def is_handed_out(self) -> bool:
        """Whether a method that is not known gave this, such as `get_input_embeddings()`: it may be anything."""
        return self.is_opaque and any(held and test.text.startswith(".") for test, held in self.tests)

    @property
    def count(self) -> int | None:
        """How many parameters (tensors), where the layers are known."""
        return None if self.names is None else len(self.names)

    @property
    def is_bias(self) -> bool:
        """Whether this is a bias and nothing else."""
        names = self.names if self.names is not None else {self.path or ""}
        return len(names) == 1 and all(name.rpartition(".")[2] == "bias" for name in names)

    @property
    def is_biases(self) -> bool:
        """Whether these are what a name test told as biases, of layers that are not known."""
        return any(held and test.kind == "in" and test.args == ("bias",) for test, held in self.tests)

    @property
    def is_weight(self) -> bool:
        """Whether this is the weight of a layer (or the weights of some) and nothing else, named as such."""
        said = self.path is not None and self.path.rpartition(".")[2] == "weight"
        asked = bool(self.tests) and self.tests[-1][1] and self.tests[-1][0].text == "its weight"
        return bool(self.names) and (said or asked) and all(n.rpartition(".")[2] == "weight" for n in self.names or ())

    @property
    def chosen_kinds(self) -> tuple[str, ...]:
        """The kinds of BatchNorm that a test of kinds chose this for; none when it asked for all, or for nothing."""
        for test, held in self.tests:
            if test.kind == "layer" and held and set(test.args) <= set(BATCHNORM):
                return test.args
        return ()

    @property
    def is_bare(self) -> bool:
        """Whether these are parameters of no layer, such as a position embedding: they are frozen as constants."""
        return bool(self.layers) and all(layer.kind == "Parameter" for layer in (self.layers or {}).values())

    @property
    def is_remainder(self) -> bool:
        """Whether this is what a split by path left over."""
        return self.path is None and self.parent is not None and self.label == self.parent.label

    @property
    def is_rest(self) -> bool:
        """Whether this is a model of unknown layers, whole or without its head: never empty, and the larger part.

        Without more than the head, such as an encoder and a decoder, it may be that nothing is left.
        """
        if self.names is not None or self.tests:
            return False
        if self.parent is None:
            return True
        taken = [p for p in self.parent.children if p is not self]
        return (
            self.is_remainder
            and self.parent.parent is None
            and all(p.path and p.path.rpartition(".")[2] in HEADS for p in taken)
        )

    def _halved(self, text: str) -> str:
        """A label for half of this: all tests of a name, but of many only the last one."""
        if text.startswith(("[", ".")):  # `layers[-2:]`, `model.get_classifier()`
            return f"{self.label}{text}"
        base = self.untested
        return f"{self.label} ({text})" if len(self.tests) < 2 else f"{base.label} (..., {text})"

    def refutes(self, test: Test, view: View) -> bool:
        """Whether no name can pass a test: as far as the children of the model tell, what lies deeper may vary; or
        because of a slip in what else would be one of its usual names."""
        root = self.root
        stem = f"{view.below}." if view.below else ""
        if root.likely and misspelt(test, [view.name(name) for name in root.likely if name.startswith(stem)]):
            return True
        if not root.tops or view.below or test.kind not in ("startswith", "equals"):
            return False
        stem = f"{view.prefix}." if view.prefix else ""
        return not any(_may_begin(a, f"{stem}{top}.") for a in test.args for top in root.tops)

    # Splits ---------------------------------------------------------------------------------------------------------

    def at(self, path: str) -> tuple[Part, ...]:
        """The parts that make up the submodule or parameter at `path` (relative to the root); splits as needed."""
        known = self._by_path.get(path)
        if known is None:
            known = self._by_path[path] = tuple(self._split_path(path))
        return known

    def _split_path(self, path: str) -> Iterator[Part]:
        if self.path is not None and (self.path == path or (self.path and self.path.startswith(path + "."))):
            yield self
            return
        if self.path and not path.startswith(self.path + "."):
            return
        if self.children:
            for child in self.children:
                yield from child.at(path)
            return
        if any(test.of_prefix(path) is Tri.of(not wanted) for test, wanted in self.tests):
            return
        layers = names = None
        if self.layers is not None and self.names is not None:
            layers = {k: v for k, v in self.layers.items() if k == path or k.startswith(path + ".")}
            names = frozenset(n for n in self.names if n == path or n.startswith(path + "."))
            if not layers and names:  # a bare parameter such as "fc.weight" or "cls_token"
                owner = path.rpartition(".")[0]
                layers = {owner: self.layers[owner]} if owner in self.layers else {}
            if not layers and not names:
                return
            if names == self.names and len(layers) == len(self.layers):
                yield self
                return
        child = Part(f"{self.root.label}.{path}", parent=self, path=path, layers=layers, names=names, tests=self.tests)
        rest_layers = rest_names = None
        if self.layers is not None and self.names is not None and layers is not None and names is not None:
            whole = names != frozenset() and any(k == path or k.startswith(path + ".") for k in self.layers)
            rest_layers = (
                {k: v for k, v in self.layers.items() if not (whole and k in layers)} if whole else self.layers
            )
            rest_names = self.names - names
        rest = Part(self.label, parent=self, path=None, layers=rest_layers, names=rest_names, tests=self.tests)
        if self.traits.get("batchnorm") is YES and path.rpartition(".")[2] in HEADS:
            rest.traits["batchnorm"] = YES  # those of the beginning are not in the head
        self.children = (child, rest)
        yield child

    def split(self, test: Test, view: View = HERE) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
        """The parts that pass `test` and those that do not, names being as `view` shows them."""
        known = self._by_test.get((test, view))
        if known is None:
            known = self._by_test[test, view] = self._split_test(test, view)
        return known

    def _split_test(self, test: Test, view: View) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
        if self.children:
            passing_parts: list[Part] = []
            failing_parts: list[Part] = []
            for child in self.children:
                passed_below, failed_below = child.split(test, view)
                passing_parts += passed_below
                failing_parts += failed_below
            return tuple(passing_parts), tuple(failing_parts)
        for earlier, passed in self.tests:
            if earlier == test:
                return ((self,), ()) if passed else ((), (self,))
        if test.kind == "layer":
            return self._split_layers(test)
        if self.names is not None and test.kind != "opaque":
            passing = frozenset(n for n in self.names if test.of_name(view.name(n)) is YES)
            return self._halves(test, passing)
        if self.refutes(test, view):
            return (), (self,)
        inner = self.path if self.path and self.path != view.below else None
        known = test.of_prefix(view.name(inner) if inner is not None else view.prefix)
        if known is not UNSURE:
            return ((self,), ()) if known is YES else ((), (self,))
        yes = Part(self._halved(test.text), parent=self, path=None, tests=(*self.tests, (test, True)))
        no = Part(self._halved(f"not {test.text}"), parent=self, path=None, tests=(*self.tests, (test, False)))
        if abs(test.first) >= STEM and self.has("batchnorm") is YES:
            (yes if test.first > 0 else no).traits["batchnorm"] = YES
        self.children = (yes, no)
        return (yes,), (no,)

    def _split_layers(self, test: Test) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
        if self.layers is not None and self.names is not None:
            chosen = {where for where, layer in self.layers.items() if test.of_layer(layer.kind) is YES}
            passing = frozenset(n for n in self.names if n.rpartition(".")[0] in chosen)
            if not passing and chosen:  # layers without parameters (Dropout): modes alone can differ
                return self._halves(test, passing, chosen)
            return self._halves(test, passing)
        if all(a in BATCHNORM or a == "_BatchNorm" for a in test.args):
            known = self.has("batchnorm")
            if known is NO:
                return (), (self,)
            yes = Part(
                f"the BatchNorm layers of {self.untested.label}",
                parent=self,
                path=None,
                traits={"batchnorm": known},
                tests=(*self.tests, (test, True)),
            )
            covers_all = "_BatchNorm" in test.args or "BatchNorm2d" in test.args
            no = Part(
                f"{self.untested.label} without its BatchNorm layers",
                parent=self,
                path=None,
                traits={"batchnorm": NO if covers_all else UNSURE},
                tests=(*self.tests, (test, False)),
            )
        else:
            yes = Part(self._halved(test.text), parent=self, path=None, tests=(*self.tests, (test, True)))
            no = Part(self._halved(f"not {test.text}"), parent=self, path=None, tests=(*self.tests, (test, False)))
        self.children = (yes, no)
        return (yes,), (no,)

    def _halves(
        self, test: Test, passing: frozenset[str], layers: set[str] | None = None
    ) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
        assert self.layers is not None and self.names is not None
        if layers is None:
            if passing == self.names and self.names:
                return (self,), ()
            if not passing:
                return (), (self,)
            layers = {n.rpartition(".")[0] for n in passing}
        left = {n.rpartition(".")[0] for n in self.names - passing}
        yes = Part(
            self._halved(test.text),
            parent=self,
            path=None,
            names=passing,
            layers={k: v for k, v in self.layers.items() if k in layers},
            tests=(*self.tests, (test, True)),
        )
        no = Part(
            self._halved(f"not {test.text}"),
            parent=self,
            path=None,
            names=self.names - passing,
            layers={k: v for k, v in self.layers.items() if k not in layers or k in left},
            tests=(*self.tests, (test, False)),
        )
        self.children = (yes, no)
        return (yes,), (no,)


def _may_begin(word: str, stem: str) -> bool:
    """Whether a name below a child may begin with a word: one of the two begins with the other."""
    return word.startswith(stem) or stem.startswith(word)


Region = frozenset[Part]
NOWHERE: Region = frozenset()


def leaves(region: Iterable[Part]) -> list[Part]:
    """The leaves of a region, in the order in which they came to be."""
    return sorted(leaf_set(region), key=lambda p: p.serial)


def leaf_set(region: Iterable[Part]) -> set[Part]:
    """The leaves of a region, in no order, which takes less."""
    return {leaf for part in region for leaf in part.leaves()}
