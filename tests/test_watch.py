"""`freezelint.watch`: expectations, the table of what is true, manifests; and no trace of it in a program's results."""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import freezelint

torch = pytest.importorskip("torch")
nn = torch.nn

from freezelint.live import hooks  # noqa: E402

PATCHED = (torch.Tensor, nn.Parameter, nn.Module, torch.optim.Optimizer, torch.no_grad, torch.set_grad_enabled)


DYNAMO = {"__init__", "__setstate__", "___needs_generation_tag_patch"}  # what torch.compile leaves on nn.Module itself


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    torch.manual_seed(0)
    before = [dict(vars(kind)) for kind in PATCHED]
    yield
    assert not hooks.installed()
    for kind, was in zip(PATCHED, before, strict=True):
        now = vars(kind)
        assert {name for name in {**was, **now} if was.get(name) is not now.get(name)} <= DYNAMO, kind


def network(dropout: float = 0.0) -> Any:
    model = nn.Module()
    model.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model.drop = nn.Dropout(dropout)
    model.head = nn.Linear(4, 2)
    model.forward = lambda x: model.head(model.drop(model.body(x)))
    return model


def train(model: Any, optimizer: Any, steps: int = 6) -> list[float]:
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(torch.randn(4, 3, 8, 8)).square().sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def frozen(model: Any) -> Any:
    for p in model.body.parameters():
        p.requires_grad = False
    model.body.eval()
    return torch.optim.SGD(model.head.parameters(), lr=0.1)


# Expectations -------------------------------------------------------------------------------------------------------


def test_what_is_expected_passes() -> None:
    model = network()
    optimizer = frozen(model)
    with freezelint.watch(model, optimizer, expect_frozen="body", expect_trainable="head") as watched:
        train(model, optimizer)
    report = watched.report()
    assert report.good, str(report)
    assert report.steps == 6
    rows = {row.module: row for row in report.table}
    assert (rows["body.0"].expected, rows["body.0"].changed, rows["body.0"].gradient) == ("frozen", 0, 0)
    assert (rows["head"].changed, rows["head"].held, rows["head"].groups) == (2, 2, ("SGD[0]",))
    assert rows["body.1"].statistics_moved is False and rows["body.1"].mode == "eval"
    assert report.as_dict()["good"] is True
    assert "head" in str(report)


def mend(model: Any, optimizer: Any) -> None:
    """Nothing is wrong."""


def train_mode(model: Any, optimizer: Any) -> None:
    model.train()


def unfrozen(model: Any, optimizer: Any) -> None:
    model.body[0].weight.requires_grad = True


def written(model: Any, optimizer: Any) -> None:
    optimizer.register_step_post_hook(lambda *_: model.body[0].weight.data.add_(1.0))


def cut(model: Any, optimizer: Any) -> None:
    model.forward = lambda x: model.head.bias.sum() + model.body(x).sum().detach()


def unheld(model: Any, optimizer: Any) -> None:
    model.head = nn.Linear(4, 2)


@pytest.mark.parametrize(
    "break_it, says",
    [
        (train_mode, "running statistics"),
        (unfrozen, "`body.0.weight` should be frozen, and requires grad"),
        (written, "its values changed"),
        (cut, "`head.weight` should train, and had no gradient"),
        (unheld, "held by no optimizer"),
    ],
)
def test_what_is_not_expected_raises_in_the_loop(break_it: Callable[..., None], says: str) -> None:
    model = network()
    optimizer = frozen(model)
    break_it(model, optimizer)
    with pytest.raises(freezelint.Unexpected, match=says):
        with freezelint.watch(model, optimizer, expect_frozen="body", expect_trainable="head"):
            train(model, optimizer)
            pytest.fail("the loop should not get here")


def test_without_fail_the_report_says_it() -> None:
    model = network()
    optimizer = frozen(model)
    model.train()
    with freezelint.watch(model, optimizer, expect_frozen="body", fail=False) as watched:
        train(model, optimizer)
    assert not watched.report().good
    assert "running statistics" in watched.report().unexpected[0]


