"""Tests: what decides them, and what to do when nothing does.

A test of constants is decided. A test of a loop's element (a parameter's name, a module's kind) holds for some elements
and not for others: both branches run in the same world, over their own elements. A test of something unknown forks the
world, and the assumption is remembered under the value tested, so that the same test agrees with itself later.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import libcst as cst

from freezelint.static import counting, matching
from freezelint.static.evaluate import evaluate, source
from freezelint.static.interpreter import Interpreter
from freezelint.static.values import (
    NONE,
    Cls,
    Cond,
    Const,
    Copy,
    Elem,
    Func,
    Ids,
    Instance,
    Items,
    Lib,
    Members,
    Obj,
    Params,
    Ref,
    Sym,
    Table,
    Tensor,
    Tuple,
    Value,
)
from freezelint.static.world import Assumption, World
from freezelint.trace import events as ev
from freezelint.trace.regions import Part, Test, TooFine, View
from freezelint.trace.run import Run
from freezelint.trace.tri import NO, UNSURE, YES

OPAQUE = 5  # tests of the same elements that are not looked into
CHOICES = 6  # entries of a dictionary whose key is not known that are looked at one by one


ASSUMED = 64  # assumptions a world remembers


@dataclass(frozen=True)
class Case:
    """One outcome of a test: a world in which it is decided (`truth`), or a world in which it holds for the elements
    `yes` of a loop and not for `no` (`truth` is None)."""

    world: World
    truth: bool | None
    cond: Cond | None = None
    yes: Members = ()
    no: Members = ()

    def swapped(self) -> Case:
        """The outcome of the negated test."""
        if self.truth is not None:
            return replace(self, truth=not self.truth)
        return replace(
            self, yes=self.no, no=self.yes, cond=Cond(self.cond.loop, "not", (self.cond,)) if self.cond else None
        )


def truth(value: Value, world: World) -> bool | None:
    """Whether a value is true, None when that is not known."""
    if isinstance(value, Const):
        return bool(value.value)
    if isinstance(value, Sym):
        return _assumed(value, world)
    if isinstance(value, (Cond, Tensor, Elem, Copy)):
        return None
    if isinstance(value, Tuple):
        return bool(value.items)
    if isinstance(value, Ref):
        record = world.heap.get(value.serial)
        if isinstance(record, (Items, Table)):
            return True if record.items else None if record.more else False
        return None
    if isinstance(value, Params):  # a generator is true whatever it yields
        return value.single or value.iterator is not None or bool(value.members) or (None if value.unsure else False)
    return True


def _assumed(value: Sym, world: World) -> bool | None:
    known = world.assumed.get(value)
    if known is not None:
        return known.truth
    key = value.key
    if not isinstance(key, tuple):
        return None
    if key[0] == "not":
        inner = truth(key[1], world)
        return None if inner is None else not inner
    if key[0] in ("and", "or"):
        first, second = truth(key[1], world), truth(key[2], world)
        decisive = key[0] == "or"
        if first is decisive or second is decisive:
            return decisive
        return (not decisive) if first is not None and second is not None else None
    counted = counting.decided(key, world) if key[0] in ("eq", "cmp") else None
    if counted is not None:
        return counted
    if key[0] in _TESTS:
        if key[0] == "eq" and key[2] == NONE:
            tested = world.assumed.get(key[1])
            if tested is not None and tested.truth:
                return False
        return _follows(key, world)
    else:
        none = world.assumed.get(Sym(("eq", value, NONE)))
        if none is not None and none.truth:
            return False
        for other, assumption in world.assumed.items():
            if (
                assumption.truth
                and isinstance(other, Sym)
                and isinstance(other.key, tuple)
                and other.key[0] == "eq"
                and other.key[1] == value
                and isinstance(other.key[2], Const)
            ):
                return bool(other.key[2].value)
    return None


_TESTS = ("eq", "in", "startswith", "endswith")


def _follows(key: tuple[Any, ...], world: World) -> bool | None:
    """What earlier tests of the same unknown say about one more: `arch == "vgg16"` decides `"resnet" in arch`."""
    asked = key[2] if key[0] == "in" and not isinstance(key[2], Tuple) else key[1]
    earlier = [
        (other.key, assumption.truth)
        for other, assumption in world.assumed.items()
        if isinstance(other, Sym) and isinstance(other.key, tuple) and other.key[0] in _TESTS
    ]
    for other, truth_ in earlier:
        if not truth_ or other[1] != asked or other[0] not in ("eq", "in"):
            continue
        could_be = other[2].items if isinstance(other[2], Tuple) else (other[2],)
        answers = {_holds(key, asked, c.value) for c in could_be if isinstance(c, Const)}
        if len(answers) == 1:
            return answers.pop()
    options = [key[2]] if key[0] == "eq" else key[2].items if isinstance(key[2], Tuple) and key[0] == "in" else None
    if options is None:
        return None
    possible = [
        option
        for option in options
        if not isinstance(option, Const)
        or all(_holds(other, asked, option.value) in (truth_, None) for other, truth_ in earlier)
    ]
    return None if possible else False


def words_of(key: Any) -> tuple[str, ...]:
    """The strings that a test compares something unknown with."""
    parts = key.key if isinstance(key, Sym) and isinstance(key.key, tuple) else ()
    if not parts or parts[0] not in _TESTS:
        return ()
    found: list[Any] = []
    for part in parts[1:3]:
        found += part.items if isinstance(part, Tuple) else part if isinstance(part, tuple) else (part,)
    return tuple(str(w.value) if isinstance(w, Const) else w for w in found if isinstance(w, (Const, str)))


def _holds(key: tuple[Any, ...], asked: Any, value: Any) -> bool | None:
    """Whether a test of `asked` holds if that is this constant; None when the test is of something else."""
    kind, first, second = key[:3]
    if kind == "eq" and first == asked and isinstance(second, Const):
        return bool(value == second.value)
    if kind == "in" and first == asked and isinstance(second, Tuple):
        return any(isinstance(i, Const) and i.value == value for i in second.items)
    if kind == "in" and second == asked and isinstance(first, Const) and isinstance(value, str):
        return str(first.value) in value
    if kind in ("startswith", "endswith") and first == asked and isinstance(value, str):
        return bool(getattr(value, kind)(second))
    return None


def negated(value: Value, world: World) -> Value:
    """`not value`."""
    known = truth(value, world)
    if known is not None:
        return Const(not known)
    if isinstance(value, Cond):
        return value.args[0] if value.op == "not" else Cond(value.loop, "not", (value,))
    if isinstance(value, Sym) and isinstance(value.key, tuple) and value.key[0] == "not":
        return value.key[1]  # type: ignore[no-any-return]
    return Sym(("not", value))


def assume(it: Interpreter, value: Value, outcome: bool, node: cst.CSTNode, world: World) -> None:
    """Remember how a test was decided."""
    text, shown = source(it, node), outcome
    while isinstance(value, Sym) and isinstance(value.key, tuple) and value.key[0] == "not":
        value, outcome = value.key[1], not outcome
    if isinstance(value, Sym) and isinstance(value.key, tuple) and value.key[0] in ("and", "or"):
        if outcome is (value.key[0] == "and"):
            for part in value.key[1:]:
                if truth(part, world) is None and isinstance(part, Sym):
                    world.assumed[part] = Assumption(outcome, text, shown, it.place(node))
            return
    world.assumed[value] = Assumption(outcome, text, shown, it.place(node))
    if len(world.assumed) > ASSUMED:  # old ones are options of the program, new ones are of the step under way
        del world.assumed[next(itertools.islice(world.assumed, ASSUMED // 2, None))]


def choose(
    it: Interpreter, owner: Value, key: Value, node: cst.BaseExpression, world: World
) -> list[tuple[Value, World]]:
    """The keys that an unknown one may be: a short dictionary of models or settings is a choice, as an `if` is."""
    table = world.heap.get(owner.serial) if isinstance(owner, Ref) else None
    if not isinstance(key, Sym) or not isinstance(table, Table) or table.more:
        return [(key, world)]
    if not all(isinstance(value, (Cls, Func, Lib, Obj, Ref)) for value in table.items.values()):
        return [(key, world)]
    items = list(table.items)
    if len(items) > CHOICES and all(isinstance(value, Lib) for value in table.items.values()):
        families = {re.sub(r"\d.*", "", str(value)): name for name, value in reversed(list(table.items.items()))}
        items = [name for name in items if name in families.values()][:CHOICES]  # one model of each
    if not 1 < len(items) <= CHOICES:
        return [(key, world)]
    done: list[tuple[Value, World]] = []
    rest = world
    *others, last = items
    for item in others:
        test = Sym(("eq", key, Const(item)))
        known = truth(test, rest)
        if known is False:
            continue
        here = rest if known else rest.fork()
        text = f"{source_of(it, node)} == {item!r}"
        here.assumed[test] = Assumption(True, text, True, it.place(node))
        done.append((Const(item), here))
        if known:
            return done
        rest.assumed[test] = Assumption(False, text, False, it.place(node))
    rest.assumed[Sym(("eq", key, Const(last)))] = Assumption(
        True, f"{source_of(it, node)} == {last!r}", True, it.place(node)
    )
    return [*done, (Const(last), rest)]


def known_word(value: Value, world: World) -> Const | None:
    """The string that an unknown was found to be in this world, None when it may be any."""
    for other, assumption in world.assumed.items():
        key = other.key if isinstance(other, Sym) else None
        if assumption.truth and isinstance(key, tuple) and key[0] == "eq" and key[1] == value:
            if isinstance(key[2], Const) and isinstance(key[2].value, str):
                return key[2]
    return None


def source_of(it: Interpreter, node: cst.CSTNode) -> str:
    """The source of a node on one line."""
    return source(it, node)


def split(it: Interpreter, node: cst.BaseExpression, world: World) -> list[Case]:
    """The outcomes of a test."""
    if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Not):
        return [case.swapped() for case in split(it, node.expression, world)]
    if isinstance(node, cst.BooleanOperation):
        if isinstance(node.operator, cst.Or):
            _tell_literal(it, node, world)
            left = [case.swapped() for case in split(it, node.left, world)]
            return [case.swapped() for case in _and(it, left, node.right, swap=True)]
        return _and(it, split(it, node.left, world), node.right, swap=False)
    cases: list[Case] = []
    for value, after in evaluate(it, node, world):
        cases += decide(it, value, node, after)
    return cases


def _tell_literal(it: Interpreter, node: cst.BooleanOperation, world: World) -> None:
    """Tell the rules of `if "layer4" or "fc" in name`, which is true of every name."""
    test = node.right
    if not isinstance(node.left, cst.SimpleString) or not node.left.evaluated_value:
        return
    if isinstance(test, cst.Comparison) and isinstance(test.comparisons[0].comparator, cst.Name):
        for value, _ in evaluate(it, test.comparisons[0].comparator, world.fork()):
            if isinstance(value, Elem) and value.what == "name":
                region = frozenset(part for _, part in world.elements.get(value.loop, ()))
                asked = ev.SelectNames(
                    site=it.place(node), lap=it.lap(world), test=source_of(it, node), region=region, matched=YES,
                    flag_set=True, kind="literal", words=(source_of(it, node.left),),
                )  # fmt: skip
                it.emit(world, asked)


def _and(it: Interpreter, left: list[Case], right: cst.BaseExpression, swap: bool) -> list[Case]:
    done: list[Case] = []
    for case in left:
        if case.truth is False:
            done.append(case)
            continue
        if case.truth is None:
            assert case.cond is not None
            case.world.elements[case.cond.loop] = case.yes
        for inner in split(it, right, case.world):
            if swap:
                inner = inner.swapped()
            if case.truth is True or case.cond is None:
                done.append(inner)
                continue
            inner.world.elements[case.cond.loop] = (*case.yes, *case.no)
            if inner.truth is True:
                done.append(replace(case, world=inner.world))
            elif inner.truth is False:
                done.append(Case(inner.world, False))
            else:
                done.append(Case(inner.world, None, case.cond, inner.yes, (*case.no, *inner.no)))
    return done


def decide(it: Interpreter, value: Value, node: cst.CSTNode, world: World) -> list[Case]:
    """The outcomes of testing a value."""
    known = truth(value, world)
    if known is not None:
        return [Case(world, known)]
    if isinstance(value, Elem):
        from freezelint.static.comparisons import opaque

        value = opaque(it, value, node)
    if isinstance(value, Cond):
        members = world.elements.get(value.loop)
        if members is not None:
            if value.test is not None:
                it.decided[id(node)] = value.test
            members = _shallow(it, value, members, node, world)
            try:
                yes, no, maybe = partition(value, members, world)
            except TooFine:
                if not it.reserve:  # what trains is worth going on for
                    raise
                _let_go(it, value.loop, members, node, world)
                return [Case(world, None, value)]
            return [Case(world, None, value, (*yes, *maybe), (*no, *maybe))]
    if not isinstance(value, Sym):
        value = Sym(("test", id(node), value))
    other = world.fork()
    assume(it, value, True, node, world)
    assume(it, value, False, node, other)
    return [Case(world, True), Case(other, False)]


def settled(it: Interpreter, value: Value, node: cst.CSTNode, world: World) -> list[tuple[Value, World]]:
    """A flag's value: an unknown is decided as an `if` would decide it, so that later tests of it agree."""
    if not isinstance(value, Sym):
        return [(value, world)]
    return [(Const(case.truth), case.world) for case in decide(it, value, node, world)]


