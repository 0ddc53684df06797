"""What mkdocs asks for when it builds the site: pages that a folder's list leads to stand below that list.

The pages of rules and decisions are written or added one by one, and nobody should have to list them here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

LISTS = ("rules/README.md", "decisions/README.md", "benchmarks/README.md")


def on_config(config: Any) -> Any:
    """Put every page beside one of LISTS below it."""
    config["nav"] = [_spread(item, Path(config["docs_dir"])) for item in config["nav"]]
    return config


def _spread(item: Any, docs: Path) -> Any:
    [(title, target)] = item.items()
    if isinstance(target, list):
        return {title: [_spread(inner, docs) for inner in target]}
    if target not in LISTS:
        return item
    beside = sorted((docs / target).parent.glob("*.md"))
    return {title: [target, *(file.relative_to(docs).as_posix() for file in beside if file.name != "README.md")]}
