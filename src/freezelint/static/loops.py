"""Loops. A loop over parameters or modules of a model is one pass over a region; a short known list is unrolled; any
other loop runs two laps, so that what goes wrong in the second epoch shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import libcst as cst

from freezelint.static import branches, calls, evaluate, execute, indexed, order
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.modules import names_in
from freezelint.static.values import (
    Cond,
    Const,
    Copy,
    Elem,
    Ids,
    Instance,
    Items,
    Members,
    Modules,
    Obj,
    Params,
    Ref,
    StateDict,
    Sym,
    Table,
    Tensor,
    Tuple,
    Value,
    tensor_of,
)
from freezelint.static.world import Flow, World, merge, serial
from freezelint.trace import events as ev
from freezelint.trace.regions import Part, Test

UNROLLED = 16  # children or items that are taken one by one; longer lists are taken as one element
LAPS = 2


def body(it: Interpreter, node: cst.For | cst.While, world: World) -> list[World]:
    """Run a `for` loop."""
    assert isinstance(node, cst.For)
    done: list[World] = []
    for value, after in evaluate.evaluate(it, node.iter, world):
        done += _over(it, node, value, after)
    return it.merge(_left(it, node, merge(done)))


def _over(it: Interpreter, node: cst.For, value: Value, world: World) -> list[World]:
    items = unrolled(it, value, world, node.iter)
    if items is not None:
        worlds = [world]
        for item in items:
            worlds = it.merge([after for w in worlds for after in _lap(it, node, item, w)])
        return worlds
    before = set(world.elements)
    element = elements(it, value, world, node.iter) or indexed.over(it, node, world)
    if element is not None:
        binding, loop = element
        if not world.elements.get(loop):
            return [world]
        names = it.locals(world)
        for counter in counters(node):
            if isinstance(names.get(counter), Const):
                names[counter] = Elem(loop, "index")
        worlds = _lap(it, node, binding, world)
        for after in worlds:
            for inner in after.elements.keys() - before:
                del after.elements[inner]
        return worlds
    return _laps(it, node, world, value)


def item_of(value: Value | None, key: Any, world: World) -> Value:
    """What one lap over something unknown binds: tensors where it holds any."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Sym) and isinstance(value.key, tuple):
        what = value.key[0]
        if what == "zip":
            return Tuple(tuple(item_of(v, (*key, at), world) for at, v in enumerate(value.key[1])))
        if what == "enumerated":
            return Tuple((Sym(("counter", *key), "i"), item_of(value.key[1], (*key, 1), world)))
    if isinstance(value, (Ref, Tuple)):
        held = calls.inside(value, world)
        if any(isinstance(v, Tensor) for v in held):
            return tensor_of(held)
    return Sym(key)


def counters(node: cst.For | cst.While) -> frozenset[str]:
    """The names that a loop's body counts with (`i += 1`)."""
    found = _counters.get(id(node))
    if found is None or found[0] is not node:
        names: set[str] = set()
        pending: list[Any] = [node.body]
        while pending:
            inner = pending.pop()
            if isinstance(inner, cst.AugAssign):
                if isinstance(inner.target, cst.Name):
                    names.add(inner.target.value)
            elif isinstance(
                inner,
                (cst.IndentedBlock, cst.SimpleStatementLine, cst.If, cst.Else, cst.For, cst.While, cst.With, cst.Try),
            ):
                pending += inner.children
        found = _counters[id(node)] = (node, frozenset(names))
    return found[1]


_counters: dict[int, tuple[Any, frozenset[str]]] = {}


def _lap(it: Interpreter, node: cst.For, item: Value, world: World) -> list[World]:
    from freezelint.static import assignments, execute

    if world.flow is not Flow.NORMAL:
        return [world]
    assignments.assign(it, node.target, item, node, world)
    worlds = execute.block(it, node.body.body, [world])
    for after in worlds:
        if after.flow is Flow.CONTINUE:
            after.flow = Flow.NORMAL
    return worlds