def named(it: Interpreter, value: Value, node: cst.CSTNode, world: World) -> list[tuple[str, World]]:
    """What a value that names something can be: the constant, or a command line option's default as an assumption.

    "" stands for a name that is only known at run time.
    """
    if isinstance(value, Const):
        return [(value.value if isinstance(value.value, str) else "", world)]
    default = it.default_of(value)
    if not (isinstance(default, Const) and isinstance(default.value, str)):
        return [("", world)]
    test = Sym(("eq", value, default))
    known = truth(test, world)
    if known is not None:
        return [(default.value if known else "", world)]
    other = world.fork()
    text = value.text if isinstance(value, Sym) else "it"
    for outcome, w in ((True, world), (False, other)):
        w.assumed[test] = Assumption(outcome, f"{text} == {default.value!r}", outcome, it.place(node))
    return [(default.value, world), ("", other)]


def _shallow(it: Interpreter, cond: Cond, members: Members, node: cst.CSTNode, world: World) -> Members:
    """The members that can be split by one more test that is not looked into. The others are let go: each such test
    doubles the parts of a model."""
    if not _opaque(cond):
        return members
    deep = {m for m in members if m[1].opaque >= OPAQUE}
    if not deep:
        return members
    _let_go(it, cond.loop, deep, node, world)
    return tuple(m for m in members if m not in deep)


