"""Three-valued facts: Unsure has no truth value, and spoils what it touches unless the other side decides."""

from __future__ import annotations

import itertools

import pytest

from freezelint.trace.tri import NO, UNSURE, YES, Tri, both, join

ALL = (YES, NO, UNSURE)


@pytest.mark.parametrize("fact", ALL)
def test_a_fact_is_no_condition(fact: Tri) -> None:
    with pytest.raises(TypeError, match="no truth value"):
        bool(fact)
    with pytest.raises(TypeError):
        assert not fact


def test_from_python() -> None:
    assert (Tri.of(True), Tri.of(False), Tri.of(None)) == (YES, NO, UNSURE)


def test_negation() -> None:
    assert (~YES, ~NO, ~UNSURE) == (NO, YES, UNSURE)
    assert all(~~fact is fact for fact in ALL)


def test_conjunction() -> None:
    for first, second in itertools.product(ALL, ALL):
        assert both(first, second) is both(second, first)
        if NO in (first, second):
            assert both(first, second) is NO
        elif UNSURE in (first, second):
            assert both(first, second) is UNSURE
    assert both(YES, YES) is YES


def test_what_is_known_of_either() -> None:
    for first, second in itertools.product(ALL, ALL):
        assert join(first, second) is (first if first is second else UNSURE)
