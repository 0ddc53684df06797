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
        ("timm.resnet50", "fc"),
        ("timm.resnet50.a1_in1k", "fc"),
        ("timm.hf_hub:timm/efficientnet_b0.ra_in1k", "classifier"),
        ("timm.tf_efficientnet_b0_ns", "classifier"),
        ("timm.vit_base_patch16_224", "head"),
        ("timm.vit_small_patch14_dinov2", "head"),
        ("timm.convnext_tiny", "head.fc"),
        ("timm.inception_v4", "last_linear"),
        ("transformers.BertModel", ""),
        ("transformers.BertForSequenceClassification", "classifier"),
        ("transformers.BertForQuestionAnswering", "qa_outputs"),
        ("transformers.RobertaForSequenceClassification", "classifier.out_proj"),
        ("transformers.GPT2LMHeadModel", "lm_head"),
        ("transformers.LlamaForCausalLM", "lm_head"),
        ("transformers.LlamaForSequenceClassification", "score"),
        ("transformers.ViTForImageClassification", "classifier"),
        ("transformers.Wav2Vec2ForCTC", "lm_head"),
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


def test_vision_transformers_of_timm_have_no_batchnorm_and_no_active_dropout() -> None:
    vit = model("timm.vit_base_patch16_224")
    assert vit.layers[""].params == ("cls_token", "pos_embed")
    assert vit.children[0] == "patch_embed" and vit.children[-1] == "head"
    assert zoo.family_traits("timm", "vit_base_patch16_224.augreg_in21k") == ("no", "no")


def test_a_derived_norm_is_the_norm_it_derives_from() -> None:
    assert model("timm.efficientnet_b0").layers["bn1"] == Layer("BatchNorm2d", ("weight", "bias"))
    assert model("torchvision.convnext_tiny").layers["features.0.1"].kind == "LayerNorm"


def test_bert_has_dropout_and_no_batchnorm() -> None:
    bert = model("transformers.BertForSequenceClassification")
    assert not bert.exact and bert.repeats == ("bert.encoder.layer",)
    assert bert.layers["dropout"] == Layer("Dropout", (), 0.1)
    assert bert.layers["bert.encoder.layer.0.attention.self.query"] == Layer("Linear", ("weight", "bias"))
    assert len(parameters(bert)) == 201
    assert zoo.family_traits("transformers", "BertForSequenceClassification") == ("no", "yes")
    assert zoo.family_traits("transformers", "BertForSomethingNew") == ("no", "yes")


def test_tied_weights() -> None:
    assert ("transformer.wte.weight", "lm_head.weight") in model("transformers.GPT2LMHeadModel").tied
    assert ("shared.weight", "decoder.embed_tokens.weight") in model("transformers.T5ForConditionalGeneration").tied
    assert not model("transformers.GPT2ForSequenceClassification").tied


def test_dropout_without_a_layer() -> None:
    opt = model("transformers.OPTForCausalLM")
    assert opt.functional_dropout and "Dropout" not in kinds(opt)
    assert zoo.family_traits("transformers", "OPTForCausalLM") == ("no", "yes")


def test_both_versions_of_transformers_are_known() -> None:
    assert "vit.layers.0.layernorm_before" in model("transformers.ViTForImageClassification").layers
    assert "vit.encoder.layer.0.layernorm_before" in model("transformers4.ViTForImageClassification").layers


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
        paths = [f"{path}.{p}".lstrip(".") for path, layer in found.layers.items() for p in ("", *layer.params)]
        for stated in (found.head, *found.repeats, *found.frozen):
            assert not stated or any(path.startswith(stated) for path in paths), (name, stated)
        assert {side for pair in found.tied for side in pair} <= set(paths), name


def test_the_data_are_small_and_open_fast() -> None:
    folder = Path(zoo.__file__).parent
    assert sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) < 400_000
    start = time.perf_counter()
    zoo._shelf.__wrapped__("timm")
    assert time.perf_counter() - start < 0.2  # some fifty times what it takes


def test_torchvision_has_every_name() -> None:
    models = pytest.importorskip("torchvision.models", exc_type=ImportError)
    assert set(zoo.names("torchvision")) <= set(models.list_models())


def test_timm_has_every_name() -> None:
    timm = pytest.importorskip("timm", exc_type=ImportError)
    assert all(timm.is_model(name) for name in zoo.names("timm"))


def test_transformers_has_every_name() -> None:
    transformers = pytest.importorskip("transformers")
    library = "transformers4" if transformers.__version__.startswith("4.") else "transformers"
    assert set(zoo.names(library)) <= set(dir(transformers))