def _let_go(
    it: Interpreter, loop: int, members: Collection[tuple[View, Part]], node: cst.CSTNode, world: World
) -> None:
    """Forget what is known of elements that too many tests tell apart."""
    region = frozenset(part for _, part in members)
    it.emit(world, ev.Escape(site=it.place(node), lap=it.lap(world), region=region, by="too many tests"))
    gone = set(members)
    world.elements[loop] = tuple(m for m in world.elements[loop] if m not in gone)


def _opaque(cond: Cond) -> bool:
    return (cond.test is not None and cond.test.kind == "opaque") or any(
        isinstance(arg, Cond) and _opaque(arg) for arg in cond.args
    )


def partition(cond: Cond, members: Members, world: World) -> tuple[Members, Members, Members]:
    """The members for which a condition holds, for which it does not, and for which that is not known."""
    if cond.op == "not":
        yes, no, maybe = partition(cond.args[0], members, world)
        return no, yes, maybe
    if cond.op in ("and", "or"):
        first, second = cond.args if cond.op == "and" else tuple(Cond(cond.loop, "not", (c,)) for c in cond.args)
        yes, no, maybe = partition(first, members, world)
        yes2, no2, maybe2 = partition(second, yes, world)
        maybe3, no3, maybe4 = partition(second, maybe, world)
        all_yes, all_no, all_maybe = yes2, (*no, *no2, *no3), (*maybe2, *maybe3, *maybe4)
        return (all_yes, all_no, all_maybe) if cond.op == "and" else (all_no, all_yes, all_maybe)
    yes_: list[tuple[View, Part]] = []
    no_: list[tuple[View, Part]] = []
    maybe_: list[tuple[View, Part]] = []
    for view, part in members:
        if cond.op == "test":
            assert cond.test is not None
            passing, failing = part.split(cond.test, view)
            yes_ += [(view, p) for p in passing]
            no_ += [(view, p) for p in failing]
        elif cond.op == "flag":
            run = Run(world.state)
            for leaf in part.leaves():
                flag = run.flag(leaf)
                (yes_ if flag is YES else no_ if flag is NO else maybe_).append((view, leaf))
        elif cond.op == "member":
            ids: Ids = cond.args[0]
            held = {p for _, p in ids.members}
            for leaf in part.leaves():
                if leaf.is_in(held):
                    yes_.append((view, leaf))
                else:
                    (maybe_ if ids.unsure else no_).append((view, leaf))
        else:
            maybe_.append((view, part))
    return tuple(yes_), tuple(no_), tuple(maybe_)


