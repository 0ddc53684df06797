"""A loss term computed through a frozen network under `no_grad` gives no gradient to what it should train.

What happens
    A frozen network in a loss (perceptual VGG, a spectrogram, a recogniser) must let the gradient pass from its output
    to its input. Under `torch.no_grad()`, or behind `.detach()`, the term becomes a constant: it is added, printed and
    falls by chance, and the part that it was to train gets nothing from it. The other terms train on, so nothing looks
    wrong.

Why
    `no_grad` was meant to spare the frozen weights; `requires_grad = False` does that and lets the gradient through.
    Only the target's pass, whose input needs no gradient, may run under it.

Bad
    import torch
    from torch import nn
    from torchvision.models import vgg16

    generator = nn.Conv2d(3, 3, 3, padding=1)
    vgg = vgg16(weights="DEFAULT").features.eval()
    vgg.requires_grad_(False)
    optimizer = torch.optim.Adam(generator.parameters())
    for x, y in loader:
        fake = generator(x)
        with torch.no_grad():
            fake_features, real_features = vgg(fake), vgg(y)
        perceptual_loss = nn.functional.l1_loss(fake_features, real_features)
        loss = nn.functional.l1_loss(fake, y) + 0.1 * perceptual_loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Good
    import torch
    from torch import nn
    from torchvision.models import vgg16

    generator = nn.Conv2d(3, 3, 3, padding=1)
    vgg = vgg16(weights="DEFAULT").features.eval()
    vgg.requires_grad_(False)
    optimizer = torch.optim.Adam(generator.parameters())
    for x, y in loader:
        fake = generator(x)
        with torch.no_grad():
            real_features = vgg(y)
        perceptual_loss = nn.functional.l1_loss(vgg(fake), real_features)
        loss = nn.functional.l1_loss(fake, y) + 0.1 * perceptual_loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Confirm
    Print `perceptual_loss.requires_grad` for the term: it is False, and the gradient of the trained part is the same
    with the term and without it.

References
    https://docs.pytorch.org/docs/stable/notes/autograd.html#locally-disabling-gradient-computation
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import AddTerm, Backward
from freezelint.trace.run import Fault, Note, Run, called


@rule(on=(Backward, AddTerm), severity=ERROR, sides="static")
def check(run: Run, event: Backward | AddTerm) -> Iterator[Fault]:
    if isinstance(event, AddTerm):
        modes = {use.cut for use in event.uses if use.cut is not None and use.cut.mode is not None}
        if event.whole and modes:
            cut = min(modes, key=lambda cut: cut.how)
            yield Fault(
                cut.site,
                f"this loss runs what it is given under {cut.how}, and nothing that it returns has a gradient: as a"
                " term of a loss it is a constant",
                (Note(event.site, "what this forward() returns has no graph"),),
            )
        return
    for term, cut, trained in run.idle_terms(event):
        nets = [ran for ran in run.passes_in(term.uses) if run.inert(ran) and run.frozen(ran.event.region)]
        if nets:
            net = called(nets[0].event)
            yield Fault(
                cut.site,
                f"{cut.how} makes the loss term through {net} a constant: {called(trained)} gets no gradient from it",
                (
                    Note(nets[0].event.site, f"{net}, which is frozen, runs here"),
                    Note(term.site, "the term is added to the loss here"),
                    Note(event.site, "this backward() gets nothing from it"),
                ),
            )
