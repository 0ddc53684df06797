"""Values of expressions. Every function returns the outcomes: a list of (value, world)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import libcst as cst

from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.values import Const, Elem, Instance, Items, Obj, Params, Ref, Sym, Table, Tuple, Value
from freezelint.static.world import World, serial

Handler = Callable[[Interpreter, Any, World], Outcomes]
HANDLERS: dict[type, Handler] = {}  # by kind of expression; `expressions` says which


def evaluate(it: Interpreter, node: cst.BaseExpression, world: World) -> Outcomes:
    """What `node` can be, in each world its evaluation leads to."""
    it.burn()
    handler = HANDLERS.get(type(node))
    return handler(it, node, world) if handler else [(unknown(node), world)]


def evaluate_all(it: Interpreter, nodes: Sequence[cst.BaseExpression], world: World) -> list[tuple[list[Value], World]]:
    """The values of several expressions, left to right."""
    done: list[tuple[list[Value], World]] = [([], world)]
    for node in nodes:
        done = [([*values, value], after) for values, here in done for value, after in evaluate(it, node, here)]
    return done


def unknown(node: cst.CSTNode, text: str = "") -> Sym:
    """An unknown that is the same whenever this expression is evaluated."""
    return Sym(("node", id(node)), text)


def fresh(text: str = "", kind: str = "", of: Elem | None = None) -> Sym:
    """An unknown that equals no other; `of` a loop's element, where it may be another one for each."""
    return Sym(("fresh", serial()) if of is None else ("fresh", serial(), of), text, kind)


def source(it: Interpreter, node: cst.CSTNode) -> str:
    """The source of a small node on one line."""
    module = it.scope.module
    text = module.sources.get(id(node))
    if text is None:
        bare: Any = node
        # A pattern is no expression, and some need their parentheses.
        stripped = isinstance(node, cst.BaseExpression) and not isinstance(node, (cst.Tuple, cst.GeneratorExp))
        if stripped and bare.lpar:
            bare = bare.with_changes(lpar=(), rpar=())  # parentheses that say nothing
        text = module.sources[id(node)] = " ".join(module.tree.code_for_node(bare).split())
    return text


def label(it: Interpreter, value: Value, name: str, world: World) -> None:
    """Call a new model after the first name it is bound to, as its author does; its children after it."""
    record = world.heap.get(value.serial) if isinstance(value, Obj) and not value.path else None
    whole = record.part if isinstance(record, Instance) else value.parameter if isinstance(value, Params) else None
    if whole is None:
        return
    # What a constructor called `self.head` is `net.head` once the instance has a name of its own.
    inner = whole.label.removeprefix("self.")
    renamed = name != whole.label != inner and name.endswith(f".{inner}")
    if not renamed and not whole.label.startswith("("):
        return
    old, whole.label = whole.label, name
    for part in whole.below():
        part.label = part.label.replace(old, name, 1)
    if isinstance(record, Instance):
        for path, child in record.attrs.items():
            label(it, child, f"{name}.{path}", world)


def items_of(value: Value, world: World) -> Items | None:
    """The items of a list, tuple or parameter list, None for anything else."""
    if isinstance(value, Tuple):
        return Items(value.items)
    if isinstance(value, Ref):
        record = world.heap.get(value.serial)
        return record if isinstance(record, Items) else None
    if isinstance(value, Params) and not value.single:
        return Items((replace(value, iterator=None),))
    return None


def new_list(world: World, items: Sequence[Value], more: bool = False) -> Ref:
    """A new list in the heap."""
    ref = Ref(serial())
    world.heap[ref.serial] = Items(tuple(items), more)
    return ref


def strings(value: Value, world: World) -> tuple[str, ...] | None:
    """The strings of a constant or of a list or tuple of constants."""
    if isinstance(value, Const):
        return (value.value,) if isinstance(value.value, str) else None
    known = items_of(value, world)
    if known is None and isinstance(value, Ref) and isinstance(table := world.heap.get(value.serial), Table):
        return tuple(k for k in table.items if isinstance(k, str)) if not table.more else None
    if known is None or known.more or not known.items:
        return None
    if not all(isinstance(i, Const) and isinstance(i.value, str) for i in known.items):
        return None
    return tuple(i.value for i in known.items)  # type: ignore[attr-defined]
