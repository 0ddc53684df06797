"""A generator of parameters is used twice: the second use gets nothing.

What happens
    `model.parameters()`, `filter(...)`, `map(...)` and generator expressions can be walked once. What comes second
    finds them empty, and mostly says nothing: `clip_grad_norm_` clips nothing and returns 0, a loop does not run, a
    count is 0, a parameter group stays empty. Only an optimizer that gets nothing else raises "optimizer got an empty
    parameter list", and `clip_grad_value_` raises too.

Why
    The result looks like a list, and the first use works. The commonest pair is an optimizer and gradient clipping: no
    gradient is ever clipped, in any step.

Bad
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    model[0].requires_grad_(False)
    params = filter(lambda p: p.requires_grad, model.parameters())
    optimizer = torch.optim.SGD(params, lr=0.1)
    for _ in range(10):
        loss = model(torch.randn(4, 8)).sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()

Good
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    model[0].requires_grad_(False)
    params = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(params, lr=0.1)
    for _ in range(10):
        loss = model(torch.randn(4, 8)).sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()

Confirm
    Print `len(list(params))` just before the second use: it is 0.

References
    https://docs.python.org/3/glossary.html#term-generator-iterator
    https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import UseParams
from freezelint.trace.run import Fault, Note, Run

_CONSEQUENCE = {
    "clip_grad_norm_": "clips nothing and returns 0",
    "clip_grad_value_": "raises on an empty list",
    "an optimizer": "gets no parameters",
    "a loop": "never runs",
    "sum()": "is 0",
}


@rule(on=UseParams, severity=ERROR, sides="static")
def check(run: Run, event: UseParams) -> Iterator[Fault]:
    spent = run.spent(event.iterator)
    if spent is None:
        return
    taken, first = spent
    what = event.by if event.by in _CONSEQUENCE else "what uses it"
    again = "the lap before" if first.site == event.site else first.by
    yield Fault(
        event.site,
        f"`{taken.text}` yields its parameters once, and {again} took them: here {event.by} "
        f"{_CONSEQUENCE.get(what, 'gets no parameters')}",
        (Note(taken.site, "the generator is made here"), Note(first.site, f"{first.by} uses it up here")),
    )