def _laps(it: Interpreter, node: cst.For | cst.While, world: World, over: Value | None) -> list[World]:
    from freezelint.static import assignments, execute

    worlds = [world]
    outer = world.laps
    for lap in range(LAPS):
        running: list[World] = []
        for w in worlds:
            if w.flow is not Flow.NORMAL:
                running.append(w)
                continue
            w.laps = (*outer, lap)
            names = it.locals(w)
            for counter in counters(node):
                start = names.get(counter)
                if isinstance(start, Const):
                    names[counter] = Sym(("counter", id(node), lap, outer, counter, start.value), counter)
            if isinstance(node, cst.For):
                item = item_of(over, ("item", id(node), lap, outer), w)
                assignments.assign(it, node.target, item, node, w)
            running.append(w)
        worlds = execute.block(it, node.body.body, running)
        for after in worlds:
            if after.flow is Flow.CONTINUE:
                after.flow = Flow.NORMAL
        worlds = it.merge(worlds)
    for after in worlds:
        after.laps = outer
    return worlds


def _left(it: Interpreter, node: cst.For | cst.While, worlds: list[World]) -> list[World]:
    """After the loop: `else` runs where it was not broken out of."""
    if node.orelse is not None:
        normal = [w for w in worlds if w.flow is Flow.NORMAL]
        others = [w for w in worlds if w.flow is not Flow.NORMAL]
        # Two laps stand for any number, so a loop that only breaks in view may still run to its end.
        worlds = execute.block(it, node.orelse.body.body, normal) + others
    for after in worlds:
        if after.flow is Flow.BREAK:
            after.flow = Flow.NORMAL
    return worlds


def repeat(it: Interpreter, node: cst.While, world: World) -> list[World]:
    """Run a `while` loop: two laps, or none where its test is false from the start."""
    done: list[World] = []
    for case in branches.split(it, node.test, world):
        if case.truth is False:
            done.append(case.world)
        else:
            done += _laps(it, node, case.world, None)
    return it.merge(_left(it, node, merge(done)))


def unrolled(it: Interpreter, value: Value, world: World, node: cst.CSTNode) -> tuple[Value, ...] | None:
    """The items of a short list whose items are all known."""
    if isinstance(value, Const) and isinstance(value.value, str):
        return None
    if isinstance(value, Modules):
        return children(it, value, world)
    items: Items | None = None
    if isinstance(value, Tuple):
        items = Items(value.items)
    elif isinstance(value, Ref):
        record = world.heap.get(value.serial)
        if isinstance(record, Table) and not record.more:
            items = Items(tuple(Const(k) for k in record.items))
        elif isinstance(record, Items) and not record.more:
            items = record
    elif isinstance(value, Obj):
        items = contained(it, value, world)
    if items is None or items.more or len(items.items) > UNROLLED:
        return None
    if any(isinstance(i, Params) and not i.single for i in items.items):
        return None  # a list made of whole parameter lists: its items are parameters
    return items.items


def contained(it: Interpreter, value: Obj, world: World) -> Items | None:
    """The modules of a Sequential or ModuleList in order."""
    record = world.heap.get(value.serial)
    numbered = _numbered(it, value, world)
    if numbered is not None:
        return Items(numbered)
    if not isinstance(record, Instance) or value.path or record.kind not in ("Sequential", "ModuleList"):
        return None
    known = record.part is not None and record.part.layers is not None
    return Items(tuple(v for k, v in record.attrs.items() if k.isdigit()), not known)


def numbered(it: Interpreter, value: Obj, world: World) -> bool:
    """Whether a part of a library's model is a Sequential or ModuleList."""
    return _numbered(it, value, world) is not None


def _numbered(it: Interpreter, value: Obj, world: World) -> tuple[Value, ...] | None:
    """The children of a part of a library's model that is a Sequential or ModuleList: they have numbers for names."""
    record = world.heap.get(value.serial)
    if not value.path or not isinstance(record, Instance) or record.row is None:
        return None
    found = child_list(it, value, world)
    return tuple(child for _, child in found) if found and all(name.isdigit() for name, _ in found) else None


