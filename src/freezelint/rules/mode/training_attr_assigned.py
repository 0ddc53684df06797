"""`module.training = ...` changes one flag of one module; the layers below stay in the mode they were in.

What happens
    `training` is the attribute that train() and eval() set on a module and on everything below it. An assignment sets
    that of the module alone: its BatchNorm and Dropout layers are modules of their own and keep their mode. A flag of
    your own under this name is overwritten by the next train() or eval().

Why
    The attribute looks like a switch. The switch is train() and eval().

Bad
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    model.training = False
    with torch.no_grad():
        print(model(torch.randn(1, 8)))

Good
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    model.eval()
    with torch.no_grad():
        print(model(torch.randn(1, 8)))

Confirm
    Print `{m.training for m in model.modules()}` after the line: it holds both True and False.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.train
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import ReplaceSubmodule, SetMode, WroteAttribute
from freezelint.trace.regions import Part, Region, leaves
from freezelint.trace.repair import Repair
from freezelint.trace.run import Excuse, Fault, Run
from freezelint.trace.tri import NO


@rule(on=(WroteAttribute, SetMode, ReplaceSubmodule), severity=ERROR)
def check(run: Run, event: WroteAttribute | SetMode | ReplaceSubmodule) -> Iterator[Fault | Excuse]:
    if isinstance(event, SetMode):
        if event.by == "eval":  # said twice, once in a way that works
            yield from (Excuse(wrote.site) for wrote in run.flagged_unrun(event.region))
    elif isinstance(event, WroteAttribute):
        if event.target == "module" and event.name == "training":
            if not any(_apart(run, part, event) for part in event.region):  # told to differ from the model as a whole
                yield from _told(event, _asks(event.region))
    elif event.new and _asks(event.new):  # the first such layer of a module that was told its mode before
        for wrote in run.events_behind("flagged", WroteAttribute):
            grown = set(leaves(wrote.region)) < set(leaves(event.owner))
            if wrote.value == "False" and grown and not _asks(wrote.region):
                yield from _told(wrote, asks=True)


def _told(event: WroteAttribute, asks: bool) -> Iterator[Fault]:
    owner = event.text.rpartition(".")[0] or "the module"
    # True on one module is how a head is asked for its training output in a model that stays in eval mode, and the
    # mode of another module is put back on a copy of it: only False and a flag of one's own are surely mistaken.
    if event.value == "False" and asks:
        advice = f"call {owner}.eval()"
    elif owner == "self" and event.value not in ("True", "False"):
        advice = "the next train() or eval() overwrites it"
    else:
        return
    apart = ", its Dropout and BatchNorm layers keep their mode" if asks else ""
    yield Fault(
        event.site,
        f"this sets the flag of `{owner}` alone{apart}: {advice}",
        repair=Repair("mode", "call eval()", False, "eval") if event.value == "False" and owner != "self" else None,
    )


def _asks(region: Region) -> bool:
    """Whether there may be a layer whose output depends on its mode."""
    layers = leaves(region)
    return not layers or any(one.has("batchnorm") is not NO or one.has("dropout") is not NO for one in layers)


def _apart(run: Run, part: Part, event: WroteAttribute) -> bool:
    switched = run.last(SetMode, part)
    return switched is not None and set(leaves(event.region)) < set(leaves(switched.region))
