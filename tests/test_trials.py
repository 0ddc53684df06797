"""What each strategy of freezing costs, on tiny models: orderings that must hold on every machine, and never a time."""

from __future__ import annotations

import importlib.util
import json
import types
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from freezelint.__main__ import run
from freezelint.measure import claims, jobs, plan, process, rows
from freezelint.measure.models import MODELS, Model
from freezelint.measure.strategies import STRATEGIES

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from freezelint.live.trial import layout as layouts  # noqa: E402
from freezelint.live.trial import memory, models, subject, worker  # noqa: E402

TINY = {
    "resnet": Model("resnet", "4,3,32,32", {"blocks": [1, 1, 1, 1], "width": 8}),
    "vit": Model("vit", "4,3,32,32", {"dim": 16, "depth": 4, "heads": 2, "patch": 8}),
    "bert": Model("bert", "int64:4,8:0..50", {"dim": 16, "depth": 4, "heads": 2, "words": 50}),
}
# That a reentrant checkpoint behind a frozen part warns is what it is here to show.
pytestmark = pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")

FROZEN = ("frozen-unfiltered", "frozen-filtered", "frozen-no-grad")


def here(job: jobs.Look | jobs.Trial, timeout: float | None) -> dict[str, Any]:
    """A job is done in this process, through JSON all the same: a fresh one takes seconds to import torch."""
    found: dict[str, Any] = json.loads(json.dumps(worker.answer(jobs.loaded(jobs.dumped(job)))))
    return found


@pytest.fixture(scope="module")
def measured() -> Callable[..., rows.Result]:
    """The result of a tiny model or of a factory, every strategy in this process; kept, since several tests read it."""
    kept: dict[Any, rows.Result] = {}

    def measuring(model: str, **options: Any) -> rows.Result:
        key = (model, *options.items())
        if key not in kept:
            target = {"factory": model} if ":" in model else {"model": model}
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(process, "run", here)
                for name in TINY:
                    patch.setitem(MODELS, name, TINY[name])
                asked = plan.Request(**{"optimizers": ("adamw",), "steps": 2, "warm_up": 1, **target, **options})
                kept[key] = plan.measure(asked)
        return kept[key]

    return measuring


Measured = Callable[..., rows.Result]


def table(result: rows.Result) -> dict[str, rows.Row]:
    """Rows by strategy, or by the cut for those that are a row a cut."""
    return {row.cut if row.strategy == "cut" else row.strategy: row for row in result.rows}


every_model = pytest.mark.parametrize("model", TINY)


@every_model
def test_everything_is_measured(measured: Measured, model: str) -> None:
    missing = {row.strategy: row.reason for row in measured(model).rows if not row.measured}
    if importlib.util.find_spec("peft") is None:
        assert missing.pop("lora") == "peft is not installed here"
    if model != "resnet":
        assert missing.pop("frozen-bn-eval") == "no BatchNorm in the frozen part"
    assert missing == {}


@every_model
def test_only_the_optimizer_restricted_costs_what_full_fine_tuning_costs(measured: Measured, model: str) -> None:
    found = table(measured(model))
    only, full, frozen = found["only-optimizer"], found["full"], found["frozen-filtered"]
    for kind in ("gradients", "activations"):
        assert only.bytes[kind] == full.bytes[kind] > frozen.bytes[kind]
    assert only.bytes["optimizer_state"] == frozen.bytes["optimizer_state"] < full.bytes["optimizer_state"]


@every_model
def test_a_filter_and_no_grad_save_nothing_more(measured: Measured, model: str) -> None:
    found = table(measured(model))
    for kind in rows.KINDS:
        assert len({found[slug].bytes[kind] for slug in FROZEN}) == 1


@every_model
def test_the_later_the_cut_the_lighter(measured: Measured, model: str) -> None:
    result = measured(model)
    found = table(result)
    cuts = result.layout["cuts"]
    ladder = [found["full"], *(found[cut] for cut in cuts), found["frozen-filtered"]]
    assert len(cuts) == 4 or model != "resnet"
    for before, after in pairwise(ladder):
        assert before.parameters["meant"] > after.parameters["meant"]
        assert before.bytes["activations"] >= after.bytes["activations"]
        for kind in ("gradients", "optimizer_state"):
            assert before.bytes[kind] > after.bytes[kind]


