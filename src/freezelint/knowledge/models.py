"""Functions and classes that build whole models: torchvision, timm, torch.hub, transformers."""

from __future__ import annotations

import re

from freezelint.knowledge.rows import Arg, FamilyRow

_NOT_MODELS = ("get_model_weights", "get_weight", "list_models", "feature_extraction")

# Looked through in order; the first whose prefix fits and whose name is known (or `open`) builds the model.
FAMILIES: tuple[FamilyRow, ...] = (
    FamilyRow(
        "torchvision",
        "torchvision.models.get_model",
        by_name=Arg(0, "name"),
        pretrained=(Arg(-1, "pretrained"), Arg(-1, "weights")),
    ),
    FamilyRow(
        "torchvision",
        "torchvision.models.",
        pretrained=(
            Arg(0, "pretrained"),
            Arg(-1, "weights"),
            Arg(-1, "weights_backbone"),
            Arg(-1, "pretrained_backbone"),
        ),
    ),
    FamilyRow("timm", "timm.create_model", by_name=Arg(0, "model_name"), pretrained=(Arg(1, "pretrained"),)),
    FamilyRow("timm", "timm.models.create_model", by_name=Arg(0, "model_name"), pretrained=(Arg(1, "pretrained"),)),
    FamilyRow("timm", "timm.models.", pretrained=(Arg(0, "pretrained"),)),
    FamilyRow(
        "torchvision",
        "torch.hub.load",
        by_name=Arg(1, "model"),
        pretrained=(Arg(-1, "pretrained"), Arg(-1, "weights")),
        weights="",
    ),
    FamilyRow("transformers", "transformers.", strip=".from_pretrained", weights="yes", training=False),
    FamilyRow("transformers", "transformers.", strip=".from_config", weights="no"),
    FamilyRow("transformers", "transformers.", strip="._from_config", weights="no"),
    FamilyRow("transformers", "transformers.", weights="", config=Arg(0, "config")),
    FamilyRow(
        "efficientnet",
        "efficientnet_pytorch.EfficientNet",
        by_name=Arg(0, "model_name"),
        strip=".from_pretrained",
        weights="yes",
    ),
    FamilyRow("efficientnet", "efficientnet_pytorch.EfficientNet", by_name=Arg(0, "model_name"), strip=".from_name"),
    FamilyRow("pretrainedmodels", "pretrainedmodels.", pretrained=(Arg(-1, "pretrained"),), weights="yes"),
    FamilyRow("clip", "clip.load", by_name=Arg(0, "name"), weights="yes", training=False),
)

