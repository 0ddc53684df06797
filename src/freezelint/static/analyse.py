"""`check` for a list of sources: parse, run every entry, turn what the rules saw into findings."""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import libcst as cst

from freezelint.finding import Finding, Fix, Severity, Site
from freezelint.notices import INTERNAL_ERROR, READ_ERROR, SYNTAX_ERROR
from freezelint.static import entries, notebook
from freezelint.static.checked import Checked
from freezelint.static.interpreter import Ending, Found, Interpreter
from freezelint.static.limits import LONGEST, TooLong
from freezelint.static.modules import Module, Modules, Place
from freezelint.static.prefilter import idle, matters
from freezelint.static.project import Source, read
from freezelint.static.recovery import Recovered
from freezelint.static.values import Const, Sym
from freezelint.static.world import Assumption
from freezelint.trace import events as ev
from freezelint.trace.check import Rule
from freezelint.trace.regions import Part
from freezelint.trace.repair import Repair
from freezelint.trace.run import Fault, Note, same_story

Mend = Callable[[Repair, object], "Fix | None"]
Reader = Callable[[Path], "Source | Finding"]
Done = TypeVar("Done")

_ONE_AT_A_TIME = threading.Lock()  # the size of stacks and the collector are the whole process's
WORTH_COLLECTING = 20_000  # new objects
STACK = 256 << 20  # reserved, not used: pages that are never touched cost nothing


def analyse(
    sources: Iterable[Source],
    rules: Mapping[str, Rule],
    *,
    trace: Callable[[str], None] | None = None,
    mend: Mend | None = None,
    read: Reader = read,
) -> list[Checked]:
    """What is to be said of `sources`, one after the other, and of the project files they lead to.

    `mend` writes the fixes that rules describe, and `read` gives the files that are imported.
    """
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 12_000))
    modules = Modules(read)
    with _ONE_AT_A_TIME, _seldom_collecting():
        return _with_deep_stack(_one(source, modules, rules, trace, mend) for source in _in_turn(sources))


def _in_turn(sources: Iterable[Source]) -> Iterator[Source]:
    """The sources; before the next one, what the run of the last one left behind is collected, while it is young."""
    for source in sources:
        if gc.get_count()[0] > WORTH_COLLECTING:
            gc.collect(0)
        yield source


@contextlib.contextmanager
def _seldom_collecting() -> Iterator[None]:
    """While a file is run next to nothing becomes garbage: at its usual rate, the collector would take a fifth of the
    time to find nothing."""
    usual, enabled, frozen = gc.get_threshold(), gc.isenabled(), gc.get_freeze_count()
    gc.set_threshold(1_000_000, 10, 10)
    gc.freeze()  # what was imported stays, and need not be looked at
    gc.enable()
    try:
        yield
    finally:
        if not frozen:
            gc.unfreeze()
        gc.set_threshold(*usual)
        if not enabled:
            gc.disable()


def _with_deep_stack(work: Iterable[Done]) -> list[Done]:
    """Do it on a stack of its own: on the usual one the parser, which is no Python, dies of a deeply nested literal.

    Somebody who is interrupted does not wait for it; it ends with the piece that it is at.
    """
    done: list[Done] = []
    failed: list[BaseException] = []
    abandoned = False

    def run() -> None:
        try:
            for piece in work:
                done.append(piece)
                if abandoned:
                    break
        except BaseException as error:
            failed.append(error)

    usual = threading.stack_size(STACK)
    try:
        thread = threading.Thread(target=run, name="freezelint", daemon=True)
        thread.start()
    finally:
        threading.stack_size(usual)
    try:
        thread.join()
    except BaseException:
        abandoned = True
        raise
    if failed:
        raise failed[0]
    return done