@every_model
def test_checkpoints_keep_less_and_train_the_same(measured: Measured, model: str) -> None:
    found = table(measured(model))
    middle = found["checkpoint-unfrozen"]
    for again, plain in (
        (found["checkpoint-full"], found["full"]),
        (found["checkpoint-full-reentrant"], found["full"]),
        (middle, found[middle.cut]),
    ):
        assert again.bytes["activations"] < plain.bytes["activations"]
        assert again.bytes["gradients"] == plain.bytes["gradients"]
        assert again.parameters["trained"] == again.parameters["meant"] == plain.parameters["trained"]


@every_model
def test_a_reentrant_checkpoint_behind_a_frozen_part_trains_only_what_follows(measured: Measured, model: str) -> None:
    row = table(measured(model))["checkpoint-unfrozen-reentrant"]
    assert row.measured and row.parameters["trained"] < row.parameters["meant"]


@every_model
def test_the_frozen_part_stays_to_the_bit_where_no_batchnorm_is_in_train_mode(measured: Measured, model: str) -> None:
    found = table(measured(model))
    assert found["full"].frozen is None and found["full"].stayed == "-"
    for row in found.values():
        if not row.measured or row.frozen is None:
            continue
        assert row.frozen["weights"] > 0 and row.frozen["weights_changed"] == 0
        still = model != "resnet" or row.strategy in ("frozen-bn-eval", "cached-features")
        assert (row.stayed == "identical") is still, row.title


@every_model
def test_cached_features_need_the_head_alone(measured: Measured, model: str) -> None:
    found = table(measured(model))
    cached, frozen = found["cached-features"], found["frozen-filtered"]
    assert cached.bytes["weights"] == cached.bytes["gradients"] == frozen.bytes["gradients"] < frozen.bytes["weights"]
    assert cached.parameters == frozen.parameters and cached.seconds["once"] > 0


def test_optimizers_differ_in_their_state_alone(measured: Measured) -> None:
    result = measured("vit", optimizers=("sgd", "adam", "adamw"), strategies=("full", "frozen-filtered"))
    full = {row.optimizer: row.bytes for row in result.rows if row.strategy == "full"}
    numbers = sum(p.numel() for p in models.built("vit", {**TINY["vit"].sizes, "image": 32}, plan.CLASSES).parameters())
    assert full["sgd"]["optimizer_state"] == 4 * numbers
    assert full["adam"]["optimizer_state"] == full["adamw"]["optimizer_state"] >= 8 * numbers
    assert len({(found["gradients"], found["activations"]) for found in full.values()}) == 1


def test_amp_keeps_less(measured: Measured) -> None:
    result = measured("resnet", inputs=("16,3,64,64",), amp=True, strategies=("full",))
    plain, amp = result.rows
    assert amp.amp and amp.bytes["activations"] < plain.bytes["activations"]
    assert amp.bytes["gradients"] == plain.bytes["gradients"]


@pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="needs peft")
@every_model
def test_lora_keeps_what_full_fine_tuning_keeps(measured: Measured, model: str) -> None:
    found = table(measured(model))
    lora, full, frozen = found["lora"], found["full"], found["frozen-filtered"]
    assert frozen.bytes["gradients"] < lora.bytes["gradients"] < full.bytes["gradients"]
    assert lora.bytes["activations"] > full.bytes["activations"] / 2
    assert lora.parameters["trained"] == lora.parameters["meant"] and lora.frozen is not None


def test_claims(measured: Measured) -> None:
    """All but those on speed, on which a tiny model says nothing."""
    wanted = {
        "gradients and optimizer state of the rest": "confirmed",
        "what the forward keeps for the backward": "confirmed",
        "over the head alone is as light": "refuted",
        "cost optimizer state": "refuted",
        "drift by momentum or weight decay": "refuted",
        "the frozen part stays as it is": "refuted",
        "with its BatchNorm in eval": "confirmed",
        "reentrant checkpointing trains the same": "refuted",
    }
    told = {claim.text: claim.verdict for claim in claims.judged(measured("resnet"))}
    for part, verdict in wanted.items():
        assert next(said for text, said in told.items() if part in text) == verdict, part


