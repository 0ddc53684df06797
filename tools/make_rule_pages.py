"""Write docs/rules/: a page a rule out of its docstring, one for each notice, and the list of all of them.

    python tools/make_rule_pages.py

A test holds the pages to the docstrings; after a change to one, run this.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from freezelint.notices import NOTICES  # noqa: E402
from freezelint.pages import markdown  # noqa: E402
from freezelint.trace.check import Rule, all_rules  # noqa: E402

FOLDER = ROOT / "docs" / "rules"

GROUPS = {
    "noop": "The freeze does not do what it says",
    "mode": "BatchNorm, Dropout, and train and eval mode",
    "optimizer": "Who is held by which optimizer",
    "gradient": "What is cut off from the loss",
    "wrappers": "DDP, compile and frameworks",
}


def pages() -> dict[str, str]:
    """The text of every file of docs/rules, by its name."""
    rules = all_rules()
    texts = {f"{slug}.md": markdown(rule) for slug, rule in rules.items()}
    texts |= {f"{slug}.md": f"# {slug}\n\n{text}\n" for slug, text in NOTICES.items()}
    texts["README.md"] = index(list(rules.values()))
    return texts


def index(rules: list[Rule]) -> str:
    """The list of all rules by group."""
    parts = [
        "# Rules",
        "Written by `tools/make_rule_pages.py` out of the rules' docstrings. `select`, `ignore` and comments take a "
        "rule's slug; the settings take a group's name too, which stands for all of its rules.",
    ]
    for group in (*GROUPS, *sorted({rule.group for rule in rules} - GROUPS.keys())):
        members = [rule for rule in rules if rule.group == group]
        if members:
            parts += [f"## {group}", GROUPS.get(group, ""), "\n".join(table(members))]
    notices = [f"| [{slug}]({slug}.md) | {text} |" for slug, text in NOTICES.items()]
    parts += ["## Notices", "About the input and about freezelint itself.", "\n".join(["| | |", "|---|---|", *notices])]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(rules: list[Rule]) -> Iterator[str]:
    """The rules of a group, worst first."""
    yield "| rule | severity | what it finds |"
    yield "|---|---|---|"
    for rule in sorted(rules, key=lambda rule: (-rule.severity, rule.slug)):
        summary = rule.summary.replace("|", "\\|")
        yield f"| [{rule.slug}]({rule.slug}.md) | {rule.severity} | {summary} |"


def main() -> None:
    """Write what has changed, remove what no rule stands behind."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = pages()
    for name, text in wanted.items():
        file = FOLDER / name
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
            print(f"wrote {file.relative_to(ROOT)}")
    for file in FOLDER.glob("*.md"):
        if file.name not in wanted:
            file.unlink()
            print(f"removed {file.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