def _one(
    source: Source,
    modules: Modules,
    rules: Mapping[str, Rule],
    trace: Callable[[str], None] | None,
    mend: Mend | None,
) -> Checked:
    done = Checked(source.path)
    modules.asked = done.asked
    if idle(source.text):
        return done
    relevant = matters(source.text)
    try:
        module = modules.add(source, Path(source.path).resolve())
    except cst.ParserSyntaxError as error:
        done.findings.append(_template(source) or _unparsed(source, error))
        return done
    except RecursionError:
        done.findings.append(_notice(SYNTAX_ERROR, source, 1, 1, "nested too deeply to be read"))
        return done
    except TooLong as error:
        why = f"is not checked: {error}, and files of more than {LONGEST:,} are taken for generated"
        done.findings.append(replace(_notice(READ_ERROR, source, 1, 1, why), severity=Severity.INFO))
        return done
    if module.recovered:
        done.findings.append(_template(source) or _partly(source, module.recovered))
    if not relevant and not leads_somewhere(modules, module):
        return done
    it = Interpreter(modules, rules.values(), trace)
    whole = False
    try:
        entries.run(it, module)
        whole = True
    except Exception as error:  # one file's trouble must not hide the findings of the others
        done.findings.append(_internal(source, error))
    if whole and it.trains:
        _otherwise(it, module, lambda: Interpreter(modules, rules.values(), trace))
    seen = [one for one in it.found if not _excused(one, it.excused)]
    done.findings += conclude(seen, it.reached, it.endings, mend)
    for fit in dict.fromkeys(it.supposed.values()):
        _set_apart(done, fit, seen, it.supposed)
    done.excused = {(slug, _site(place)[0]) for slug, place in it.excused if isinstance(place, Place)}
    done.made = it.made
    if whole and not it.trains and ".eval()" in source.text:
        _suppose(done, module, Interpreter(modules, rules.values(), trace), mend)
    return done


def _set_apart(done: Checked, fit: tuple[str, str], seen: list[Found], supposed: Mapping[int, object]) -> None:
    """Keep what was only seen where a class was supposed to be trained by a trainer without callbacks."""
    places: dict[bool, set[tuple[str, Site]]] = {True: set(), False: set()}
    for one in seen:
        places[supposed.get(one.entry) == fit].add((one.rule.slug, _site(one.fault.site)[0]))
    only = places[True] - places[False]
    apart = [finding for finding in done.findings if (finding.rule, finding.site) in only]
    if apart:
        done.alone[fit] = apart
        done.findings = [finding for finding in done.findings if (finding.rule, finding.site) not in only]


def _otherwise(it: Interpreter, module: Module, anew: Callable[[], Interpreter]) -> None:
    """Run a program again with other words in the place of the constants that it chooses by; `it` has run it."""
    for other in it.choices.alternatives([module, *it.read()]):
        usual = other.module.constants[other.literal]
        other.module.constants[other.literal] = Const(other.value)
        again = anew()
        again.entry, again.choice = max(it.endings, default=it.entry) + 1, (other.text, other.value)
        try:
            with contextlib.suppress(Exception):  # told above, where the program was run as it stands
                entries.run_program(again, module)
        finally:
            other.module.constants[other.literal] = usual
        it.found += again.found
        it.excused |= again.excused
        it.reached |= again.reached
        it.endings.update(again.endings)


def _suppose(done: Checked, module: Module, it: Interpreter, mend: Mend | None) -> None:
    """What is true of a class if neither this file nor another one makes an instance of it."""
    made = set(done.made)
    for node in entries.still_ones(module):
        key = it.cls(module, node).key
        if key in made:
            continue
        it.found, it.made = [], set()
        with contextlib.suppress(Exception):  # told above, where the file was run as a whole
            entries.run_alone(it, module, node)
        done.made |= it.made - {key}
        done.alone[key] = conclude(it.found, it.reached, it.endings, mend)


def leads_somewhere(modules: Modules, module: Module) -> bool:
    """Whether a program imports a file of the project that matters."""
    for bound in (*module.bound.values(), [(small, None) for small in module.stars]):
        for what in bound:
            if isinstance(what, tuple) and any(modules.matters(file) for file in modules.files(module, *what)):
                return True
    return False


def _template(source: Source) -> Finding | None:
    """The note that a file is no program yet, as its name says: `{{cookiecutter.name}}/train.py`."""
    if "{{" not in source.path:
        return None
    why = "is read as far as it is Python: its name has placeholders, so that it is a template"
    return replace(_notice(READ_ERROR, source, 1, 1, why), severity=Severity.INFO)


def _unparsed(source: Source, error: cst.ParserSyntaxError) -> Finding:
    """What is wrong with a file: in Python's own words, which say more than the parser's, if it finds a fault, too."""
    message = error.message.partition("\n")[0].removeprefix("Syntax Error @ ").strip()
    line, column = error.raw_line, error.raw_column + 1
    fault = notebook.fault(source.text)
    if fault is not None and fault.lineno:
        message, line, column = fault.msg, fault.lineno, max(1, fault.offset or 1)
    hint = ""
    if "print " in source.text and _python_2(source, line):
        hint = "; this looks like Python 2, which freezelint does not read"
    return _notice(
        SYNTAX_ERROR,
        source,
        line,
        column,
        f"this file is no valid Python 3 and was not checked{hint}" + (f" ({message})" if message and not hint else ""),
    )