# Models and their layout ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, classes, number",
    [
        ("resnet18", 1000, 11_689_512),
        ("resnet34", 1000, 21_797_672),
        ("vit_b_16", 1000, 86_567_656),
        ("vit_b_32", 1000, 88_224_232),
        ("bert-base", 2, 109_482_240 + 768 * 2 + 2),
        ("bert-large", 2, 335_141_888 + 1024 * 2 + 2),
    ],
)
def test_our_models_have_the_parameters_of_the_originals(name: str, classes: int, number: int) -> None:
    with torch.device("meta"):
        model = models.built(MODELS[name].kind, MODELS[name].sizes, classes)
    assert sum(p.numel() for p in model.parameters()) == number


class Backwards(nn.Module):
    """What runs last is written first, and one part runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 2)
        self.shared = nn.Linear(4, 4)
        self.unused = nn.Linear(4, 4)
        self.first = nn.Linear(3, 4)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Any) -> Any:
        return self.head(self.shared(self.shared(self.first(x)) * self.scale))


def test_the_order_is_that_in_which_modules_run() -> None:
    model = Backwards()
    found = layouts.layout(model, lambda: model(torch.ones(1, 3)))
    assert found.order == ("", "unused", "first", "shared", "head") and found.head == "head"
    assert found.from_("shared") == {"shared", "head"} and found.from_("") == set(found.order)


@pytest.mark.parametrize(
    "model, stages, cuts",
    [
        (
            "resnet",
            ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"],
            ["layer1", "layer2", "layer3", "layer4"],
        ),
        ("vit", ["patches", *(f"encoder.layer.{i}" for i in range(4)), "norm", "head"], None),
        ("bert", ["embeddings", *(f"encoder.layer.{i}" for i in range(4)), "pooler", "classifier"], None),
    ],
)
def test_stages_and_cuts(measured: Measured, model: str, stages: list[str], cuts: list[str] | None) -> None:
    layout = measured(model).layout
    assert layout["stages"] == stages
    assert layout["cuts"] == (cuts or [f"encoder.layer.{i}" for i in range(4)])


def test_weights_that_others_use_run_with_what_holds_them() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.Sequential(nn.Linear(4, 8), nn.TransformerEncoder(layer, 3), nn.Linear(8, 2))
    found = layouts.layout(model.train(), lambda: model(torch.ones(1, 5, 4)))
    assert found.stages == ("0", "1.layers.0", "1.layers.1", "1.layers.2", "2")
    assert found.order.index("1.layers.0.self_attn.out_proj") < found.order.index("1.layers.0.linear1")


@pytest.mark.parametrize(
    "batch, wanted",
    [
        (torch.zeros(4, 3), [(6, 3)]),
        ((torch.zeros(4, 3), torch.zeros(4)), [(6, 3), (6,)]),
        ({"a": torch.zeros(4, 3), "b": [torch.zeros(5), 7]}, [(6, 3), (5,)]),
    ],
)
def test_a_batch_of_another_size(batch: Any, wanted: list[tuple[int, ...]]) -> None:
    assert [tuple(t.shape) for t in memory.tensors_in(subject.resized(batch, 6))] == wanted


def test_bytes_count_once() -> None:
    a = torch.zeros(10)
    assert memory.of([a, a[2:], a.view(2, 5), torch.zeros(3)]) == 52


def test_the_peak_begins_anew() -> None:
    """What was freed before does not count, and what is taken and freed after it does."""
    try:
        memory.REFERENCES.write_text("5")
    except OSError:
        pytest.skip("this system does not let a process forget its peak")
    large = 2**28
    torch.ones(large // 4).sum().item()
    peak = memory.Peak(torch.device("cpu"))
    before = memory.in_use()
    assert before is not None and (peak.read() or 0) < before + large / 2
    torch.ones(large // 4).sum().item()
    assert (peak.read() or 0) > before + large / 2


def test_a_digest_sees_every_bit() -> None:
    a = torch.zeros(1000)
    before = memory.digest(a)
    a[500] = -0.0
    assert memory.digest(a) != before and memory.digest(torch.zeros(0)) == b""
    assert memory.digest(torch.ones(3, 2).t()) == memory.digest(torch.ones(2, 3))


# Other people's models ------------------------------------------------------------------------------------------------

FACTORIES = """
import torch
from torch import nn


