"""Write the model zoo data of freezelint from the libraries themselves.

    python tools/make_zoo.py [--torchvision FOLDER] [--timm FOLDER] [--transformers FOLDER] [LIBRARY ...]

Run it with torch installed. A library that is not installed is read from an unpacked wheel, whose folder the option
names; torchvision need not have its compiled operators. An environment with transformers 4 writes the data of that
version beside those of the current one.

Parameters live on the meta device, which holds shapes and no numbers: nothing is downloaded, and a model of a
billion parameters takes a second. `freezelint.knowledge.zoo` describes the format.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import functools
import gzip
import importlib
import json
import os
import re
import sys
import time
import traceback
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(Path(__file__).resolve().parent)]

from freezelint.knowledge.zoo import family  # noqa: E402

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.Identity)
DROP_PATHS = {"DropPath": "drop_prob", "StochasticDepth": "p"}  # modules that drop out whole paths, and their rate


def skip_initialization() -> None:
    """Leave parameters as they come: on the meta device, random numbers take most of the time and are thrown away."""
    fills = [name for name in vars(nn.init) if name.endswith("_") and not name.startswith("_")]
    for owner, names in ((nn.init, fills), (torch.Tensor, ("uniform_", "normal_", "erfinv_"))):
        for name in names:
            setattr(owner, name, lambda tensor, *args, **kwargs: tensor)


@dataclass
class Built:
    """A model as a library builds it, and what the builder knows of it."""

    names: list[str]
    model: nn.Module
    head: str = ""
    exact: bool = True
    headless: bool = False


@dataclass
class Shelf:
    """The text of one library: nodes by their line, models by their line without the names."""

    nodes: dict[str, int] = field(default_factory=dict)
    models: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    families: dict[str, list[tuple[bool, bool]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, library: str, built: Built) -> None:
        model = built.model
        root = self.node(model, root=True)
        batchnorm = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())
        functional = any(map(drops_by_attribute, model.modules()))
        dropout = functional or any((rate_of(m) or 0) > 0 for m in model.modules())
        flags = "b" * batchnorm + "d" * dropout + "f" * functional + "~" * (not built.exact) + "h" * built.headless
        fields = (
            str(root),
            flags,
            built.head,
            " ".join(tied(model)),
            " ".join(frozen(model)),
            "" if built.exact else " ".join(repeats(model)),
        )
        self.models["\t".join(fields)] += built.names
        for name in built.names:
            self.families[family(library, name.lstrip("!"))].append((batchnorm, dropout))

    def node(self, module: nn.Module, root: bool = False) -> int:
        """The number of the node that describes a module; the same for all modules of equal structure."""
        children: list[tuple[str, int]] = []
        for name, child in module._modules.items():  # named_children() leaves out a second name of the same module
            if child is None:
                continue
            if re.search(r"[:= ]", name):
                raise ValueError(f"the format has no room for a module named {name!r}")
            # An Identity or an empty Sequential deep inside is the trace of an option that is off.
            if root or not isinstance(child, CONTAINERS) or child._modules:
                children.append((name, self.node(child)))
        line = " ".join([own(module), *runs(children)])
        return self.nodes.setdefault(line, len(self.nodes))

    def text(self, header: dict[str, object]) -> str:
        """The whole file: header, nodes, models, families."""
        models = [" ".join(names) + "\t" + rest for rest, names in self.models.items()]
        header |= {"nodes": len(self.nodes), "models": len(models)}
        traits = [
            f"{name}\t{agreed(b for b, _ in found)}\t{agreed(d for _, d in found)}"
            for name, found in sorted(self.families.items())
        ]
        return "\n".join([json.dumps(header), *self.nodes, *models, *traits]) + "\n"


def agreed(answers: Iterator[bool]) -> str:
    found = set(answers)
    return "" if len(found) > 1 else "yes" if found.pop() else "no"


def own(module: nn.Module) -> str:
    """The first word of a node: what the module is apart from its children."""
    params = [name for name, p in module._parameters.items() if p is not None]
    rate = rate_of(module)
    if module._modules and not params and rate is None:
        return "."
    return kind_of(module) + (f"({','.join(params)})" if params else "") + ("" if rate is None else f"@{rate:.4g}")


def kind_of(module: nn.Module) -> str:
    """A class name; the name of torch's own layer where the class derives from one, since isinstance tests pass."""
    if type(module).__name__ in DROP_PATHS:
        return "DropPath"
    for base in type(module).__mro__:
        public = getattr(nn, base.__name__, None) is base
        if public and base is not nn.Module and not issubclass(base, CONTAINERS):
            return base.__name__
    return type(module).__name__


