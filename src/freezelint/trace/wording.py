"""Regions in words, for messages: the labels of their largest parts, or what these have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from freezelint.trace.regions import Part, leaves


def _said(label: str) -> str:
    """A label in words: a model that was bound to no name yet is called after its kind."""
    return label.replace("(", "", 1).replace(")", "", 1) if label.startswith("(") else label


def covering(region: Iterable[Part]) -> list[Part]:
    """The fewest parts that make up a region: halves that are all there become the whole again."""
    wanted = set(leaves(region))
    found: dict[Part, None] = {}
    for part in sorted(wanted, key=lambda p: p.serial):
        while part.parent is not None and wanted.issuperset(part.parent.leaves()):
            part = part.parent
        found[part] = None
    return list(found)


def describe(region: Iterable[Part], limit: int = 3, quote: str = "") -> str:
    """A region in words, for messages: the labels of its largest parts, or what these have in common."""
    parts = _without_slices_of_slices(covering(region))
    labels = list(
        dict.fromkeys(_rest(p, quote) if p.is_remainder else f"{quote}{_said(p.label)}{quote}" for p in parts)
    )
    shared = _shared([p.label for p in parts]) if len(labels) > 1 else ""
    numbered = shared and all(p.label[len(shared) + 1 :].isdigit() and not p.is_remainder for p in parts)
    if len(labels) > limit or numbered:
        if shared:
            return f"{len(labels)} parts of {quote}{shared}{quote}"
        owners = {f"{quote}{p.label.partition('.')[0]}{quote}": 0 for p in parts if not set(" (") & set(p.label)}
        if 0 < len(owners) <= limit:
            return f"{len(labels)} parts of {' and '.join(owners)}"
        return f"{', '.join(labels[:limit])} and {len(labels) - limit} more"
    return " and ".join(labels) if len(labels) < 3 else f"{', '.join(labels[:-1])} and {labels[-1]}"


def _without_slices_of_slices(parts: Sequence[Part]) -> list[Part]:
    """Parts without `layers.0[-1:]` where `layers[-1:]` is there as well: a slice takes of all that it may take."""
    sliced = {label: label[label.index("[") :] for label in (part.label for part in parts) if label.endswith("]")}

    def said_before(label: str) -> bool:
        ending = sliced.get(label, "")
        wholes = (other.removesuffix(ending) for other, own in sliced.items() if own == ending and other != label)
        return bool(ending) and any(label.startswith(f"{whole}.") for whole in wholes)

    return [part for part in parts if not said_before(part.label)]


def _rest(part: Part, quote: str) -> str:
    return f"the rest of {quote}{_said(part.label)}{quote}"


def _shared(labels: list[str]) -> str:
    """The dotted beginning of all labels."""
    same = []
    for words in zip(*(label.split(".") for label in labels), strict=False):
        if len(set(words)) > 1:
            break
        same.append(words[0])
    return ".".join(same) if same != ["self"] else ""
