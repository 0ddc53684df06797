"""Reentrant checkpointing over inputs that do not require grad leaves the checkpointed layers without gradients.

What happens
    `torch.utils.checkpoint` with `use_reentrant=True` (its default as long as it is not said) records nothing when no
    input requires grad, so every parameter inside gets None. torch warns "None of the inputs have requires_grad=True.
    Gradients will be None" and trains on with what is outside. With a frozen base model and an adapter inside, nothing
    is left: backward raises "element 0 of tensors does not require grad and does not have a grad_fn".

Why
    The input of the first block comes out of frozen embeddings, or is the batch itself. `use_reentrant=False` has no
    such condition; transformers' `enable_input_require_grads()` meets it. transformers uses the former by default since
    version 5 (2026), and the latter where the input is `input_ids`; before, both were left to the program. So the rule
    speaks of transformers' models only where the project's own files ask for a version from before 5.

Bad
    import torch
    from torch import nn
    from torch.utils.checkpoint import checkpoint

    embed = nn.Linear(8, 8)
    block = nn.Linear(8, 8)
    head = nn.Linear(8, 2)
    embed.requires_grad_(False)
    optimizer = torch.optim.SGD([*block.parameters(), *head.parameters()], lr=0.1)
    for x, y in loader:
        features = checkpoint(block, embed(x), use_reentrant=True)
        loss = nn.functional.cross_entropy(head(features), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Good
    import torch
    from torch import nn
    from torch.utils.checkpoint import checkpoint

    embed = nn.Linear(8, 8)
    block = nn.Linear(8, 8)
    head = nn.Linear(8, 2)
    embed.requires_grad_(False)
    optimizer = torch.optim.SGD([*block.parameters(), *head.parameters()], lr=0.1)
    for x, y in loader:
        features = checkpoint(block, embed(x), use_reentrant=False)
        loss = nn.functional.cross_entropy(head(features), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

Confirm
    After `backward()`, `p.grad` of the checkpointed parameters is None.

References
    https://docs.pytorch.org/docs/stable/checkpoint.html
    https://huggingface.co/docs/peft/developer_guides/troubleshooting
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, WARNING, rule
from freezelint.trace.events import Checkpoint, End, Step
from freezelint.trace.run import Fault, Note, Run, grouped, name, name_is
from freezelint.trace.tri import NO, YES


@rule(on=(Step, End), severity=ERROR, sides="static")
def check(run: Run, event: Step | End) -> Iterator[Fault]:
    if isinstance(event, End):
        for cut, region in grouped(run.starved(), run.cut):
            if cut.mode is None and cut.how.startswith("checkpoint"):
                holder = run.holders(min(region, key=lambda part: part.serial))[0]
                yield Fault(
                    cut.site,
                    f"{cut.how} over an input without gradient: {name_is(region, 'gets', 'get')} none, and no step of"
                    f" {holder.label} moves {'them' if len(region) > 1 else 'it'}",
                    (Note(holder.built.site, f"{holder.label} holds it since here"),),
                    unless=region,
                )
        return
    trained = run.trained(event)
    for wrap, adapter in run.adapters():
        base = [part for part in trained if any(above in wrap.region for above in part.above()) and part not in adapter]
        alive = [part for part in run.trainable(adapter) if part in trained]
        weights = [part for part in base if part.has("params") is not NO and not part.is_biases]
        if not alive or not weights or run.frozen(weights) != sorted(weights, key=lambda part: part.serial):
            continue
        for on, region in grouped(alive, lambda part: run.last(Checkpoint, part)):
            if on.on and on.reentrant is YES and not run.inputs_open(region):
                yield Fault(
                    wrap.site if on.by else on.site,
                    f"{name(region)} gets no gradient under gradient checkpointing, since its inputs come out of frozen"
                    " layers: call `enable_input_require_grads()`, or ask for `use_reentrant=False` (the default since"
                    " transformers 5)",
                    (
                        Note(wrap.site, "everything but the adapter is frozen here"),
                        Note(on.site, f"{on.by or 'this'} switches gradient checkpointing on"),
                        Note(event.site, "trained here"),
                    ),
                    severity=WARNING,
                )
