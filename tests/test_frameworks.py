"""Adapters for training frameworks, with the frameworks themselves; each is skipped where its framework is missing."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from freezelint.live import hooks  # noqa: E402
from freezelint.live.watch import Unexpected  # noqa: E402


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    yield
    assert not hooks.installed()


def needs(name: str) -> Any:
    """Importing some of these costs seconds, which only their tests pay."""
    return pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"{name} is not installed")


# transformers ---------------------------------------------------------------------------------------------------------


def classifier() -> Any:
    from transformers import BertConfig, BertForSequenceClassification

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    return BertForSequenceClassification(BertConfig(vocab_size=50, max_position_embeddings=16, num_labels=2, **sizes))


def trained(model: Any, callback: Any, optimizer: Any = None) -> None:
    from transformers import Trainer, TrainingArguments

    data = [{"input_ids": torch.randint(0, 50, (8,)), "labels": torch.tensor(n % 2)} for n in range(16)]
    arguments = TrainingArguments(
        "out",
        max_steps=4,
        per_device_train_batch_size=4,
        report_to=[],
        use_cpu=True,
        save_strategy="no",
        disable_tqdm=True,
    )
    trainer = Trainer(model, arguments, train_dataset=data, callbacks=[callback], optimizers=(optimizer, None))
    trainer.train()


@needs("transformers")
@needs("accelerate")
def test_transformers() -> None:
    from freezelint.live.integrations.transformers import FreezelintCallback

    model = classifier()
    model.bert.requires_grad_(False)
    callback = FreezelintCallback(expect_frozen="bert", expect_trainable="classifier", strict=True)
    trained(model, callback)
    report = callback.report
    assert report is not None and report.good and not report.trouble, str(report)
    assert report.steps == 4
    rows = {row.module: row for row in report.table}
    assert rows["classifier"].changed == 2 and rows["bert.embeddings.word_embeddings"].changed == 0


@needs("transformers")
@needs("accelerate")
def test_transformers_with_an_optimizer_that_holds_too_little() -> None:
    from freezelint.live.integrations.transformers import FreezelintCallback

    model = classifier()
    callback = FreezelintCallback(expect_trainable=["bert.encoder", "classifier"], fail=False, strict=True)
    with pytest.raises(Unexpected, match="held by no optimizer"):
        trained(model, callback, torch.optim.SGD(model.classifier.parameters(), lr=0.1))


# Lightning ------------------------------------------------------------------------------------------------------------


def fitted(callback: Any, wake: bool = False, raises: bool = False) -> Any:
    import lightning

    class Module(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.backbone = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
            self.head = nn.Linear(4, 2)
            self.backbone.requires_grad_(False)

        def on_train_epoch_start(self) -> None:
            if wake and self.current_epoch == 1:
                self.backbone.requires_grad_(True)

        def training_step(self, batch: Any, number: int) -> Any:
            if raises:
                raise ValueError("mine")
            return self.head(self.backbone(batch)).square().mean()

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam([p for p in self.parameters() if p.requires_grad])

    module = Module()
    loader = torch.utils.data.DataLoader(torch.randn(12, 4), batch_size=4)
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        callbacks=[callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, loader)
    return module


@needs("lightning")
@pytest.mark.filterwarnings("ignore")
def test_lightning() -> None:
    from freezelint.live.integrations.lightning import FreezelintCallback

    callback = FreezelintCallback(expect_frozen="backbone", expect_trainable="head", strict=True)
    fitted(callback)
    assert callback.report is not None and callback.report.good and callback.report.steps == 6
    assert not callback.report.trouble


@needs("lightning")
@pytest.mark.filterwarnings("ignore")
def test_lightning_with_a_late_unfreeze() -> None:
    from freezelint.live.integrations.lightning import FreezelintCallback

    callback = FreezelintCallback()
    fitted(callback, wake=True)
    assert callback.report is not None and not callback.report.good
    [finding] = [f for f in callback.report.findings if "unfreeze" in f.rule]
    assert finding.site.path.endswith("test_frameworks.py")


@needs("lightning")
@pytest.mark.filterwarnings("ignore")
def test_lightning_after_an_exception() -> None:
    from freezelint.live.integrations.lightning import FreezelintCallback

    with pytest.raises(ValueError, match="mine"):
        fitted(FreezelintCallback(strict=True), raises=True)


# accelerate -----------------------------------------------------------------------------------------------------------


@needs("accelerate")
def test_accelerate_accumulates() -> None:
    import accelerate

    from freezelint.live.integrations.accelerate import watch

    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    body, head = nn.Linear(4, 4), nn.Linear(4, 2)
    model = nn.Sequential(body, head)
    body.requires_grad_(False)
    optimizer = torch.optim.AdamW(head.parameters())
    model, optimizer = accelerator.prepare(model, optimizer)
    with watch(accelerator, model, optimizer, expect_frozen="0", expect_trainable="1") as watched:
        for _ in range(12):
            with accelerator.accumulate(model):
                accelerator.backward(model(torch.randn(4, 4)).square().mean())
                optimizer.step()
                optimizer.zero_grad()
    report = watched.report()
    assert report.good and not report.trouble, str(report)
    assert report.steps == 6
