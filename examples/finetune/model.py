"""A small image classifier: a backbone with trained weights, and a new head for the task at hand."""

import torch
from torch import nn


def block(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = block(3, 8)
        self.stage1 = block(8, 16)
        self.stage2 = block(16, 32)

    def forward(self, images):
        features = self.stage2(self.stage1(self.stem(images)))
        return features.mean(dim=(2, 3))


class Classifier(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.backbone = Backbone()
        self.backbone.load_state_dict(pretrained_weights())
        self.scale = nn.Parameter(torch.ones(1))
        self.head = nn.Linear(32, classes)

    def forward(self, images):
        return self.head(self.backbone(images)) * self.scale


def pretrained_weights():
    """Stands in for a file of trained weights, so that the example needs no download."""
    torch.manual_seed(0)
    return Backbone().state_dict()


def freeze(model):
    """Leave only the head to train."""
    for parameter in model.backbone.parameters():
        parameter.requires_grad = False
    model.scale.require_grad = False


def unfreeze_last_stage(model):
    for parameter in model.backbone.stage2.parameters():
        parameter.requires_grad = True
