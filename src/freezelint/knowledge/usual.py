"""What names stand for that nothing binds: snippets leave their imports out, and these names are nobody's own."""

from __future__ import annotations

import re
from functools import lru_cache

from freezelint.knowledge import look_up
from freezelint.knowledge.zoo import names as architectures

# Nobody calls anything else so, even where a file imports any name (`from helpers import *`).
ALWAYS = {"torch": "torch", "nn": "torch.nn", "optim": "torch.optim", "torchvision": "torchvision"}
MODULES = {"F": "torch.nn.functional", "models": "torchvision.models", "timm": "timm", "pl": "pytorch_lightning"}
HOMES = ("torch.optim", "peft", "trl", "transformers", "collections", "torch.utils.data")  # of what has one of these
_TRANSFORMERS = re.compile(
    r"(?:Auto|Bert|Roberta|DistilBert|GPT2|Llama|Mistral|T5|Bart|ViT)(?:Model|For[A-Z]|LMHead)\w*"
)


@lru_cache(maxsize=4096)
def stands_for(name: str, starred: bool) -> str:
    """The library object behind a name, "" when that is anybody's guess. `starred`: the file may import any name."""
    if name in ALWAYS or starred:
        return ALWAYS.get(name, "")
    if name in MODULES:
        return MODULES[name]
    if name in architectures("torchvision"):
        return f"torchvision.models.{name}"
    if _TRANSFORMERS.match(name):
        return f"transformers.{name}"
    homes = [home for home in HOMES if name[:1].isupper() or "_" in name if look_up(f"{home}.{name}")]
    return f"{homes[0]}.{name}" if len(homes) == 1 else ""
