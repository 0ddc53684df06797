"""A test of names that freezes or unfreezes also passes parameters that it does not mean.

What happens
    `"layer.1" in name` is true for `layer.1.`, and for `layer.10.` and `layer.11.` as well. `"conv1" in name` is true
    for the stem of a ResNet, and for the first convolution of every block. Their flags are set too, in silence.

Why
    `in` and `startswith` compare characters, not the parts of a path. A dot at the end of the word, or a comparison of
    `name.split(".")[0]`, says where the part ends.
    In `"fc" or "layer4" in name` the first string stands alone, and is true.
    What is reported: such a string; a number that goes on behind the word, where the model has the word itself, too;
    and children of the model's top (several of them, or its head) whose names deeper layers bear as well. For models
    whose size depends on the checkpoint, the library's default size is taken.

Bad
    import torch
    from transformers import BertModel

    model = BertModel.from_pretrained("bert-base-uncased")
    for name, p in model.named_parameters():
        if "layer.0" in name or "layer.1" in name:
            p.requires_grad = False

Good
    import torch
    from transformers import BertModel

    model = BertModel.from_pretrained("bert-base-uncased")
    for name, p in model.named_parameters():
        if "layer.0." in name or "layer.1." in name:
            p.requires_grad = False

Confirm
    Print `[n for n, p in model.named_parameters() if not p.requires_grad]` and look for names that were not meant.

References
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.named_parameters
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from freezelint.trace.check import ERROR, WARNING, rule
from freezelint.trace.events import SelectNames
from freezelint.trace.run import Excuse, Fault, Run


@rule(on=SelectNames, severity=WARNING, sides="static")
def check(run: Run, event: SelectNames) -> Iterator[Fault | Excuse]:
    if event.kind == "literal":
        yield Fault(
            event.site,
            f"`{event.test}` passes every name: {event.words[0]} stands alone there, and a string that is not empty is"
            " true",
            severity=ERROR,
        )
        return
    if any(re.search(r"\d\d$", word.rstrip(".")) for word in event.words):
        yield Excuse(event.site)  # a loop over numbers, which gets to the longer ones by itself
    if not event.flag_set or not event.strays or any(run.changed_out_of_view(part) for part in event.region):
        return
    first, more = event.strays[0], len(event.strays) - 1
    others = f" and {more} more" if more else ""
    also = "also spares" if event.negated else "also passes"
    yield Fault(event.site, f"`{event.test}` {also} `{first}`{others}, which the test does not seem to mean")
