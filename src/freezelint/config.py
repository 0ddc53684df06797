"""Settings: `[tool.freezelint]` of the nearest pyproject.toml, as a frozen Config."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from freezelint.finding import Severity
from freezelint.nearest import did_you_mean
from freezelint.notices import INTERNAL_ERROR, NOTICES, UNUSED_SUPPRESSION

if TYPE_CHECKING:
    import pathspec

    from freezelint.trace.check import Rule


class ConfigError(ValueError):
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
    file: Path | None = None

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
        if self.select is None or (slug in NOTICES and slug != UNUSED_SUPPRESSION):
            return True
        chosen = self.select + self.extend_select
        return slug in chosen or group in chosen

    def rules(self) -> dict[str, Rule]:
        """The rules that are switched on, by slug."""
        from freezelint.trace.check import all_rules

        return {slug: rule for slug, rule in all_rules().items() if self.wants(slug, rule.group)}

    def ignored_in(self, path: Path) -> frozenset[str]:
        """The slugs and groups that per-file-ignores switches off for one file."""
        return frozenset(name for pattern, names in self.per_file_ignores if pattern.matches(path) for name in names)

    def excludes(self, path: Path) -> bool:
        """Does `exclude` name this file?"""
        return any(pattern.matches(path) for pattern in self.exclude)


def group_of(slug: str) -> str:
    """The group of a rule; empty for a notice."""
    from freezelint.trace.check import all_rules

    rule = all_rules().get(slug)
    return rule.group if rule else ""


def require_known(names: Iterable[str], where: str) -> None:
    """ConfigError when one of `names` is neither a slug nor a group of rules."""
    names = tuple(names)
    if not names:
        return
    from freezelint.trace.check import all_rules

    known = {*NOTICES, *all_rules(), *(rule.group for rule in all_rules().values())}
    for name in names:
        if name not in known:
            raise ConfigError(f"{where}: no rule is called {name!r}{did_you_mean(name, known)}")


def find(start: Path) -> Config:
    """The configuration for what lies at `start`: that of the nearest pyproject.toml with a `[tool.freezelint]`."""
    start = start.absolute()
    for folder in (start, *start.parents):
        file = folder / "pyproject.toml"
        if file.is_file():
            config = load(file)
            if config is not None:
                return config
    return Config()


def load(file: Path) -> Config | None:
    """The configuration in one pyproject.toml, or None when it has no `[tool.freezelint]`."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # malformed TOML and bytes that are not UTF-8 alike
        raise ConfigError(f"{file}: is not valid TOML: {error}") from None
    tools = document.get("tool", {})
    table = tools.get("freezelint") if isinstance(tools, dict) else None
    return None if table is None else from_table(table, file)


def from_table(table: Any, file: Path) -> Config:
    """A Config of one `[tool.freezelint]` table; ConfigError names the key that is wrong."""
    if not isinstance(table, dict):
        raise ConfigError(f"{file}: tool.freezelint must be a table")
    settings: dict[str, Any] = {}
    for key, value in table.items():
        where = f"{file}: tool.freezelint.{key}"
        if key not in READERS:
            raise ConfigError(f"{file}: unknown key {key!r} in [tool.freezelint]{did_you_mean(key, READERS)}")
        settings[key.replace("-", "_")] = READERS[key](value, where, file.parent)
    return Config(file=file, **settings)


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


READERS: Mapping[str, Callable[[Any, str, Path], Any]] = {
    "select": _names,
    "extend-select": _names,
    "ignore": _names,
    "per-file-ignores": _per_file,
    "exclude": _patterns,
    "severity": _severity,
    "fail-on": _severity,
}

assert {key.replace("-", "_") for key in READERS} | {"file"} == {field.name for field in fields(Config)}
