"""The model zoo says what people who use these models know by heart, and names only what the libraries have."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from freezelint.knowledge import zoo
from freezelint.trace.regions import Layer


def model(name: str) -> zoo.Architecture:
    library, _, rest = name.partition(".")
    found = zoo.architecture(library, rest)
    assert found is not None, name
    return found


def parameters(found: zoo.Architecture) -> list[str]:
    """The names that named_parameters() yields."""
    others = {other for _, other in found.tied}
    names = [f"{path}.{p}".lstrip(".") for path, layer in found.layers.items() for p in layer.params]
    return [name for name in names if name not in others]


def kinds(found: zoo.Architecture) -> set[str]:
    return {layer.kind for layer in found.layers.values()}


def test_resnet18_has_62_parameters_and_the_children_in_order() -> None:
    resnet = model("torchvision.resnet18")
    assert len(parameters(resnet)) == 62
    assert parameters(resnet)[:4] == ["conv1.weight", "bn1.weight", "bn1.bias", "layer1.0.conv1.weight"]
    assert resnet.children == (
        "conv1",
        "bn1",
        "relu",
        "maxpool",
        "layer1",
        "layer2",
        "layer3",
        "layer4",
        "avgpool",
        "fc",
    )
    assert resnet.layers["layer4.1.bn2"] == Layer("BatchNorm2d", ("weight", "bias"))
    assert resnet.head == "fc" and resnet.exact and not resnet.tied


def test_resnet50_has_161_parameters() -> None:
    assert len(parameters(model("torchvision.resnet50"))) == 161


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("torchvision.alexnet", "classifier.6"),
        ("torchvision.vgg16", "classifier.6"),
        ("torchvision.densenet121", "classifier"),
        ("torchvision.inception_v3", "fc"),
        ("torchvision.mobilenet_v2", "classifier.1"),
        ("torchvision.efficientnet_b0", "classifier.1"),
        ("torchvision.convnext_tiny", "classifier.2"),
        ("torchvision.squeezenet1_0", "classifier.1"),
        ("torchvision.regnet_y_400mf", "fc"),
        ("torchvision.swin_t", "head"),
        ("torchvision.vit_b_16", "heads.head"),
        ("torchvision.deeplabv3_resnet50", "classifier.4"),
        ("torchvision.fasterrcnn_resnet50_fpn", "roi_heads.box_predictor.cls_score"),
        ("torchvision.raft_large", ""),
    ],
)
def test_head(name: str, head: str) -> None:
    assert model(name).head == head


@pytest.mark.parametrize(
    ("name", "batchnorm"),
    [
        ("torchvision.vgg11", False),
        ("torchvision.vgg11_bn", True),
        ("torchvision.vit_b_16", False),
        ("torchvision.mobilenet_v3_small", True),
        ("torchvision.convnext_tiny", False),
    ],
)
def test_batchnorm(name: str, batchnorm: bool) -> None:
    assert ("BatchNorm2d" in kinds(model(name))) == batchnorm
    assert zoo.family_traits(*name.split("."))[0] == ("yes" if batchnorm else "no")


def test_root_parameters_stand_under_the_empty_path() -> None:
    vit = model("torchvision.vit_b_16")
    assert vit.layers[""].params == ("class_token",)
    assert parameters(vit)[:2] == ["class_token", "conv_proj.weight"]


def test_dropped_paths_have_their_rate() -> None:
    rates = [layer.rate for layer in model("torchvision.convnext_tiny").layers.values() if layer.kind == "DropPath"]
    assert rates[0] == 0 and rates[-1] == pytest.approx(0.1)


def test_detection_models_come_with_frozen_batchnorm_and_frozen_first_layers() -> None:
    rcnn = model("torchvision.fasterrcnn_resnet50_fpn")
    assert "FrozenBatchNorm2d" in kinds(rcnn) and "BatchNorm2d" not in kinds(rcnn)
    assert rcnn.frozen == ("backbone.body.conv1", "backbone.body.layer1")


def test_auxiliary_heads_depend_on_weights() -> None:
    with_weights = zoo.architecture("torchvision", "googlenet")
    without = zoo.architecture("torchvision", "googlenet", pretrained=False)
    assert "aux1.fc2" not in with_weights.layers and "aux1.fc2" in without.layers
    assert zoo.architecture("torchvision", "resnet18", pretrained=False).layers == model("torchvision.resnet18").layers


def test_unknown_names() -> None:
    assert zoo.architecture("torchvision", "resnet19") is None
    assert zoo.architecture("nolibrary", "resnet18") is None
    assert zoo.architecture("torchvision", "!googlenet") is None
    assert zoo.family_traits("torchvision", "resnet19") == ("yes", "no")
    assert zoo.family_traits("torchvision", "vgg99") == ("", "yes")
    assert zoo.family_traits("torchvision", "brandnew") is None


@pytest.mark.parametrize("library", zoo.LIBRARIES)
def test_headers_say_what_they_were_made_from(library: str) -> None:
    assert zoo.about(library)["version"] and zoo.about(library)["date"]


@pytest.mark.parametrize("library", zoo.LIBRARIES)
def test_every_model_loads(library: str) -> None:
    for name in zoo.names(library):
        found = zoo.architecture(library, name)
        assert found.layers and found.children, name
        names = set(parameters(found)) | {other for _, other in found.tied}
        assert all(pair in names for tie in found.tied for pair in tie), name
        below = {
            path[:i]
            for path in [*found.layers, *names]
            for i in range(len(path) + 1)
            if i == len(path) or path[i] == "."
        }
        assert {found.head, *found.repeats, *found.frozen} <= below | {""}, name


def test_the_data_are_small_and_open_fast() -> None:
    folder = Path(zoo.__file__).parent
    assert sum(file.stat().st_size for file in folder.glob("*.txt")) < 600_000
    start = time.perf_counter()
    zoo._Shelf((folder / "torchvision.txt").read_text(encoding="utf-8"))
    assert time.perf_counter() - start < 0.1  # some hundred times what it takes


def test_torchvision_has_every_name() -> None:
    models = pytest.importorskip("torchvision.models", exc_type=ImportError)
    assert set(zoo.names("torchvision")) <= set(models.list_models())


def test_timm_has_every_name() -> None:
    timm = pytest.importorskip("timm", exc_type=ImportError)
    assert all(timm.is_model(name) for name in zoo.names("timm"))


def test_transformers_has_every_name() -> None:
    transformers = pytest.importorskip("transformers")
    missing = [name for name in zoo.names("transformers") if not hasattr(transformers, name)]
    assert not missing
