"""The largest batch that fits a budget, in a bounded number of processes.

Memory grows almost linearly with the batch, so two sizes foretell the largest; what is foretold is tried, and then the
gap between what fits and what does not is halved until it is small.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from freezelint.measure import process
from freezelint.measure.jobs import Trial
from freezelint.measure.rows import FAILED, MEASURED, TIMED_OUT, Largest, Row

RUNS = 10
GROWTH = 4  # at most so many times what fits: nothing but the system ends a process on the CPU that takes too much
BOUND = 4096  # no larger batch is tried
CLOSE = 0.05  # a gap of so much of the batch ends the search


def largest(trial: Trial, row: Row, budget: int, timeout: float | None, say: Callable[[int], None]) -> Largest:
    """The largest batch of a strategy, from the row on that was measured. `say` is told of each batch that is tried."""
    brief = replace(trial, steps=1, warm_up=0)  # a step that is counted follows

    def attempt(batch: int) -> dict[str, Any]:
        say(batch)
        return process.run(brief.with_batch(batch), timeout)

    return searched(attempt, row, budget)


def searched(attempt: Callable[[int], dict[str, Any]], row: Row, budget: int) -> Largest:
    """The same with any way of trying a batch."""
    peaks: dict[int, int] = {}  # what fits
    too_large: int | None = None
    reason = ""
    if row.measured and row.peak is not None and row.peak <= budget:
        peaks[row.batch] = row.peak
    else:
        too_large = row.batch
    runs = 0
    while runs < RUNS:
        batch = _next(peaks, too_large, budget)
        if batch is None:
            break
        runs += 1
        found = attempt(batch)
        peak = found.get("peak")
        if found["status"] == MEASURED and peak is not None and peak <= budget:
            peaks[batch] = peak
        else:
            too_large = batch
            if found["status"] in (FAILED, TIMED_OUT):
                reason = f"batch {batch} {found['status']}: {found['reason']}"
                break  # of something else than memory
    best = max(peaks, default=0)
    return Largest(
        row.strategy,
        row.title,
        row.cut,
        row.optimizer,
        row.amp,
        best,
        peaks.get(best),
        runs,
        bounded=too_large is None,
        reason=reason,
    )


def _next(peaks: dict[int, int], too_large: int | None, budget: int) -> int | None:
    """The batch to try next; None when the answer is near enough."""
    best = max(peaks, default=0)
    if too_large is not None and too_large - best <= max(1, int(CLOSE * best)):
        return None
    if best >= BOUND:
        return None
    foretold = _foretold(peaks, budget)
    if too_large is None:
        return min(BOUND, max(best + 1, foretold or best * 2))
    if foretold is not None and best < foretold < too_large and foretold - best > int(CLOSE * best):
        return foretold
    return best + max(1, (too_large - best) // 2)


def _foretold(peaks: dict[int, int], budget: int) -> int | None:
    """The batch at which the line through the two largest sizes that fit meets the budget."""
    if len(peaks) < 2:
        return None
    small, large = sorted(peaks)[-2:]
    slope = (peaks[large] - peaks[small]) / (large - small)
    if slope <= 0:
        return large * 2  # what is measured of a process on the CPU has some noise
    return min(GROWTH * large, large + int(0.98 * (budget - peaks[large]) / slope))
