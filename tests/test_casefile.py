"""The reader of case files: it must never pass a case that asserts less than its author meant."""

from __future__ import annotations

import pytest

import casefile
from casefile import CaseError, Expected
from freezelint.finding import Finding, Severity, Site

TEXT = """# some-rule

An introduction.

## Two files [all]

Why this is a fault.

```python model.py
def freeze(): ...  # ok: never called
```

```python main.py run
x = 1
freeze()  # error: [some-rule] "frozen" # warning: [other-rule]
```

```console
$ output that is for the reader
```

## A setting

```toml
[tool.freezelint]
```

Silent because of the setting.

```python
freeze()  # ok: switched off
```
"""


def finding(line: int, message: str = "it is frozen here", rule: str = "some-rule", file: str = "main.py") -> Finding:
    return Finding(rule, Severity.ERROR, message, Site(file, line))


def test_cases_are_read() -> None:
    first, second = casefile.parse(TEXT)
    assert (first.title, first.why, first.run, first.all_rules) == ("Two files", "Why this is a fault.", True, True)
    assert list(first.files) == ["model.py", "main.py"]
    assert first.expected == [
        Expected("main.py", 2, "error", "some-rule", "frozen"),
        Expected("main.py", 2, "warning", "other-rule"),
    ]
    assert first.silent == [("model.py", 1, "never called")]
    assert list(second.files) == ["pyproject.toml", "main.py"]
    assert not second.run and not second.all_rules


@pytest.mark.parametrize(
    "findings, differences",
    [
        ([finding(2)], ["not found: main.py:2: warning other-rule"]),
        (
            [finding(2), finding(2)],
            ["not found: main.py:2: warning other-rule", "not expected: main.py:2: error some-rule: it is frozen here"],
        ),
        (
            [finding(2, "another message")],
            [
                'not found: main.py:2: error some-rule "frozen"',
                "not found: main.py:2: warning other-rule",
                "not expected: main.py:2: error some-rule: another message",
            ],
        ),
        (
            [finding(2), finding(1, file="model.py")],
            [
                "not found: main.py:2: warning other-rule",
                "not expected: model.py:1: error some-rule: it is frozen here (the line is ok: never called)",
            ],
        ),
    ],
)
def test_every_difference_is_told(findings: list[Finding], differences: list[str]) -> None:
    case = next(casefile.parse(TEXT))
    assert case.differences(findings) == differences


@pytest.mark.parametrize(
    "text, message",
    [
        ("## t\nwhy\n```python\nx\n```\n", "marks no line"),
        ("## t\n```python\nx  # ok: yes\n```\n", "does not say why"),
        ("## t\nwhy\n```python\nx  # ok:\n```\n", "without a reason"),
        ("## t\nwhy\n```python\nx  # error: some-rule\n```\n", "cannot be read"),
        ("## t\nwhy\n```python\nx  # Error: [some-rule]\n```\n", "cannot be read"),
        ("## t\nwhy\n```python\nx  # ok: yes\n", "not closed"),
        ("## t [fast]\nwhy\n", "unknown flag"),
        ("## t\nwhy\n```python fast\nx  # ok: yes\n```\n", "unknown flag"),
        ("## t\nwhy\n```python\nx  # ok: a\n```\n```python\ny\n```\n", "second file"),
        ("```python\nx  # ok: a\n```\n", "before the first heading"),
    ],
)
def test_doubtful_cases_are_refused(text: str, message: str) -> None:
    with pytest.raises(CaseError, match=message):
        list(casefile.parse(text))
