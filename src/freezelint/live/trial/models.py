"""The networks behind `--model`, small and without a dependency: a ResNet, a Vision Transformer and a BERT.

They have the parts, the sizes and so the costs of the originals; names follow torchvision and transformers where people
know them (`layer4`, `fc`, `encoder.layer`, `classifier`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class BasicBlock(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        around = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(x)) + around, inplace=True)


class ResNet(nn.Module):
    """A ResNet of basic blocks: 18 layers for (2, 2, 2, 2), 34 for (3, 4, 6, 3)."""

    def __init__(self, classes: int, blocks: Sequence[int], width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = width
        for number, length in enumerate(blocks):
            outputs = width * 2**number
            first = BasicBlock(inputs, outputs, 2 if number else 1)
            rest = [BasicBlock(outputs, outputs, 1) for _ in range(length - 1)]
            self.add_module(f"layer{number + 1}", nn.Sequential(first, *rest))
            inputs = outputs
        self.layers = len(blocks)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for number in range(self.layers):
            x = getattr(self, f"layer{number + 1}")(x)
        return self.fc(self.avgpool(x).flatten(1))


class Attention(nn.Module):
    """Self-attention with several heads."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, dim = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, length, dim))


class Layer(nn.Module):
    """A layer of an encoder; LayerNorm comes first in a Vision Transformer, and last in BERT."""

    def __init__(self, dim: int, heads: int, first: bool, dropout: float) -> None:
        super().__init__()
        self.first = first
        self.attention = Attention(dim, heads)
        self.norm1 = nn.LayerNorm(dim, eps=1e-6 if first else 1e-12)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.norm2 = nn.LayerNorm(dim, eps=1e-6 if first else 1e-12)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.first:
            x = x + self.dropout(self.attention(self.norm1(x)))
            return x + self.dropout(self.mlp(self.norm2(x)))
        x = self.norm1(x + self.dropout(self.attention(x)))
        return self.norm2(x + self.dropout(self.mlp(x)))


class Encoder(nn.Module):
    def __init__(self, dim: int, depth: int, heads: int, first: bool, dropout: float) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(dim, heads, first, dropout) for _ in range(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layer:
            x = layer(x)
        return x


class VisionTransformer(nn.Module):
    """A Vision Transformer with a class token."""

    def __init__(self, classes: int, dim: int, depth: int, heads: int, patch: int, image: int = 224) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, dim, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, dim))
        self.positions = nn.Parameter(torch.randn(1, (image // patch) ** 2 + 1, dim) * 0.02)
        self.encoder = Encoder(dim, depth, heads, first=True, dropout=0.0)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.positions
        return self.head(self.norm(self.encoder(x))[:, 0])


class Embeddings(nn.Module):
    def __init__(self, dim: int, words: int, length: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, dim)
        self.positions = nn.Embedding(length, dim)
        self.kinds = nn.Embedding(2, dim)
        self.norm = nn.LayerNorm(dim, eps=1e-12)
        self.dropout = nn.Dropout(0.1)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        positions = torch.arange(ids.shape[1], device=ids.device)
        x = self.words(ids) + self.positions(positions) + self.kinds(torch.zeros_like(ids))
        return self.dropout(self.norm(x))


class Bert(nn.Module):
    """A BERT that classifies a text by its first token."""

    def __init__(self, classes: int, dim: int, depth: int, heads: int, words: int = 30522, length: int = 512) -> None:
        super().__init__()
        self.embeddings = Embeddings(dim, words, length)
        self.encoder = Encoder(dim, depth, heads, first=False, dropout=0.1)
        self.pooler = nn.Linear(dim, dim)
        self.classifier = nn.Linear(dim, classes)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.encoder(self.embeddings(ids))
        return self.classifier(torch.tanh(self.pooler(x[:, 0])))


KINDS = {"resnet": ResNet, "vit": VisionTransformer, "bert": Bert}


def built(kind: str, sizes: Mapping[str, Any], classes: int) -> nn.Module:
    """A network with random weights."""
    return KINDS[kind](classes, **sizes)


def loss(output: torch.Tensor) -> torch.Tensor:
    """Cross-entropy with made-up labels."""
    labels = torch.arange(len(output), device=output.device) % output.shape[-1]
    return F.cross_entropy(output.float(), labels)