def _partly(source: Source, found: Recovered) -> Finding:
    """The finding that a file could not be read as it stands, though most of it was."""
    if not found.left_out:
        why = "this looks like Python 2" if "print" in found.first.why else found.first.why
        why = f"this file is no valid Python 3 ({why}); it was checked all the same"
        return _notice(SYNTAX_ERROR, source, found.first.line, 1, why)
    first, *more = found.left_out
    others = ", ".join(dict.fromkeys(str(lost.line) for lost in more[:5] if lost.line != first.line))
    others = f", nor is line {others}{' and more' if len(more) > 5 else ''}" if others else ""
    why = f"this line is no valid Python 3 ({first.why}){others}; the rest of the file was checked"
    return _notice(SYNTAX_ERROR, source, first.line, 1, why)


def _python_2(source: Source, line: int) -> bool:
    around = source.lines[max(0, line - 3) : line + 1]
    return any(text.strip().startswith(("print ", "exec ", "raise ")) for text in around)


def _notice(rule: str, source: Source, line: int, column: int, message: str) -> Finding:
    text = source.lines[line - 1] if 0 < line <= len(source.lines) else ""
    return Finding(rule, Severity.ERROR, message, Site(source.path, line, column, line, column + 1), source_line=text)


def _internal(source: Source, error: Exception) -> Finding:
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    where = f" at {Path(last.tb_frame.f_code.co_filename).name}:{last.tb_lineno}" if last else ""
    return _notice(
        INTERNAL_ERROR,
        source,
        1,
        1,
        f"freezelint failed on this file ({type(error).__name__}: {error}{where});"
        " please report it, other files are not affected",
    )


# Findings ------------------------------------------------------------------------------------------------------------


NOTES = 6  # of one finding; more would be no story


def _excused(one: Found, excused: Set[tuple[str, object]]) -> bool:
    """Whether a world showed that a place, or the cause that is blamed for it, is right after all."""
    places = (one.fault.site, one.fault.about, one.spoken_for)
    return any(place is not None and (one.rule.slug, place) in excused for place in places)


def conclude(
    found: Iterable[Found],
    reached: Set[object] = frozenset(),
    endings: Mapping[int, list[Ending]] = MappingProxyType({}),
    mend: Mend | None = None,
) -> list[Finding]:
    """One finding for each fault and place, however many worlds and laps saw it."""
    groups: dict[tuple[str, object], list[Found]] = {}
    for one in found:
        if any(_reached(what, reached) for what in one.fault.unless):
            continue
        groups.setdefault((one.rule.slug, one.fault.site), []).append(one)
    return [
        _finding(group, endings, mend)
        for group in groups.values()
        if not any(
            same_story(group[0].fault, groups[key][0].fault) for key in groups if key[0] in group[0].rule.yields_to
        )
        and not all(any(assumption.stray for assumption in one.assumed.values()) for one in group)
    ]


def _reached(what: object, reached: Set[object]) -> bool:
    """Whether a gradient gets to a part, or starts from a backward, in some world."""
    if isinstance(what, Part):
        return any(part in reached for part in (*what.above(), *what.below()))
    return what in reached


def _finding(group: list[Found], endings: Mapping[int, list[Ending]], mend: Mend | None) -> Finding:
    first = min(group, key=lambda one: len(one.assumed))
    rule, fault = first.rule, first.fault
    site, line = _site(fault.site)
    related = tuple(_site(note.site)[0].note(note.message) for note in _story(fault, group))
    return Finding(
        rule.slug,
        fault.severity or rule.severity,
        fault.message,
        site,
        related=related,
        when=" and ".join(filter(None, (_choice(group), _when(group, endings)))) or None,
        confirm=" ".join(rule.section("Confirm").split()),
        fix=_fix(group, mend),
        source_line=line,
        about=_site(fault.about)[0] if fault.about is not None else None,
    )


def _story(fault: Fault, group: list[Found]) -> list[Note]:
    """The steps of a fault, and those of worlds that came there by another way, such as by a second model that is
    frozen elsewhere: each behind the one that it stands for."""
    notes = list(dict.fromkeys(fault.related))
    known = {note.site for note in notes}
    for note in (note for other in group for note in other.fault.related):
        if note.each and len(notes) < NOTES and note.site not in known:
            known.add(note.site)
            alike = (at for at, step in enumerate(notes, 1) if step.message == note.message)
            notes.insert(max(alike, default=len(notes)), note)
    return notes