def rate_of(module: nn.Module) -> float | None:
    """The probability of a Dropout or of a dropped path, None for any other module."""
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return float(module.p)
    attribute = DROP_PATHS.get(type(module).__name__)
    return float(getattr(module, attribute) or 0) if attribute else None


def drops_by_attribute(module: nn.Module) -> bool:
    """Whether a module has a rate for F.dropout: `attention_dropout`, `layerdrop`, `drop_rate` above 0."""
    return rate_of(module) is None and any(
        "drop" in name and isinstance(value, float) and 0 < value < 1 for name, value in vars(module).items()
    )


def runs(children: list[tuple[str, int]]) -> Iterator[str]:
    """Children as words; neighbours that differ in a counted-up last number only become one word."""
    i = 0
    while i < len(children):
        name, target = children[i]
        match = re.fullmatch(r"(.*?)(0|[1-9]\d*)", name)
        j = i + 1
        while match and j < len(children) and children[j] == (f"{match[1]}{int(match[2]) + j - i}", target):
            j += 1
        if match and j - i > 1:
            yield f"{match[1]}:{match[2]}-{int(match[2]) + j - i - 1}={target}"
        else:
            yield f"{name}={target}"
        i = j


def tied(model: nn.Module) -> Iterator[str]:
    """Pairs of names of one parameter, the one that named_parameters() yields first."""
    first: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if first.setdefault(id(parameter), name) != name:
            yield f"{first[id(parameter)]}={name}"


def frozen(model: nn.Module) -> Iterator[str]:
    """What is returned with requires_grad False: the outermost modules that are frozen as a whole, and parameters."""
    outer = ""
    for path, module in model.named_modules():
        if outer and path.startswith(outer + "."):
            continue
        flags = {p.requires_grad for p in module.parameters()}
        if path and flags == {False}:
            outer = path
            yield path
        else:
            yield from (
                f"{path}.{name}".lstrip(".")
                for name, p in module._parameters.items()
                if p is not None and not p.requires_grad
            )


def repeats(model: nn.Module) -> Iterator[str]:
    """The lists of blocks, whose length a configuration decides."""
    for path, module in model.named_modules():
        children = list(module.children())
        alike = len(children) > 1 and len({type(child) for child in children}) == 1
        if isinstance(module, (nn.ModuleList, nn.Sequential)) and alike and list(children[0].parameters()):
            yield path


def changed(one: nn.Module, other: nn.Module) -> list[str]:
    """The modules whose own parameters differ in shape between two models that should differ in their head only."""
    shapes = {name: p.shape for name, p in other.named_parameters(remove_duplicate=False)}
    return list(
        dict.fromkeys(
            name.rpartition(".")[0]
            for name, p in one.named_parameters(remove_duplicate=False)
            if shapes.get(name, p.shape) != p.shape
        )
    )


