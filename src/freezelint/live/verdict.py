"""What a run says about a finding: confirmed, refuted, not reached, or could not judge; with numbers.

The same rules listen to the run, so most verdicts are: the rule saw its fault at the same place, or it did not although
the line was run and what the rule waits for came after it. The tables below say what goes for the rest.
"""

from __future__ import annotations

import linecache
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from freezelint.finding import Finding, Site
from freezelint.live.launch import Ran
from freezelint.live.measure import Numbers
from freezelint.live.proofs import PROOFS
from freezelint.trace import events as ev
from freezelint.trace.check import Rule
from freezelint.trace.regions import Part
from freezelint.trace.tri import YES
from freezelint.trace.wording import describe

CONFIRMED, REFUTED = "confirmed", "refuted"
FURTHER = {"steps": "; with `--until end` it runs to its own end", "timeout": " by the time limit"}
NOT_REACHED, UNJUDGED = "not reached", "could not judge"

# A line that is meant to do one of these things, and does none: that it ran without any is the proof.
EXPECTED_EFFECT: Mapping[str, tuple[str, ...]] = {
    "misspelled-requires-grad": ("SetRequiresGrad",),
    "requires-grad-on-module": ("SetRequiresGrad",),
    "requires-grad-not-set": ("SetRequiresGrad",),
    "freeze-detached-copy": ("SetRequiresGrad",),
    "mode-not-called": ("SetMode",),
    "no-grad-no-effect": ("EnterGradMode",),
}

# Rules about code that raises, with what torch says then: the exception on one of their lines is the proof.
_NO_GRAPH = "does not require grad"
RAISES: Mapping[str, str] = {
    "scheduler-misses-added-group": r"index out of range|zip\(\)|length|expected \d+",
    "empty-optimizer": "empty parameter list",
    "exhausted-parameter-generator": "empty parameter list",
    "duplicate-param-group": "more than one parameter group",
    "params-list-of-generator": "can only optimize Tensors",
    "no-grad-training-forward": _NO_GRAPH,
    "adapter-not-trainable": _NO_GRAPH,
    "kbit-prepare-after-peft": _NO_GRAPH,
    "inference-tensor-in-training": "[Ii]nference tensor",
    "broken-train-override": r"argument|NoneType|not callable",
    "requires-grad-not-set": "not callable",
    "freeze-method-shadowed": "not callable",
    "partial-tensor-freeze": "leaf variable",
    "loss-requires-grad-hack": f"leaf variable|{_NO_GRAPH}|floating point",
    "optimizer-over-frozen": "NoneType",
    "unfreeze-after-ddp": r"[Rr]educ|DistributedDataParallel|unused|mark",
    "resume-order": "parameter group|loaded state dict",
    "wrong-head-attribute": f"has no attribute|{_NO_GRAPH}|is out of bounds",
    "fsdp-mixed-requires-grad": "requires_grad",
}

# What an event must have been to prove a rule: the line was run, and what it did, it did to nothing.
_TAKERS = ("ClipGradients", "BuildOptimizer", "AddParamGroup")
OF_NOTHING: Mapping[str, frozenset[str]] = {
    "exhausted-parameter-generator": frozenset(f"{kind} of nothing" for kind in _TAKERS),
    "non-strict-load-ignored": frozenset({"LoadWeights of nothing"}),
}

# And what it must have been to disprove one.
OF_EVERYTHING: Mapping[str, frozenset[str]] = {
    "exhausted-parameter-generator": frozenset(_TAKERS),
    "non-strict-load-ignored": frozenset({"LoadWeights of everything"}),
}

# Events that only source can show: a rule that listens to nothing else has no ear in a run.
ONLY_IN_SOURCE = (ev.TakeParams, ev.UseParams, ev.Escape, ev.NamedButNotCalled, ev.OverrodeTrain, ev.SelectNames)

# Rules that also ask what only source or knowledge of a library says: their silence in a run says nothing.
BLIND: Mapping[str, str] = {
    "frozen-random-weights": "whether a library's model came with weights",
    "wrong-head-attribute": "what a known model calls its head",
}

# Rules about a test of names: who passed it was counted.
ASKS_NAMES = frozenset({"freeze-matches-nothing", "name-match-too-wide", "name-prefix-after-wrap"})

# Rules whose place is the optimizer, and whose matter is what it does not hold.
ABOUT_UNHELD = frozenset({"optimizer-subset-rest-unfrozen", "module-missing-from-optimizer"})

