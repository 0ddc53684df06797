"""Ways of mending a program: a line that is added or moved, an argument that is narrowed. All change training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import libcst as cst

from freezelint.finding import Edit
from freezelint.fixes.view import Unfit, View, walk
from freezelint.static.modules import Place, names_in
from freezelint.trace.repair import Repair


def add_group(view: View, node: Any, repair: Repair) -> list[Edit]:
    """`optimizer.add_param_group(...)` below the statement that unfreezes, once."""
    optimizer = _bound(view, _beside(view, repair))
    _in_reach(view, _beside(view, repair), optimizer, node)
    line = view.line_of(node)
    owner = _owner(node)
    loop: Any = view.parent(view.parent(line)) if view.parent(line) is not view.module.tree else None
    if isinstance(loop, cst.For) and isinstance(owner, cst.Name) and owner.value in names_in(loop.target):
        if not isinstance(loop.target, cst.Name) or loop.orelse is not None or len(loop.body.body) != 1:
            raise Unfit
        given: str = _parameters(view, loop.iter)
        statement: cst.CSTNode = loop
    elif isinstance(node, cst.Call) and not _single(owner):
        given, statement = f"{_plain(view, owner)}.parameters()", line
    else:
        raise Unfit
    _once(view, statement)
    return [view.below(statement, f'{view.code(optimizer)}.add_param_group({{"params": {given}}})')]


def eval_again(view: View, node: Any, repair: Repair) -> list[Edit]:
    """The `eval()` that a `train()` undoes, once more below it."""
    stilled = _beside(view, repair)
    if not isinstance(stilled, cst.Call) or not isinstance(view.parent(stilled), cst.Expr):
        raise Unfit
    owner = _owner(stilled)
    _in_reach(view, stilled, owner, node)
    return [view.below(view.line_of(node), _plain(view, owner) + ".eval()")]


def move_below(view: View, node: Any, repair: Repair) -> list[Edit]:
    """The line that builds the optimizer, below the one that replaces what it holds."""
    built = _beside(view, repair)
    name = view.code(_bound(view, built))
    line, after = view.line_of(built), view.line_of(node)
    if view.parent(after) is not view.parent(line):
        raise Unfit
    block: Any = view.parent(line)
    first, last = _index(block.body, line), _index(block.body, after)
    between = block.body[first + 1 : last + 1]
    if not between:
        raise Unfit
    used = {one.value for one in walk(line) if isinstance(one, cst.Name)}
    for statement in between:
        if any(isinstance(one, (cst.Name, cst.Attribute)) and view.code(one) == name for one in walk(statement)):
            raise Unfit  # a scheduler, say, that would have to move as well
        if used & set(_names_bound(statement)):
            raise Unfit
    start, end = view.start(line)[0], view.last_line(line)
    while start > 1 and view.lines[start - 2].lstrip().startswith("#"):
        start -= 1  # what is said about it goes along
    moved = view.newline.join(view.lines[start - 1 : end])
    place = (view.last_line(after), len(view.lines[view.last_line(after) - 1]) + 1)
    return [view.edit((start, 1), (end + 1, 1), ""), view.edit(place, place, view.newline + moved)]


def only_trainable(view: View, node: Any, repair: Repair) -> list[Edit]:
    """`SGD(model.parameters())` over the parameters that require grad."""
    if not isinstance(node, cst.Call):
        raise Unfit
    given = [arg for number, arg in enumerate(node.args) if _says(arg, number)]
    if len(given) != 1:
        raise Unfit
    value = given[0].value
    _parameters(view, value)
    return [view.before(value, "[p for p in "), view.after(value, " if p.requires_grad]")]


# What ways have in common ---------------------------------------------------------------------------------------------


def _beside(view: View, repair: Repair) -> Any:
    """The other node of a repair, when it stands in the same file."""
    place = repair.beside
    if not isinstance(place, Place) or place.module is not view.module:
        raise Unfit
    return place.node


def _bound(view: View, call: Any) -> Any:
    """The only name, or attribute of self, that the value of a call is bound to."""
    assign = view.parent(call)
    if not isinstance(assign, cst.Assign) or len(assign.targets) != 1 or assign.value is not call:
        raise Unfit
    target = assign.targets[0].target
    if not isinstance(target, cst.Name) and not (
        isinstance(target, cst.Attribute) and isinstance(target.value, cst.Name) and target.value.value == "self"
    ):
        raise Unfit
    return target


def _in_reach(view: View, node: Any, expression: Any, user: Any) -> None:
    """Whether a name that stands at `node` means the same where `user` stands."""
    root = _root(expression)
    if view.function(node) is not view.function(user):
        if root != "self" or view.cls(node) is None or view.cls(node) is not view.cls(user):
            raise Unfit
    for around in view.above(node):
        if isinstance(around, cst.For) and root in names_in(around.target):
            raise Unfit
        if isinstance(around, (cst.CompFor, cst.Lambda)):
            raise Unfit


def _root(node: Any) -> str:
    while isinstance(node, (cst.Attribute, cst.Subscript)):
        node = node.value
    if not isinstance(node, cst.Name):
        raise Unfit
    return node.value


def _owner(node: Any) -> Any:
    """What stands before the dot of a method that is called, or an attribute that is assigned."""
    target = node.func if isinstance(node, cst.Call) else getattr(node, "target", None)
    if not isinstance(target, cst.Attribute):
        raise Unfit
    return target.value


def _single(owner: Any) -> bool:
    return isinstance(owner, cst.Attribute) and owner.attr.value in ("weight", "bias")


def _plain(view: View, node: Any) -> str:
    """The code of names, attributes and constant subscripts, which may be evaluated twice."""
    for one in walk(node):
        if isinstance(one, (cst.Call, cst.Await, cst.NamedExpr, cst.Comment)):
            raise Unfit
    _root(node)
    code = view.code(node)
    if "\n" in code or "\r" in code:
        raise Unfit
    return code


def _parameters(view: View, node: Any) -> str:
    """The code of `x.parameters()`."""
    if not isinstance(node, cst.Call) or node.args or node.lpar or not isinstance(node.func, cst.Attribute):
        raise Unfit
    if node.func.attr.value != "parameters":
        raise Unfit
    return _plain(view, node.func.value) + ".parameters()"


def _once(view: View, statement: cst.CSTNode) -> None:
    """Unfit when a statement may be run again: a group can be added only once."""
    below = statement
    for around in view.above(statement):
        if isinstance(around, cst.If) and below is around.body and _is_equality(around.test):
            return
        if isinstance(around, (cst.For, cst.While)):
            raise Unfit
        if isinstance(around, cst.FunctionDef):
            return
        below = around


def _is_equality(test: cst.BaseExpression) -> bool:
    return (
        isinstance(test, cst.Comparison)
        and len(test.comparisons) == 1
        and isinstance(test.comparisons[0].operator, cst.Equal)
    )


def _index(body: Any, statement: cst.CSTNode) -> int:
    return next((number for number, one in enumerate(body) if one is statement), -1)


def _names_bound(statement: cst.CSTNode) -> Iterator[str]:
    for one in walk(statement):
        if isinstance(one, (cst.AssignTarget, cst.AnnAssign, cst.AugAssign, cst.NamedExpr, cst.For)):
            yield from names_in(one.target)


def _says(arg: cst.Arg, number: int) -> bool:
    return not arg.star and (arg.keyword.value == "params" if arg.keyword else number == 0)