# Batch normalisation and dropout by the beginning of an architecture's name, for what the zoo does not list.
TRAITS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "efficientnet": (("efficientnet", "yes", "yes"),),
    "pretrainedmodels": (
        ("resnet", "yes", "no"),
        ("se_resne", "yes", ""),
        ("senet", "yes", "yes"),
        ("inception", "yes", ""),
        ("xception", "yes", "no"),
        ("nasnet", "yes", ""),
        ("dpn", "yes", "no"),
        ("densenet", "yes", "no"),
        ("resnext", "yes", "no"),
        ("vgg11_bn", "yes", "yes"),
        ("vgg", "no", "yes"),
        ("alexnet", "no", "yes"),
    ),
    "clip": (("RN", "yes", "no"), ("ViT", "no", "no")),
    "transformers": (
        ("ResNet", "yes", "no"),
        ("RegNet", "yes", "no"),
        ("MobileNet", "yes", ""),
        ("EfficientNet", "yes", "yes"),
        ("LevitFor", "yes", "no"),
        ("Bert", "no", "yes"),
        ("Roberta", "no", "yes"),
        ("DistilBert", "no", "yes"),
        ("GPT2", "no", "yes"),
        ("ViT", "no", "no"),
        ("T5", "no", "yes"),
        ("Bart", "no", "yes"),
        ("Llama", "no", "no"),
        ("CLIP", "no", "no"),
        ("Albert", "no", ""),
        ("Electra", "no", "yes"),
        ("XLMRoberta", "no", "yes"),
        ("Dinov2", "no", "no"),
    ),
    "torchvision": (
        ("resnet", "yes", "no"),
        ("resnext", "yes", "no"),
        ("wide_resnet", "yes", "no"),
        ("densenet", "yes", "no"),
        ("mobilenet", "yes", "yes"),
        ("efficientnet", "yes", "yes"),
        ("googlenet", "yes", "yes"),
        ("inception", "yes", "yes"),
        ("mnasnet", "yes", "yes"),
        ("shufflenet", "yes", "no"),
        ("regnet", "yes", "no"),
        ("vgg11_bn", "yes", "yes"),
        ("vgg13_bn", "yes", "yes"),
        ("vgg16_bn", "yes", "yes"),
        ("vgg19_bn", "yes", "yes"),
        ("vgg", "no", "yes"),
        ("alexnet", "no", "yes"),
        ("squeezenet", "no", "yes"),
        ("vit", "no", ""),
        ("swin", "no", ""),
        ("convnext", "no", ""),
        ("maxvit", "yes", ""),
        ("r3d", "yes", "no"),
        ("mc3", "yes", "no"),
        ("r2plus1d", "yes", "no"),
    ),
    "timm": (
        ("resnet", "yes", "no"),
        ("resnext", "yes", "no"),
        ("seresne", "yes", "no"),
        ("efficientnet", "yes", ""),
        ("tf_efficientnet", "yes", ""),
        ("mobilenet", "yes", ""),
        ("vit", "no", "no"),
        ("deit", "no", "no"),
        ("swin", "no", "no"),
        ("convnext", "no", "no"),
        ("densenet", "yes", "no"),
        ("regnet", "yes", "no"),
        ("inception", "yes", ""),
        ("xception", "yes", ""),
        ("beit", "no", "no"),
        ("eva", "no", "no"),
        ("mixer", "no", "no"),
    ),
}


# Whose class an Auto class takes for a checkpoint whose name, without its owner, starts so; the first counts.
CHECKPOINTS: tuple[tuple[str, str], ...] = (
    ("xlm-roberta-", "XLMRoberta"),
    ("chinese-roberta-", "Bert"),  # trained with RoBERTa's recipe, saved as BERT
    ("roberta-", "Roberta"),
    ("codebert-base", "Roberta"),
    ("distilbert-", "DistilBert"),
    ("albert-", "Albert"),
    ("electra-", "Electra"),
    ("deberta-v2-", "DebertaV2"),
    ("deberta-v3-", "DebertaV2"),
    ("deberta-", "Deberta"),
    ("biobert", "Bert"),
    ("bio_clinicalbert", "Bert"),
    ("scibert", "Bert"),
    ("finbert", "Bert"),
    ("legal-bert-", "Bert"),
    ("chinese-bert-", "Bert"),
    ("bert-", "Bert"),
    ("gpt2", "GPT2"),
    ("bart-", "Bart"),
    ("t5-", "T5"),
    ("flan-t5-", "T5"),
    ("vit-", "ViT"),
)

# Checkpoints of plain pretraining, by their names without an owner: they hold no weights for the head of a task.
BASES = re.compile(
    r"bert-(base|large)-(multilingual-)?(un)?cased(-whole-word-masking)?|bert-base-(chinese|german-cased)"
    r"|(distil|xlm-)?roberta-(base|large)|distilbert-base-(multilingual-|german-)?(un)?cased"
    r"|albert-x{0,2}(base|large)-v[12]|electra-(small|base|large)-discriminator|m?deberta-v3-(xsmall|small|base|large)"
    r"|deberta-(base|large|xlarge|v2-xx?large)|gpt2(-medium|-large|-xl)?|(graph)?codebert-base"
    r"|scibert_scivocab_(un)?cased|bio_clinicalbert|biobert-v1\.1|biobert-base-cased-v1\.[0-2]"
    r"|chinese-(roberta|bert)-wwm(-ext)?(-large)?|vit-(base|large|huge)-patch\d+-\d+-in21k"
)
NEW_HEADS = (
    *(f"For{task}Classification" for task in ("Sequence", "Token", "Image", "Audio")),
    "ForQuestionAnswering",
    "ForMultipleChoice",
)
