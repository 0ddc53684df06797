"""A part that learns from random weights is in no optimizer, beside parts that are.

What happens
    The part takes part in the loss and gets a gradient with every `backward()`, but the groups that the optimizer was
    built over leave it out. Its weights stay as they were drawn at random, and its gradients pile up, since
    `optimizer.zero_grad()` does not reach them either. Nothing is raised or printed, and the loss still falls, because
    the other parts learn to live with it.

Why
    Groups that are written by hand name the modules of the day they were written. A head that is a module of its own,
    a loss with weights of its own, or a group that was built and never put into the list is easily forgotten.

Bad
    import torch
    from torch import nn

    encoder = nn.Sequential(nn.Linear(8, 16), nn.ReLU())
    decoder = nn.Linear(16, 8)
    classifier = nn.Linear(16, 2)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    for _ in range(10):
        x = torch.randn(4, 8)
        code = encoder(x)
        loss = (decoder(code) - x).pow(2).mean() + classifier(code).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Good
    import torch
    from torch import nn

    encoder = nn.Sequential(nn.Linear(8, 16), nn.ReLU())
    decoder = nn.Linear(16, 8)
    classifier = nn.Linear(16, 2)
    model = nn.ModuleList([encoder, decoder, classifier])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(10):
        x = torch.randn(4, 8)
        code = encoder(x)
        loss = (decoder(code) - x).pow(2).mean() + classifier(code).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Confirm
    After a step, list the parameters whose `.grad` is not None and that are in no `optimizer.param_groups`.

References
    https://docs.pytorch.org/docs/stable/optim.html#constructing-it
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import AddParamGroup, BuildOptimizer, Step
from freezelint.trace.regions import leaves
from freezelint.trace.run import Excuse, Fault, Note, Run, grouped, name, name_is
from freezelint.trace.tri import NO, YES


@rule(on=(Step, BuildOptimizer, AddParamGroup), severity=ERROR, yields_to=("head-replaced-after-optimizer",))
def check(run: Run, event: Step | BuildOptimizer | AddParamGroup) -> Iterator[Fault | Excuse]:
    if not isinstance(event, Step):  # a later stage trains what an earlier one left alone
        regions = event.groups if isinstance(event, BuildOptimizer) else (event.region,)
        joins = [part for part in leaves(set().union(*regions)) if run.gradient(part) is not NO]
        for other in run.optimizers:
            if any(other.holds(part) is NO for part in joins):
                yield Excuse(other.built.site)
        return
    optimizer = run.optimizer(event.optimizer)
    if optimizer is None:  # it was not seen being built, and may hold anything
        yield from (Excuse(other.built.site) for other in run.optimizers)
        return
    if optimizer.complete is not YES:
        return
    taught = run.taught(event)
    held = [part for part in taught if optimizer.holds(part) is YES]
    loose = [part for part in taught if run.held(part) is NO and not run.awoke(part, optimizer)]
    # Made here and never given weights: nobody leaves that as it is on purpose.
    loose = [p for p in loose if (run.weights(p) == "random" or p.is_bare) and not run.loads(p)]
    loose = [p for p in loose if p.count and not p.may_be_empty]
    # What had its gradients before this optimizer was there, had them for something else: an attribution, a norm.
    loose = [p for p in loose if (got := run.fact("gradient", p)) is not None and got.at > optimizer.at]
    loose = [part for part in loose if not run.replaces(part, since=optimizer)]
    if not held or run.larger(loose, held):
        return
    made = [Note(made.site, f"{name(region)} comes from here") for made, region in grouped(loose, run.created)]
    if made:
        yield Fault(
            optimizer.built.site,
            f"{name_is(loose)} not in {optimizer.label}, nor in any other optimizer: gradients come, but no step ever"
            " applies them",
            (*made[:3], Note(event.site, "this step leaves it as it is")),
            unless=frozenset((optimizer.built.site, part) for part in loose),  # an option leaves it out
        )
