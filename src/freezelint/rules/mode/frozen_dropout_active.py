"""A frozen network that gives features has Dropout in train mode, so its features are noisy.

What happens
    Dropout drops whenever its layer is in train mode; that nothing in the network trains, or that gradients are off,
    does not matter. The features of a frozen network then differ from call to call, which may be wanted as an
    augmentation, and is often not known.

Why
    `train()` on what contains the frozen network (or no mode call at all) leaves it in train mode.

Bad
    import torch
    from torch import nn
    from torchvision.models import vgg16

    backbone = vgg16(weights="DEFAULT")
    backbone.requires_grad_(False)
    head = nn.Linear(1000, 2)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    head(backbone(torch.randn(2, 3, 224, 224))).sum().backward()
    optimizer.step()

Good
    import torch
    from torch import nn
    from torchvision.models import vgg16

    backbone = vgg16(weights="DEFAULT")
    backbone.requires_grad_(False)
    backbone.eval()
    head = nn.Linear(1000, 2)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    head(backbone(torch.randn(2, 3, 224, 224))).sum().backward()
    optimizer.step()

Confirm
    Run the same batch through the frozen network twice: the outputs differ.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import INFO, rule
from freezelint.trace.events import Backward, SetMode, SetRequiresGrad
from freezelint.trace.regions import Part
from freezelint.trace.run import Fault, Note, Run, grouped, name
from freezelint.trace.state import Pass
from freezelint.trace.tri import NO, YES


@rule(on=Backward, severity=INFO, yields_to=("eval-overridden-by-train",))
def check(run: Run, event: Backward) -> Iterator[Fault]:
    passes = run.trained(event)
    noisy = [part for part, ran in passes.items() if _drops(run, part, ran)]
    for (froze, switched), region in grouped(noisy, lambda part: _story(run, part, passes[part])):
        if froze is None:
            continue
        on = switched is not None and switched.by == "train"
        first = next(passes[part] for part in passes if part in region)
        yield Fault(
            switched.site if switched is not None and on else froze.site,
            f"the Dropout in {name(region)} is active in training, though everything around it is frozen:"
            f" {'this train() reaches it' if on else 'it stays in train mode'}",
            (
                *((Note(froze.site, "frozen here", each=True),) if on else ()),
                Note(first.event.site, "this forward drops out"),
            ),
            about=froze.site,
        )


def _drops(run: Run, part: Part, ran: Pass) -> bool:
    """Whether a leaf of a wholly frozen network surely has Dropout that is active."""
    if part.has("dropout") is not YES or run.mode(part, during=ran) is not YES or run.copies(part):
        return False
    own = _around(run, part, ran)  # in a run a Dropout layer is a leaf of its own, with neither flag nor weights
    if any(run.momentary(leaf) or run.weights(leaf) == "random" for leaf in (part, *own)) or not run.in_view(part):
        return False
    if run.rebuilt(part) or run.adapters():  # a new head or adapters inside it train, with the Dropout around them
        return False
    return bool(own) and run.frozen(own, during=ran) == own


def _around(run: Run, part: Part, ran: Pass) -> list[Part]:
    """What has parameters and belongs to the same model."""
    return [leaf for leaf in run.in_pass(ran) if leaf.root is part.root and leaf.has("params") is not NO]


def _story(run: Run, part: Part, ran: Pass) -> tuple[SetRequiresGrad | None, SetMode | None]:
    # A Dropout layer has no flag of its own, so that in a run nothing ever set it.
    freezes = (run.last(SetRequiresGrad, leaf, during=ran) for leaf in (part, *_around(run, part, ran)))
    return next((froze for froze in freezes if froze is not None), None), run.last(SetMode, part, during=ran)
