"""The result as JSON: an object whose keys are added to, and never renamed or removed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from freezelint.measure.claims import judged
from freezelint.measure.rows import Result


def render(result: Result) -> Iterator[str]:
    """All of it, and the claims with their verdicts."""
    told = {**result.as_dict(), "claims": [asdict(claim) for claim in judged(result)]}
    yield json.dumps(told, indent=2, ensure_ascii=False) + "\n"
