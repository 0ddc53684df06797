"""The two files of a new rule, ready to be filled in: its code with its page, and its cases."""

from __future__ import annotations

import re
from pathlib import Path

SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

RULE = '''"""One line: what is wrong, and its consequence.

What happens
    What PyTorch really does, measured, not believed.

Why
    Why people write this, and what it costs them.

Bad
    the shortest program with the fault; a test checks that this rule fires here

Good
    the same program without it; a test checks that this rule is silent here

Confirm
    One line that shows it at run time.

References
    Where PyTorch documents it.
"""

from __future__ import annotations

from collections.abc import Iterator

from freezelint.trace.check import WARNING, rule
from freezelint.trace.events import Step
from freezelint.trace.run import Fault, Run


@rule(on=Step, severity=WARNING)
def check(run: Run, event: Step) -> Iterator[Fault]:
    """Fires at the harm, points at the cause: the line that the user has to change."""
    yield from ()
'''

CASES = """# {slug}

A heading per case, a sentence why, then its files. A marked line expects the finding there; every finding that no mark
expects fails the case. There are at least as many lines marked `ok` as expected findings.

## The plain fault

Why this is one.

```python
pass  # warning: [{slug}] "part of the message"
```

## What looks like it and is right

Why it is.

```python
pass  # ok: the reason
```
"""


class ScaffoldError(ValueError):
    """A new rule cannot be written as asked; the text is one line for the user."""


def new_rule(root: Path, group: str, slug: str) -> tuple[Path, Path]:
    """Write the rule file and the case file of a new rule into a checkout of freezelint; never over existing ones."""
    rules = root / "src" / "freezelint" / "rules"
    if not rules.is_dir():
        raise ScaffoldError(f"{root}: is no checkout of freezelint: there is no folder src/freezelint/rules")
    if not SLUG.fullmatch(slug):
        raise ScaffoldError(f"{slug!r}: a slug is lower case words joined by hyphens, such as head-frozen")
    code = rules / group / f"{slug.replace('-', '_')}.py"
    cases = root / "tests" / "fixtures" / "rules" / f"{slug}.md"
    for file, text in ((code, RULE), (cases, CASES.format(slug=slug))):
        if file.exists():
            raise ScaffoldError(f"{file}: exists already")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return code, cases


def groups(root: Path) -> list[str]:
    """The groups of rules in a checkout."""
    rules = root / "src" / "freezelint" / "rules"
    return sorted(folder.parent.name for folder in rules.glob("*/__init__.py")) if rules.is_dir() else []
