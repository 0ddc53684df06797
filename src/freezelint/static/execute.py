"""Statements. A block takes worlds and gives worlds; what ended early passes by what follows."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import libcst as cst

from freezelint.static import branches, calls, loops, subscripts, writing
from freezelint.static.evaluate import binary, evaluate, evaluate_all, items_of, label, new_list, source, summed
from freezelint.static.interpreter import Interpreter, OutOfFuel
from freezelint.static.values import (
    NONE,
    Cls,
    Const,
    Copy,
    Elem,
    Func,
    GradMode,
    Instance,
    Members,
    Obj,
    Params,
    Ref,
    Sym,
    Tensor,
    Tuple,
    Value,
    tensor_of,
)
from freezelint.static.world import Flow, World, serial, thawed
from freezelint.trace import events as ev
from freezelint.trace.regions import TooFine


def block(it: Interpreter, body: Sequence[Any], worlds: list[World]) -> list[World]:
    """Run statements in every world that has not left the block."""
    ordered = 0
    for statement in body:
        running = [w for w in worlds if w.flow is Flow.NORMAL]
        if not running:
            break
        left = [w for w in worlds if w.flow is not Flow.NORMAL]
        after: list[World] = []
        if len(running) not in (1, ordered):
            running.sort(key=thawed)
            ordered = len(running)
        allowed = it.fuel // 2  # what one statement may take in all worlds; those that come after are not looked at
        for world in running:
            try:
                after += _run(it, statement, world)
            except RecursionError:  # thousands of `elif`; what follows is looked at all the same
                after.append(world)
            if it.fuel < allowed:
                break
        # Worlds that ran side by side through a statement are no more alike than before it.
        worlds = it.merge(left + after) if len(after) > len(running) else left + after
    return worlds


def _run(it: Interpreter, statement: Any, world: World) -> list[World]:
    it.burn()
    if isinstance(statement, cst.SimpleStatementLine):
        worlds = [world]
        for small in statement.body:
            handler = _SMALL.get(type(small))
            if handler:
                left = [w for w in worlds if w.flow is not Flow.NORMAL]
                worlds = [after for w in worlds if w.flow is Flow.NORMAL for after in handler(it, small, w)] + left
        return worlds
    handler = _COMPOUND.get(type(statement)) or _SMALL.get(type(statement))  # `if x: y = 1` has no line in between
    return handler(it, statement, world) if handler else [world]


# Assignment ----------------------------------------------------------------------------------------------------------


def assign(it: Interpreter, target: Any, value: Value, node: cst.CSTNode, world: World) -> None:
    """Bind `target` to `value`."""
    if isinstance(target, cst.Name):
        names = it.locals(world)
        if target.value in it.globals_of(world):
            names = world.own(it.scope.module.path)
        before = names.get(target.value)
        if isinstance(before, Obj) and isinstance(value, Obj) and before.serial != value.serial:
            _rebound(it, target.value, before, value, node, world)
        names[target.value] = value
        label(it, value, target.value, world)
    elif isinstance(target, cst.Attribute):
        for owner, _ in evaluate(it, target.value, world)[:1]:
            writing.put(it, owner, target.attr.value, value, node, world)
    elif isinstance(target, cst.Subscript):
        index = target.slice[0].slice if len(target.slice) == 1 else None
        if isinstance(index, cst.Index):
            for (owner, key), _ in evaluate_all(it, [target.value, index.value], world)[:1]:
                subscripts.put_item(it, owner, key, value, node, world)
    elif isinstance(target, (cst.Tuple, cst.List)):
        _unpack(it, target, value, node, world)
    elif isinstance(target, (cst.Element, cst.StarredElement)):
        assign(it, target.value, value, node, world)


def _rebound(it: Interpreter, name: str, before: Obj, now: Obj, node: cst.CSTNode, world: World) -> None:
    """Tell the rules of a variable that holds another model of the same kind."""
    records = [world.heap.get(one.serial) for one in (before, now)]
    kinds = [record.kind for record in records if isinstance(record, Instance) and record.part is not None]
    if before.path or now.path or len(kinds) < 2 or kinds[0] != kinds[1]:
        return
    old, new = it.region(before, world), it.region(now, world)
    if old and new and not old & new:
        it.emit(world, ev.Rebind(site=it.place(node), lap=it.lap(world), name=name, old=old, new=new, turn=it.turns))


def _unpack(it: Interpreter, target: Any, value: Value, node: cst.CSTNode, world: World) -> None:
    elements = target.elements
    starred = next((i for i, e in enumerate(elements) if isinstance(e, cst.StarredElement)), None)
    items: Sequence[Value] | None = None
    if isinstance(value, Tuple):
        items = value.items
    elif (known := items_of(value, world)) is not None and not known.more and not isinstance(value, Params):
        items = known.items
    if items is not None and starred is not None and len(items) >= len(elements) - 1:
        after = len(elements) - starred - 1
        middle = new_list(world, items[starred : len(items) - after])
        items = [*items[:starred], middle, *items[len(items) - after :]]
    if items is not None and len(items) == len(elements):
        for element, item in zip(elements, items, strict=False):
            assign(it, element.value, item, node, world)
        return
    if isinstance(value, Elem) and len(elements) == 2 and value.what in ("param", "module"):
        # `for name, p in ...` over something whose items are not known to be pairs
        assign(it, elements[0].value, Elem(value.loop, "name"), node, world)
        assign(it, elements[1].value, value, node, world)
        return
    for at, element in enumerate(elements):
        text = element.value.value if isinstance(element.value, cst.Name) else ""
        part: Value = value if isinstance(value, Tensor) else Sym(("unpack", value, at), text)
        if isinstance(value, Elem):
            part = Elem(value.loop, "derived")
        assign(it, element.value, part, node, world)


def _assign(it: Interpreter, node: cst.Assign, world: World) -> list[World]:
    done = []
    for value, after in evaluate(it, node.value, world):
        flag = isinstance(value, Sym) and any(_is_flag(it, t.target, after) for t in node.targets)
        for given, then in branches.settled(it, value, node.value, after) if flag else ((value, after),):
            it.assigning = node.value
            for target in node.targets:
                assign(it, target.target, given, target, then)
            done.append(then)
    return done


def _is_flag(it: Interpreter, target: cst.BaseExpression, world: World) -> bool:
    """Whether a target is surely the flag of a parameter."""
    if not isinstance(target, cst.Attribute) or target.attr.value != "requires_grad":
        return False
    owner = evaluate(it, target.value, world)[0][0]
    return isinstance(owner, Params) or (isinstance(owner, Elem) and owner.what in ("param", "maybe", "filtered"))


def _annotated(it: Interpreter, node: cst.AnnAssign, world: World) -> list[World]:
    if node.value is None:
        return [world]
    done = []
    for value, after in evaluate(it, node.value, world):
        it.assigning = node.value
        assign(it, node.target, value, node, after)
        done.append(after)
    return done


_AUGMENTED: dict[type, type] = {
    cst.AddAssign: cst.Add,
    cst.SubtractAssign: cst.Subtract,
    cst.MultiplyAssign: cst.Multiply,
    cst.DivideAssign: cst.Divide,
    cst.FloorDivideAssign: cst.FloorDivide,
    cst.ModuloAssign: cst.Modulo,
}


def _augmented(it: Interpreter, node: cst.AugAssign, world: World) -> list[World]:
    from freezelint.static import containers

    done = []
    for (old, new), after in evaluate_all(it, [node.target, node.value], world):
        kind = _AUGMENTED.get(type(node.operator))
        if isinstance(old, Elem) and old.what == "index":
            value: Value = old  # a counter over the loop's elements
        elif isinstance(old, Ref) and kind is cst.Add:
            added = items_of(containers.closed(new, after), after)
            record = items_of(old, after)
            if added is not None and record is not None:
                from freezelint.static.values import Items

                after.heap[old.serial] = Items(
                    (*record.items, *(containers.closed(i, after) for i in added.items)), record.more or added.more
                )
            value = old
        elif isinstance(old, Tensor) or isinstance(new, Tensor):
            if kind is cst.Add and isinstance(node.target, (cst.Name, cst.Attribute)):
                summed(it, ((node.target, old), (node.value, new)), node, after)
            value = calls.computed(after, tensor_of((old, new)))
        else:
            value = binary(it, kind, old, new, after) if kind else Sym(("fresh", serial()))
        if not (isinstance(node.target, cst.Attribute) and isinstance(old, Tensor) and not old.uses):
            assign(it, node.target, value, node, after)
        done.append(after)
    return done


# Simple statements ---------------------------------------------------------------------------------------------------


def _expression(it: Interpreter, node: cst.Expr, world: World) -> list[World]:
    if isinstance(node.value, cst.GeneratorExp):  # nobody consumes it, so nothing in it happens
        _bare(it, node.value, NONE, world)
        return [world]
    done = []
    before, it.unused = it.unused, node.value
    outcomes = evaluate(it, node.value, world)
    it.unused = before
    for value, after in outcomes:
        _bare(it, node.value, value, after)
        done.append(after)
    return done


def _bare(it: Interpreter, node: cst.BaseExpression, value: Value, world: World) -> None:
    """An expression whose value nobody takes: what was named, compared or made lazily has no effect."""
    if isinstance(node, cst.Attribute):
        what = {
            "eval": "mode",
            "train": "mode",
            "requires_grad_": "flag",
            "no_grad": "grad-mode",
            "inference_mode": "grad-mode",
            "enable_grad": "grad-mode",
        }.get(node.attr.value)
        if what == "mode":
            owner = evaluate(it, node.value, world)[0][0]
            it.bare[id(node)] = isinstance(owner, (Sym, Elem)) or (
                isinstance(owner, Obj) and it.as_module(owner, world) is not None
            )
            if not it.bare[id(node)]:
                return
            named_not_called(it, what, node.attr.value, node, world, region=it.regions_in(owner, world))
        elif what == "flag" or (what == "grad-mode" and source(it, node).startswith("torch.")):
            named_not_called(it, what, node.attr.value, node, world)
    elif (
        isinstance(node, cst.Comparison)
        and isinstance(node.left, cst.Attribute)
        and node.left.attr.value == "requires_grad"
        and isinstance(node.comparisons[0].operator, (cst.Equal, cst.Is))
    ):
        named_not_called(it, "flag", "comparison", node, world)
    elif (
        isinstance(node, cst.UnaryOperation)
        and isinstance(node.operator, cst.Not)
        and isinstance(node.expression, cst.Attribute)
        and node.expression.attr.value == "requires_grad"
    ):
        named_not_called(it, "flag", "not", node, world)
    elif isinstance(value, GradMode) and isinstance(node, cst.Call):
        if value.kind == "set_grad_enabled":
            it.emit(
                world,
                ev.EnterGradMode(
                    site=it.place(node),
                    lap=it.lap(world),
                    enabled=value.enabled,
                    kind=value.kind,
                    how="statement",
                    inside=it.scope.function.name if it.scope.function and it.scope.cls else "",
                ),
            )
        elif not source(it, node.func).endswith("__enter__"):
            named_not_called(it, "grad-mode", value.kind, node, world)
    elif isinstance(node, (cst.GeneratorExp, cst.Call)) and "requires_grad" in (text := source(it, node)):
        lazy = isinstance(node, cst.GeneratorExp) or (isinstance(value, Sym) and value.kind == "map")
        if lazy and ("requires_grad_(" in text or "setattr" in text):
            named_not_called(it, "flag", "lazy", node, world)
        elif isinstance(value, Copy) and isinstance(node, cst.Call) and value.how != "state_dict()":
            # What the setter returns is not kept: `p.detach().requires_grad_(False)` as a statement.
            to = evaluate(it, node.args[0].value, world)[0][0] if node.args else Const(True)
            if isinstance(node.func, cst.Attribute) and node.func.attr.value == "requires_grad_":
                writing.wrote_on_copy(it, value, "requires_grad_", to, node, world)


def named_not_called(
    it: Interpreter, what: str, name: str, node: cst.CSTNode, world: World, region: Any = frozenset()
) -> None:
    """Tell the rules of something that was named and had to be called, assigned or consumed."""
    it.emit(
        world,
        ev.NamedButNotCalled(
            site=it.place(node), lap=it.lap(world), what=what, name=name, text=source(it, node), region=region
        ),
    )


def _return(it: Interpreter, node: cst.Return, world: World) -> list[World]:
    if node.value is None:
        world.flow, world.result = Flow.RETURN, NONE
        return [world]
    done = []
    for value, after in evaluate(it, node.value, world):
        after.result = value
        if after.flow is Flow.NORMAL:
            after.flow = Flow.RETURN
        done.append(after)
    return done


def _leave(flow: Flow) -> Callable[[Interpreter, Any, World], list[World]]:
    def leave(it: Interpreter, node: Any, world: World) -> list[World]:
        world.flow = flow
        return [world]

    return leave


def _import(it: Interpreter, node: cst.Import | cst.ImportFrom, world: World) -> list[World]:
    from freezelint.static.modules import bindings

    names = it.locals(world)
    for name, what in bindings(node):
        names[name] = it.imported(it.scope.module, *what)
    return [world]


def _delete(it: Interpreter, node: cst.Del, world: World) -> list[World]:
    return [world]


def _global(it: Interpreter, node: cst.Global, world: World) -> list[World]:
    names = it.locals(world)
    declared = getattr(names.get("\0global"), "items", ())  # none where worlds have met that differ in them
    names["\0global"] = Tuple((*declared, *(Const(n.name.value) for n in node.names)))
    return [world]


def _assert(it: Interpreter, node: cst.Assert, world: World) -> list[World]:
    """What a false assertion ends, as `else: assert False` ends a program with a wrong option, never trains."""
    after = [after for _, after in evaluate(it, node.test, world)]
    if isinstance(node.test, cst.Name) and node.test.value == "False":
        for one in after:
            one.flow = Flow.RAISE
    return after


# Compound statements -------------------------------------------------------------------------------------------------


def _if(it: Interpreter, node: cst.If, world: World, chained: bool = False) -> list[World]:
    done: list[World] = []
    if not chained:
        _chooses(it, node, world)
    cases = branches.split(it, node.test, world)
    for case in cases:
        if case.truth is None:
            done += _both(it, node, case)
            continue
        if case.truth is False and len(cases) == 1:
            _suppose(it, node.body, case.world)
        if case.truth:
            done += block(it, node.body.body, [case.world])
        elif node.orelse is not None:
            done += _else(it, node.orelse, case.world)
        else:
            if chained:
                _stray(it, node.test, case.world)
            done.append(case.world)
    return done


def _chooses(it: Interpreter, node: cst.If, world: World) -> None:
    """Note the words of an `if ... elif ...` that decides about a model: the tests are run up to the first that holds,
    and their words are alternatives all the same."""
    asked, words = it.choices.of(node, it.scope.module)
    if asked is not None:
        for value, _ in evaluate(it, asked, world.fork()):
            if isinstance(value, Const) and isinstance(value.value, str):
                it.choices.note(source(it, asked), value, words)


def _stray(it: Interpreter, test: cst.BaseExpression, world: World) -> None:
    """Mark the world of an option that has no name in `if ... elif ...`: no user of the program goes there."""
    here = it.place(test)
    for key, assumption in world.assumed.items():
        if assumption.at == here and not assumption.truth and branches.words_of(key):
            world.assumed[key] = replace(assumption, stray=True)


SUPPOSED_FUEL = 500  # for a branch that is only looked at for its excuses
_UNFREEZES = re.compile(r"unfreeze|requires_grad")


def _suppose(it: Interpreter, body: cst.BaseSuite, world: World) -> None:
    """Look at a branch that this world rules out, for the excuses it gives, when the worlds that would take it may be
    among those that are no longer looked at: `unfreeze()` is why a frozen part is held."""
    if it.limit > 1 or it.hypothetical or id(body) in it.harmless:
        return
    if not _UNFREEZES.search(it.scope.module.code(body)):
        it.harmless.add(id(body))
        return
    supposed = world.fork()
    floor, it.floor, it.hypothetical = it.floor, max(it.floor, it.fuel - SUPPOSED_FUEL), True
    try:
        block(it, body.body, [supposed])
    except (OutOfFuel, TooFine):
        if it.fuel < floor:
            raise
    finally:
        it.floor, it.hypothetical = floor, False


def _else(it: Interpreter, node: cst.If | cst.Else, world: World) -> list[World]:
    return _if(it, node, world, chained=True) if isinstance(node, cst.If) else block(it, node.body.body, [world])


def _both(it: Interpreter, node: cst.If, case: branches.Case) -> list[World]:
    """A test of a loop's element: the body runs for some elements, the rest for the others, in the same world."""
    assert case.cond is not None
    loop, world = case.cond.loop, case.world
    before = world.elements[loop]
    branches.select(it, case.cond, case.yes, before, node.test, world, _sets_flag(it, node.body))
    worlds: list[tuple[World, Members]] = []
    if case.yes:
        world.elements[loop] = case.yes
        for after in block(it, node.body.body, [world]):
            worlds.append((after, _survivors(after, loop)))
    else:
        worlds.append((world, ()))
    done: list[World] = []
    for after, kept in worlds:
        if case.no and node.orelse is not None:
            after.elements[loop] = case.no
            for then in _else(it, node.orelse, after):
                done.append(_rejoined(then, loop, (*kept, *_survivors(then, loop))))
        else:
            done.append(_rejoined(after, loop, (*kept, *case.no)))
    return done


