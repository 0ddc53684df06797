"""A layer is unfrozen after the optimizer was built without it, so it never moves.

What happens
    `requires_grad` becomes True, backward computes gradients for the layer, and no optimizer ever applies them: an
    optimizer updates only the parameters that it was given. Nothing is raised or printed. The gradients pile up, since
    `optimizer.zero_grad()` does not reach them either.

Why
    The optimizer was built while these parameters were filtered out or left out, and it was neither rebuilt nor told of
    them with `add_param_group`.

Bad
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    for p in model[0].parameters():
        p.requires_grad = False
    optimizer = torch.optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), lr=0.1)
    for epoch in range(10):
        if epoch == 5:
            for p in model[0].parameters():
                p.requires_grad = True
        loss = model(torch.randn(4, 8)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Good
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    for p in model[0].parameters():
        p.requires_grad = False
    optimizer = torch.optim.SGD(filter(lambda p: p.requires_grad, model.parameters()), lr=0.1)
    for epoch in range(10):
        if epoch == 5:
            for p in model[0].parameters():
                p.requires_grad = True
            optimizer.add_param_group({"params": model[0].parameters(), "lr": 0.01})
        loss = model(torch.randn(4, 8)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Confirm
    After the first step that follows, compare the layer's weights with a copy taken before it: they are identical,
    although `p.grad` is not None.

References
    https://docs.pytorch.org/docs/stable/generated/torch.optim.Optimizer.add_param_group.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import SetRequiresGrad, Step
from freezelint.trace.run import Fault, Note, Run, grouped, name_is
from freezelint.trace.tri import NO, YES


@rule(on=Step, severity=ERROR)
def check(run: Run, event: Step) -> Iterator[Fault]:
    if run.optimizer(event.optimizer) is None:
        return  # some optimizer is not in view, and it may hold anything
    awake = [part for part in run.known_parts() if run.flag(part) is YES]
    loose = [part for part in awake if run.held(part) is NO or run.filtered_out(part)]
    for woke, region in grouped(loose, lambda part: run.last(SetRequiresGrad, part)):
        # Frozen before, and the optimizer that stands beside it is older than the unfreeze.
        facts = [fact for part in region if (fact := run.fact("grad", part))]
        if any(fact.was is not NO and run.held(part) is NO for part in region if (fact := run.fact("grad", part))):
            continue
        for optimizer in run.optimizers:
            older = optimizer.at < min(fact.at for fact in facts)
            if older and (run.beside(optimizer, region) or optimizer.perhaps):
                what = "with what required grad by then" if optimizer.filtered else "without it"
                yield Fault(
                    woke.site,
                    f"{name_is(region)} unfrozen here, but held by no optimizer: gradients come, the weights never"
                    " move",
                    (
                        Note(optimizer.built.site, f"{optimizer.label} is built here, {what}"),
                        Note(event.site, "this step leaves it as it is"),
                    ),
                )
                break
