"""Settings: the nearest freezelint.toml, or `[tool.freezelint]` of a pyproject.toml, as a frozen Config.

Of each file the nearest configuration holds, so a repository may have several: `Layers` finds them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from freezelint.finding import Severity
from freezelint.nearest import did_you_mean
from freezelint.notices import INTERNAL_ERROR, NOTICES, UNUSED_SUPPRESSION
from freezelint.refused import Refused

if TYPE_CHECKING:
    import pathspec

    from freezelint.trace.check import Rule


class ConfigError(Refused):
    """A setting that cannot be used; its text is one line for the user."""


@dataclass(frozen=True)
class Pattern:
    """A pattern in the syntax of .gitignore, and the folder that it is relative to."""

    base: Path
    glob: str

    def matches(self, path: Path) -> bool:
        """Does the file at `path`, or a folder above it and below the base, match?"""
        try:
            inside = path.absolute().relative_to(self.base.absolute())
        except ValueError:
            return False
        return compiled(self.glob).match_file(inside.as_posix())


@cache
def compiled(*globs: str) -> pathspec.GitIgnoreSpec:
    """Patterns of .gitignore, ready to match; ConfigError when one of them is none."""
    import pathspec

    try:
        return pathspec.GitIgnoreSpec.from_lines(globs)
    except ValueError as error:
        raise ConfigError(f"bad pattern in {', '.join(map(repr, globs))}: {error}") from None


@dataclass(frozen=True)
class Config:
    """What to check and what to say. `select` None means every rule; names are slugs or groups of rules."""

    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file_ignores: tuple[tuple[Pattern, tuple[str, ...]], ...] = ()
    exclude: tuple[Pattern, ...] = ()
    severity: Severity = Severity.INFO
    fail_on: Severity = Severity.WARNING
    baseline: Path | None = None
    file: Path | None = None

    def within(self, folder: Path) -> Config:
        """The configuration of the files in a folder: this one, wherever that is."""
        return self

    def overridden(
        self,
        *,
        select: tuple[str, ...] = (),
        extend_select: tuple[str, ...] = (),
        ignore: tuple[str, ...] = (),
        exclude: tuple[str, ...] = (),
        severity: Severity | None = None,
        fail_on: Severity | None = None,
    ) -> Config:
        """This configuration as the command line changes it; what it does not name stays.

        `--select` replaces the file's whole choice of rules, its `ignore` included: who asks for a rule gets it.
        """
        for option, names in (("select", select), ("extend-select", extend_select), ("ignore", ignore)):
            require_known(names, f"--{option}")
        chosen = replace(self, select=select, extend_select=(), ignore=()) if select else self
        return replace(
            chosen,
            extend_select=chosen.extend_select + extend_select,
            ignore=chosen.ignore + ignore,
            exclude=self.exclude + tuple(Pattern(Path.cwd(), glob) for glob in exclude if compiled(glob)),
            severity=self.severity if severity is None else severity,
            fail_on=self.fail_on if fail_on is None else fail_on,
        )

    def wants(self, slug: str, group: str = "") -> bool:
        """Is this rule switched on? Notices about unusable input are, unless they are ignored by name."""
        if slug == INTERNAL_ERROR:
            return True
        if slug in self.ignore or group in self.ignore:
            return False
        named = not {slug, group}.isdisjoint((*(self.select or ()), *self.extend_select))
        if self.select is None or (slug in NOTICES and slug != UNUSED_SUPPRESSION):
            return named or not _is_off(slug)
        return named

    def rules(self) -> dict[str, Rule]:
        """The rules that are switched on, by slug."""
        from freezelint.trace.check import all_rules

        return {slug: rule for slug, rule in all_rules().items() if self.wants(slug, rule.group)}

    def slugs(self) -> frozenset[str]:
        """The rules that are switched on, by name only."""
        from freezelint.trace.check import catalogue

        return frozenset(slug for slug, (group, _) in catalogue().items() if self.wants(slug, group))

    def ignored_in(self, path: Path) -> frozenset[str]:
        """The slugs and groups that per-file-ignores switches off for one file."""
        return frozenset(name for pattern, names in self.per_file_ignores if pattern.matches(path) for name in names)

    def excludes(self, path: Path) -> bool:
        """Does `exclude` name this file?"""
        return any(pattern.matches(path) for pattern in self.exclude)


def _is_off(slug: str) -> bool:
    """Whether a rule is off by itself, until it or its group is named."""
    from freezelint.trace.check import catalogue

    return catalogue().get(slug, ("", False))[1]


def group_of(slug: str) -> str:
    """The group of a rule; empty for a notice."""
    from freezelint.trace.check import catalogue

    return catalogue().get(slug, ("", False))[0]


def require_known(names: Iterable[str], where: str) -> None:
    """ConfigError when one of `names` is neither a slug nor a group of rules."""
    names = tuple(names)
    if not names:
        return
    from freezelint.trace.check import catalogue

    known = {*NOTICES, *catalogue(), *(group for group, _ in catalogue().values())}
    for name in names:
        if name not in known:
            raise ConfigError(f"{where}: no rule is called {name!r}{did_you_mean(name, known)}")


class Settings(Protocol):
    """One Config for everything, or several Layers."""

    def within(self, folder: Path) -> Config:
        """The configuration of the files in a folder."""
        ...


@dataclass
class Layers:
    """The configurations of a repository, each changed in the same way by the command line."""

    change: Callable[[Config], Config] = lambda config: config
    _found: dict[Path, Config] = field(default_factory=dict)

    def within(self, folder: Path) -> Config:
        """That of the nearest folder, this one or above, which has one."""
        folder = folder.absolute()
        if folder not in self._found:
            here = _in(folder)
            if here is not None:
                self._found[folder] = self.change(here)
            elif folder.parent == folder:
                self._found[folder] = self.change(Config())
            else:
                self._found[folder] = self.within(folder.parent)
        return self._found[folder]

    def files(self) -> list[Path]:
        """The configuration files that were found so far."""
        return sorted({config.file for config in self._found.values() if config.file is not None})


def find(start: Path) -> Config:
    """The configuration for what lies at `start`."""
    return Layers().within(start)


# In one folder the first of these counts.
FILES = ("freezelint.toml", "pyproject.toml")


def _in(folder: Path) -> Config | None:
    for name in FILES:
        file = folder / name
        if file.is_file():
            config = load(file)
            if config is not None:
                return config
    return None


def load(file: Path, extending: tuple[Path, ...] = ()) -> Config | None:
    """The configuration in one file, or None when it is a pyproject.toml without `[tool.freezelint]`."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:  # malformed TOML, bytes that are not UTF-8, lists in lists in lists
        raise ConfigError(f"{file}: is not valid TOML: {error}") from None
    tools = document.get("tool", {})
    table = tools.get("freezelint") if isinstance(tools, dict) else None
    if table is not None or file.name == "pyproject.toml":
        return None if table is None else from_table(table, file, "tool.freezelint", extending)
    return from_table(document, file, "", extending)


