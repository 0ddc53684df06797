"""An optimizer is built over parameters that are frozen.

What happens
    Nothing harmful: torch's optimizers skip parameters whose gradient is None. Frozen from the start, they do not move,
    neither by weight decay nor by momentum, and no state is allocated for them; the step costs a few microseconds more.
    Adagrad and LBFGS are the exceptions: they allocate their state for frozen parameters as well. An optimizer of your
    own that never asks for `p.grad is None` fails on the first frozen parameter, or applies its weight decay to it.

Why
    A checkpoint's optimizer state fits only the same list of parameters: one that was saved with all parameters does
    not load into an optimizer over the trainable ones, nor the other way round. And a reader cannot tell whether these
    parameters are there for a later unfreeze or by mistake.

Bad
    import torch
    from torchvision.models import resnet18

    model = resnet18(weights="DEFAULT")
    for p in model.parameters():
        p.requires_grad = False
    model.eval()
    model.fc = torch.nn.Linear(512, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(10):
        loss = model(torch.randn(4, 3, 64, 64)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Good
    import torch
    from torchvision.models import resnet18

    model = resnet18(weights="DEFAULT")
    for p in model.parameters():
        p.requires_grad = False
    model.eval()
    model.fc = torch.nn.Linear(512, 10)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
    for _ in range(10):
        loss = model(torch.randn(4, 3, 64, 64)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Confirm
    Count `sum(not p.requires_grad for group in optimizer.param_groups for p in group["params"])`.

References
    https://docs.pytorch.org/docs/stable/optim.html#constructing-it
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import INFO, WARNING, rule
from freezelint.trace.events import End, SetRequiresGrad
from freezelint.trace.regions import leaves
from freezelint.trace.repair import Repair
from freezelint.trace.run import Excuse, Fault, Note, Run, grouped, name_is
from freezelint.trace.tri import NO, YES


@rule(on=(End, SetRequiresGrad), severity=INFO)
def check(run: Run, event: End | SetRequiresGrad) -> Iterator[Fault | Excuse]:
    for optimizer in run.optimizers:
        if isinstance(event, SetRequiresGrad):
            # Whatever wakes up later, in any world, is why the optimizer holds it.
            if event.to is not NO and any(optimizer.holds(part) is YES for part in leaves(event.region)):
                yield Excuse(optimizer.built.site)
            continue
        held = [leaf for group in optimizer.groups for leaf in leaves(p for p in group.region if not p.is_handed_out)]
        frozen = [part for part in run.frozen(held) if part.has("params") is not NO and not part.is_bare]
        if not optimizer.stepped or not frozen or not any(run.flag(part) is YES for part in held):
            continue
        # Freezing what an optimizer holds already, after steps or in a later epoch, is another story.
        given = {leaf: group.at for group in optimizer.groups for leaf in leaves(group.region)}
        frozen = [part for part in frozen if run.gradient(part) is NO and run.frozen_since(part) < given[part]]
        if len(frozen) == 1 and frozen[0].is_bias:
            continue  # one bias that a BatchNorm makes useless, or a constant: meant so, and not worth a word
        for freeze, region in grouped(frozen, lambda part: run.last(SetRequiresGrad, part)):
            harm = "which allocates its state for them all the same" if optimizer.built.allocates else ""
            if not optimizer.built.skips_none:
                harm = "whose own step() does not ask whether there is a gradient: it fails on None, or moves them"
            cost = harm or "which skips parameters without a gradient and allocates no state for them"
            yield Fault(
                optimizer.built.site,
                f"{name_is(region)} frozen and never unfrozen, but handed to {optimizer.label}, {cost}",
                (Note(freeze.site, "frozen here"),),
                WARNING if harm else None,
                repair=Repair("only_trainable", "hand over what requires grad", safe=False),
            )
            break
