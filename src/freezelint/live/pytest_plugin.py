"""A fixture for pytest: watch what a test trains, and fail with the report when something is wrong.

def test_finetuning(freezelint_watch):
    freezelint_watch(model, optimizer, expect_frozen="backbone")
    train(model, optimizer)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from freezelint.live.watch import Watch


@pytest.fixture
def freezelint_watch() -> Iterator[Callable[..., Watch]]:
    """Begins a watch with the arguments of `freezelint.watch`; the test fails at its end when the report is bad."""
    begun: list[Watch] = []

    def begin(*arguments: Any, **options: Any) -> Watch:
        from freezelint.live.watch import watch

        begun.append(watch(*arguments, **options).start())
        return begun[-1]

    yield begin
    bad = [report for watched in reversed(begun) if not (report := watched.stop()).good]
    if bad:
        pytest.fail("\n\n".join(str(report) for report in bad), pytrace=False)