def children(it: Interpreter, value: Modules, world: World) -> tuple[Value, ...] | None:
    """`children()` or `named_children()` of a module whose children are all known, one by one."""
    if value.how != "children" or not isinstance(value.owner, Obj):
        return None
    found = child_list(it, value.owner, world)
    if found is None or len(found) > UNROLLED:
        return None
    found = found[value.start : value.stop]
    if value.named:
        return tuple(Tuple((Const(name), child)) for name, child in found)
    return tuple(child for _, child in found)


def child_list(it: Interpreter, owner: Obj, world: World) -> list[tuple[str, Obj]] | None:
    """The direct children of a module by name, None when there may be others."""
    record = world.heap.get(owner.serial)
    if not isinstance(record, Instance) or record.part is None:
        return None
    stem = owner.path + "." if owner.path else ""
    attached = {
        k[len(stem) :]: v
        for k, v in record.attrs.items()
        if k.startswith(stem)
        and isinstance(v, Obj)
        and it.as_module(v, world) is not None
        and "." not in k[len(stem) :]
    }
    names: list[str] = []
    if record.part.layers is None:
        if record.row is None:
            return None
        return None
    if record.row is not None and not owner.path and getattr(record.row, "children", None):
        names = list(record.row.children)
    else:
        for where in record.part.layers:
            if where.startswith(stem) and where != owner.path:
                first = where[len(stem) :].split(".")[0]
                if first and first not in names:
                    names.append(first)
    names += [n for n in attached if n not in names]
    return [(n, attached.get(n) or Obj(owner.serial, stem + n)) for n in names]


def elements(it: Interpreter, value: Value, world: World, node: cst.CSTNode) -> tuple[Value, int] | None:
    """What one pass over parameters or modules binds, and the loop whose elements it stands for."""
    loop = serial()
    if isinstance(value, Params):
        use(it, value, "a loop", node, world)
        world.elements[loop] = value.members
        param = Elem(loop, "maybe" if value.unsure else "param")
        return (Tuple((Elem(loop, "name"), param)) if value.named else param), loop
    if isinstance(value, StateDict):
        world.elements[loop] = value.members
        return Elem(loop, "name"), loop
    if isinstance(value, Sym) and isinstance(value.key, tuple) and value.key[0] in ("state items", "state values"):
        state = value.key[1]
        world.elements[loop] = state.members
        tensor: Value = Elem(loop, "param") if state.keep_vars else Copy(state.members, "state_dict()")
        return (Tuple((Elem(loop, "name"), tensor)) if value.key[0] == "state items" else tensor), loop
    if isinstance(value, Modules) and isinstance(value.owner, (Obj, Elem)):
        members = (
            it.members(value.owner, world) if isinstance(value.owner, Obj) else world.elements.get(value.owner.loop, ())
        )
        if value.start or value.stop:
            members = sliced(members, f"[{value.start or ''}:{value.stop or ''}] of children()")
        world.elements[loop] = members
        module = Elem(loop, "module")
        return (Tuple((Elem(loop, "name"), module)) if value.named else module), loop
    if isinstance(value, Obj):
        module_of = it.as_module(value, world)
        record = world.heap.get(value.serial)
        if (
            module_of is not None
            and isinstance(record, Instance)
            and (
                record.kind in ("Sequential", "ModuleList", "symbolic", "slice")
                or _numbered(it, value, world) is not None
            )
        ):
            world.elements[loop] = it.members(module_of, world)
            return Elem(loop, "module"), loop
        return None
    if (layers := stack(it, value, world)) is not None:
        world.elements[loop] = it.members(layers, world)
        return Elem(loop, "module"), loop
    if isinstance(value, Sym) and isinstance(value.key, tuple) and value.key[0] == "enumerate":
        inner = elements(it, value.key[1], world, node)
        if inner is None:
            return None
        binding, loop = inner
        start = value.key[2]
        counted = _listed(value.key[1], world)
        if counted is not None:
            it.orders[loop] = order.names(it, counted, world)
        return Tuple((Elem(loop, "index", start), binding)), loop
    if isinstance(value, Sym) and isinstance(value.key, tuple) and value.key[0] == "zip":
        pairs = [elements(it, inner, world, node) for inner in value.key[1]]
        known = [pair for pair in pairs if pair is not None]
        parameters = any(isinstance(inner, Params) for inner in value.key[1])
        if known and (len(known) == len(pairs) or not parameters):
            bound = (pair[0] if pair is not None else Sym(("fresh", serial())) for pair in pairs)
            return Tuple(tuple(bound)), known[0][1]
        return None
    if isinstance(value, Ref):
        record = world.heap.get(value.serial)
        if isinstance(record, Items) and record.items and all(isinstance(i, Params) for i in record.items):
            found: list[Any] = [m for i in record.items for m in i.members]  # type: ignore[attr-defined]
            world.elements[loop] = tuple(dict.fromkeys(found))
            named = all(i.named for i in record.items)  # type: ignore[attr-defined]
            return (Tuple((Elem(loop, "name"), Elem(loop, "param"))) if named else Elem(loop, "param")), loop
        if (
            isinstance(record, Items)
            and record.items
            and all(it.as_module(i, world) for i in record.items if isinstance(i, (Obj, Sym)))
        ):
            modules = [it.as_module(i, world) for i in record.items if isinstance(i, (Obj, Sym))]
            if modules and len(modules) == len(record.items) and any(isinstance(i, Obj) for i in record.items):
                world.elements[loop] = tuple(dict.fromkeys(m for o in modules if o for m in it.members(o, world)))
                return Elem(loop, "module"), loop
    return None


