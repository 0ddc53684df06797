"""Python's own functions, as far as parameters, modules and tests flow through them."""

from __future__ import annotations

from collections.abc import Callable

import libcst as cst

from freezelint.static import (
    arguments,
    assumptions,
    comparisons,
    elements,
    evaluate,
    introspection,
    iterables,
    library,
    tensors,
)
from freezelint.static.arguments import Args
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.values import NONE, Cond, Const, Elem, Ids, Obj, Params, Partial, Sym, Tensor, tensor_of
from freezelint.static.world import Flow, World, serial
from freezelint.trace.regions import Test


def call(it: Interpreter, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    """A call of a builtin."""
    handler = FUNCTIONS.get(name)
    if handler is not None:
        return handler(it, args, node, world)
    values = arguments.deep(args, world)
    if any(isinstance(v, Tensor) and v.uses for v in values):
        if name in ("builtins.abs", "builtins.max", "builtins.min", "builtins.pow"):
            return [(tensors.computed(world, tensor_of(values)), world)]
        return [(tensors.cut(it, tensor_of(values), f"{name.removeprefix('builtins.')}()", node), world)]
    key = ("call", name, tuple(args.pos))
    return [(Sym(key, ""), world)]


def _sum(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    value = args.get(0)
    if isinstance(value, Params):
        elements.use(it, value, "sum()", node, world)
    values = arguments.deep(args, world)
    if any(isinstance(v, Tensor) for v in values):
        return [(tensors.computed(world, tensor_of(values)), world)]
    return [(Sym(("fresh", serial())), world)]


def _number(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    value = args.get(0)
    if isinstance(value, Tensor):
        return [(tensors.cut(it, value, "float()", node), world)]
    if isinstance(value, Elem):
        return [(Elem(value.loop, "derived"), world)]
    if isinstance(value, Const) and isinstance(value.value, (int, float, bool)):
        return [(value, world)]
    return [(Sym(("number", value)), world)]


def _str(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    value = args.get(0)
    if isinstance(value, Const) and isinstance(value.value, (str, int)):
        return [(Const(str(value.value)), world)]
    return [(value if isinstance(value, Elem) else Sym(("str", value)), world)]


def _len(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    value = args.get(0)
    if isinstance(value, Const) and isinstance(value.value, (str, tuple)):
        return [(Const(len(value.value)), world)]
    if isinstance(value, Elem):
        return [(Elem(value.loop, "derived"), world)]
    if isinstance(value, Params) and assumptions.truth(value, world) is False:
        return [(Const(0), world)]
    known = evaluate.items_of(value, world) if value is not None else None
    if known is not None and not known.more and not any(isinstance(i, Params) for i in known.items):
        return [(Const(len(known.items)), world)]
    if isinstance(value, Obj) and (inside := elements.contained(it, value, world)) is not None and not inside.more:
        return [(Const(len(inside.items)), world)]
    return [(Sym(("len", value)), world)]


def _id(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    value = args.get(0)
    if isinstance(value, Elem) and value.what in ("param", "maybe", "filtered"):
        return [(Elem(value.loop, "id"), world)]
    if isinstance(value, Params):
        return [(Ids(value.members, value.unsure), world)]
    return [(Sym(("id", value)), world)]


def _same(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    value = args.get(0)
    return [(value if value is not None else NONE, world)]


def _partial(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    if not args.pos:
        return [(NONE, world)]
    return [(Partial(args.pos[0], tuple(args.pos[1:]), tuple(args.kw.items())), world)]


def _exit(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    world.flow = Flow.RAISE
    return [(NONE, world)]


def _match(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    pattern, value = args.get(0), args.get(1)
    if isinstance(value, Elem):
        if value.what == "name" and isinstance(pattern, Const) and isinstance(pattern.value, str):
            regex = pattern.value if not evaluate.source(it, node.func).endswith("match") else f"^(?:{pattern.value})"
            return [(Cond(value.loop, "test", test=Test("regex", (regex,), evaluate.source(it, node))), world)]
        return [(comparisons.opaque(it, value, node), world)]
    return [(Sym(("call", "re", pattern, value)), world)]


def _cut_print(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    return [(NONE, world)]


def _parameter(it: Interpreter, args: Args, node: cst.Call, world: World) -> Outcomes:
    return [(library.parameter(it, args, node, world), world)]


FUNCTIONS: dict[str, Callable[[Interpreter, Args, cst.Call, World], Outcomes]] = {
    "builtins.list": iterables.list_,
    "builtins.set": iterables.in_other_order,
    "builtins.sorted": iterables.in_other_order,
    "builtins.reversed": iterables.reversed_,
    "builtins.frozenset": iterables.list_,
    "builtins.tuple": iterables.tuple_,
    "builtins.iter": _same,
    "builtins.filter": iterables.filter_,
    "builtins.map": iterables.map_,
    "builtins.enumerate": iterables.enumerate_,
    "builtins.zip": iterables.zip_,
    "builtins.isinstance": introspection.isinstance_,
    "builtins.type": introspection.type_,
    "builtins.getattr": introspection.getattr_,
    "builtins.setattr": introspection.setattr_,
    "builtins.hasattr": introspection.hasattr_,
    "builtins.super": introspection.super_,
    "builtins.sum": _sum,
    "builtins.any": iterables.any_,
    "builtins.all": iterables.all_,
    "builtins.float": _number,
    "builtins.int": _number,
    "builtins.bool": _number,
    "builtins.str": _str,
    "builtins.dict": iterables.dict_,
    "builtins.len": _len,
    "builtins.id": _id,
    "builtins.next": iterables.next_,
    "builtins.print": _cut_print,
    "builtins.exit": _exit,
    "builtins.quit": _exit,
    "sys.exit": _exit,
    "os._exit": _exit,
    "itertools.chain": iterables.chain,
    "itertools.chain.from_iterable": iterables.chain_from,
    "functools.partial": _partial,
    "collections.OrderedDict": iterables.dict_,
    "collections.defaultdict": iterables.dict_,
    "re.match": _match,
    "re.search": _match,
    "re.fullmatch": _match,
    "torch.nn.Parameter": _parameter,
    "typing.cast": lambda it, args, node, world: [(args.get(1) or NONE, world)],
}