def main_head(paths: list[str]) -> str:
    """The head among modules that depend on the number of classes; boxes, masks and auxiliary heads stand back."""
    main = [p for p in paths if not re.search(r"aux|bbox|mask|regression|distill|dist$", p, re.IGNORECASE)] or paths
    if len(main) < 2:
        return "".join(main)
    shared = []
    for parts in zip(*(path.split(".") for path in main), strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return ".".join(shared) or main[-1]


@contextlib.contextmanager
def weightless() -> Iterator[None]:
    """Parameters move to the meta device as modules take them; what a builder computes with is left alone.

    For builders that compute with tensors, and so fail where everything is on the meta device. Others need that: some
    compute with parameters, and some ask for more memory than there is. `quietly` tries both.
    """
    register = nn.Module.register_parameter

    def to_meta(self: nn.Module, name: str, param: nn.Parameter | None) -> None:
        register(self, name, param)
        if param is not None and not param.is_meta:
            self._parameters[name] = nn.Parameter(param.to("meta"), requires_grad=param.requires_grad)

    nn.Module.register_parameter = to_meta
    try:
        yield
    finally:
        nn.Module.register_parameter = register


def quietly(label: str, build: Callable[..., nn.Module], *args: Any, **kwargs: Any) -> nn.Module | None:
    """A model without its numbers, or None and a line on the screen if the library cannot build it."""
    for without_numbers in (functools.partial(torch.device, "meta"), weightless):
        try:
            with without_numbers(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return build(*args, **kwargs)
        except Exception as error:  # a library raises what it likes; one model less is no reason to stop
            where = traceback.extract_tb(error.__traceback__)[-1]
            reason = f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
    print(f"  without {label}: {reason}"[:300])
    return None


def torchvision_models() -> Iterator[Built]:
    """Every builder, as called with weights, and as called without arguments where that differs."""
    declare_operators()
    from torchvision.models import _api, list_models

    _api.WeightsEnum.get_state_dict = lambda self, *args, **kwargs: {}
    load, nn.Module.load_state_dict = nn.Module.load_state_dict, lambda self, *args, **kwargs: None
    for name in list_models():
        builder = _api.get_model_builder(name)
        if name.startswith("quantized_"):
            continue
        head = ""
        if "optical_flow" not in builder.__module__:
            one, other = (quietly(name, builder, weights=None, num_classes=n) for n in (7, 9))
            head = main_head(changed(one, other)) if one and other else ""
        for label, weights in ((name, "DEFAULT"), ("!" + name, None)):
            model = quietly(label, builder, weights=weights)
            if model is not None:
                yield Built([label], model, head)
    nn.Module.load_state_dict = load


def timm_models() -> Iterator[Built]:
    """Every architecture, deprecated names included; one that has no head by default is built with one."""
    declare_operators()
    import timm
    from timm.models import get_deprecated_models

    older = defaultdict(list)
    for name, current in get_deprecated_models().items():
        older[(current or "").partition(".")[0]].append(name)
    for name in timm.list_models():
        headless = timm.get_pretrained_cfg(name, allow_unregistered=True).num_classes == 0
        model = quietly(name, timm.create_model, name, **({"num_classes": 1000} if headless else {}))
        if model is not None:
            found = (getattr(model, "pretrained_cfg", None) or {}).get("classifier") or ()
            heads, modules = [found] if isinstance(found, str) else found, dict(model.named_modules())
            head = next((path for path in heads if path in modules), "")
            yield Built([name, *older[name]], model, head, headless=headless)


def transformers_models() -> Iterator[Built]:
    """Every class that the library's Auto classes know, with the configuration that it makes itself."""
    declare_operators()
    os.environ["HF_HUB_OFFLINE"] = "1"
    import transformers
    from transformers.models.auto import modeling_auto

    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    tables = [table for name, table in vars(modeling_auto).items() if name.endswith("MAPPING_NAMES")]
    listed = [entry for table in tables for entry in table.values()]
    for name in sorted({name for entry in listed for name in ([entry] if isinstance(entry, str) else entry)}):
        made = getattr(transformers, name, None)
        listed_model = isinstance(made, type) and issubclass(made, transformers.PreTrainedModel)
        model = quietly(name, configured, made) if listed_model else None
        if model is not None:
            yield Built([name], model, transformers_head(made, model), exact=False)


SETTINGS = (  # what classes whose name begins so ask of their configuration beyond its defaults
    (("Autoformer", "Informer", "TimeSeriesTransformer"), {"prediction_length": 24}),
    (("BeitForSemanticSeg", "Data2VecVisionForSemanticSeg"), {"out_indices": [3, 5, 7, 11]}),
    (("Esm",), {"vocab_size": 33, "pad_token_id": 1}),
    (("Wav2Vec2BertForCTC", "Wav2Vec2ConformerForCTC"), {"vocab_size": 32}),
)


def configured(made: type[nn.Module], **changes: int) -> nn.Module:
    """A model of a class, with its default configuration and some changes to it."""
    settings = next((known for starts, known in SETTINGS if made.__name__.startswith(starts)), {})
    config = made.config_class(**settings)
    if version("transformers").startswith("4.") and many_experts(config):
        raise ValueError("tens of thousands of modules")  # version 5 has one module for all experts of a layer
    if getattr(config, "use_pretrained_backbone", False):
        config.use_pretrained_backbone = False
    for name, value in changes.items():
        setattr(config, name, value)
    return made(config)


def many_experts(config: Any) -> bool:
    """Whether a mixture has more experts than anybody lists by name."""
    parts = [config, *(part for part in vars(config).values() if hasattr(part, "model_type"))]
    counts = ((name, n) for part in parts for name, n in vars(part).items() if isinstance(n, int))
    return any("expert" in name and ("num" in name or name.startswith("n_")) and n > 16 for name, n in counts)


def transformers_head(made: type[nn.Module], model: nn.Module) -> str:
    """What depends on the number of labels; else the output embeddings; else what depends on the vocabulary."""
    if "For" not in made.__name__ and "LMHead" not in made.__name__ and "DoubleHeads" not in made.__name__:
        return ""
    label = f"the head of {made.__name__}"
    other = quietly(label, configured, made, num_labels=7)
    if other and (head := main_head(changed(model, other))):
        return head
    if hasattr(model, "qa_outputs"):
        return "qa_outputs"
    output = model.get_output_embeddings()
    if output is not None:
        return next((path for path, module in model.named_modules() if module is output), "")
    other = quietly(label, configured, made, vocab_size=11) if hasattr(model.config, "vocab_size") else None
    found = changed(model, other) if other else []
    return main_head([path for path in found if not isinstance(model.get_submodule(path), nn.Embedding)])


BUILDERS = {"torchvision": torchvision_models, "timm": timm_models, "transformers": transformers_models}
_declared: list[torch.library.Library] = []


def declare_operators() -> None:
    """Declare the operators that torchvision needs in order to be imported without its compiled part."""
    if not _declared and not hasattr(torch.ops.torchvision, "nms"):
        _declared.append(torch.library.Library("torchvision", "FRAGMENT"))
        for name in ("nms", "qnms"):
            _declared[0].define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def version(library: str) -> str:
    """A version without what the build added to it."""
    return str(importlib.import_module(library).__version__).partition("+")[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("libraries", nargs="*", metavar="LIBRARY", help=f"of {', '.join(BUILDERS)}; all of them")
    for library in BUILDERS:
        parser.add_argument(f"--{library}", metavar="FOLDER", help=f"where {library} lies if it is not installed")
    parser.add_argument("--out", type=Path, default=ROOT / "src/freezelint/knowledge/zoo", metavar="FOLDER")
    options = parser.parse_args()
    sys.path += [folder for library in BUILDERS if (folder := getattr(options, library))]
    skip_initialization()
    for library in options.libraries or BUILDERS:
        start = time.perf_counter()
        shelf = Shelf()
        for built in BUILDERS[library]():
            shelf.add(library, built)
        # A variant without weights is worth a line only where it differs.
        for names in list(shelf.models.values()):
            names[:] = [name for name in names if name.lstrip("!") == name or name[1:] not in names]
        shelf.models = {rest: names for rest, names in shelf.models.items() if names}
        today = str(datetime.date.today())
        text = shelf.text({"library": library, "version": version(library), "torch": version("torch"), "date": today})
        # Parameters were renamed between the major versions of transformers; the data of both are kept.
        older = "4" if library == "transformers" and version(library).startswith("4.") else ""
        (options.out / f"{library}{older}.txt.gz").write_bytes(packed := gzip.compress(text.encode(), mtime=0))
        print(
            f"{library}: {sum(map(len, shelf.models.values()))} names, {len(shelf.nodes)} nodes, "
            f"{len(packed):,} of {len(text):,} bytes, {time.perf_counter() - start:.0f} s"
        )


if __name__ == "__main__":
    main()
