"""Hand-made histories for tests of the vocabulary: events without a program behind them, their sites plain words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from freezelint.trace import events as ev
from freezelint.trace.regions import Layer, Part, Region
from freezelint.trace.run import Run
from freezelint.trace.state import State
from freezelint.trace.tri import NO, YES, Tri


def net() -> Part:
    """A backbone with BatchNorm, and a head."""
    return Part(
        "net",
        layers={
            "body.conv": Layer("Conv2d", ("weight",)),
            "body.bn": Layer("BatchNorm2d", ("weight", "bias")),
            "body.drop": Layer("Dropout", rate=0.1),
            "head": Layer("Linear", ("weight", "bias")),
        },
    )


def at(root: Part, path: str) -> Region:
    """The region of a submodule."""
    return frozenset(root.at(path))


def after(*events: ev.Event, state: State | None = None) -> State:
    """The state that events lead to."""
    state = state or State()
    for event in events:
        state = state.apply(event)
    return state


def run(*events: ev.Event) -> Run:
    """What rules can ask after these events."""
    return Run(after(*events))


def whole(*parts: Part) -> Region:
    return frozenset(parts)


def create(region: Iterable[Part], pretrained: Tri = YES, kind: str = "net") -> ev.CreateModule:
    return ev.CreateModule(site="create", region=frozenset(region), kind=kind, pretrained=pretrained)


def freeze(region: Iterable[Part], site: str = "freeze", **more: Any) -> ev.SetRequiresGrad:
    return ev.SetRequiresGrad(site=site, region=frozenset(region), to=NO, **more)


def unfreeze(region: Iterable[Part], site: str = "unfreeze", **more: Any) -> ev.SetRequiresGrad:
    return ev.SetRequiresGrad(site=site, region=frozenset(region), to=YES, **more)


def train(region: Iterable[Part], **more: Any) -> ev.SetMode:
    return ev.SetMode(site="train", region=frozenset(region), training=YES, **more)


def evaluate(region: Iterable[Part], **more: Any) -> ev.SetMode:
    return ev.SetMode(site="eval", region=frozenset(region), training=NO, **more)


def optimizer(*groups: Iterable[Part], serial: int = 1, **more: Any) -> ev.BuildOptimizer:
    return ev.BuildOptimizer(
        site=f"optimizer {serial}", optimizer=serial, kind="SGD", groups=tuple(map(frozenset, groups)), **more
    )


def forward(region: Iterable[Part], serial: int = 1) -> ev.Forward:
    return ev.Forward(site=f"forward {serial}", serial=serial, region=frozenset(region))


def backward(*uses: int | ev.Use, **more: Any) -> ev.Backward:
    return ev.Backward(site="backward", uses=frozenset(u if isinstance(u, ev.Use) else ev.Use(u) for u in uses), **more)


def step(serial: int = 1) -> ev.Step:
    return ev.Step(site="step", optimizer=serial)


def no_grad(how: str = "with") -> ev.EnterGradMode:
    return ev.EnterGradMode(site="no_grad", enabled=NO, kind="no_grad", how=how)


def leave() -> ev.ExitGradMode:
    return ev.ExitGradMode(site="leave")