def from_table(table: Any, file: Path, name: str = "tool.freezelint", extending: tuple[Path, ...] = ()) -> Config:
    """A Config of one table, which is called `name` in its file; ConfigError names the key that is wrong."""
    if not isinstance(table, dict):
        raise ConfigError(f"{file}: {name} must be a table")
    settings: dict[str, Any] = {}
    for key, value in table.items():
        where = f"{file}: {name}.{key}" if name else f"{file}: {key}"
        if key not in KEYS:
            inside = f" in [{name}]" if name else ""
            raise ConfigError(f"{file}: unknown key {key!r}{inside}{did_you_mean(key, KEYS)}")
        settings[key.replace("-", "_")] = KEYS[key].read(value, where, file.parent)
    extended = settings.pop("extend", None)
    start = Config() if extended is None else _extended(extended, file, (*extending, file.resolve()))
    return replace(start, file=file, **settings)


def _extended(extended: Path, file: Path, extending: tuple[Path, ...]) -> Config:
    """The configuration that another one starts from."""
    if extended.resolve() in extending:
        raise ConfigError(f"{file}: extend: {extended} leads back to itself")
    if not extended.is_file():
        raise ConfigError(f"{file}: extend: there is no file {extended}")
    config = load(extended, extending)
    if config is None:
        raise ConfigError(f"{file}: extend: {extended} has no [tool.freezelint]")
    return config


