"""Tests: what decides them, and what to do when nothing does.

A test of constants is decided. A test of a loop's element (a parameter's name, a module's kind) holds for some elements
and not for others: both branches run in the same world, over their own elements. A test of something unknown forks the
world, and the assumption is remembered under the value tested, so that the same test agrees with itself later.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import libcst as cst

from freezelint.static import matching
from freezelint.static.assumptions import assume, truth
from freezelint.static.evaluate import evaluate, source
from freezelint.static.interpreter import Interpreter
from freezelint.static.values import (
    Cls,
    Cond,
    Const,
    Elem,
    Func,
    Ids,
    Instance,
    Lib,
    Members,
    Obj,
    Ref,
    Sym,
    Table,
    Value,
)
from freezelint.static.world import Assumption, World
from freezelint.trace import events as ev
from freezelint.trace.regions import Part, Test, TooFine, View
from freezelint.trace.run import Run
from freezelint.trace.tri import NO, UNSURE, YES

OPAQUE = 5  # tests of the same elements that are not looked into
CHOICES = 6  # entries of a dictionary whose key is not known that are looked at one by one


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
        text = f"{source(it, node)} == {item!r}"
        here.assumed[test] = Assumption(True, text, True, it.place(node))
        done.append((Const(item), here))
        if known:
            return done
        rest.assumed[test] = Assumption(False, text, False, it.place(node))
    rest.assumed[Sym(("eq", key, Const(last)))] = Assumption(
        True, f"{source(it, node)} == {last!r}", True, it.place(node)
    )
    return [*done, (Const(last), rest)]


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
                    site=it.place(node), lap=it.lap(world), test=source(it, node), region=region, matched=YES,
                    flag_set=True, kind="literal", words=(source(it, node.left),),
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
    value = of_element(it, value, node, world)
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
    if not isinstance(value, (Sym, Lib)):
        value = Sym(("test", id(node), value))
    other = world.fork()
    assume(it, value, True, node, world)
    assume(it, value, False, node, other)
    return [Case(world, True), Case(other, False)]


def of_element(it: Interpreter, value: Value, node: cst.CSTNode, world: World) -> Value:
    """A test of a loop's element that nobody can look into, `if wanted(name)`, as one that some elements pass."""
    from freezelint.static.comparisons import opaque

    elem = value if isinstance(value, Elem) else None
    if isinstance(value, Sym) and world.elements:
        names = it.locals(world)
        made_of = value.key[2:] if isinstance(value.key, tuple) and value.key[0] == "fresh" else ()
        held = (*made_of, *(names.get(name) for name in _names_read(node)))
        elem = next((one for one in held if isinstance(one, Elem) and one.loop in world.elements), None)
    return opaque(it, elem, node) if elem is not None else value


def _names_read(node: cst.CSTNode) -> Iterator[str]:
    """The variables that an expression reads, as far as it names them."""
    if isinstance(node, cst.Name):
        yield node.value
    elif isinstance(node, cst.Attribute):
        yield from _names_read(node.value)
    else:
        for child in node.children:
            if not isinstance(child, (cst.Lambda, cst.CompFor)):
                yield from _names_read(child)


def settled(it: Interpreter, value: Value, node: cst.CSTNode, world: World) -> list[tuple[Value, World]]:
    """A flag's value: an unknown is decided as an `if` would decide it, so that later tests of it agree."""
    value = of_element(it, value, node, world) if isinstance(value, Sym) else value
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
