"""Optimizers and learning rate schedulers: what they are built over, and what their methods do."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import libcst as cst

from freezelint.knowledge.rows import OptimizerRow, SchedulerRow
from freezelint.static import arguments, calls
from freezelint.static.arguments import Args
from freezelint.static.elements import use
from freezelint.static.interpreter import Interpreter, Outcomes
from freezelint.static.modules import ClassInfo
from freezelint.static.values import Const, Elem, Items, Method, Obj, Opt, Params, Ref, Sched, Sym, Table, Tuple, Value
from freezelint.static.world import World, serial
from freezelint.trace import events as ev
from freezelint.trace.regions import Part, Region, leaves
from freezelint.trace.run import Run
from freezelint.trace.tri import NO, UNSURE, YES, Tri, both


@dataclass(frozen=True)
class Groups:
    """The parameter groups an argument makes, whether these are all, and whether they were filtered by flag.

    `nested` is the text of a generator that stands in a list as one item, which no optimizer accepts.
    """

    regions: tuple[Region, ...] = ()
    complete: Tri = UNSURE
    filtered: bool = False
    nested: str = ""

    @property
    def region(self) -> Region:
        """Everything in them."""
        return frozenset().union(*self.regions)


def build(it: Interpreter, row: OptimizerRow, kind: str, args: Args, node: cst.CSTNode, world: World) -> Outcomes:
    """An optimizer over what it is given."""
    given = args.at(row.params)
    if row.wraps or isinstance(given, Opt):
        return [(given if given is not None else Sym(("fresh", serial()), "optimizer"), world)]
    if given is None and len(args.kw) == 1 and not args.pos:
        given = next(iter(args.kw.values()))
    number = serial()
    groups = groups_of(it, given, node, world)
    it.emit(
        world,
        ev.BuildOptimizer(
            site=it.place(node),
            lap=it.lap(world),
            optimizer=number,
            kind=kind,
            groups=groups.regions,
            complete=UNSURE if _may_hold_more(it, groups, world) else groups.complete,
            filtered=groups.filtered,
            nested=groups.nested,
            label=kind,
            skips_none=row.skips_none,
            coasts=_coasts(row, args),
            # Where groups are reached for one by one, a rate may be set to something else later.
            rates=()
            if "param_groups" in it.scope.module.text
            else _rates(given, args.kw.get("lr"), len(groups.regions), world),
        ),
    )
    return [(Opt(number), world)]


def _may_hold_more(it: Interpreter, groups: Groups, world: World) -> bool:
    """Whether the parameters of a child that is not in view are among them, as far as can be told: all else of its
    module that is not frozen is."""
    held = set(leaves(groups.region))
    for number in it.open:
        known = set(leaves(it.region(Obj(number), world))) if number in world.heap else set()
        awake = known - set(Run(world.state).frozen(known))
        if (known & held and awake <= held) or (known and not held and not awake):
            return True
    return False


def _rates(given: Value | None, default: Value | None, count: int, world: World) -> tuple[float | None, ...]:
    """The learning rate of each group, None where it is not known; nothing for parameters that are no groups."""
    record = world.heap.get(given.serial) if isinstance(given, Ref) else None
    tables = [world.heap.get(i.serial) if isinstance(i, Ref) else None for i in getattr(record, "items", ())]
    if not isinstance(record, Items) or len(tables) != count or not all(isinstance(t, Table) for t in tables):
        return ()
    asked = [table.items.get("lr", default) for table in tables if isinstance(table, Table)]
    return tuple(a.value if isinstance(a, Const) and isinstance(a.value, (int, float)) else None for a in asked)


_ASKS = re.compile(
    r"grad\w*\b[^\n]*\bNone\b|requires_grad|\bif\s+(not\s+)?[\w.]*\bgrad\b|hasattr|getattr|super\(\)\.step"
    r"|\b(\w+) *= *[\w.]*\.grad\b.*\s*if\s+(not\s+)?\2\b"
)


def asks_for_gradient(cls: ClassInfo) -> bool:
    """Whether an optimizer of the project asks anywhere whether a parameter has a gradient at all."""
    return _ASKS.search(cls.module.code(cls.node)) is not None


def _coasts(row: OptimizerRow, args: Args) -> Tri:
    """Whether a zero gradient still moves what the optimizer holds: by momentum, or by weight decay."""
    if row.inertia is None:
        return YES if row.averages else UNSURE
    given = [value for arg in row.inertia if (value := args.at(arg)) is not None]
    if any(isinstance(value, Const) and value.value not in (0, None) for value in given):
        return YES
    unknown = args.more or any(not isinstance(value, Const) for value in given)
    return UNSURE if unknown else NO


def groups_of(it: Interpreter, value: Value | None, node: cst.CSTNode, world: World) -> Groups:
    """The parameter groups that an argument makes."""
    if isinstance(value, Params):
        use(it, value, "an optimizer", node, world)
        return Groups((value.region,), UNSURE if value.unsure else YES, value.filtered)
    if isinstance(value, Elem) and value.what in ("param", "maybe", "filtered"):
        return Groups((frozenset(p for _, p in world.elements.get(value.loop, ())),))
    if isinstance(value, Ref):
        record = world.heap.get(value.serial)
        if isinstance(record, Table):
            inner = record.items.get("params")
            if inner is None:
                return Groups()
            groups = groups_of(it, inner, node, world)
            if isinstance(inner, Params) and inner.iterator is not None:
                # torch puts the list of what it took into the dictionary it was given, which can be given again.
                kept = replace(inner, iterator=None)
                world.heap[value.serial] = replace(record, items={**record.items, "params": kept})
            complete = both(groups.complete, UNSURE if record.more else YES)
            return replace(groups, regions=(groups.region,), complete=complete)
        if isinstance(record, Items):
            return _of_items(it, record.items, record.more, node, world)
    if isinstance(value, Tuple):
        return _of_items(it, value.items, False, node, world)
    return Groups()


def _of_items(it: Interpreter, items: tuple[Value, ...], more: bool, node: cst.CSTNode, world: World) -> Groups:
    regions: list[Region] = []
    loose: set[Part] = set()
    complete, filtered, nested = (UNSURE if more else YES), bool(items), ""
    for item in items:
        groups = groups_of(it, item, node, world)
        complete = both(complete, groups.complete)
        filtered = filtered and groups.filtered
        nested = nested or groups.nested
        if isinstance(item, Params) and item.iterator is not None:
            taken = world.state.iterators.get(item.iterator)
            nested = nested or (taken.taken.text if taken is not None else "")
        if isinstance(item, Ref):
            regions += groups.regions
        else:
            loose |= groups.region
    if loose:
        regions.append(frozenset(loose))
    return Groups(tuple(regions), complete, filtered, nested)


def method(it: Interpreter, owner: Opt, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    """A method of an optimizer."""
    site, lap = it.place(node), it.lap(world)
    if name == "step":
        it.emit(world, ev.Step(site=site, lap=lap, optimizer=owner.serial))
    elif name == "zero_grad":
        it.emit(world, ev.ZeroGrad(site=site, lap=lap, optimizer=owner.serial, set_to_none=none_set(args)))
    elif name == "load_state_dict" and not it.guarded:
        it.emit(world, ev.LoadOptimizer(site=site, lap=lap, optimizer=owner.serial))
    elif name == "state_dict":
        it.emit(world, ev.SaveOptimizer(site=site, lap=lap, optimizer=owner.serial))
    elif name == "add_param_group":
        add_group(it, owner, args.get(0, "param_group"), node, world)
    return [(Sym(("fresh", serial())), world)]


def none_set(args: Args) -> Tri:
    """What `zero_grad(...)` is told to do: drop the gradients, or fill them with zeros."""
    value = args.get(0, "set_to_none")
    if value is None:
        return YES
    return Tri.of(value.value) if isinstance(value, Const) and isinstance(value.value, bool) else UNSURE


def add_group(it: Interpreter, owner: Opt, group: Value | None, node: cst.Call, world: World) -> None:
    """A group joins an optimizer."""
    groups = groups_of(it, group, node, world)
    table = world.heap.get(group.serial) if isinstance(group, Ref) else None
    has_lr = UNSURE
    if isinstance(table, Table):
        has_lr = YES if "lr" in table.items else UNSURE if table.more else NO
    it.emit(
        world,
        ev.AddParamGroup(
            site=it.place(node),
            lap=it.lap(world),
            optimizer=owner.serial,
            complete=groups.complete,
            region=groups.region,
            has_lr=has_lr,
        ),
    )


def of_groups(value: Value | None) -> Opt | None:
    """The optimizer whose `param_groups` something is taken out of."""
    while isinstance(value, Sym) and isinstance(value.key, tuple):
        if value.key[0] == "groups":
            return value.key[1] if isinstance(value.key[1], Opt) else None
        value = next((part for part in value.key[1:] if isinstance(part, Sym)), None)
    return None


def regrouped(it: Interpreter, owner: Opt, node: cst.CSTNode, world: World) -> None:
    """The groups of an optimizer were written to: it may hold more than is seen."""
    site, lap = it.place(node), it.lap(world)
    event = ev.AddParamGroup(
        site=site, lap=lap, optimizer=owner.serial, region=frozenset(), complete=UNSURE, has_lr=UNSURE
    )
    it.emit(world, event)


# Schedulers ----------------------------------------------------------------------------------------------------------


def scheduler(it: Interpreter, row: SchedulerRow, name: str, args: Args, node: cst.CSTNode, world: World) -> Outcomes:
    """A learning rate scheduler over an optimizer, or over the schedulers of one."""
    kind = name.rpartition(".")[2]
    driven = args.at(row.optimizer)
    parts = [value for value in arguments.deep(args, world) if isinstance(value, Sched)]
    if driven is None and args.pos and isinstance(args.pos[0], Opt):
        driven = args.pos[0]
    if isinstance(driven, Opt):
        optimizer = driven.serial
    elif parts:
        optimizer = parts[0].optimizer
    else:
        return [(Sym(("fresh", serial()), "scheduler", kind=name), world)]
    fixed = row.fixed_groups or (row.per_group is not None and _is_list(args.at(row.per_group), world))
    one = Sched(optimizer, kind, serial(), fixed or any(part.fixed_groups for part in parts))
    attach(it, one, node, world)
    return [(one, world)]


def _is_list(value: Value | None, world: World) -> bool:
    return isinstance(value, Tuple) or (isinstance(value, Ref) and isinstance(world.heap.get(value.serial), Items))


def attach(it: Interpreter, one: Sched, node: cst.CSTNode, world: World) -> None:
    """Tell that a scheduler drives its optimizer."""
    it.emit(
        world,
        ev.AttachScheduler(
            site=it.place(node),
            lap=it.lap(world),
            optimizer=one.optimizer,
            kind=one.kind,
            scheduler=one.serial,
            fixed_groups=one.fixed_groups,
        ),
    )


def on_attribute(it: Interpreter, owner: Method, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    """A method of an attribute that nothing is known of, such as `scheduler.base_lrs.append(...)`."""
    if isinstance(owner.owner, Sched):
        attach(it, owner.owner, node, world)
        return [(Sym(("fresh", serial())), world)]
    return calls.unknown(it, name, args, node, world)


def on_scheduler(it: Interpreter, owner: Sched, name: str, args: Args, node: cst.Call, world: World) -> Outcomes:
    """A method of a scheduler."""
    if name == "step":
        it.emit(
            world,
            ev.StepScheduler(site=it.place(node), lap=it.lap(world), optimizer=owner.optimizer, scheduler=owner.serial),
        )
    return [(Sym(("fresh", serial())), world)]
