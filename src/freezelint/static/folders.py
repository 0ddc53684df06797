"""Where the files are that an import means: the folders of a project, and what is looked for in them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=65536)
def listing(folder: str) -> frozenset[str]:
    """The names in a folder, as they were when they were first asked for."""
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()


def is_file(path: Path) -> bool:
    return path.name in listing(str(path.parent)) and path.is_file()


def forget() -> None:
    """Look at the folders again: in a program that goes on running, files come and go."""
    from freezelint.static import versions

    listing.cache_clear()
    roots.cache_clear()
    versions.forget()


# What is surely installed, where a file of the project may have the name of one of its modules.
_LIBRARIES = sys.stdlib_module_names | frozenset(
    "PIL accelerate albumentations apex bitsandbytes cv2 datasets deepspeed detectron2 diffusers einops fastai jax"
    " keras kornia lightning matplotlib mmcv monai networkx numpy open_clip pandas peft plotly pytorch_lightning ray"
    " scipy seaborn sentence_transformers skimage sklearn tensorboard tensorboardX tensorflow timm tokenizers torch"
    " torch_geometric torchaudio torchmetrics torchtext torchvision tqdm transformers trl ultralytics wandb".split()
)

_TOP = frozenset({".git", "pyproject.toml", "setup.py", "setup.cfg", ".hg"})


def existing(name: str, folder: str) -> Iterator[Path]:
    return (file for file in _candidates(name, Path(folder)) if is_file(file))


def _candidates(name: str, folder: Path) -> Iterator[Path]:
    """The files that an import may mean in a folder, the first that exists before the others."""
    module = name.lstrip(".")
    parts = [part for part in module.split(".") if part]
    level = len(name) - len(module)
    for top in (folder, *folder.parents)[level - 1 : level] if level else roots(folder):
        target = top.joinpath(*parts)
        if parts:
            yield target.with_name(target.name + ".py")
        yield target / "__init__.py"
    # A repository that was a package of that name on its author's disk, or a folder that has lost or changed its name.
    if not level and len(parts) > 1 and parts[0] not in _LIBRARIES:
        for top in roots(folder):
            target = top.joinpath(*parts[1:])
            yield target.with_name(target.name + ".py")
        yield folder / f"{parts[-1]}.py"


def asks(name: str, folder: Path) -> Iterator[tuple[str, str]]:
    """What an import asks of the disk: names in folders. That of "" asks where the project's top is."""
    if not name.startswith("."):
        for here in roots(folder):
            yield from ((str(here), top) for top in (*_TOP, "src"))
    if name:
        yield from ((str(file.parent), file.name) for file in _candidates(name, folder))


@lru_cache(maxsize=4096)
def roots(folder: Path) -> tuple[Path, ...]:
    """Where absolute imports of a file in `folder` are looked for: its folder, those above it up to the project's
    top, and the `src` folders beside them."""
    found: list[Path] = []
    here = folder
    for _ in range(12):
        found.append(here)
        entries = listing(str(here))
        if "src" in entries:
            found.append(here / "src")
        if entries & _TOP or here.parent == here:
            break
        here = here.parent
    return tuple(found)