def _listed(value: Value, world: World) -> Obj | None:
    """The module whose parameters a value lists, all and in order."""
    record = world.heap.get(value.serial) if isinstance(value, Ref) else None
    if isinstance(record, Items) and len(record.items) == 1 and not record.more:
        value = record.items[0]
    return value.of if isinstance(value, Params) and not value.filtered and not value.single else None


def sliced(members: Members, text: str) -> Members:
    """Some of these, chosen by position: an unnamed half of each part."""
    test = Test("opaque", (text,), text)
    return tuple((view, half) for view, part in members for half in part.split(test, view)[0])


STACKS = frozenset(
    {"layer", "layers", "block", "blocks", "h", "resblocks", "stages", "encoder_layers", "decoder_layers"}
)


def stack(it: Interpreter, value: Value, world: World) -> Obj | None:
    """The list of layers that an attribute of a model is whose children are not known, or a stretch of one."""
    key = value.key if isinstance(value, Sym) else None
    if not isinstance(value, Sym) or not isinstance(key, tuple) or key[0] not in ("attr", "slice"):
        return None
    if key[0] == "slice":
        return it.as_module(value, world) if stack(it, key[1], world) is not None else None
    return it.as_module(value, world) if key[2] in STACKS and it.in_module(value) else None


def use(it: Interpreter, value: Params, by: str, node: cst.CSTNode, world: World) -> None:
    """A one-shot iterator over parameters is consumed."""
    if value.iterator is not None:
        it.emit(world, ev.UseParams(site=it.place(node), lap=it.lap(world), iterator=value.iterator, by=by))


def spread(it: Interpreter, value: Value, world: World, node: cst.CSTNode) -> Items | None:
    """What `*value` puts into a list or call."""
    if isinstance(value, Params):
        use(it, value, "an unpacking", node, world)
        return Items((replace(value, iterator=None),))
    known = unrolled(it, value, world, node)
    if known is not None:
        return Items(known)
    if (layers := stack(it, value, world)) is not None:
        return Items((layers,))
    if isinstance(value, Modules) and isinstance(value.owner, Obj):
        members = it.members(value.owner, world)
        if value.start or value.stop:
            members = sliced(members, f"[{value.start or ''}:{value.stop or ''}] of children()")
        return Items((some_of(it, members, world),))
    if isinstance(value, Ref) and isinstance(record := world.heap.get(value.serial), Items):
        return record
    return None