_SETS_FLAG = re.compile(r"requires_grad\s*=[^=]|requires_grad_\(|[\"']requires_grad[\"']")


def _sets_flag(it: Interpreter, node: cst.CSTNode) -> bool:
    """Whether a block sets flags itself."""
    return _SETS_FLAG.search(it.scope.module.code(node)) is not None


def _survivors(world: World, loop: int) -> Members:
    """The elements that go on with the rest of the loop's body."""
    if world.flow in (Flow.CONTINUE, Flow.BREAK, Flow.RETURN):
        world.flow = Flow.NORMAL
        return ()
    return world.elements.get(loop, ()) if world.flow is Flow.NORMAL else ()


def _rejoined(world: World, loop: int, members: Members) -> World:
    world.elements[loop] = tuple(dict.fromkeys(members))
    if not members and world.flow is Flow.NORMAL:
        world.flow = Flow.CONTINUE
    return world


def _with(it: Interpreter, node: cst.With, world: World) -> list[World]:
    worlds: list[tuple[World, int]] = [(world, 0)]
    for item in node.items:
        entered: list[tuple[World, int]] = []
        for w, count in worlds:
            for value, after in evaluate(it, item.item, w):
                if isinstance(value, GradMode):
                    it.emit(
                        after,
                        ev.EnterGradMode(
                            site=it.place(item.item), lap=it.lap(after), enabled=value.enabled, kind=value.kind
                        ),
                    )
                    entered.append((after, count + 1))
                    continue
                if item.asname is not None:
                    assign(it, item.asname.name, value, item, after)
                entered.append((after, count))
        worlds = entered
    done: list[World] = []
    for count in sorted({c for _, c in worlds}):
        for after in block(it, node.body.body, [w for w, c in worlds if c == count]):
            for _ in range(count):
                it.emit(after, ev.ExitGradMode(site=it.place(node)))
            done.append(after)
    return done


