"""The optimizer holds one part of a model, and the rest still computes gradients that nobody applies.

What happens
    Leaving parameters out of the optimizer does not freeze them. They still require grad, so every backward goes all
    the way through them, and every `.grad` is computed and kept. Measured on a small ResNet and a small transformer, a
    step takes about twice the time of one with the rest frozen, and the gradients take the memory of a whole model.
    `optimizer.zero_grad()` does not reach them, so they pile up from step to step.

Why
    The result is the same as with a freeze until something reads those gradients. `clip_grad_norm_(model.parameters())`
    does: the norm is that of the gradients nobody applies, and the part that should train is scaled down with them.

Bad
    import torch
    from torchvision.models import resnet18

    model = resnet18(weights="DEFAULT")
    model.fc = torch.nn.Linear(512, 10)
    optimizer = torch.optim.SGD(model.fc.parameters(), lr=0.01)
    for _ in range(10):
        loss = model(torch.randn(4, 3, 64, 64)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Good
    import torch
    from torchvision.models import resnet18

    model = resnet18(weights="DEFAULT")
    model.requires_grad_(False)
    model.eval()
    model.fc = torch.nn.Linear(512, 10)
    optimizer = torch.optim.SGD(model.fc.parameters(), lr=0.01)
    for _ in range(10):
        loss = model(torch.randn(4, 3, 64, 64)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Confirm
    After a backward, count the parameters with a gradient that no optimizer holds, and time a step with and without
    `requires_grad_(False)` on them.

References
    https://docs.pytorch.org/docs/stable/notes/autograd.html#setting-requires-grad
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, WARNING, rule
from freezelint.trace.events import ClipGradients, Step, ZeroGrad
from freezelint.trace.run import Fault, Note, Run, name, name_is
from freezelint.trace.tri import NO, YES


@rule(on=Step, severity=WARNING, yields_to=("empty-optimizer", "params-list-of-generator"))
def check(run: Run, event: Step) -> Iterator[Fault]:
    optimizer = run.optimizer(event.optimizer)
    if optimizer is None or optimizer.complete is not YES:
        return
    for ran in run.training_passes(event):
        together = run.ran_with(ran, event)  # where a forward runs the children of a model one by one
        inside = run.trainable(ran.event.region)
        held = [part for part in together if optimizer.holds(part) is YES]
        loose = [part for part in inside if run.gradient(part) is YES and run.held(part) is NO and run.in_use(part)]
        # What was unfrozen later is unfreeze-not-in-optimizer's matter.
        loose = [part for part in run.trainable(loose, during=ran) if not run.awoke(part, optimizer)]
        loose = [part for part in loose if not part.may_be_empty and (part.count or part.is_rest)]
        if not held or not run.larger(loose, held):
            continue
        clipped = next((clip for part in loose if (clip := run.last(ClipGradients, part))), None)
        message = (
            f"{optimizer.label} holds {name(held)} only, but {name_is(loose, 'still requires', 'still require')} grad"
        )
        if clipped:
            message += ": its gradients enter the norm that scales down the part that trains"
        elif any(run.last(ZeroGrad, part) for part in loose):
            message += ": each step computes its gradients, and nobody applies them"
        else:
            message += ": each step computes its gradients, and they pile up, since nobody applies or clears them"
        whole = any(part in ran.event.region for part in held)
        notes = [Note(ran.event.site, "the whole model runs here" if whole else "it runs here")]
        if clipped:
            notes.append(Note(clipped.site, "all gradients are clipped together here"))
        notes.append(Note(event.site, "this step applies some of them"))
        yield Fault(optimizer.built.site, message, tuple(notes), ERROR if clipped else None)
        return
