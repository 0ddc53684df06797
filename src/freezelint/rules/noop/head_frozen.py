"""The new head is frozen with the rest, so training leaves it at its random values.

What happens
    A freeze over `model.parameters()` that runs after the head was replaced takes the new head along. It has random
    weights and never learns: if nothing else trains, backward raises "element 0 of tensors does not require grad and
    does not have a grad_fn"; if something else does, training runs and the head stays random, in silence.

Why
    A freeze sets the flags of the parameters that exist at that moment. A new layer is trainable when it is made, so
    the order is: freeze first, then replace the head; or enable the head again after the freeze.

Bad
    import torch
    from torch import nn
    from torchvision.models import resnet18

    model = resnet18(weights="DEFAULT")
    model.fc = nn.Linear(512, 10)
    for p in model.parameters():
        p.requires_grad = False
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = model(torch.randn(2, 3, 224, 224)).sum()
    loss.backward()
    optimizer.step()

Good
    import torch
    from torch import nn
    from torchvision.models import resnet18

    model = resnet18(weights="DEFAULT")
    for p in model.parameters():
        p.requires_grad = False
    model.fc = nn.Linear(512, 10)
    optimizer = torch.optim.SGD(model.fc.parameters(), lr=0.1)
    loss = model(torch.randn(2, 3, 224, 224)).sum()
    loss.backward()
    optimizer.step()

Confirm
    Print `[p.requires_grad for p in model.fc.parameters()]` before the first step: every one is False.

References
    https://docs.pytorch.org/tutorials/beginner/transfer_learning_tutorial.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import Backward, End, ReplaceSubmodule, SetRequiresGrad, Step
from freezelint.trace.regions import leaves
from freezelint.trace.run import Excuse, Fault, Note, Run, grouped, name_is
from freezelint.trace.tri import NO, YES


@rule(on=(Backward, Step, End, SetRequiresGrad), severity=ERROR)
def check(run: Run, event: Backward | Step | End | SetRequiresGrad) -> Iterator[Fault | Excuse]:
    if isinstance(event, SetRequiresGrad):
        woken = run.frozen(event.region) if event.to is not NO else []
        frozen = [p for p in woken if run.is_fresh(p) or ((joined := run.last(ReplaceSubmodule, p)) and joined.old)]
        yield from (Excuse(froze.site) for froze, _ in grouped(frozen, lambda part: run.last(SetRequiresGrad, part)))
        return
    if not run.optimizers or (isinstance(event, End) and (event.whole is not YES or run.state.steps)):
        return
    for joined in run.events_behind("joined", ReplaceSubmodule):
        head = [part for part in leaves(joined.new) if part.has("params") is not NO]
        if not joined.old or not run.in_place(joined.new) or run.frozen(head) != head:
            continue
        # Random from its construction on, and frozen before the first step: it never was trained, nor will be.
        if not all(run.weights(part) == "random" and run.since_start("grad", part) for part in head):
            continue
        whole = leaves(joined.owner | joined.new)
        elsewhere = all(any(group.region for group in optimizer.groups) for optimizer in run.optimizers)
        if elsewhere and run.frozen(whole) == whole and all(run.held(part) is NO for part in whole):
            continue  # a model of which no optimizer knows: a teacher, whose checkpoint may be missing
        if not isinstance(event, End) and not any(run.passes_over(frozenset((part,))) for part in head):
            continue
        for froze, region in grouped(head, lambda part: run.last(SetRequiresGrad, part)):
            yield Fault(
                froze.site,
                f"{name_is(region)} frozen here too, after it replaced the old head: its random weights never train",
                (
                    Note(joined.site, "the new head is put in place here"),
                    Note(event.site, "nothing has made it trainable until here"),
                ),
            )
    for made, fresh in grouped(run.known_parts(), lambda part: run.created(part) if run.is_fresh(part) else None):
        head = [part for part in fresh if part.has("params") is not NO]
        if run.frozen(head) != head or not all(run.weights(p) == "random" and run.since_start("grad", p) for p in head):
            continue
        if not isinstance(event, End) and not any(run.passes_over(frozenset((part,))) for part in head):
            continue
        for froze, region in grouped(head, lambda part: run.last(SetRequiresGrad, part)):
            if froze.how != "framework":  # PEFT's own freeze is another rule's matter
                yield Fault(
                    froze.site,
                    f"{name_is(region)} frozen here too, though it is new: the checkpoint holds no weights for it, and"
                    " its random weights never train",
                    (
                        Note(made.site, "the model comes with a new head here"),
                        Note(event.site, "nothing has made it trainable until here"),
                    ),
                )