def some_of(it: Interpreter, members: Members, world: World) -> Obj:
    """A module made of parts of other models."""
    number = serial()
    world.heap[number] = Instance("slice", part=Part("(slice)", layers={}), shares=members)
    return Obj(number)


# Comprehensions ------------------------------------------------------------------------------------------------------


def comprehension(it: Interpreter, node: Any, world: World) -> Outcomes:
    """List, set and generator comprehensions."""
    lazy = isinstance(node, cst.GeneratorExp)
    before = dict(it.locals(world))
    done: Outcomes = []
    for items, more, after in _generate(it, node.for_in, node.elt, world):
        value = _collected(it, items, more, lazy, node, after)
        done.append((value, after))
        _restore(it, node.for_in, before, after)
    return done or [(evaluate.unknown(node), world)]


def _restore(it: Interpreter, clause: cst.CompFor, before: dict[str, Value], world: World) -> None:
    """Comprehension variables do not leak."""
    names = it.locals(world)
    for name in names_in(clause.target):
        if name in before:
            names[name] = before[name]
        else:
            names.pop(name, None)
    if clause.inner_for_in is not None:
        _restore(it, clause.inner_for_in, before, world)


def _collected(it: Interpreter, items: list[Value], more: bool, lazy: bool, node: cst.CSTNode, world: World) -> Value:
    params = [i for i in items if isinstance(i, Params)]
    apart = not lazy and any(p.iterator is not None for p in params)  # a list of generators is no list of parameters
    if items and len(params) == len(items) and not more and not apart:
        members = tuple(dict.fromkeys(m for p in params for m in p.members))
        iterator = None
        if lazy:
            iterator = serial()
            it.emit(
                world,
                ev.TakeParams(
                    site=it.place(node), lap=it.lap(world), iterator=iterator, text=evaluate.source(it, node)
                ),
            )
        return Params(
            members,
            named=all(p.named for p in params),
            iterator=iterator,
            filtered=all(p.filtered for p in params),
            unsure=any(p.unsure for p in params),
        )
    if len(items) == 1 and isinstance(items[0], Ids) and not more:
        return items[0]
    conds = [i for i in items if isinstance(i, Cond)]
    if len(conds) == len(items) == 1:
        return conds[0]
    if items and all(isinstance(i, Tensor) for i in items):
        return evaluate.new_list(world, (tensor_of(items),), True)
    return evaluate.new_list(world, items, more)


def _generate(
    it: Interpreter, clause: cst.CompFor, elt: cst.BaseExpression, world: World
) -> list[tuple[list[Value], bool, World]]:
    from freezelint.static import assignments, evaluate

    done: list[tuple[list[Value], bool, World]] = []
    for value, after in evaluate.evaluate(it, clause.iter, world):
        known = unrolled(it, value, after, clause.iter)
        if known is not None:
            rows: list[tuple[list[Value], bool, World]] = [([], False, after)]
            for item in known:
                nxt = []
                for got, more, w in rows:
                    assignments.assign(it, clause.target, item, clause, w)
                    for new, new_more, w2 in _filtered(it, clause, 0, elt, w):
                        nxt.append(([*got, *new], more or new_more, w2))
                rows = nxt[:8]
            done += rows
            continue
        element = elements(it, value, after, clause.iter)
        if element is not None:
            binding, loop = element
            assignments.assign(it, clause.target, binding, clause, after)
            everything = after.elements.get(loop, ())
            for got, more, w in _filtered(it, clause, 0, elt, after):
                done.append(([_closed(v, loop, everything, w) for v in got], more, w))
                w.elements.pop(loop, None)
            continue
        item = item_of(value, ("item", id(clause)), after)
        assignments.assign(it, clause.target, item, clause, after)
        for got, _, w in _filtered(it, clause, 0, elt, after):
            done.append((got, True, w))
    return done


