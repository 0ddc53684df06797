"""A freeze takes the weights of layers and leaves their biases to train.

What happens
    The layers that were meant to stay as they are go on shifting: for BatchNorm the bias is the mean of what it gives
    out. Nothing is raised or printed.

Why
    `layer.weight.requires_grad = False` speaks of one parameter; a BatchNorm has two, and so has a Linear or a
    convolution by default.
    What is reported: BatchNorm layers of which only the weight is frozen, and layers of any kind where the function
    that does it is called after freezing. Whether a freeze of some parts of a model (embeddings without their norm,
    blocks without the embedding) was meant to take the others too cannot be read from source: print what is left.

Bad
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    for m in model.modules():
        if isinstance(m, nn.BatchNorm1d):
            m.eval()
            m.weight.requires_grad = False
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.randn(4, 8)).sum().backward()
    optimizer.step()

Good
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    for m in model.modules():
        if isinstance(m, nn.BatchNorm1d):
            m.eval()
            m.requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.randn(4, 8)).sum().backward()
    optimizer.step()

Confirm
    Print `[n for n, p in model.named_parameters() if p.requires_grad]`: the biases are among them.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.requires_grad_
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import WARNING, rule
from freezelint.trace.events import SetRequiresGrad, Step
from freezelint.trace.run import Fault, Note, Run, grouped, name
from freezelint.trace.tri import NO, YES


@rule(on=Step, severity=WARNING)
def check(run: Run, event: Step) -> Iterator[Fault]:
    weights = [part for part in run.known_parts() if part.is_weight and run.flag(part) is NO]
    for froze, frozen in grouped(weights, lambda part: run.last(SetRequiresGrad, part)):
        norms = frozenset(part for part in frozen if part.has("batchnorm") is YES and part.only("batchnorm"))
        region = frozen if _says_freeze(froze.within) else norms
        if froze.how not in ("attribute", "method") or not region:
            continue
        left = frozenset(run.awake_beside(region))
        if left and all(run.held(part) is YES for part in left):
            yield Fault(
                froze.site,
                f"only {name(region)} is frozen here: the bias beside it still trains",
                (Note(event.site, "this step moves it"),),
            )


def _says_freeze(function: str) -> bool:
    called = function.lower()
    return "freez" in called and "unfreez" not in called and "weight" not in called