def test_patterns_that_cannot_be_meant() -> None:
    model = network()
    with pytest.raises(ValueError, match=r"nothing in the model is called 'boddy': did you mean 'body'"):
        freezelint.watch(model, expect_frozen="boddy")
    with pytest.raises(ValueError, match="frozen and to be trainable"):
        freezelint.watch(model, expect_frozen="body", expect_trainable="body.0.*")
    with pytest.raises(ValueError, match="need the model"):
        freezelint.watch(expect_frozen="body")


def test_rules_speak_about_what_happens_inside() -> None:
    model = network()
    optimizer = frozen(model)
    with freezelint.watch(model, optimizer) as watched:
        train(model, optimizer, 2)
        model.body[0].requires_grad_(True)
        train(model, optimizer, 2)
    [finding] = [f for f in watched.findings if f.rule == "unfreeze-not-in-optimizer"]
    assert finding.site.path.endswith("test_watch.py")


def test_tied_parameters_are_told() -> None:
    model = nn.Sequential()
    model.add_module("embed", nn.Embedding(5, 4))
    model.add_module("out", nn.Linear(4, 5, bias=False))
    model.out.weight = model.embed.weight
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with freezelint.watch(model, optimizer) as watched:
        model(torch.tensor([1, 2])).sum().backward()
        optimizer.step()
    assert [(row.module, row.tied) for row in watched.table()] == [("embed", ("out.weight",))]


def test_manifest_is_written_and_compared(tmp_path: Path) -> None:
    file = tmp_path / "freeze.json"
    for second in (False, True):
        model = network()
        optimizer = frozen(model)
        if second:
            model.body[0].weight.requires_grad = True
        with freezelint.watch(model, optimizer, manifest=file) as watched:
            train(model, optimizer)
        assert file.exists()
        assert watched.report().changes == (
            ("`body.0.weight` had requires_grad False, and has True",) if second else ()
        )
    file.write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match="no manifest"):
        freezelint.watch(network(), manifest=file)


# No trace left ------------------------------------------------------------------------------------------------------


