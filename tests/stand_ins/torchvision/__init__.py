"""Stands in for torchvision where cases are executed: the same names of layers, a few channels wide, no weights."""

from torchvision import models

__all__ = ["models"]
