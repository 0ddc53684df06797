"""Tests: what decides them, and what to do when nothing does.

A test of constants is decided. A test of a loop's element (a parameter's name, a module's kind) holds for some elements
and not for others: both branches run in the same world, over their own elements. A test of something unknown forks the
world, and the assumption is remembered under the value tested, so that the same test agrees with itself later.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import libcst as cst

from freezelint.static.interpreter import Interpreter
from freezelint.static.values import (
    NONE,
    Cond,
    Const,
    Copy,
    Elem,
    GradMode,
    Ids,
    Items,
    Members,
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
from freezelint.trace.regions import Part, View
from freezelint.trace.run import Run
from freezelint.trace.tri import NO, UNSURE, YES


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
    if isinstance(value, GradMode):
        return True
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
    if key[0] == "eq":
        if key[2] == NONE:
            tested = world.assumed.get(key[1])
            if tested is not None and tested.truth:
                return False
        for other, assumption in world.assumed.items():
            if (
                assumption.truth
                and isinstance(other, Sym)
                and isinstance(other.key, tuple)
                and other.key[0] == "eq"
                and other.key[1] == key[1]
                and other.key[2] != key[2]
                and isinstance(other.key[2], Const)
                and isinstance(key[2], Const)
            ):
                return False
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
    from freezelint.static.evaluate import source

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


def split(it: Interpreter, node: cst.BaseExpression, world: World) -> list[Case]:
    """The outcomes of a test."""
    from freezelint.static.evaluate import evaluate

    if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Not):
        return [case.swapped() for case in split(it, node.expression, world)]
    if isinstance(node, cst.BooleanOperation):
        if isinstance(node.operator, cst.Or):
            left = [case.swapped() for case in split(it, node.left, world)]
            return [case.swapped() for case in _and(it, left, node.right, swap=True)]
        return _and(it, split(it, node.left, world), node.right, swap=False)
    cases: list[Case] = []
    for value, after in evaluate(it, node, world):
        cases += decide(it, value, node, after)
    return cases


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
        from freezelint.static.evaluate import opaque

        value = opaque(it, value, node)
    if isinstance(value, Cond):
        members = world.elements.get(value.loop)
        if members is not None:
            yes, no, maybe = partition(value, members, world)
            return [Case(world, None, value, (*yes, *maybe), (*no, *maybe))]
    if not isinstance(value, Sym):
        value = Sym(("test", id(node), value))
    other = world.fork()
    assume(it, value, True, node, world)
    assume(it, value, False, node, other)
    return [Case(world, True), Case(other, False)]


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
                if held & set(leaf.above()):
                    yes_.append((view, leaf))
                else:
                    (maybe_ if ids.unsure else no_).append((view, leaf))
        else:
            maybe_.append((view, part))
    return tuple(yes_), tuple(no_), tuple(maybe_)


def select(it: Interpreter, cond: Cond, yes: Members, members: Members, node: cst.CSTNode, world: World) -> None:
    """Tell the rules what a name test chose, where names were tested."""
    test = _name_test(cond)
    if test is None:
        return
    exact = all(part.names is not None for _, part in members) and bool(members)
    chosen = any(part.names is None or part.names for _, part in yes)
    matched = YES if exact and chosen else NO if exact else UNSURE
    it.emit(
        world,
        ev.SelectNames(
            site=it.place(node), lap=it.lap(world), test=test, region=frozenset(p for _, p in members), matched=matched
        ),
    )


def _name_test(cond: Cond) -> str | None:
    """The text of a purely positive name test, None for any other condition."""
    if (
        cond.op == "test"
        and cond.test is not None
        and cond.test.kind in ("in", "startswith", "endswith", "equals", "regex")
    ):
        return cond.test.text
    return None


def is_params(value: Value) -> bool:
    """Whether a value is parameters of a model."""
    return isinstance(value, Params)
