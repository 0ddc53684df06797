"""A layer is replaced after the optimizer was built: the new one is never trained.

What happens
    An optimizer keeps the parameters that it was given, not the names they had. When `model.fc` is replaced later, the
    optimizer goes on holding the old layer, which is no part of the model any more. The new layer gets gradients, no
    optimizer applies them, and nothing is raised or printed.

Why
    The new head is the part that fine-tuning is about, so the model keeps predicting at chance, or learns only through
    the layers below a random head.

Bad
    import torch
    from torchvision.models import resnet18

    model = resnet18(weights="DEFAULT")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    model.fc = torch.nn.Linear(512, 10)
    for _ in range(10):
        loss = model(torch.randn(4, 3, 64, 64)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Good
    import torch
    from torchvision.models import resnet18

    model = resnet18(weights="DEFAULT")
    model.fc = torch.nn.Linear(512, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(10):
        loss = model(torch.randn(4, 3, 64, 64)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Confirm
    Compare the new layer's weight before and after a step: it is identical, although its `.grad` is not None.

References
    https://docs.pytorch.org/docs/stable/optim.html#constructing-it
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import ReplaceSubmodule, Step
from freezelint.trace.regions import leaves
from freezelint.trace.repair import Repair
from freezelint.trace.run import Fault, Note, Run, grouped, name_is
from freezelint.trace.tri import NO, YES


@rule(on=Step, severity=ERROR)
def check(run: Run, event: Step) -> Iterator[Fault]:
    optimizer = run.optimizer(event.optimizer)
    if optimizer is None:
        return
    loose = [part for part in run.trainable(run.replacements()) if run.held(part) is NO and run.in_use(part)]
    for swap, region in grouped(loose, lambda part: run.last(ReplaceSubmodule, part)):
        later = all(fact.at > optimizer.at for part in region if (fact := run.fact("joined", part)))
        if later and any(optimizer.holds(part) is YES for part in leaves(swap.old)):
            yield Fault(
                swap.site,
                f"{name_is(region)} new here, but {optimizer.label} was built before and holds the layer it replaces: "
                "no step ever moves the new one",
                (
                    Note(optimizer.built.site, f"{optimizer.label} is built here, over the old layer"),
                    Note(event.site, "this step leaves the new layer as it is"),
                ),
                repair=Repair("move_below", "build the optimizer after it", safe=False, beside=optimizer.built.site),
            )
