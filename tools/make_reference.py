"""Write docs/configuration.md and docs/command-line.md out of the code.

    python tools/make_reference.py

A test holds the pages to the code.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from freezelint.cli import cli  # noqa: E402
from freezelint.config import KEYS, Config  # noqa: E402

FOLDER = ROOT / "docs"

CONFIGURATION = """# Configuration

Written by `tools/make_reference.py` out of the code.

Of each file that is checked, the nearest configuration holds: that of its own folder, or of the nearest folder above
which has one. In a folder it is `freezelint.toml`, or else a `pyproject.toml` with the table `[tool.freezelint]`. So a
repository with several packages may have several configurations; a nearer one takes the place of the others as a whole,
unless it names one of them with `extend`.

The command line has the last word: `--select` takes the place of the whole choice of rules; `--ignore`,
`--extend-select` and `--exclude` add to what the files say. `--isolated` leaves every file aside. `freezelint doctor`
shows what holds, and where.

An unknown key, a value of the wrong kind or a rule that does not exist ends the run with exit status 2, and the nearest
right name.

```toml
# pyproject.toml
[tool.freezelint]
ignore = ["optimizer-over-frozen"]
exclude = ["old/"]

[tool.freezelint.per-file-ignores]
"tests/*" = ["mode"]
```

```toml
# the same as freezelint.toml
ignore = ["optimizer-over-frozen"]
exclude = ["old/"]

[per-file-ignores]
"tests/*" = ["mode"]
```
"""

COMMENTS = """## Comments

```python
model.train()  # freezelint: ignore[frozen-bn-train-mode] -- the reason, which reports repeat
# freezelint: ignore[frozen-bn-train-mode, eval-overridden-by-train]
model.train()
# freezelint: ignore-file[misspelled-requires-grad]
```

A comment at the end of a line speaks for its statement, one on a line of its own for the statement below it,
`ignore-file` for the file. Without a list of rules it speaks for all of them.
"""

COMMANDS = """# The command line

Written by `tools/make_reference.py` out of the code. `freezelint PATH…` is short for `freezelint check PATH…`.

## Exit status

| | |
|---|---|
| 0 | nothing was found, or nothing at or above `--fail-on` |
| 1 | something was |
| 2 | wrong use, a wrong configuration, or an internal error |
| 130 | interrupted |
"""

COMPLETION = """## Completion in a shell

Commands, options, formats, and the names of rules and groups are completed. Put one line into the shell's own
configuration:

```bash
eval "$(_FREEZELINT_COMPLETE=bash_source freezelint)"     # ~/.bashrc
eval "$(_FREEZELINT_COMPLETE=zsh_source freezelint)"      # ~/.zshrc
_FREEZELINT_COMPLETE=fish_source freezelint | source      # ~/.config/fish/config.fish
```
"""


def pages() -> dict[str, str]:
    """The text of each page, by its name."""
    return {
        "configuration.md": "\n".join([CONFIGURATION, *keys(), COMMENTS]),
        "command-line.md": "\n".join([COMMANDS, *commands(), COMPLETION]),
    }


def keys() -> Iterator[str]:
    """A section for every key."""
    defaults = {field.name.replace("_", "-"): getattr(Config(), field.name) for field in fields(Config)}
    for name, key in KEYS.items():
        default = defaults.get(name)
        told = f'"{default}"' if hasattr(default, "name") else "none" if default is None else "an empty one"
        yield f"## `{name}`\n\n{key.meaning}\n\n*{key.holds}; default: {told}*\n"
        yield f"```toml\n{key.example}\n```\n"


def commands() -> Iterator[str]:
    """A section for every command, with its options."""
    for name, command in cli.commands.items():
        context = click.Context(command, info_name=f"freezelint {name}")
        yield f"## freezelint {name}\n"
        usage = command.get_usage(context).removeprefix("Usage: ")
        yield f"```text\n{' '.join(usage.split())}\n```\n"
        yield inspect.cleandoc(command.help or "") + "\n"
        options = [param for param in command.params if isinstance(param, click.Option) and not param.hidden]
        if options:
            yield "| option | |\n|---|---|"
            for option in options:
                names, told = option.get_help_record(context) or ("", "")
                yield f"| `{cell(names)}` | {cell(told)} |"
            yield ""


def cell(text: str) -> str:
    """Text in a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def main() -> None:
    """Write what has changed."""
    for name, text in pages().items():
        file = FOLDER / name
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
            print(f"wrote {file.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