# Which numbers speak for or against a rule, by its group.
SHOWN: Mapping[str, tuple[str, ...]] = {
    "mode": ("requires_grad", "forwards", "drift"),
    "noop": ("requires_grad", "weight_change"),
    "optimizer": ("optimizers", "gradient", "weight_change", "state"),
    "gradient": ("requires_grad", "gradient", "weight_change"),
    "wrappers": ("requires_grad", "optimizers", "gradient", "weight_change"),
}
ALWAYS = ("ranks",)
EVERYTHING = ("requires_grad", "optimizers", "gradient", "weight_change", "forwards", "drift")


@dataclass(frozen=True)
class Judged:
    """A finding and what the run says about it. `why` is one sentence, `evidence` the numbers."""

    finding: Finding
    verdict: str
    why: str
    evidence: dict[str, Any] = field(default_factory=dict)


def judge(
    findings: Iterable[Finding], rules: Mapping[str, Rule], ran: Ran, excused: Iterable[tuple[str, Site]] = ()
) -> tuple[list[Judged], list[Judged]]:
    """A verdict on every finding, and the faults that only the run shows, without those that `check` has excused."""
    right = {(slug, site.path, site.line) for slug, site in excused}
    live = ran.recorder.findings()
    judged, met = [], set()
    for finding in findings:
        same = [number for number, other in enumerate(live) if _same(finding, other)]
        met.update(same)
        judged.append(_judge(finding, rules.get(finding.rule), [live[number] for number in same], ran))
    alone = [
        Judged(other, CONFIRMED, "seen in the run", evidence(other, rules.get(other.rule), ran))
        for number, other in enumerate(live)
        if number not in met and (other.rule, other.site.path, other.site.line) not in right
    ]
    return judged, alone


def _same(finding: Finding, live: Finding) -> bool:
    """Whether both witnesses speak of one fault: a line of the one's is the place of the other's."""
    if finding.rule != live.rule:
        return False
    return _on(live.site, finding.site) or any(_on(live.site, step) for step in finding.related)


def _on(point: Site, stretch: Site) -> bool:
    return point.path == stretch.path and stretch.line <= point.line <= max(stretch.line, stretch.end_line)


def _judge(finding: Finding, rule: Rule | None, live: list[Finding], ran: Ran) -> Judged:
    site = finding.site
    numbers = evidence(finding, rule, ran)
    reached = ran.visits.first(site.path, site.line)
    if live:
        where = "" if _on(live[0].site, site) else f", at line {live[0].site.line}"
        return Judged(finding, CONFIRMED, f"the run shows the same{where}", numbers)
    if ran.together is not None:
        lines = range(site.line, max(site.line, site.end_line) + 1)
        rank = ran.together.seen_by(finding.rule, site.path, lines)
        if rank is not None:
            return Judged(finding, CONFIRMED, f"rank {rank} shows it", numbers)
    if ran.failed and finding.rule in RAISES and _raised(finding, ran):
        error = ran.error
        return Judged(finding, CONFIRMED, f"it raised {type(error).__name__}: {_first_line(error)}", numbers)
    if reached is None:
        why = f"line {site.line} did not run before the program ended"
        if ran.stopped_by in ("steps", "timeout"):
            why = f"line {site.line} had not run when the program was ended{FURTHER[ran.stopped_by]}"
        return Judged(finding, NOT_REACHED, why, numbers)
    if finding.rule in ASKS_NAMES:
        return _about_names(finding, ran, numbers)
    done = ran.recorder.effects.get((site.path, site.line), set())
    if done & OF_NOTHING.get(finding.rule, frozenset()):
        return Judged(finding, CONFIRMED, f"line {site.line} ran, and was given nothing", numbers)
    if done & OF_EVERYTHING.get(finding.rule, frozenset()):
        return Judged(finding, REFUTED, f"line {site.line} ran, and nothing was missing", numbers)
    effects = EXPECTED_EFFECT.get(finding.rule)
    if effects is not None:
        if done & set(effects):
            return Judged(finding, REFUTED, f"line {site.line} ran, and it did have its effect", numbers)
        return Judged(finding, CONFIRMED, f"line {site.line} ran, and it changed nothing", numbers)
    proof = PROOFS.get(finding.rule)
    if proof is not None and proof.named and not _named(finding, ran.recorder.forest.leaves):
        proof = None
    if proof is not None and ran.recorder.steps and numbers:
        outcome = proof.holds(numbers)
        if outcome is not None:
            why = proof.words if outcome else proof.otherwise
            return Judged(finding, CONFIRMED if outcome else REFUTED, why, numbers)
    if (
        rule is None
        or rule.sides == "static"
        or finding.rule in BLIND
        or all(kind in ONLY_IN_SOURCE for kind in rule.on)
    ):
        return Judged(finding, UNJUDGED, f"line {site.line} ran; a run does not show this fault by itself", numbers)
    if any(kind in (ev.Step, ev.Backward, ev.End) for kind in rule.on) and ran.recorder.steps <= reached:
        return Judged(finding, NOT_REACHED, f"line {site.line} ran, but no training step came after it", numbers)
    if ran.recorder.trouble:
        return Judged(finding, UNJUDGED, f"the recorder had trouble: {ran.recorder.trouble[0]}", numbers)
    return Judged(finding, REFUTED, f"line {site.line} ran, {_steps(ran)}, and the fault did not appear", numbers)