def _strings(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigError(f"{where}: must be a list of strings, not {value!r}")
    return tuple(value)


def _names(value: Any, where: str, base: Path) -> tuple[str, ...]:
    names = _strings(value, where)
    require_known(names, where)
    return names


def _patterns(value: Any, where: str, base: Path) -> tuple[Pattern, ...]:
    return tuple(_pattern(glob, where, base) for glob in _strings(value, where))


def _pattern(glob: str, where: str, base: Path) -> Pattern:
    try:
        compiled(glob)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    return Pattern(base, glob)


def _per_file(value: Any, where: str, base: Path) -> tuple[tuple[Pattern, tuple[str, ...]], ...]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: must be a table from a pattern to a list of rules, not {value!r}")
    return tuple(
        (_pattern(glob, where, base), _names(names, f"{where}.{glob!r}", base)) for glob, names in value.items()
    )


def _severity(value: Any, where: str, base: Path) -> Severity:
    levels = [str(level) for level in Severity]
    if not isinstance(value, str) or value not in levels:
        raise ConfigError(f"{where}: unknown severity {value!r}{did_you_mean(str(value), levels)}")
    return Severity.parse(value)


def _path(value: Any, where: str, base: Path) -> Path:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{where}: must be the name of a file, not {value!r}")
    return Path(os.path.normpath(base / Path(value).expanduser()))


@dataclass(frozen=True)
class Key:
    """One key of the configuration: how it is read, and what the reference says of it."""

    read: Callable[[Any, str, Path], Any]
    holds: str
    example: str
    meaning: str


RULES, LEVEL = "list of rules or groups", '"error", "warning" or "info"'

KEYS: Mapping[str, Key] = {
    "extend": Key(
        _path,
        "name of a file",
        'extend = "../freezelint.toml"',
        "Another configuration to start from: a key that stands here takes the place of the same key there. Relative "
        "to this file; patterns in the other file stay relative to that one.",
    ),
    "select": Key(
        _names,
        RULES,
        'select = ["noop", "frozen-bn-train-mode"]',
        "The only rules to apply. Without it every rule is, but those that are off until they are named.",
    ),
    "extend-select": Key(
        _names,
        RULES,
        'extend-select = ["unused-suppression"]',
        "Rules to apply besides those of `select`.",
    ),
    "ignore": Key(_names, RULES, 'ignore = ["optimizer-over-frozen"]', "Rules not to apply."),
    "per-file-ignores": Key(
        _per_file,
        "table from a pattern to a list of rules or groups",
        '[per-file-ignores]\n"tests/*" = ["mode"]',
        "Rules not to apply to files that match a pattern in the syntax of .gitignore, relative to this file.",
    ),
    "exclude": Key(
        _patterns,
        "list of patterns",
        'exclude = ["old/", "*_pb2.py"]',
        "What is not checked, as lines of a .gitignore in this folder. What is named on the command line is checked.",
    ),
    "severity": Key(_severity, LEVEL, 'severity = "warning"', "The lowest severity that is shown."),
    "fail-on": Key(_severity, LEVEL, 'fail-on = "error"', "The lowest severity that makes the exit status 1."),
    "baseline": Key(
        _path,
        "name of a file",
        'baseline = "freezelint-baseline.json"',
        "Findings to put up with, written by `freezelint check --write-baseline`. Relative to this file.",
    ),
}

assert {key.replace("-", "_") for key in KEYS} - {"extend"} | {"file"} == {each.name for each in fields(Config)}
