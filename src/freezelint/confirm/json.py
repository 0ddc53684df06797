"""The outcome as JSON, as the contract says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from freezelint.confirm import Outcome
from freezelint.report.base import Style
from freezelint.report.json import as_dict

if TYPE_CHECKING:
    from freezelint.live.verdict import Judged


def render(outcome: Outcome, style: Style) -> Iterator[str]:
    """One object."""
    from freezelint.live.launch import TORCH

    ran = outcome.ran
    found: dict[str, Any] = {
        "findings": [_record(one) for one in outcome.judged],
        "live_only": [_record(one) for one in outcome.alone],
        "run": {
            "device": ran.device,
            "torch": TORCH,
            "steps": ran.recorder.steps,
            "seconds": round(ran.seconds, 3),
            "overhead": round(ran.overhead, 4),
            "stopped_by": ran.stopped_by,
            "error": None if not ran.failed else f"{type(ran.error).__name__}: {ran.error}",
            "not_reached": [
                f"{one.finding.site.path}:{one.finding.site.line}"
                for one in outcome.judged
                if one.verdict == "not reached"
            ],
            **({"ranks": ran.together.as_dict()} if ran.together is not None else {}),
            "table": [asdict(row) for row in ran.recorder.table()],
        },
    }
    yield json.dumps(found, indent=2) + "\n"


def _record(one: Judged) -> dict[str, Any]:
    return {**as_dict(one.finding), "verdict": one.verdict, "evidence": {"why": one.why, **one.evidence}}
