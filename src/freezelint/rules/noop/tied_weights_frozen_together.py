"""A language model's output layer is made trainable again, and the frozen embedding is the same parameter.

What happens
    In GPT-2, and in the masked language models of BERT, RoBERTa and DistilBERT, the weight of the output layer and the
    one of the word embedding are one parameter under two names. Unfreezing the output layer unfreezes the embedding
    under the frozen body as well, and the optimizer moves it.

Why
    The weights are tied (`config.tie_word_embeddings`). `named_parameters()` lists the parameter once, under the name
    of the embedding, so that a list of what is frozen by name does not show it either.
    What is reported: models whose checkpoints are always tied, by the name of their class. Whether others are is said
    by their configuration alone.

Bad
    import torch
    from transformers import GPT2LMHeadModel

    model = GPT2LMHeadModel.from_pretrained("gpt2")
    for p in model.parameters():
        p.requires_grad = False
    for p in model.lm_head.parameters():
        p.requires_grad = True

Good
    import torch
    from transformers import GPT2LMHeadModel

    model = GPT2LMHeadModel.from_pretrained("gpt2")
    for p in model.parameters():
        p.requires_grad = False
    for p in model.transformer.ln_f.parameters():
        p.requires_grad = True

Confirm
    Print `model.get_output_embeddings().weight is model.get_input_embeddings().weight`: it is True.

References
    https://huggingface.co/docs/transformers/main_classes/configuration
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import WARNING, rule
from freezelint.trace.events import SetRequiresGrad, UnfreezeTied
from freezelint.trace.run import Fault, Note, Run
from freezelint.trace.tri import NO


@rule(on=UnfreezeTied, severity=WARNING, sides="static")
def check(run: Run, event: UnfreezeTied) -> Iterator[Fault]:
    part = run.holding(event.region, event.embedding)
    froze = run.last(SetRequiresGrad, part) if part is not None and run.flag(part) is NO else None
    if froze is not None and part is not None and run.in_view(part):
        yield Fault(
            event.site,
            f"`{event.head}` of {event.kind} is the same parameter as `{event.embedding}`: this makes the frozen"
            " embedding trainable, too",
            (Note(froze.site, "frozen here"),),
        )