def _about_names(finding: Finding, ran: Ran, numbers: dict[str, Any]) -> Judged:
    """Which names passed the test on the line."""
    asked = ran.visits.asked(finding.site.path, finding.site.line)
    if asked is None:
        return Judged(finding, UNJUDGED, f"line {finding.site.line} ran, but its test was put to no name", numbers)
    numbers = {**numbers, "names": {"asked": len(asked.names), "passed": list(asked.passed)}}
    if finding.rule == "name-match-too-wide":
        stray = next((name for name in asked.passed if f"`{name}`" in finding.message), None)
        if stray is None:
            return Judged(finding, REFUTED, "none of the names that passed is one of those it tells of", numbers)
        return Judged(finding, CONFIRMED, f"`{stray}` passed the test", numbers)
    count, first = len(asked.names), next(iter(asked.passed), None)
    if first is None:
        return Judged(finding, CONFIRMED, f"none of {count} names passed the test", numbers)
    return Judged(finding, REFUTED, f"{len(asked.passed)} of {count} names passed, such as `{first}`", numbers)


def _raised(finding: Finding, ran: Ran) -> bool:
    if not re.search(RAISES[finding.rule], str(ran.error)):
        return False  # something else went wrong on the same line
    if any((site.path, site.line) in ran.raised_at for site in (finding.site, *finding.related)):
        return True
    if not isinstance(ran.error, TypeError):
        return False
    # A call that does not fit raises before a line of the function is run, and says its name; of what is no function,
    # the line says the name.
    names = re.findall(r"`([\w.]+)`", finding.message)
    called = [linecache.getline(*place) for place in ran.raised_at] if "not callable" in str(ran.error) else []
    return any(
        f"{name}() " in str(ran.error) or any(f".{name.rpartition('.')[2]}(" in line for line in called)
        for name in names
    )


def _first_line(error: BaseException | None) -> str:
    return (str(error).strip().splitlines() or [""])[0]


def _steps(ran: Ran) -> str:
    steps = ran.recorder.steps
    return "one step was taken" if steps == 1 else f"{steps} steps were taken"


# Numbers ------------------------------------------------------------------------------------------------------------


def evidence(finding: Finding, rule: Rule | None, ran: Ran) -> dict[str, Any]:
    """What was measured of the parameters that a finding is about; empty when no event names any."""
    recorder = ran.recorder
    parts: set[Part] = set()
    for site in (finding.site, *finding.related):  # what all of the story's lines are about, as far as they overlap
        lines = range(site.line, max(site.line, site.end_line) + 1)
        there = set().union(*(recorder.touched.get((site.path, line), set()) for line in lines))
        parts = parts & there or parts or there
    if finding.rule in PROOFS and (named := _named(finding, recorder.forest.leaves)):
        parts = parts & named or named
    if finding.rule in ABOUT_UNHELD:
        roots = {part.root for part in parts}
        parts = {p for p in recorder.forest.leaves if p.root in roots and recorder.measures.of[p].group is None}
    if rule is not None and rule.group == "mode":
        parts = {part for part in parts if part.has("batchnorm") is YES or part.has("dropout") is YES} or parts
    numbers = {part: recorder.measures.of[part] for part in parts if part in recorder.measures.of}
    record = summed(numbers) if numbers else {}
    if record and ran.together is not None and ran.together.compared:
        apart = [ran.together.differences.get(part.label, 0.0) for part in numbers]
        record["ranks"] = {"count": ran.together.count, "largest_difference": max(apart)}
    return record


def _named(finding: Finding, leaves: Iterable[Part]) -> set[Part]:
    """The leaves that a message calls by name: `model.fc` is whatever a model of the run keeps at `fc`."""
    paths = [path for _, path in re.findall(r"`([A-Za-z_]\w*)\.([\w.]+)`", finding.message)]
    return {leaf for leaf in leaves for path in paths if f".{path}." in f".{leaf.label}."}