def _filtered(
    it: Interpreter, clause: cst.CompFor, at: int, elt: cst.BaseExpression, world: World
) -> list[tuple[list[Value], bool, World]]:
    if at == len(clause.ifs):
        if clause.inner_for_in is not None:
            return _generate(it, clause.inner_for_in, elt, world)
        return [([value], False, after) for value, after in evaluate.evaluate(it, elt, world)]
    done: list[tuple[list[Value], bool, World]] = []
    for value, after in evaluate.evaluate(it, clause.ifs[at].test, world):
        known = branches.truth(value, after)
        if known is False:
            done.append(([], False, after))
        elif isinstance(value, Cond) and value.loop in after.elements:
            members = after.elements[value.loop]
            yes, _, maybe = branches.partition(value, members, after)
            branches.select(it, value, (*yes, *maybe), members, clause.ifs[at].test, after)
            after.elements[value.loop] = (*yes, *maybe)
            for got, more, w in _filtered(it, clause, at + 1, elt, after):
                flag = _tests_flag(value)
                done.append(([_marked(v, flag, bool(maybe) and value.op != "flag") for v in got], more, w))
        else:
            for got, more, w in _filtered(it, clause, at + 1, elt, after):
                unknown = known is None and not _of_emptiness(clause.ifs[at].test)
                done.append((got, more or unknown, w))
    return done


def _of_emptiness(test: cst.BaseExpression) -> bool:
    """Whether a filter drops only what is empty, as of parameter groups: nothing is lost with that."""
    if isinstance(test, cst.Comparison) and len(test.comparisons) == 1:
        target = test.comparisons[0]
        zero = isinstance(target.comparator, cst.Integer) and target.comparator.value == "0"
        if not zero or not isinstance(target.operator, (cst.GreaterThan, cst.NotEqual)):
            return False
        test = test.left
        return isinstance(test, cst.Call) and isinstance(test.func, cst.Name) and test.func.value == "len"
    if isinstance(test, cst.Call) and isinstance(test.func, cst.Name):
        return test.func.value == "len"
    return isinstance(test, cst.Subscript)


def _tests_flag(cond: Cond) -> bool:
    """Whether a condition only keeps what requires grad."""
    return cond.op == "flag" or (cond.op == "and" and any(_tests_flag(c) for c in cond.args))


def _marked(value: Value, flag: bool, unsure: bool) -> Value:
    if isinstance(value, Params):
        return Params(
            value.members, value.named, value.single, value.iterator, value.filtered or flag, value.unsure or unsure
        )
    if isinstance(value, Elem) and value.what in ("param", "maybe") and (flag or unsure):
        return Elem(value.loop, "maybe" if unsure else "filtered" if flag else value.what)
    if isinstance(value, Tuple):
        return Tuple(tuple(_marked(v, flag, unsure) for v in value.items))
    return value


def _closed(value: Value, loop: int, everything: Members, world: World) -> Value:
    """A comprehension's element seen from outside: the parameters it stood for."""
    members = world.elements.get(loop, everything)
    if isinstance(value, Elem) and value.loop == loop:
        if value.what in ("param", "maybe", "filtered"):
            return Params(members, filtered=value.what == "filtered", unsure=value.what == "maybe")
        if value.what in ("name", "id"):
            return Ids(members)
        return Sym(("elements", loop, value.what))
    if isinstance(value, Tuple) and len(value.items) == 2:
        first, second = value.items
        if isinstance(first, Elem) and isinstance(second, Elem) and first.what == "name" and second.loop == loop:
            if second.what in ("param", "maybe", "filtered"):
                return Params(members, named=True, filtered=second.what == "filtered", unsure=second.what == "maybe")
    if isinstance(value, Cond) and value.loop == loop:
        return Sym(("any", value.op, serial()))
    return value


def dict_comprehension(it: Interpreter, node: cst.DictComp, world: World) -> Outcomes:
    """A dictionary comprehension: its values matter only when they are parameters."""
    before = dict(it.locals(world))
    done: Outcomes = []
    for items, _, after in _generate(it, node.for_in, node.value, world):
        ref = Ref(serial())
        after.heap[ref.serial] = Table({}, True)
        _restore(it, node.for_in, before, after)
        only = items[0] if len(items) == 1 else None
        done.append((only if isinstance(only, Params) else ref, after))
    return done or [(evaluate.unknown(node), world)]
