"""A part is frozen, and a later line of the same code makes everything trainable again.

What happens
    The flags that the first loop set are all set back before anything uses them: no optimizer is built and nothing runs
    in between. The part trains like the rest, in silence.

Why
    A loop over the whole model was meant for the rest of it, or stands after the freeze where it should stand before.

Bad
    from torchvision.models import resnet18

    def build():
        model = resnet18(weights="DEFAULT")
        for p in model.layer1.parameters():
            p.requires_grad = False
        for p in model.parameters():
            p.requires_grad = True
        return model

    model = build()

Good
    from torchvision.models import resnet18

    def build():
        model = resnet18(weights="DEFAULT")
        for p in model.parameters():
            p.requires_grad = True
        for p in model.layer1.parameters():
            p.requires_grad = False
        return model

    model = build()

Confirm
    Print `[n for n, p in model.named_parameters() if not p.requires_grad]` after the last loop: nothing is frozen.

References
    https://docs.pytorch.org/docs/stable/notes/autograd.html#setting-requires-grad
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import BuildOptimizer, End, SetRequiresGrad
from freezelint.trace.regions import leaves
from freezelint.trace.run import Excuse, Fault, Note, Run, grouped, name_is
from freezelint.trace.tri import YES


@rule(on=(SetRequiresGrad, BuildOptimizer, End), severity=ERROR)
def check(run: Run, event: SetRequiresGrad | BuildOptimizer | End) -> Iterator[Fault | Excuse]:
    if not isinstance(event, SetRequiresGrad):
        # A freeze that lasts in any world is not in vain: the line that undoes it stands behind a test.
        for froze in run.events_behind("grad", SetRequiresGrad):
            if run.frozen(froze.region):
                yield Excuse(froze.site)
        return
    if event.to is not YES or event.how not in ("attribute", "method"):
        return
    woken = set(leaves(event.region))
    for froze, region in grouped(run.frozen(event.region), lambda part: run.last(SetRequiresGrad, part)):
        if froze.site == event.site or not set(leaves(froze.region)) == set(region) < woken:
            continue
        if (froze.within, froze.turn, froze.lap) != (event.within, event.turn, event.lap):
            continue  # another function, another stage: the freeze may have served by then
        if not run.used_since(froze, region):
            yield Fault(
                event.site,
                f"this makes everything trainable again: {name_is(region)} frozen above in vain",
                (Note(froze.site, "frozen here"),),
                about=froze.site,
            )