def small():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))


def with_loss():
    images, labels = torch.randn(4, 3), torch.tensor([0, 1, 0, 1])
    loss = lambda output, batch: nn.functional.cross_entropy(output, labels[: len(output)])
    return {"model": small(), "batch": images, "loss": loss}


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.head = nn.Embedding(9, 4), nn.Linear(4, 9, bias=False)
        self.body = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
        self.head.weight = self.words.weight

    def forward(self, ids):
        return {"logits": self.head(self.body(self.words(ids)))}


def one():
    return nn.Linear(3, 2)


def frozen():
    model = small().requires_grad_(False)
    model.numbers = nn.Parameter(torch.ones(3, dtype=torch.int64), requires_grad=False)
    return model


def lazy():
    return nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(2))


def too_large():
    return nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 10**14))


def twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x):
            return self.head(self.head(self.body(x)))

    return Twice()


def raises():
    raise ValueError("mine")


def no_model():
    return 3


def out_of_memory():
    class Large(nn.Linear):
        def forward(self, x):
            if self.training:
                raise MemoryError("so it is")
            return super().forward(x)

    return nn.Sequential(Large(3, 3), nn.Linear(3, 2))
"""


@pytest.fixture
def factories(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    Path("factories.py").write_text(FACTORIES)
    monkeypatch.setattr(process, "run", here)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "factories", raising=False)


def test_a_factory(factories: None, measured: Measured) -> None:
    found = table(measured("factories:small", inputs=("4,3",), batch=6))
    assert {row.batch for row in found.values()} == {6}
    assert found["full"].parameters == {"all": 16 + 8 + 20 + 10, "meant": 54, "trained": 54}
    assert found["frozen-filtered"].frozen == {"weights": 6, "weights_changed": 0, "buffers": 3, "buffers_changed": 3}
    assert table(measured("factories:with_loss"))["cached-features"].measured
    assert table(measured("factories:lazy", inputs=("4,3",)))["full"].parameters["trained"] == 16 + 10


def test_what_the_factory_froze_is_asked_of_nobody(factories: None, measured: Measured) -> None:
    found = table(measured("factories:frozen", inputs=("4,3",)))
    assert found["full"].parameters == {"all": 57, "meant": 54, "trained": 54}
    assert found["frozen-filtered"].parameters["trained"] == 10


def test_the_part_that_a_user_names(factories: None, measured: Measured) -> None:
    result = measured("factories:small", inputs=("4,3",), head="3", cuts=("1",), strategies=("frozen-filtered", "cut"))
    head, cut = result.rows
    assert head.parameters["meant"] == 20 + 10 and cut.parameters["meant"] == 8 + 20 + 10


def test_tied_weights_keep_the_graph(factories: None, measured: Measured) -> None:
    """A head that shares its weights with the embedding leaves nothing frozen above it; no_grad does save something."""
    found = table(measured("factories:Tied", inputs=("int64:2,5:0..9",)))
    assert found["frozen-no-grad"].bytes["activations"] < found["frozen-filtered"].bytes["activations"]


@pytest.mark.parametrize(
    "name, strategy, status, says",
    [
        ("one", "frozen-filtered", rows.NOT_POSSIBLE, "nothing would be left to freeze"),
        ("one", "checkpoint-full", rows.NOT_POSSIBLE, "there is no stage to checkpoint"),
        ("twice", "cached-features", rows.NOT_POSSIBLE, "the head runs 2 times in a forward"),
        ("out_of_memory", "full", rows.OUT_OF_MEMORY, "so it is"),
    ],
)
def test_a_strategy_that_does_not_work_is_a_row(
    factories: None, measured: Measured, name: str, strategy: str, status: str, says: str
) -> None:
    [row] = measured(f"factories:{name}", inputs=("4,3",), strategies=(strategy,)).rows
    assert row.status == status and says in row.reason


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["factories:raises", "--input", "4,3"], "factories:raises cannot be measured: ValueError: mine"),
        (["factories:too_large", "--input", "4,3"], "cannot be measured: out of memory"),
        (["factories:no_model", "--input", "4,3"], "the factory returned int: give a model"),
        (["factories:nothing", "--input", "4,3"], "factories has no 'nothing'"),
        (["no_such_module:f", "--input", "4,3"], "No module named 'no_such_module'"),
        (["factories:small"], "there is no input: give --input"),
        (["factories:small", "--input", "4,5"], "mat1 and mat2 shapes cannot be multiplied"),
        (["factories:small", "--input", "a x b"], "--input 'a x b' is none"),
        (["factories:small", "--input", "4,3", "--head", "6"], "--head: the model has no part '6'"),
        (["factories:small", "--input", "4,3", "--cut", "layer4"], "--cut: the model has no part 'layer4'"),
        (["--model", "vit_b_16", "--input", "2,3,32"], "cannot be measured: "),
        (["--model", "resnet18", "--device", "cuda:99"], "there is no device 'cuda:99' here"),
    ],
)
def test_bad_input_is_one_line(
    factories: None, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "cuda:99" in arguments and torch.cuda.is_available():
        pytest.skip("there is such a thing")
    assert run(["measure", *arguments, "-q"]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert says in line


def test_in_processes_of_their_own(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the command line on: a model that prints, and dies in one of two strategies."""
    Path("network.py").write_text(
        "import os, torch\nfrom torch import nn\nprint('noise', flush=True)\n\n\nclass Net(nn.Linear):\n"
        "    def forward(self, x):\n        if self.training and not self.weight.requires_grad:\n"
        "            os._exit(3)\n"
        "        return super().forward(x)\n\n\ndef build():\n    return nn.Sequential(Net(3, 3), nn.Linear(3, 2))\n"
    )
    arguments = ["network:build", "--input", "4,3", "--strategy", "full,frozen-filtered", "--optimizer", "sgd"]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert run(["measure", *arguments, "--steps", "2", "--output-format", "json"]) == 0
    captured = capfd.readouterr()
    [full, frozen] = json.loads(captured.out)["rows"]
    assert full["status"] == "measured" and full["seconds"]["median"] > 0 and full["samples_per_second"] > 0
    assert frozen["status"] == "failed" and frozen["reason"] == "the process ended with status 3: noise"
    assert captured.err.splitlines() == [
        "looking at the model",
        "1 of 2: full fine-tuning (SGD with momentum)",
        "2 of 2: frozen, optimizer over what trains (SGD with momentum)",
    ]


def test_on_cuda_the_allocator_tells_and_is_held_to_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU: what is asked of torch.cuda, and what becomes of its answers."""
    told: dict[str, Any] = {}
    fakes: dict[str, Any] = {
        "get_device_properties": lambda device: types.SimpleNamespace(total_memory=400),
        "current_device": lambda: 0,
        "set_per_process_memory_fraction": lambda share, device: told.update(share=share, device=device),
        "empty_cache": lambda: None,
        "synchronize": lambda device: told.update(waited=device),
        "reset_peak_memory_stats": lambda device: told.update(reset=device),
        "max_memory_allocated": lambda device: 123,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    cuda = torch.device("cuda")
    fake = subject.Subject(model, torch.ones(4, 3), lambda output: output.sum(), cuda)
    monkeypatch.setattr(worker, "subject", lambda asked: fake)
    job = jobs.Trial(
        jobs.Subject("a:b"), STRATEGIES["frozen-filtered"], "1", "sgd", False, ("0", "1"), ("0", "1"), 1, 0, 100
    )
    found = worker.answer(job)
    assert (found["status"], found["peak"]) == (rows.MEASURED, 123) and "base" not in found
    assert told == {"share": 0.25, "device": 0, "waited": cuda, "reset": cuda}
