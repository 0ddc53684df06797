"""Children: what `owner.name = module` adds to a model, and what it replaces there."""

from __future__ import annotations

from dataclasses import replace

import libcst as cst

from freezelint.static.attributes import head_of
from freezelint.static.evaluate import label
from freezelint.static.interpreter import Interpreter
from freezelint.static.values import ON_WRAPPER, Instance, Obj
from freezelint.static.world import World
from freezelint.trace import events as ev
from freezelint.trace.regions import Region
from freezelint.trace.run import Run


def attach(it: Interpreter, owner: Obj, name: str, module: Obj, node: cst.CSTNode, world: World) -> None:
    """`owner.name = module`: a child joins, and may replace one."""
    record = world.heap[owner.serial]
    assert isinstance(record, Instance) and record.part is not None
    if owner.worn.startswith("module.") and not owner.path:
        _attach_to_wrapper(it, owner, record, name, module, node, world)
        return
    path = f"{owner.path}.{name}" if owner.path else name
    old: Region = frozenset()
    if path in record.attrs:
        former = record.attrs[path]
        old = it.region(former, world) if isinstance(former, Obj) else frozenset()
    elif record.part.layers or (record.part.layers is None and record.cls is None):
        old = frozenset(record.part.at(path))  # of a class whose base is not known, an attribute may well be new
    strange = not old and path not in record.attrs and "." not in path
    head, head_name, kind = head_of(record, world) if strange else (frozenset(), "", "")
    base = record.part.label if not record.part.label.startswith("(") else "model"
    running = it.scope.owner
    own = record.cls is not None and isinstance(running, Obj) and running.serial == owner.serial
    label(it, module, f"self.{path}" if own else f"{base}.{path}", world)
    new = it.region(module, world)
    world.heap[owner.serial] = replace(
        record, attrs={**{k: v for k, v in record.attrs.items() if not k.startswith(path + ".")}, path: module}
    )
    if old == new and old:
        return
    it.emit(
        world,
        ev.ReplaceSubmodule(
            site=it.place(node),
            lap=it.lap(world),
            owner=it.region(owner, world),
            name=path,
            old=old - new,
            new=new,
            label=base,
            kind=kind,
            head=head,
            head_name=head_name,
            within=it.within,
        ),
    )


def _attach_to_wrapper(
    it: Interpreter, owner: Obj, record: Instance, name: str, module: Obj, node: cst.CSTNode, world: World
) -> None:
    """`DataParallel(model).fc = module`: a child of the wrapper, which its forward does not run."""
    inner: Region = frozenset()  # what the wrapped model keeps under that name, as far as that is known
    if isinstance(former := record.attrs.get(name), Obj):
        inner = it.region(former, world)
    elif record.part is not None and record.part.layers:
        inner = frozenset(record.part.at(name))
    kinds = {
        wrap.kind for part in it.region(owner, world) if (wrap := Run(world.state).last(ev.Wrap, part)) is not None
    }
    world.heap[owner.serial] = replace(record, attrs={**record.attrs, f"{ON_WRAPPER}.{name}": module})
    it.emit(
        world,
        ev.ReplaceSubmodule(
            site=it.place(node),
            lap=it.lap(world),
            owner=it.region(owner, world),
            name=name,
            old=frozenset(),
            new=it.region(module, world),
            kind=kinds.pop() if len(kinds) == 1 else "the wrapper",
            head=inner,
            head_name=f"module.{name}",
            within=it.within,
        ),
    )
