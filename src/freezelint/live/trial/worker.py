"""The process that measures: one job in, one answer out, both as JSON files.

python -m freezelint.live.trial.worker JOB ANSWER
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import statistics
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from freezelint.live.factory import FactoryError
from freezelint.live.trial import layout as layouts
from freezelint.live.trial import memory
from freezelint.live.trial.prepare import NotPossible, Prepared, prepare
from freezelint.live.trial.subject import Subject, subject
from freezelint.measure import jobs, rows


def answer(job: jobs.Look | jobs.Trial) -> dict[str, Any]:
    """Do the job. What goes wrong is an answer, too."""
    try:
        return look(job) if isinstance(job, jobs.Look) else trial(job)
    except NotPossible as error:
        return {"status": rows.NOT_POSSIBLE, "reason": str(error)}
    except FactoryError as error:
        return {"status": rows.FAILED, "reason": str(error)}
    except Exception as error:
        if memory.ran_out(error):
            return {"status": rows.OUT_OF_MEMORY, "reason": _one_line(str(error))}
        return {"status": rows.FAILED, "reason": _one_line(f"{type(error).__name__}: {error}")}


def look(job: jobs.Look) -> dict[str, Any]:
    """The parts of the model, and where it runs."""
    found = subject(job.subject)
    model = found.model.eval()
    with torch.no_grad():
        layout = layouts.layout(model, found.forward)
    if job.head is not None:
        head = layouts.checked_name(model, job.head, "--head")
        kept = [stage for stage in layout.stages if not layouts.within(stage, head) and not layouts.within(head, stage)]
        layout = layouts.Layout(layout.order, (*kept, head))
    cuts = [layouts.checked_name(model, name, "--cut") for name in job.cuts]
    return {
        "status": rows.MEASURED,
        "layout": {
            **asdict(layout),
            "cuts": cuts or layouts.cuts(model, layout, job.most),
            "parameters": sum(p.numel() for p in model.parameters()),
            "batch": found.samples,
        },
        "machine": machine(found.device),
        "versions": versions(),
    }


def machine(device: torch.device) -> dict[str, Any]:
    """What it was measured on."""
    told: dict[str, Any] = {"device": str(device), "system": f"{platform.system()} {platform.machine()}"}
    if device.type == "cuda":
        about = torch.cuda.get_device_properties(device)
        return {**told, "name": about.name, "memory": about.total_memory, "free": torch.cuda.mem_get_info(device)[0]}
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    with contextlib.suppress(AttributeError, OSError, ValueError):
        told["memory"] = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {**told, "name": name, "threads": torch.get_num_threads()}


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "torch": torch.__version__}
    if torch.version.cuda:
        found["cuda"] = torch.version.cuda
    for name in ("transformers", "peft"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def trial(job: jobs.Trial) -> dict[str, Any]:
    """Train by a strategy for some steps and count."""
    base = memory.in_use()
    found = subject(job.subject)
    if job.limit is not None and found.device.type == "cuda":
        number = torch.cuda.current_device() if found.device.index is None else found.device.index
        share = job.limit / torch.cuda.get_device_properties(number).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, share), number)
    if job.amp and found.device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise NotPossible("this device has no bfloat16")
    prepared = prepare(found, job)
    peak = memory.Peak(found.device)
    steps = [_timed_step(prepared, found, job.amp) for _ in range(job.warm_up + job.steps)][job.warm_up :]
    seconds = [passed for passed, _ in steps]
    counted = _counted_step(prepared, found, job.amp)
    most = peak.read()
    return {
        "status": rows.MEASURED,
        **counted,
        "peak": most,
        **({} if found.device.type == "cuda" else {"base": base}),
        "seconds": {
            "median": statistics.median(seconds),
            "fastest": min(seconds),
            "slowest": max(seconds),
            **({} if found.device.type == "cuda" else {"cpu": statistics.median(busy for _, busy in steps)}),
            **({"once": prepared.once} if job.strategy.cached else {}),
        },
        "frozen": prepared.kept.changed(),
    }


def _step(prepared: Prepared, found: Subject, amp: bool) -> None:
    prepared.optimizer.zero_grad()
    _loss(prepared, found, amp).backward()
    prepared.optimizer.step()


def _loss(prepared: Prepared, found: Subject, amp: bool) -> torch.Tensor:
    with torch.autocast(found.device.type, dtype=torch.bfloat16) if amp else contextlib.nullcontext():
        return prepared.run()


def _timed_step(prepared: Prepared, found: Subject, amp: bool) -> tuple[float, float]:
    """Seconds that pass, and seconds that the process computes: others may use the machine as well."""
    _wait(found.device)
    began, busy = time.perf_counter(), time.process_time()
    _step(prepared, found, amp)
    _wait(found.device)
    return time.perf_counter() - began, time.process_time() - busy


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _counted_step(prepared: Prepared, found: Subject, amp: bool) -> dict[str, Any]:
    """A step more, which is not timed: what the forward leaves for the backward, and what the backward leaves."""
    prepared.optimizer.zero_grad()
    batch = list(memory.tensors_in(prepared.batch))
    with memory.saved([*prepared.held, *batch]) as activations:
        loss = _loss(prepared, found, amp)
    loss.backward()
    gradients = [p for p in prepared.learning if p.grad is not None]
    prepared.optimizer.step()
    meant = {id(p) for p in prepared.meant}
    return {
        "parameters": {
            "all": prepared.elements,
            "meant": sum(p.numel() for p in prepared.meant),
            "trained": sum(p.numel() for p in gradients if id(p) in meant),
        },
        "bytes": {
            "weights": memory.of(prepared.held),
            "gradients": memory.of(p.grad for p in gradients if p.grad is not None),
            "optimizer_state": memory.state_of(prepared.optimizer),
            "activations": sum(activations.values()),
        },
    }


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]


def main(job: str, result: str) -> None:
    """Read the job, and leave the answer in a file: standard output belongs to the user's code."""
    with contextlib.suppress(OSError):
        # Where memory ends for all, this process is the one to go.
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    found = answer(jobs.loaded(Path(job).read_text(encoding="utf-8")))
    Path(result).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
