"""A setting is given what a list's `append` returned, which is None.

What happens
    `append`, `extend`, `insert`, `remove` and `sort` change the list and return None. So
    `modules_to_save=names.append("x")` is `modules_to_save=None`: PEFT saves and trains no module beside the adapter,
    and says nothing.

Why
    The call reads as if it gave the longer list; `names + ["x"]` does.

Bad
    from peft import LoraConfig

    heads = ["classifier"]
    config = LoraConfig(r=8, target_modules=["query"], modules_to_save=heads.append("pooler"))

Good
    from peft import LoraConfig

    heads = ["classifier"]
    config = LoraConfig(r=8, target_modules=["query"], modules_to_save=heads + ["pooler"])

Confirm
    Print the setting: `config.modules_to_save` is None.

References
    https://docs.python.org/3/library/stdtypes.html#mutable-sequence-types
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import ERROR, rule
from freezelint.trace.events import WroteAttribute
from freezelint.trace.run import Fault, Run


@rule(on=WroteAttribute, severity=ERROR, sides="static")
def check(run: Run, event: WroteAttribute) -> Iterator[Fault]:
    if event.target == "setting" and event.value == "None":
        yield Fault(event.site, f"`{event.name}` is None here: `{event.text}` changes the list and returns None")
