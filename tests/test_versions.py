"""Older versions of torch, emulated: what they lack is taken away, and a watch does its work all the same."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest

import freezelint

torch = pytest.importorskip("torch")
nn = torch.nn

from freezelint.live import hooks, versions  # noqa: E402


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Take something away from torch; afterwards the module is what it was."""
    with monkeypatch.context() as patch:
        yield patch
    importlib.reload(versions)
    hooks.is_compiling = versions.is_compiling


def works() -> None:
    """A fault is found, and a forward that raises does not swallow what follows."""
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
    model[:2].requires_grad_(False)
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.1)
    torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    with freezelint.watch(model, optimizer) as watched:
        with pytest.raises(RuntimeError):
            model(torch.randn(4, 3))
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(4, 2)).sum().backward()
            optimizer.step()
    report = watched.report()
    assert not report.trouble and report.steps == 3
    assert "frozen-bn-train-mode" in {finding.rule for finding in report.findings}
    assert not hooks.installed()


def test_no_question_whether_code_is_compiled(older: pytest.MonkeyPatch) -> None:
    older.delattr(torch.compiler, "is_compiling")
    older.setattr(torch._utils, "is_compiling", asked := lambda: False)  # newer ones ask torch.compiler in turn
    importlib.reload(versions)
    assert versions.is_compiling is asked
    older.delattr(torch._utils, "is_compiling")
    importlib.reload(versions)
    assert versions.is_compiling() is False
    older.undo()  # the rest of this torch needs it
    older.setattr(hooks, "is_compiling", asked)
    works()


def test_no_hook_after_a_forward_that_raised(older: pytest.MonkeyPatch) -> None:
    register = versions.nn_module.register_module_forward_hook
    older.setattr(versions.nn_module, "register_module_forward_hook", lambda hook: register(hook))
    works()


def test_schedulers_of_any_base() -> None:
    class Old:
        class _LRScheduler: ...

        class ReduceLROnPlateau: ...

    assert versions.schedulers(Old) == [Old._LRScheduler, Old.ReduceLROnPlateau]
    assert versions.schedulers(object()) == []


def test_no_sharding(older: pytest.MonkeyPatch) -> None:
    """Before 2.4 there is no fully_shard anywhere."""
    fsdp: Any = pytest.importorskip("torch.distributed.fsdp")
    older.delattr(fsdp, "fully_shard", raising=False)
    works()
    assert not hasattr(fsdp, "fully_shard")
