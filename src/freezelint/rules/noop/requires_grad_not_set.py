"""A line that was to set `requires_grad` names it, compares it or overwrites its setter, and sets nothing.

What happens
    `p.requires_grad == False` compares, `p.requires_grad_` names a method without calling it, `p.requires_grad_ =
    False` hides the method behind a value, and a `map(...)` or generator that nobody consumes never runs. None of them
    touches the flag, and none is reported by torch.

Why
    The flag changes in two ways only: by assignment, `p.requires_grad = False`, or by a call of its setter,
    `p.requires_grad_(False)`. Without an argument the setter means True.

Bad
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    for p in model[0].parameters():
        p.requires_grad_ = False

Good
    from torch import nn

    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    for p in model[0].parameters():
        p.requires_grad_(False)

Confirm
    Print `[p.requires_grad for p in model.parameters()]` after the line: the flags are what they were before it.

References
    https://docs.pytorch.org/docs/stable/generated/torch.Tensor.requires_grad_.html
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.requires_grad_
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import NamedButNotCalled, SetRequiresGrad, WroteAttribute
from freezelint.trace.repair import Repair
from freezelint.trace.run import Fault, Run
from freezelint.trace.tri import YES

_SAID = {
    "comparison": "`{text}` compares and assigns nothing: no flag changes here",
    "not": "`{text}` only reads the flag: nothing changes here",
    "requires_grad_": "`{text}` names the method without calling it: no flag changes here",
    "lazy": "nothing consumes this `map` or generator, so it never runs: no flag changes here",
    "several": "`{text}` is no parameter but a number of them, so this line raises AttributeError: loop over them",
    "call": "`requires_grad` is a bool and no method: this line raises TypeError; the setter is `requires_grad_`",
}

_REPAIRS = {
    "comparison": Repair("assign", "assign it"),
    "call": Repair("spell", "call the setter, `requires_grad_`", text="requires_grad_"),
}


@rule(on=(NamedButNotCalled, WroteAttribute, SetRequiresGrad), severity=ERROR)
def check(run: Run, event: NamedButNotCalled | WroteAttribute | SetRequiresGrad) -> Iterator[Fault]:
    if isinstance(event, SetRequiresGrad):
        said = event.within.lower()
        if event.to is YES and not event.given and "freez" in said and "unfreez" not in said:
            yield Fault(
                event.site,
                f"`requires_grad_()` without an argument means True: `{event.within}` freezes nothing",
                repair=Repair("argument", "say False", safe=False, text="False"),
            )
    elif isinstance(event, NamedButNotCalled):
        if event.what == "flag" and event.name in _SAID:
            repair = _REPAIRS.get(event.name) if not event.text.endswith("()") else None
            yield Fault(event.site, _SAID[event.name].format(text=event.text), repair=repair)
    elif event.name == "requires_grad_" and (
        # What is not known may only be something that freezes: nothing else goes by this name.
        (event.target == "unknown" and event.how != "call" and event.value in ("True", "False"))
        or (event.target in ("parameter", "module") and event.surely is YES)
    ):
        yield Fault(
            event.site,
            f"`{event.text}` is a method, and this assignment hides it: no flag changes here, and a later call of it"
            " raises TypeError",
            repair=Repair("setter", "call it", event.value in ("True", "False"), "requires_grad_"),
        )