def _try(it: Interpreter, node: cst.Try, world: World) -> list[World]:
    """The body as if nothing went wrong; handlers run beside it for the faults written in them, and are forgotten."""
    before = world.fork() if node.handlers else None
    it.guarded += bool(node.handlers)
    worlds = block(it, node.body.body, [world])
    it.guarded -= bool(node.handlers)
    if before is not None:
        failed = [w for w in worlds if w.flow is not Flow.RAISE]
        for handler in node.handlers:
            aside = before.fork()
            if handler.name is not None:
                assign(it, handler.name.name, Sym(("error", id(handler))), handler, aside)
            it.caught += 1
            caught = block(it, handler.body.body, [aside])
            it.caught -= 1
            if not failed:
                worlds = caught
    if node.orelse is not None:
        worlds = block(it, node.orelse.body.body, worlds)
    if node.finalbody is not None:
        done: list[World] = []
        for after in worlds:
            flow, result = after.flow, after.result
            after.flow = Flow.NORMAL
            for final in block(it, node.finalbody.body.body, [after]):
                if final.flow is Flow.NORMAL:
                    final.flow, final.result = flow, result
                done.append(final)
        worlds = done
    return worlds


def _function(it: Interpreter, node: cst.FunctionDef, world: World) -> list[World]:
    scope = it.scope
    if scope.frame is not None:
        it.closures.add(scope.frame)
    func: Value = Func(it.function(scope.module, node, scope.cls), scope.frame)
    it.locals(world)[node.name.value] = func
    return [world]


