"""The outcome for people: every finding with its verdict and numbers, then one line each of counts and of the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from freezelint.confirm import Outcome
from freezelint.report import text
from freezelint.report.base import Style

if TYPE_CHECKING:
    from freezelint.live.launch import Ran
    from freezelint.live.ranks import Together
    from freezelint.live.verdict import Judged


def render(outcome: Outcome, style: Style) -> Iterator[str]:
    """Blocks of lines."""
    from freezelint.live.verdict import in_words

    def block(one: Judged) -> Iterator[str]:
        rule = outcome.rules.get(one.finding.rule)
        # How to confirm it by hand is no longer the question.
        yield from text.block(replace(one.finding, confirm=""), outcome.checked, style)
        numbers = in_words(one.evidence, rule.group if rule else "")
        said = f"  {one.verdict}: {text.printable(one.why)}\n"
        if numbers:
            said += f"  measured: {text.printable(numbers)}\n"
        yield said + "\n"

    yield "\n"
    for one in outcome.judged:
        yield from block(one)
    if outcome.alone:
        yield "Seen in the run only:\n\n"
        for one in outcome.alone:
            yield from block(one)
    for line in closing(outcome):
        yield f"{text.printable(line)}\n"


def closing(outcome: Outcome) -> Iterator[str]:
    """How many verdicts of each kind there are, and what there is to say of the run; not yet escaped."""
    from freezelint.live.launch import TORCH

    ran, alone = outcome.ran, outcome.alone
    counts = [
        f"{sum(one.verdict == name for one in outcome.judged)} {words}"
        for name, words in (
            ("confirmed", "confirmed"),
            ("refuted", "refuted"),
            ("not reached", "not reached"),
            ("could not judge", "could not be judged"),
        )
    ]
    plural = "" if len(alone) == 1 else "s"
    yield f"{', '.join(counts)}; {len(alone)} fault{plural} that only the run shows"
    if not ran.recorder.steps and not ran.failed:
        yield "no optimizer took a step in this process: what trains in another one, or not at all, is not seen"
    if ran.together is not None:
        yield _of_ranks(ran.together)
    for trouble in ran.recorder.trouble:
        yield f"the recorder had trouble, please report it: {trouble}"
    yield (
        f"{_count(ran.recorder.steps, 'step')} on {ran.device} with torch {TORCH}, {_ending(ran)}, "
        f"in {ran.seconds:.1f} s; watching took {ran.recorder.spent:.2f} s of it ({ran.overhead:.0%})"
    )


def _of_ranks(together: Together) -> str:
    """What became of the other processes, as one line."""
    if together.trouble:
        return f"{together.count} ranks; {together.trouble}"
    if not together.compared:
        return f"{together.count} ranks; no weights that a wrapper keeps equal were seen"
    apart = len(together.differences)
    said = f"{apart} of them differ by up to {together.largest:.3g}" if apart else "all of them equal"
    return f"{together.count} ranks; {_count(together.compared, 'parameter')} compared, {said}"


def _ending(ran: Ran) -> str:
    return {
        "steps": "ended by freezelint after enough steps",
        "end": "run to its end",
        "error": f"ended by {type(ran.error).__name__}",
        "timeout": "ended by the time limit",
    }.get(ran.stopped_by, f"ended by {ran.stopped_by}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