def outcome(watched: bool, make: Callable[[Any], Any], steps: int = 24) -> tuple[Any, ...]:
    """Everything a training leaves behind."""
    torch.manual_seed(1)
    model = network(dropout=0.5)
    optimizer = make(model)
    if watched:
        with freezelint.watch(model, optimizer, every=4):
            losses = train(model, optimizer, steps)
    else:
        losses = train(model, optimizer, steps)
    gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    modes = [(m.training, len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()]
    return losses, copy.deepcopy(model.state_dict()), gradients, modes, torch.get_rng_state(), torch.is_grad_enabled()


def equal(first: Any, second: Any) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(equal(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(equal, first, second))
    return bool(first == second)


@pytest.mark.parametrize(
    "make",
    [
        lambda model: torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9),
        lambda model: torch.optim.AdamW(model.parameters()),
        frozen,
    ],
    ids=["sgd", "adamw", "frozen"],
)
def test_bit_for_bit_the_same_with_and_without(make: Callable[[Any], Any]) -> None:
    assert equal(outcome(False, make), outcome(True, make))


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_hooks_are_gone_after_an_exception(error: type[BaseException]) -> None:
    model = network()
    with pytest.raises(error):
        with freezelint.watch(model):
            model(torch.randn(2, 3, 8, 8))
            raise error
    assert not hooks.installed()


def test_two_at_once_nested_and_entered_again() -> None:
    model, other = network(), network()
    optimizer, second = frozen(model), frozen(other)
    outer, inner = freezelint.watch(model, optimizer), freezelint.watch(other, second)
    with outer:
        train(model, optimizer, 2)
        with inner, outer:
            train(other, second, 2)
            train(model, optimizer, 1)
        train(other, second, 1)
    with inner:
        train(other, second, 1)
    assert not outer.report().trouble and not inner.report().trouble
    assert outer.report().steps == 6
    assert inner.report().steps == 4


def test_a_model_in_two_threads() -> None:
    model = network()
    optimizer = frozen(model)
    results: list[Any] = []
    with freezelint.watch(model, optimizer) as watched:
        worker = threading.Thread(target=lambda: results.append([model(torch.randn(2, 3, 8, 8)) for _ in range(20)]))
        worker.start()
        train(model, optimizer)
        worker.join()
    assert len(results[0]) == 20
    assert not watched.report().trouble


def test_lbfgs_closures_and_accumulation() -> None:
    model = network()
    optimizer = torch.optim.LBFGS(model.head.parameters(), lr=0.1, max_iter=2)
    x = torch.randn(4, 3, 8, 8)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = model(x).square().sum()
        loss.backward()
        return loss

    with freezelint.watch(model, optimizer, expect_trainable="head") as watched:
        for _ in range(4):
            optimizer.step(closure)
    assert not watched.report().trouble
    adam = torch.optim.Adam(model.parameters())
    with freezelint.watch(model, adam, expect_trainable="*") as watched:
        for step in range(8):
            model(x).square().sum().backward()
            if step % 2:
                adam.step()
                adam.zero_grad()
    assert watched.report().steps == 4 and not watched.report().trouble


def test_scaler_and_autocast() -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu")
    with freezelint.watch(model, optimizer, expect_trainable=["body", "head"]) as watched:
        for _ in range(5):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = model(torch.randn(4, 3, 8, 8)).square().sum()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    assert not watched.report().trouble


@pytest.mark.filterwarnings("error")
def test_compiled_code_is_not_broken_into() -> None:
    """`fullgraph` refuses every graph break, so a patch that is traced would raise."""
    compiled = torch.compile(network(), backend="eager", fullgraph=True)
    optimizer = torch.optim.SGD(compiled.parameters(), lr=0.01)
    with freezelint.watch(compiled, optimizer) as watched:
        for _ in range(6):
            optimizer.zero_grad()
            compiled(torch.randn(4, 3, 8, 8)).square().sum().backward()
            optimizer.step()
    assert not watched.report().trouble
    assert watched.report().steps == 6


def test_a_gan_whose_discriminator_is_frozen_for_half_of_each_step() -> None:
    generator, judge = nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.1), nn.Linear(4, 1))
    first = torch.optim.Adam(generator.parameters())
    second = torch.optim.Adam(judge.parameters())
    with freezelint.watch(None, first, second) as watched:
        for _ in range(8):
            judge.requires_grad_(True)
            second.zero_grad()
            (judge(generator(torch.randn(4, 4)).detach()).mean() - judge(torch.randn(4, 4)).mean()).backward()
            second.step()
            judge.requires_grad_(False)
            first.zero_grad()
            (-judge(generator(torch.randn(4, 4))).mean()).backward()
            first.step()
    report = watched.report()
    assert report.steps == 16 and not report.trouble
    assert report.good and not report.findings, str(report)


def test_autocast_keeps_values_and_dtypes() -> None:
    """Bit for bit the same under autocast, with momentum, clipping and accumulation."""

    def outcome(watched: bool) -> Any:
        torch.manual_seed(3)
        model = network(dropout=0.2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        with freezelint.watch(model, optimizer) if watched else contextlib.nullcontext():
            for step in range(10):
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    loss = model(torch.randn(4, 3, 8, 8)).square().sum()
                loss.backward()
                if step % 2:
                    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    optimizer.step()
                    optimizer.zero_grad()
        return model.state_dict(), torch.get_rng_state()

    assert equal(outcome(False), outcome(True))


def test_a_compiled_model_trains_the_same() -> None:
    def outcome(watched: bool) -> Any:
        torch.manual_seed(4)
        torch._dynamo.reset()
        model = network()
        model.forward = lambda x: model.head(model.body(x))
        compiled = torch.compile(model, backend="eager")
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        with freezelint.watch(model, optimizer) if watched else contextlib.nullcontext():
            losses = train(compiled, optimizer, 6)
        return losses, copy.deepcopy(model.state_dict())

    assert equal(outcome(False), outcome(True))
