"""A name test that decides what is frozen matches no parameter of the model.

What happens
    The loop asks every parameter's name, none passes, and the branch that sets the flags never runs (or, with `not in`,
    always runs). Nothing is raised: what was to be frozen trains, or the head that was to be spared is frozen as well.

Why
    Every model has names of its own: the head of a ResNet is `fc`, that of a DenseNet `classifier`, that of a
    torchvision ViT `heads.head`. Parameter names are full paths such as `layer4.0.conv1.weight`, so none equals the
    name of a layer.

Bad
    from torchvision.models import resnet18

    model = resnet18()
    for name, p in model.named_parameters():
        if "classifier" not in name:
            p.requires_grad = False

Good
    from torchvision.models import resnet18

    model = resnet18()
    for name, p in model.named_parameters():
        if not name.startswith("fc."):
            p.requires_grad = False

Confirm
    Print `[name for name, p in model.named_parameters() if ...]` with the test of the line: the list is empty.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.named_parameters
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import SelectNames
from freezelint.trace.run import Excuse, Fault, Run
from freezelint.trace.tri import NO

# Code that serves many models asks for these without expecting every model to have them.
_OPTIONAL = re.compile(
    r"bn|norm|bias|downsample|lora|adapter|prompt|module|_orig_mod|aux|mask|pos_|relative|logit_scale"
)


@rule(on=SelectNames, severity=ERROR)
def check(run: Run, event: SelectNames) -> Iterator[Fault | Excuse]:
    if event.matched is not NO:
        yield Excuse(event.site)  # the line is for another model that an option chooses
        return
    if not event.flag_set or any(_OPTIONAL.search(word.lower()) for word in event.words):
        return
    if any(run.changed_out_of_view(part) for part in event.region):
        return
    chosen = "so this spares nothing" if event.negated else "so this chooses nothing"
    like = f"; names look like `{event.example}` here" if event.example else ""
    yield Fault(event.site, f"no parameter's name passes `{event.test}`, {chosen}{like}")
