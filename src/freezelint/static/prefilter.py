"""Which files can matter at all: a scan of the text, so that most files of a project are never parsed."""

from __future__ import annotations

import re

# Without one of these a file neither freezes, nor builds an optimizer, nor switches modes or gradients.
_TOKENS = re.compile(
    r"requires?d?_grads?|\.(?:train|eval|backward|freeze|unfreeze)\b|no_grad|inference_mode|set_grad_enabled|"
    r"enable_grad|def (?:train|eval|training_step|configure_optimizers)\b|\boptim\b|\.detach\(|\.training\b|"
    r"torchvision|[Rr]equires_?[Gg]rad|_grads?\b"
)


def matters(text: str) -> bool:
    """Whether a file is worth parsing as an entry."""
    return bool(_TOKENS.search(text))