def summed(numbers: Mapping[Part, Numbers]) -> dict[str, Any]:
    """The numbers of several leaves as one record."""
    params = {part: n for part, n in numbers.items() if n.elements}
    looked = [n for n in params.values() if n.steps]
    norms = [n.gradient for n in params.values() if n.gradient is not None]
    changes = [n.change for n in params.values() if n.change is not None]
    drifting = {part: n for part, n in numbers.items() if n.drift_mean or n.drift_var}
    still = [n for n in numbers.values() if n.drift_mean is not None]
    record: dict[str, Any] = {
        "parts": describe(numbers),
        "parameters": len(params),
        "elements": sum(n.elements for n in params.values()),
        "bytes": sum(n.bytes for n in params.values()),
        "requires_grad": sum(n.requires_grad is True for n in params.values()),
    }
    if looked:
        record["gradient"] = {
            "parameters": sum(n.with_gradient > 0 for n in looked),
            "steps": max(n.steps for n in looked),
            "norm": math.sqrt(sum(x * x for x in norms)) if norms else None,
        }
    if changes:
        record["weight_change"] = {"parameters": sum(c > 0 for c in changes), "largest": max(changes)}
    record["optimizers"] = sorted({n.group for n in params.values() if n.group is not None})
    record["held"] = sum(n.group is not None for n in params.values())
    record["state_bytes"] = sum(n.state for n in params.values())
    if any(n.in_train or n.in_eval for n in numbers.values()):
        record["forwards"] = {
            "train": max(n.in_train for n in numbers.values()),
            "eval": max(n.in_eval for n in numbers.values()),
        }
    if drifting or still:
        layers = sorted({_layer(part) for part in drifting})
        record["drift"] = {
            "layers": layers,
            "running_mean": max((n.drift_mean or 0.0 for n in drifting.values()), default=0.0),
            "running_var": max((n.drift_var or 0.0 for n in drifting.values()), default=0.0),
        }
    return record


def _layer(part: Part) -> str:
    layer = next(iter(part.layers or {}), "")
    return f"{part.root.label}.{layer}".rstrip(".")


def in_words(record: Mapping[str, Any], group: str) -> str:
    """The numbers of a record that matter to a rule of this group, as one line."""
    if "parts" not in record:  # nothing was done to any parameter there, as where a test chose none
        return ""
    words = [f"`{record['parts']}`: {_count(record['parameters'], 'parameter')} ({size(record['bytes'])})"]
    for key in (*SHOWN.get(group, EVERYTHING), *ALWAYS):
        said = _WORDS[key](record)
        if said:
            words.append(said)
    return ", ".join(words)


def _requires_grad(record: Mapping[str, Any]) -> str:
    on, of = record["requires_grad"], record["parameters"]
    return f"{'all' if on == of else 'none' if not on else f'{on} of {of}'} with requires_grad" if of else ""


def _gradient(record: Mapping[str, Any]) -> str:
    gradient = record.get("gradient")
    if gradient is None:
        return ""
    if not gradient["parameters"]:
        return f".grad is None at each of {_count(gradient['steps'], 'step')}"
    norm = "" if gradient["norm"] is None else f" (norm {gradient['norm']:.3g})"
    return f"a gradient for {gradient['parameters']} of them{norm}"


def _weight_change(record: Mapping[str, Any]) -> str:
    change = record.get("weight_change")
    if change is None:
        return ""
    if not change["parameters"]:
        return "weight change exactly 0"
    return f"weights of {change['parameters']} changed by up to {change['largest']:.3g}"


def _optimizers(record: Mapping[str, Any]) -> str:
    if not record["parameters"]:
        return ""
    if not record["held"]:
        return "in no optimizer"
    return f"{record['held']} held by {', '.join(record['optimizers'])}"


def _state(record: Mapping[str, Any]) -> str:
    return f"{size(record['state_bytes'])} of optimizer state" if record["held"] else ""


def _forwards(record: Mapping[str, Any]) -> str:
    forwards = record.get("forwards")
    if forwards is None:
        return "no recorded forward"
    return f"{forwards['train']} recorded forwards in train mode and {forwards['eval']} in eval mode"


def _drift(record: Mapping[str, Any]) -> str:
    drift = record.get("drift")
    if drift is None:
        return ""
    if not drift["layers"]:
        return "running statistics unchanged"
    more = len(drift["layers"]) - 3
    names = ", ".join(drift["layers"][:3]) + (f" and {more} more" if more > 0 else "")
    return (
        f"running_mean moved by up to {drift['running_mean']:.3g} and running_var by up to "
        f"{drift['running_var']:.3g} ({names})"
    )


def _ranks(record: Mapping[str, Any]) -> str:
    ranks = record.get("ranks")
    if ranks is None:
        return ""
    apart = ranks["largest_difference"]
    return f"differs between the {ranks['count']} ranks by up to {apart:.3g}" if apart else "the same on every rank"


_WORDS = {
    "ranks": _ranks,
    "requires_grad": _requires_grad,
    "gradient": _gradient,
    "weight_change": _weight_change,
    "optimizers": _optimizers,
    "state": _state,
    "forwards": _forwards,
    "drift": _drift,
}


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size(number: float) -> str:
    """Bytes, in the unit that suits them."""
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} GB"
