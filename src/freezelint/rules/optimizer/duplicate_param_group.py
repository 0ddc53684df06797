"""A parameter is put into two groups of one optimizer.

What happens
    The optimizer raises ValueError: `some parameters appear in more than one parameter group`. The same goes for
    `add_param_group` with parameters that the optimizer has held all along, frozen or not, and for two modules that
    share a tensor.

Why
    A parameter has one learning rate. A group for the whole model beside a group for its head names the head twice; the
    first group has to be the rest.

Bad
    import torch
    from torchvision.models import resnet18

    model = resnet18(weights="DEFAULT")
    groups = [{"params": model.parameters(), "lr": 0.001}, {"params": model.fc.parameters(), "lr": 0.01}]
    optimizer = torch.optim.SGD(groups, momentum=0.9)

Good
    import torch
    from torchvision.models import resnet18

    model = resnet18(weights="DEFAULT")
    body = [p for name, p in model.named_parameters() if not name.startswith("fc.")]
    groups = [{"params": body, "lr": 0.001}, {"params": model.fc.parameters(), "lr": 0.01}]
    optimizer = torch.optim.SGD(groups, momentum=0.9)

Confirm
    Run it up to this line: it raises ValueError.

References
    https://docs.pytorch.org/docs/stable/optim.html#per-parameter-options
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import AddParamGroup, BuildOptimizer
from freezelint.trace.regions import leaves
from freezelint.trace.run import Fault, Note, Run, name_is
from freezelint.trace.tri import YES


@rule(on=(BuildOptimizer, AddParamGroup), severity=ERROR)
def check(run: Run, event: BuildOptimizer | AddParamGroup) -> Iterator[Fault]:
    notes: tuple[Note, ...] = ()
    held = run.optimizer(event.optimizer)
    if isinstance(event, AddParamGroup) and held is not None:
        twice = {part for part in leaves(event.region) if held.holds(part) is YES}
        before = [g.event for g in held.groups if not twice.isdisjoint(leaves(g.region))]
        if any(earlier.site == event.site and isinstance(earlier, AddParamGroup) for earlier in before):
            return  # the same line in a later lap: a test that was true in both cannot be told from one that was not
        notes = tuple(
            Note(earlier.site, f"{held.label} gets it here") for earlier in before[:1] if earlier.site != event.site
        )
    elif isinstance(event, BuildOptimizer):
        groups = [set(leaves(region)) for region in event.groups]
        twice = {part for at, group in enumerate(groups) for other in groups[:at] for part in group & other}
    else:
        return
    # Which of several parameters a filter or a test takes is known only where their flags are, and their names.
    surely = [part for part in run.trainable(twice) if not part.may_be_empty]
    if surely and event.complete is YES:
        yield Fault(
            event.site,
            f"{name_is(surely)} in two parameter groups of one optimizer, which raises ValueError (some parameters"
            " appear in more than one parameter group)",
            notes,
        )
