"""An optimizer is left without anything that could train.

What happens
    When every parameter that it holds is frozen, each `step()` returns without a word and changes nothing: torch's
    optimizers skip parameters without a gradient. Other parts may still require grad, so that `backward()` works and
    the loss is printed, but nobody applies their gradients. When a filter such as `p.requires_grad` lets nothing
    through, the optimizer raises ValueError: `optimizer got an empty parameter list`; inside a group,
    `[{"params": filter(...)}]`, it accepts the empty list in silence.

Why
    The freeze takes more than was meant: the head along with the body, or the old head, because the new one never
    became part of the model.

Bad
    import torch
    from torch import nn

    body = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU())
    head = nn.Linear(8, 2)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    body[0].requires_grad_(False)
    head.requires_grad_(False)
    for _ in range(10):
        loss = head(body(torch.randn(4, 8))).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Good
    import torch
    from torch import nn

    body = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU())
    head = nn.Linear(8, 2)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    body.requires_grad_(False)
    body.eval()
    for _ in range(10):
        loss = head(body(torch.randn(4, 8))).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Confirm
    `any(p.requires_grad for group in optimizer.param_groups for p in group["params"])` is False at the first step.

References
    https://docs.pytorch.org/docs/stable/optim.html#constructing-it
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import Backward, BuildOptimizer, SetRequiresGrad, Step
from freezelint.trace.regions import Part, leaves
from freezelint.trace.run import Excuse, Fault, Note, Run, grouped, name_is
from freezelint.trace.tri import NO, YES


@rule(
    on=(BuildOptimizer, Backward, Step, SetRequiresGrad),
    severity=ERROR,
    yields_to=("adapter-not-trainable", "head-frozen", "kbit-prepare-after-peft"),
)
def check(run: Run, event: BuildOptimizer | Backward | Step | SetRequiresGrad) -> Iterator[Fault | Excuse]:
    if isinstance(event, SetRequiresGrad):  # a freeze of stages, or of one half of a GAN's step
        awake = [o for o in run.optimizers if event.to is not NO and not o.region.isdisjoint(_around(event.region))]
        yield from (Excuse(optimizer.built.site) for optimizer in awake)
        return
    if isinstance(event, BuildOptimizer):
        known = [part for part in run.known_parts() if part.has("params") is not NO]
        frozen = run.frozen(known)
        # With one freeze of it all, not with several of which options choose: who sets them all wants nothing trained.
        nothing = len(_freezes(run, frozen)) == 1 and (event.filtered or frozen == known)
        if event.complete is YES and not any(event.groups) and nothing and frozen:
            yield Fault(
                event.site,
                f"{event.label} gets no parameters: nothing that requires grad is left, so it raises ValueError, or"
                " steps in silence where the empty list stands in a group",
                _freezes(run, frozen),
                unless=_with_others(event.site, run, frozen),
            )
        return
    idle = {optimizer.serial: run.idle(optimizer) for optimizer in run.optimizers}
    if not idle or not all(idle.values()):
        return  # another one trains something, or may: one half of a program is frozen on purpose
    for optimizer in run.optimizers:
        held = idle[optimizer.serial]
        yield Fault(
            optimizer.built.site,
            f"{optimizer.label} holds only frozen parameters: {name_is(held)} frozen, so that no step changes anything",
            (*_freezes(run, held), Note(event.site, "nothing it holds gets a gradient here")),
            unless=_with_others(optimizer.built.site, run, held),
        )


def _around(region: Iterable[Part]) -> set[Part]:
    return {above for leaf in leaves(region) for above in leaf.above()}


def _with_others(built: object, run: Run, parts: Iterable[Part]) -> frozenset[object]:
    """An optimizer and the freezes that empty it: with another setting, the same freeze may leave it something."""
    return frozenset((built, note.site) for note in _freezes(run, parts))


def _freezes(run: Run, parts: Iterable[Part]) -> tuple[Note, ...]:
    return tuple(
        Note(froze.site, f"{name_is(region)} frozen here")
        for froze, region in grouped(parts, lambda part: run.last(SetRequiresGrad, part))
    )[:3]