def _fix(group: list[Found], mend: Mend | None) -> Fix | None:
    """The fix that every world which saw the fault asks for."""
    repair, site = group[0].fault.repair, group[0].fault.site
    if mend is None or repair is None or any(one.fault.repair != repair for one in group):
        return None
    try:
        return mend(repair, site)
    except Exception:  # a fix that fails must not take the finding with it
        return None


def _site(place: object) -> tuple[Site, str]:
    assert isinstance(place, Place)
    module: Module = place.module
    site = module.site(place.node)
    return site, module.line(site.line)


_WRITTEN = (ev.WroteAttribute, ev.NamedButNotCalled, ev.OverrodeTrain)


def _choice(group: list[Found]) -> str:
    """The values of a constant with which alone a fault exists, "" when it exists with the value that it has."""
    choices: dict[str, list[str]] = {}
    for choice in dict.fromkeys(one.choice for one in group):
        if choice is None:
            return ""
        choices.setdefault(choice[0], []).append(choice[1])
    told = (f"{text} in {tuple(words)}" if words[1:] else f"{text} == {words[0]!r}" for text, words in choices.items())
    return " or ".join(told).replace("'", '"')


def _when(group: list[Found], endings: Mapping[int, list[Ending]]) -> str | None:
    """The condition under which a fault exists, None when it always does: what tells the worlds that saw it from those
    that did not, as few tests as it takes."""
    key = (group[0].rule.slug, group[0].fault.site)
    told: list[list[Assumption]] = []
    for entry in {one.entry for one in group}:
        ended = endings.get(entry, [])
        saw = [e for e in ended if key in e.seen]
        saw = [e for e in saw if not any(a.stray for a in e.assumed.values())] or saw
        if saw:
            trains = any(e.trained for e in saw)
            others = [e for e in ended if key not in e.seen and (e.trained or not trains)]
            told.append(_telling(_common([e.assumed for e in saw]), others))
        elif group[0].rule.on and all(kind in _WRITTEN for kind in group[0].rule.on):
            return None  # what is wrong as it is written
        else:  # no world came to its end: the tests that were decided last say most
            common = _common([one.assumed for one in group if one.entry == entry])
            told.append(list(common.values())[-2:])
    best = min(told, key=len)
    texts = [a.text if a.shown else _not(a.text) for a in best]
    return " and ".join(dict.fromkeys(texts)) or None


def _not(text: str) -> str:
    if text.startswith("not ") and _simple(text[4:]):
        return text[4:]
    return f"not {text}" if _simple(text) else f"not ({text})"


def _common(all_assumed: list[Mapping[object, Assumption]]) -> dict[object, Assumption]:
    """What all worlds assumed alike, without what goes without saying."""
    first, *rest = all_assumed
    common = {k: a for k, a in first.items() if all(k in o and o[k].truth == a.truth for o in rest)}
    return {k: a for k, a in common.items() if not _implied(k, a, common)}


def _telling(common: Mapping[object, Assumption], others: list[Ending]) -> list[Assumption]:
    """The fewest of these assumptions, greedily, that rule out the worlds which did not see the fault."""
    chosen: list[Assumption] = []
    left = others
    candidates = dict(common)
    while left and candidates:

        def excluded(key: object, among: list[Ending] = left) -> int:
            return sum(_against(key, common[key], e.assumed) for e in among)

        best = max(candidates, key=excluded)
        if not excluded(best):
            break
        chosen.append(candidates.pop(best))
        left = [e for e in left if not _against(best, chosen[-1], e.assumed)]
    return chosen


def _against(key: object, assumption: Assumption, assumed: Mapping[object, Assumption]) -> bool:
    """Whether an assumption rules out a world that made these."""
    if key in assumed:
        return assumed[key].truth != assumption.truth
    return any(_implied(other, Assumption(False, ""), {key: assumption}) for other, a in assumed.items() if a.truth)


def _implied(key: object, assumption: Assumption, among: Mapping[object, Assumption]) -> bool:
    """Whether `x != "a"` goes without saying, because `x == "b"` is said."""
    if assumption.truth or not _is_equality(key):
        return False
    return any(a.truth and _is_equality(k) and k.key[1] == key.key[1] for k, a in among.items())  # type: ignore[attr-defined]


def _is_equality(key: object) -> bool:
    return isinstance(key, Sym) and isinstance(key.key, tuple) and key.key[0] == "eq"


def _simple(text: str) -> bool:
    return all(c.isalnum() or c in "._[]'\"" for c in text)
