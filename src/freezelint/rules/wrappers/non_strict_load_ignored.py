"""Weights are loaded with `strict=False` and nobody looks at what was missing, so a frozen part may be random.

What happens
    `load_state_dict(..., strict=False)` skips every name that does not match and returns the lists of missing and
    unexpected ones. With a wrong prefix (`module.`, `model.`, `backbone.`) nothing at all is loaded, in silence. What
    is frozen afterwards keeps its random values for good.

Why
    `strict=False` is meant for a new head; it hides every other mismatch as well. The rule speaks where the result is
    thrown away, the weights go in as they were saved, the part was random before, and all of it stays frozen; and where
    a checkpoint of Lightning, whose names begin with the attribute that holds the model, goes into that model itself.

Bad
    import torch
    from torch import nn
    from torchvision.models import resnet50

    encoder = resnet50()
    encoder.load_state_dict(torch.load("moco.pth"), strict=False)
    encoder.requires_grad_(False)
    encoder.eval()
    head = nn.Linear(1000, 10)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    for x, y in loader:
        loss = nn.functional.cross_entropy(head(encoder(x)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Good
    import torch
    from torch import nn
    from torchvision.models import resnet50

    encoder = resnet50()
    missing, unexpected = encoder.load_state_dict(torch.load("moco.pth"), strict=False)
    assert set(missing) <= {"fc.weight", "fc.bias"}, missing
    encoder.requires_grad_(False)
    encoder.eval()
    head = nn.Linear(1000, 10)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    for x, y in loader:
        loss = nn.functional.cross_entropy(head(encoder(x)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Confirm
    Print what `load_state_dict` returns: `missing_keys` lists what kept its random values.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.load_state_dict
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import WARNING, rule
from freezelint.trace.events import LoadWeights, SetRequiresGrad, Step
from freezelint.trace.regions import leaves
from freezelint.trace.run import Fault, Note, Run, grouped, name
from freezelint.trace.tri import NO


@rule(on=(LoadWeights, Step), severity=WARNING, sides="static")
def check(run: Run, event: LoadWeights | Step) -> Iterator[Fault]:
    if isinstance(event, LoadWeights):
        if event.foreign and event.strict is NO and event.ignored:
            yield Fault(
                event.site,
                f"a {event.foreign} checkpoint names its weights after the attribute that held the model, so with"
                f" `strict=False` none of them reaches {name(event.region)}, and nothing is said",
            )
        return
    frozen = run.frozen(run.known_parts())
    for load, region in grouped(frozen, lambda part: run.loaded_over_random(part)):
        if load.strict is not NO or not load.ignored or not load.plain:
            continue
        own = [part for part in leaves(load.region) if part.has("params") is not NO]
        froze = run.last(SetRequiresGrad, min(region, key=lambda part: part.serial))
        if set(own) <= set(region) and froze is not None and all(run.since_start("grad", part) for part in region):
            yield Fault(
                load.site,
                f"with `strict=False` and its result unread, this may load nothing into {name(region)}, which is frozen"
                " and would stay random",
                (Note(froze.site, "frozen here"), Note(event.site, "training goes on with it")),
            )
