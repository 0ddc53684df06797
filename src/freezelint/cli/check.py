"""`freezelint check`: options to one call of the api, its report to a format, its findings to an exit status."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from freezelint.cli.shared import (
    FOUND,
    LEVELS,
    NOTHING_FOUND,
    WRONG_USE,
    WrongUse,
    cache_dir,
    cache_of,
    colored,
    columns,
    common_folder,
    names,
    print_trace,
    reports,
    settings_of,
)
from freezelint.refused import Refused
from freezelint.report.base import FORMATS

if TYPE_CHECKING:
    from freezelint.config import Settings
    from freezelint.mending import Plan
    from freezelint.report.base import Report

STDIN = Path("-")


@click.command(short_help="Check files, folders and notebooks.")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@names("--select", "Only these rules or groups of rules, whatever the configuration says.")
@names("--extend-select", "These rules as well.")
@names("--ignore", "Not these rules or groups of rules.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Skip what matches, as a line of .gitignore would.")
@click.option("--severity", type=LEVELS, help="The lowest severity that is shown (default: info).")
@click.option("--fail-on", type=LEVELS, help="The lowest severity that makes the exit status 1 (default: warning).")
@click.option("--output-format", type=click.Choice(FORMATS), default="text", show_default=True)
@reports(FORMATS, "sarif=freezelint.sarif")
@click.option(
    "--changed",
    is_flag=False,
    flag_value="HEAD",
    metavar="[REF]",
    help="Only what concerns files that differ from a commit of git, HEAD by default, and whatever imports them.",
)
@click.option("--baseline", type=click.Path(path_type=Path), help="Leave out the findings that this file lists.")
@click.option("--write-baseline", is_flag=True, help="Write what is found now to the baseline.")
@click.option("--add-ignores", metavar="REASON", help="Write a comment that suppresses it beside every finding.")
@click.option("--fix", is_flag=True, help="Mend what can be mended safely, and report what is left.")
@click.option("--unsafe-fixes", is_flag=True, help="With --fix or --diff: also what changes training.")
@click.option("--diff", is_flag=True, help="Print what --fix would change, and write nothing.")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 even when something is found.")
@click.option("--isolated", is_flag=True, help="Ignore every configuration file.")
@click.option("--no-cache", is_flag=True, help="Neither use nor write what is known of files that did not change.")
@cache_dir
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Check in so many processes.")
@click.option("--watch", is_flag=True, help="Check again whenever a file changes (needs the extra .[watch]).")
@click.option("--statistics", is_flag=True, help="Count the findings of each rule.")
@click.option("--trace", is_flag=True, help="Print the training events that freezelint saw, on standard error.")
@click.option("--show-files", is_flag=True, help="List the files that would be checked, and stop.")
@click.option("--quiet", "-q", is_flag=True, help="One line for each finding, and no summary.")
@click.option("--verbose", "-v", is_flag=True, help="Say on standard error what was read and how long it took.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
@click.option("--stdin-filename", type=click.Path(path_type=Path), help="The name of the file that `-` reads.")
def check(paths: tuple[Path, ...], **options: Any) -> int:
    """Check files and folders (default: the current folder); `-` reads standard input.

    Exit status: 0 nothing found, 1 findings at or above --fail-on, 2 wrong use or internal error.
    """
    _refuse_contradictions(paths, options)
    paths = paths or (Path("."),)
    if options["watch"]:
        from freezelint.cli.watch import watch

        return watch(paths, lambda: _guarded(paths, options))
    return _guarded(paths, options)


def _guarded(paths: tuple[Path, ...], options: dict[str, Any]) -> int:
    """One check; what the user got wrong becomes one line."""
    import gc

    gc.disable()  # until the analysis says how often: what is imported and read stays
    try:
        config = settings_of(options)
        if options["show_files"]:
            return _show_files(paths, config, options)
        return _check(paths, config, options)
    except Refused as error:
        raise WrongUse(str(error)) from None
    finally:
        gc.enable()


def _refuse_contradictions(paths: tuple[Path, ...], options: dict[str, Any]) -> None:
    from_stdin = STDIN in paths
    if from_stdin and len(paths) > 1:
        raise click.UsageError("`-` (standard input) cannot be checked together with other paths.")
    if options["stdin_filename"] and not from_stdin:
        raise click.UsageError("--stdin-filename needs `-` as the path.")
    for option in ("changed", "write_baseline", "add_ignores", "show_files", "watch", "fix", "diff"):
        if from_stdin and options[option]:
            raise click.UsageError(f"--{option.replace('_', '-')} needs files, and `-` is none.")
    if options["write_baseline"] and (options["add_ignores"] or options["changed"]):
        raise click.UsageError("--write-baseline writes down everything: neither --changed nor --add-ignores fits.")
    fixes = options["fix"] or options["diff"]
    if options["unsafe_fixes"] and not fixes:
        raise click.UsageError("--unsafe-fixes goes with --fix or --diff.")
    if fixes and (options["write_baseline"] or options["add_ignores"] or options["show_files"]):
        raise click.UsageError("--fix and --diff go with nothing else that writes or lists.")
    if options["watch"] and (options["write_baseline"] or options["add_ignores"] or options["show_files"] or fixes):
        raise click.UsageError("--watch checks again and again: it goes with nothing that writes or lists.")


def _check(paths: tuple[Path, ...], config: Settings, options: dict[str, Any]) -> int:
    from freezelint import api
    from freezelint.cache import Cache
    from freezelint.cli.progress import Progress
    from freezelint.notices import INTERNAL_ERROR
    from freezelint.static.project import decode, discover, display_path

    started = time.perf_counter()
    selection = None
    trace = print_trace if options["trace"] else None
    cache = None if options["no_cache"] else Cache(cache_of(paths, options))

    def check_all(files: Iterable[Path]) -> Report:
        with Progress(wanted=not (trace or options["quiet"])) as progress:
            return api.check(files, config, jobs=options["jobs"], trace=trace, progress=progress, cache=cache)

    if paths == (STDIN,):
        name = display_path(options["stdin_filename"]) if options["stdin_filename"] else "<stdin>"
        report = api.check_text(decode(sys.stdin.buffer.read(), name), config, trace=trace)
    elif options["changed"]:
        from freezelint import changed

        selection = changed.select(discover(paths, config), options["changed"])
        report = check_all(selection.files)
    else:
        report = check_all(paths)

    def complete(report: Report) -> Report:
        """Without what the baseline knows, and what concerns no changed file."""
        if known is not None:
            from freezelint import baseline

            report = baseline.apply(report, baseline.load(known), known, config)
        # Not before: what is left aside is not fixed.
        return report if selection is None else selection.of(report)

    known = options["baseline"] or config.within(common_folder(paths, options["stdin_filename"])).baseline
    if options["write_baseline"]:
        return _write_baseline(report, known, config)
    report = complete(report)
    if options["add_ignores"]:
        return _add_ignores(report, options["add_ignores"])
    if options["diff"]:
        return _diff(report, config, options)
    if options["fix"] and _fix(report, config, options):
        report = complete(check_all(paths if selection is None else selection.files))

    _show(report, options)
    if options["verbose"]:
        _say_what_was_read(report, config, time.perf_counter() - started)
    if any(finding.rule == INTERNAL_ERROR for finding in report.findings):
        return WRONG_USE
    return FOUND if report.failed and not options["exit_zero"] else NOTHING_FOUND


def _show(report: Report, options: dict[str, Any]) -> None:
    """The report on standard output, and those that go to files."""
    from freezelint import files
    from freezelint.report.base import Style, renderer

    for form, file in options["reports"]:
        text = "".join(renderer(form)(report, Style(statistics=options["statistics"])))
        try:
            files.replace(file, text.encode("utf-8"))
        except OSError as error:
            raise WrongUse(f"{file}: the report cannot be written: {error.strerror or error}") from None
    style = Style(colored(options["color"]), options["quiet"], options["statistics"], columns())
    for piece in renderer(options["output_format"])(report, style):
        sys.stdout.write(piece)
    if options["statistics"] and options["output_format"] != "text":
        for rule, count in report.statistics():
            print(f"{count:>6}  {rule}", file=sys.stderr)


def _say_what_was_read(report: Report, config: Settings, seconds: float) -> None:
    from freezelint.report.escape import printable

    found = [config.within(Path(path).parent) for path in report.checked] or [config.within(Path.cwd())]
    used = sorted({str(one.file) for one in found if one.file is not None})
    print(
        f"configuration: {printable(', '.join(used)) or 'none'}; rules: {max(len(one.rules()) for one in set(found))}; "
        f"files: {report.files}; {seconds:.2f} s",
        file=sys.stderr,
    )
    for gone in report.fixed:
        print(f"fixed since the baseline: {printable(gone.path)}: {gone.rule}", file=sys.stderr)


def _write_baseline(report: Report, file: Path | None, config: Settings) -> int:
    from freezelint import baseline
    from freezelint.notices import INTERNAL_ERROR
    from freezelint.report.escape import printable

    if file is None:
        raise WrongUse("--write-baseline needs a file: --baseline FILE, or `baseline` in the configuration")
    number = baseline.write(report, file, config)
    print(f"{printable(os.fspath(file))}: {number} {'finding' if number == 1 else 'findings'}")
    return WRONG_USE if any(finding.rule == INTERNAL_ERROR for finding in report.findings) else NOTHING_FOUND


def _add_ignores(report: Report, reason: str) -> int:
    from freezelint import ignores
    from freezelint.report.base import place
    from freezelint.report.escape import printable

    try:
        added = ignores.add(report.findings, reason)
    except ignores.ReasonError as error:
        raise WrongUse(f"--add-ignores: {error}") from None
    for finding, why in added.left:
        print(f"{printable(place(finding.site))}: {finding.rule}: not suppressed: {printable(why)}")
    in_files = f" in {len(added.files)} {'file' if len(added.files) == 1 else 'files'}" if added.files else ""
    print(f"{added.findings} {'finding' if added.findings == 1 else 'findings'} suppressed{in_files}")
    return FOUND if any(report.fails(finding) for finding, _ in added.left) else NOTHING_FOUND


def _fix(report: Report, config: Settings, options: dict[str, Any]) -> bool:
    """Write the fixes, and say so; whether anything was written."""
    from freezelint import mending

    plan = mending.plan(report, config, unsafe=options["unsafe_fixes"])
    written = plan.write()
    _say_what_is_left(plan)
    if written:
        number = len(plan.fixed)
        in_files = f"{len(written)} {'file' if len(written) == 1 else 'files'}"
        print(f"{number} {'finding' if number == 1 else 'findings'} fixed in {in_files}", file=sys.stderr)
    return bool(written)


def _diff(report: Report, config: Settings, options: dict[str, Any]) -> int:
    """Print what the fixes would change."""
    from freezelint import mending
    from freezelint.report.escape import printable

    plan = mending.plan(report, config, unsafe=options["unsafe_fixes"])
    lines = plan.diff()
    if sys.stdout.isatty():  # a patch holds what the files hold; a terminal must not act on it
        lines = (printable(line.rstrip("\r\n")) + "\n" for line in lines)
    sys.stdout.writelines(lines)
    _say_what_is_left(plan)
    return FOUND if plan.changes and not options["exit_zero"] else NOTHING_FOUND


def _say_what_is_left(plan: Plan) -> None:
    from freezelint.report.base import place
    from freezelint.report.escape import printable

    for finding, why in plan.left:
        print(f"{printable(place(finding.site))}: {finding.rule}: not fixed: {printable(why)}", file=sys.stderr)


def _show_files(paths: tuple[Path, ...], config: Settings, options: dict[str, Any]) -> int:
    from freezelint.report.escape import printable
    from freezelint.static.project import discover, display_path

    files = discover(paths, config)
    if options["changed"]:
        from freezelint import changed

        files = iter(changed.select(files, options["changed"]).files)
    for file in files:
        print(printable(display_path(file)))
    return NOTHING_FOUND
