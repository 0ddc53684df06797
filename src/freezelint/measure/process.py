"""Running a job in a fresh process. Whatever happens to that process is an answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from freezelint.measure import jobs, rows

ROOT = Path(__file__).resolve().parent.parent.parent
WORKER = "freezelint.live.trial.worker"


def run(job: jobs.Look | jobs.Trial, timeout: float | None) -> dict[str, Any]:
    """The answer of a process of its own, which is ended when it takes more seconds than `timeout`."""
    with tempfile.TemporaryDirectory(prefix="freezelint-") as folder:
        asked, told, said = (Path(folder) / name for name in ("job", "answer", "said"))
        asked.write_text(jobs.dumped(job), encoding="utf-8")
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        with said.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", WORKER, str(asked), str(told)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": path},
            )
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                return {"status": rows.TIMED_OUT, "reason": f"more than {timeout:g} s"}
            finally:
                process.kill()
                process.wait()
        try:
            found = json.loads(told.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return _of_the_dead(process.returncode, said)
        return found if isinstance(found, dict) else _of_the_dead(process.returncode, said)


def _of_the_dead(status: int, said: Path) -> dict[str, Any]:
    """What can be said of a process that ended without an answer."""
    lines = said.read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")[:300]
    if status == -getattr(signal, "SIGKILL", 9):
        return {"status": rows.OUT_OF_MEMORY, "reason": "the system ended the process, as it does when memory runs out"}
    how = f"signal {-status}" if status < 0 else f"status {status}"
    return {"status": rows.FAILED, "reason": f"the process ended with {how}{last and ': '}{last}"}