def _class(it: Interpreter, node: cst.ClassDef, world: World) -> list[World]:
    it.locals(world)[node.name.value] = Cls(it.cls(it.scope.module, node))
    return [world]


def _match(it: Interpreter, node: cst.Match, world: World) -> list[World]:
    done: list[World] = []
    for value, after in evaluate(it, node.subject, world):
        open_worlds = [after]
        for case in node.cases:
            nxt: list[World] = []
            for w in open_worlds:
                known = _matches(it, case.pattern, value, w)
                key, text = _as_test(it, case.pattern, node.subject, value, w)
                known = branches.truth(key, w) if known is None else known
                if known is False:
                    nxt.append(w)
                    continue
                if known is None:
                    other = w.fork()
                    for outcome, there in ((True, w), (False, other)):
                        branches.assume(it, key, outcome, case.pattern, there)
                        there.assumed[key] = replace(there.assumed[key], text=text)
                    nxt.append(other)
                done += block(it, case.body.body, [w])
            open_worlds = nxt
        done += open_worlds
    return done


def _as_test(
    it: Interpreter, pattern: cst.MatchPattern, subject: cst.BaseExpression, value: Value, world: World
) -> tuple[Sym, str]:
    """The comparison that a case of constants is, and how it would be written; else a test of its own."""
    patterns = [p.pattern for p in pattern.patterns] if isinstance(pattern, cst.MatchOr) else [pattern]
    wanted = [evaluate(it, p.value, world)[0][0] for p in patterns if isinstance(p, cst.MatchValue)]
    asked = source(it, subject)
    if len(wanted) < len(patterns) or not all(isinstance(w, Const) for w in wanted):
        return Sym(("match", value, id(pattern))), f"{asked} matches {source(it, pattern)}"
    if len(wanted) == 1:
        return Sym(("eq", value, wanted[0])), f"{asked} == {source(it, pattern)}"
    words = ", ".join(source(it, p) for p in patterns)
    return Sym(("in", value, Tuple(tuple(wanted)))), f"{asked} in ({words})"