def select(
    it: Interpreter,
    cond: Cond,
    yes: Members,
    members: Members,
    node: cst.CSTNode,
    world: World,
    flag_set: bool = False,
) -> None:
    """Tell the rules what a name test chose, where names were tested; `flag_set` when it decides about flags."""
    test, negated_ = matching.joined(it, node) or _name_test(cond)
    if test is None:
        if flag_set:
            matching.tell_joined(it, members, node, world)
        return
    exact = all(part.names is not None for _, part in members) and bool(members)
    if negated_:
        taken = set(yes)
        yes = tuple(m for m in members if m not in taken)
    chosen = any(part.names is None or part.names for _, part in yes)
    matched = YES if exact and chosen else UNSURE
    names = matching.all_names(members) if exact and not chosen else []
    if not exact and not _open_ended(test, world) and matching.refuted(test, members):
        names, matched = matching.expected(members), NO
    elif names and not _open_ended(test, world):
        # What an earlier branch took away counts: only a test that no name of the whole model passes matches nothing.
        matched = UNSURE if any(test.of_name(name) is not NO for name in names) else NO
    prefix = matching.hindering(it, test, members)
    it.emit(
        world,
        ev.SelectNames(
            site=it.place(node),
            lap=it.lap(world),
            test=test.text,
            region=frozenset(p for _, p in members),
            matched=matched,
            flag_set=flag_set,
            kind=test.kind,
            words=test.args,
            negated=negated_,
            example=matching.example(test, names) if matched is NO else "",
            strays=matching.strays(it, test, members, node) if flag_set else (),
            prefix=prefix,
        ),
    )


def _name_test(cond: Cond) -> tuple[Test | None, bool]:
    """The test of a condition that is a name test or the negation of one, and whether it is negated."""
    negated_ = cond.op == "not"
    inner = cond.args[0] if negated_ else cond
    if inner.op == "test" and inner.test is not None and inner.test.kind in matching.OF_NAMES:
        return inner.test, negated_
    return None, False


def _open_ended(test: Test, world: World) -> bool:
    """Whether some module has a child that is not known and that the test may mean."""
    for record in world.heap.values():
        if isinstance(record, Instance) and record.part is not None:
            for name, value in record.attrs.items():
                if isinstance(value, Sym) and any(name in word or word.split(".")[0] in name for word in test.args):
                    return True
    return False
