"""Models whose children are called, and follow one another, as torchvision's do; a few channels wide."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

WIDTH = 4


def small(images: Any) -> Any:
    """Images of any size, made small enough to be quick."""
    return nn.functional.adaptive_avg_pool2d(images, 8)


class Block(nn.Module):
    def __init__(self, width: int, into: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, into, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(into)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(into, into, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(into)
        if into != width:
            self.downsample = nn.Sequential(nn.Conv2d(width, into, 1, bias=False), nn.BatchNorm2d(into))

    def forward(self, x: Any) -> Any:
        beside = self.downsample(x) if hasattr(self, "downsample") else x
        return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))) + beside)


class ResNet(nn.Module):
    def __init__(self, features: int, num_classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTH, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTH)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(2)
        self.layer1 = nn.Sequential(Block(WIDTH, WIDTH), Block(WIDTH, WIDTH))
        self.layer2 = nn.Sequential(Block(WIDTH, 2 * WIDTH), Block(2 * WIDTH, 2 * WIDTH))
        self.layer3 = nn.Sequential(Block(2 * WIDTH, 4 * WIDTH), Block(4 * WIDTH, 4 * WIDTH))
        self.layer4 = nn.Sequential(Block(4 * WIDTH, features), Block(features, features))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(features, num_classes)

    def forward(self, x: Any) -> Any:
        x = small(x)
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class VGG(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(WIDTH, 512, 3, padding=1),
            nn.ReLU(),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096 // 64),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096 // 64, 4096),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Any) -> Any:
        return self.classifier(torch.flatten(self.avgpool(self.features(small(x))), 1))


class DenseNet(nn.Module):
    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential()
        self.features.add_module("conv0", nn.Conv2d(3, 1024, 3, padding=1, bias=False))
        self.features.add_module("norm0", nn.BatchNorm2d(1024))
        self.classifier = nn.Linear(1024, num_classes)

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(small(x)).relu().mean((2, 3)))


def resnet18(weights: Any = None, pretrained: bool = False, progress: bool = True, num_classes: int = 1000) -> ResNet:
    return ResNet(512, num_classes)


def resnet50(weights: Any = None, pretrained: bool = False, progress: bool = True, num_classes: int = 1000) -> ResNet:
    return ResNet(2048 // 16 * 16, num_classes)


resnet34, resnet101 = resnet18, resnet50


def vgg16(weights: Any = None, pretrained: bool = False, progress: bool = True, num_classes: int = 1000) -> VGG:
    return VGG(num_classes)


def densenet121(
    weights: Any = None, pretrained: bool = False, progress: bool = True, num_classes: int = 1000
) -> DenseNet:
    return DenseNet(num_classes)
