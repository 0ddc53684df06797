"""Modules and parameters are zipped, so each module is paired with a parameter of some other module.

What happens
    `zip(model.modules(), model.parameters())` takes the first module with the first parameter, the second with the
    second, and so on. The first module is the model itself, containers and activations have no parameters, and a
    BatchNorm layer has two. So a flag that is set for "the parameter of this BatchNorm" lands on a convolution.

Why
    The two iterators have nothing to do with each other but their model. A module's own parameters come from
    `module.parameters(recurse=False)`.

Bad
    from torch import nn

    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8))
    for module, p in zip(model.modules(), model.parameters()):
        if isinstance(module, nn.BatchNorm2d):
            p.requires_grad = False

Good
    from torch import nn

    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for p in module.parameters():
                p.requires_grad = False

Confirm
    Print the names of what does not require grad: `[n for n, p in model.named_parameters() if not p.requires_grad]`.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.modules
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import ZipApart
from freezelint.trace.run import Fault, Run


@rule(on=ZipApart, severity=ERROR, sides="static")
def check(run: Run, event: ZipApart) -> Iterator[Fault]:
    yield Fault(
        event.site,
        f"`{event.modules}` and `{event.parameters}` do not go in step: a module is paired here with a parameter of"
        " another one",
    )