def _matches(it: Interpreter, pattern: cst.MatchPattern, value: Value, world: World) -> bool | None:
    if isinstance(pattern, cst.MatchAs) and pattern.pattern is None:
        if pattern.name is not None:
            assign(it, pattern.name, value, pattern, world)
        return True
    if isinstance(pattern, cst.MatchValue):
        from freezelint.static.evaluate import _same

        wanted = evaluate(it, pattern.value, world)[0][0]
        return _same(value, wanted, exact=False)
    if isinstance(pattern, cst.MatchOr):
        known = [_matches(it, p.pattern, value, world) for p in pattern.patterns]
        return True if True in known else None if None in known else False
    return None


_SMALL: dict[type, Callable[[Interpreter, Any, World], list[World]]] = {
    cst.Expr: _expression,
    cst.Assign: _assign,
    cst.AnnAssign: _annotated,
    cst.AugAssign: _augmented,
    cst.Return: _return,
    cst.Break: _leave(Flow.BREAK),
    cst.Continue: _leave(Flow.CONTINUE),
    cst.Raise: _leave(Flow.RAISE),
    cst.Import: _import,
    cst.ImportFrom: _import,
    cst.Del: _delete,
    cst.Global: _global,
    cst.Assert: _assert,
}
_COMPOUND: dict[type, Callable[[Interpreter, Any, World], list[World]]] = {
    cst.If: _if,
    cst.For: loops.body,
    cst.While: loops.repeat,
    cst.With: _with,
    cst.Try: _try,
    cst.TryStar: _try,
    cst.FunctionDef: _function,
    cst.ClassDef: _class,
    cst.Match: _match,
}
