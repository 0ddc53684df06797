"""Models of a zoo: `torchvision.models.resnet18(...)` and its kin become modules whose layers are known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import libcst as cst

from freezelint.knowledge.models import BASES, CHECKPOINTS, FAMILIES, NEW_HEADS, TRAITS
from freezelint.knowledge.rows import FamilyRow
from freezelint.knowledge.zoo import Architecture, architecture, family_traits, tops, usual_names
from freezelint.static import assumptions, branches
from freezelint.static.arguments import Args
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.values import NONE, Const, Instance, Obj, Sym
from freezelint.static.world import World, serial
from freezelint.trace import events as ev
from freezelint.trace.regions import Layer, Part
from freezelint.trace.tri import NO, UNSURE, YES, Tri

# Whose checkpoints all have their output layer tied to the embedding, as far as they are in use.
_ALWAYS_TIED = frozenset({"GPT2LMHeadModel", "BertForMaskedLM", "RobertaForMaskedLM", "DistilBertForMaskedLM"})
WORDS = ("word_embeddings", "embed_tokens", "token_embedding", "wte", "shared", "word_embedding")  # of input ids
FEWEST = 1000  # classes of the checkpoints that timm offers: a head for fewer is a new one
_CONFIG = re.compile(r"transformers\.\w+Config\b")
_SAID = {"yes": YES, "no": NO, "": UNSURE}


def build(it: Interpreter, name: str, args: Args, node: cst.Call, world: World) -> Outcomes | None:
    """The models a call may build, None when it builds none that a zoo knows of."""
    for row in FAMILIES:
        if not name.startswith(row.prefix) or (row.strip and not name.endswith(row.strip)):
            continue
        if row.by_name is not None:
            if not row.strip and name != row.prefix:
                continue
            given = args.at(row.by_name)
            return [
                (_model(it, row, name, wanted, args, node, after), after)
                for wanted, after in branches.named(it, given if given is not None else NONE, node, world)
            ]
        wanted = _called(row, name)
        if wanted is not None and row.library == "transformers":
            given = args.get(0, "pretrained_model_name_or_path")
            return [
                (_model(it, row, name, _auto(wanted, checkpoint) or wanted, args, node, after, checkpoint), after)
                for checkpoint, after in branches.named(it, given if given is not None else NONE, node, world)
            ]
        if wanted is not None:
            return [(_model(it, row, name, wanted, args, node, world), world)]
    return None


def _called(row: FamilyRow, name: str) -> str | None:
    """The architecture that is called: "" when it is only known at run time, None when this is no builder of models."""
    last = name.removesuffix(row.strip).rpartition(".")[2]
    if row.library == "transformers":
        if "Config" in last or "Tokenizer" in last or "Processor" in last or "FeatureExtractor" in last:
            return None
        return last if row.strip or architecture("transformers", last) is not None else None
    if last in ("*", ""):
        return ""
    # Builders are lower case; `ResNet(...)` and helpers such as `create_feature_extractor` are not listed.
    return last if last == "*" or _listed(row.library, last) else None


def _auto(auto: str, checkpoint: str) -> str:
    """The class that an Auto class takes for a checkpoint; "" when its name does not say, or it is no Auto class."""
    if not auto.startswith("Auto"):
        return ""
    last = checkpoint.rpartition("/")[2].lower()
    purpose = auto.removeprefix("Auto").removeprefix("Model")
    for start, stem in CHECKPOINTS:
        if last.startswith(start):
            for ending in (
                purpose or "Model",
                "LMHeadModel" if purpose == "ForCausalLM" else "ForConditionalGeneration",
            ):
                if architecture("transformers", stem + ending) is not None:
                    return stem + ending
            return ""
    return ""


def _listed(library: str, name: str) -> bool:
    if architecture(library, name) is not None:
        return True
    return any(name.startswith(start) for start, _, _ in TRAITS.get(library, ()))


def _traits(library: str, name: str) -> tuple[Tri, Tri]:
    found = family_traits(library, name) if library in ("torchvision", "timm", "transformers") else None
    if found is not None:
        return _SAID[found[0]], _SAID[found[1]]
    for start, batchnorm, dropout in TRAITS.get(library, ()):
        if name.startswith(start):
            return _SAID[batchnorm], _SAID[dropout]
    return UNSURE, UNSURE


def _model(
    it: Interpreter, row: FamilyRow, called: str, name: str, args: Args, node: cst.Call, world: World,
    checkpoint: str = "",
) -> Obj:  # fmt: skip
    known = architecture(row.library, name) if name else None
    number = serial()
    text = name or called.rpartition(".")[2]
    if known is not None and known.exact and not _features_only(args):
        part = Part(f"({text})", layers=known.layers)
    else:
        batchnorm, dropout = _zoo_traits(known.layers) if known is not None else _traits(row.library, name)
        part = Part(f"({text})", traits={"batchnorm": batchnorm, "dropout": dropout, "params": YES})
        if known is not None and text in _ALWAYS_TIED and "config" not in args.kw:
            it.tied[part] = (text, tuple(known.tied))
        if row.library == "transformers" and "config" not in args.kw:
            part.tops = tops(name)
        if known is not None and not _features_only(args):
            part.likely = usual_names(row.library, name)
    record = Instance(text, part=part, row=known if known is not None and known.exact else None)
    world.heap[number] = record
    pretrained = _pretrained(row, called, args, world)
    made = ev.CreateModule(
        site=it.place(node),
        lap=it.lap(world),
        region=frozenset({part}),
        kind=text,
        whole=True,
        pretrained=pretrained,
        training=Tri.of(row.training),
        under=world.state.switched_off(),
    )
    it.emit(world, made)
    if pretrained is YES and known is not None and _head_is_new(row, name, checkpoint, args):
        head = _head(part, known, known.head if row.library == "timm" else known.head.partition(".")[0])
        if head:
            it.emit(world, replace(made, region=head, kind="head", whole=False, pretrained=NO, fresh=True))
    return Obj(number)


def embedding_of(record: object) -> str:
    """Where a transformers model keeps the embedding of its words, as far as every version of it says the same."""
    found: set[str] = set()
    for library in ("transformers", "transformers4"):
        known = architecture(library, record.kind) if isinstance(record, Instance) and record.cls is None else None
        words = (w for w, layer in known.layers.items() if layer.kind == "Embedding") if known is not None else ()
        found.update(next(([w] for w in words if w.rpartition(".")[2] in WORDS), []))
    return found.pop() if len(found) == 1 else ""


def _head_is_new(row: FamilyRow, name: str, checkpoint: str, args: Args) -> bool:
    """Whether the checkpoint surely holds no weights for the head that is asked for."""
    if row.library == "timm":
        classes = args.kw.get("num_classes")
        return isinstance(classes, Const) and isinstance(classes.value, int) and 0 < classes.value < FEWEST
    return name.endswith(NEW_HEADS) and BASES.fullmatch(checkpoint.rpartition("/")[2].lower()) is not None


def _head(part: Part, known: Architecture, path: str) -> frozenset[Part]:
    """The head of a model as a part of its own, whose layers are known even where the number of the others is not."""
    found = frozenset(part.at(path)) if path else frozenset()
    for rest in part.children:
        if rest not in found:
            others = {w: layer for w, layer in known.layers.items() if w != path and not w.startswith(f"{path}.")}
            rest.traits = dict(zip(("batchnorm", "dropout"), _zoo_traits(others), strict=True)) | {"params": YES}
    for head in found:
        if head.layers is None:
            head.layers = {
                where: layer for where, layer in known.layers.items() if where == path or where.startswith(f"{path}.")
            }
            head.names = frozenset(f"{where}.{p}" for where, layer in head.layers.items() for p in layer.params)
    return found


def _features_only(args: Args) -> bool:
    return "features_only" in args.kw


def _zoo_traits(layers: Mapping[str, Layer]) -> tuple[Tri, Tri]:
    part = Part("", layers=layers)
    return part.has("batchnorm"), part.has("dropout")


def _pretrained(row: FamilyRow, called: str, args: Args, world: World) -> Tri:
    """Whether the call asks for trained weights."""
    if "checkpoint_path" in args.kw or ".detection." in called or ".segmentation." in called:
        return UNSURE  # a file of weights, or a backbone that comes with weights by default
    if row.config is not None:
        config = args.at(row.config)
        return NO if isinstance(config, Sym) and _CONFIG.match(config.kind or config.text) else UNSURE
    asked: list[Tri] = []
    for arg in row.pretrained:
        value = args.at(arg)
        if value is None:
            continue
        if value == NONE:
            asked.append(NO)
        elif isinstance(value, Sym):  # an option: a No that only this world assumes is the user's choice
            asked.append(YES if assumptions.truth(value, world) else UNSURE)
        else:
            asked.append(Tri.of(assumptions.truth(value, world)))
    if YES in asked:
        return YES
    if UNSURE in asked or args.more:
        return UNSURE
    return NO if asked else _SAID[row.weights]
