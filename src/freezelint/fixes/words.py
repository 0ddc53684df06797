"""Ways of mending a word: names, signs and parentheses that are wrong or missing.

A way changes as little as it can: comments, spaces and line breaks around what it changes stay.
"""

from __future__ import annotations

from typing import Any

import libcst as cst

from freezelint.finding import Edit
from freezelint.fixes.view import Unfit, View, inside
from freezelint.trace.repair import Repair


def spell(view: View, node: Any, repair: Repair) -> list[Edit]:
    """Another name for the attribute that is written: `p.require_grad = ...`, `setattr(p, "require_grad", ...)`."""
    if isinstance(node, cst.Call) and _is_setattr(node):
        literal = node.args[1].value
        if not isinstance(literal, cst.SimpleString):
            raise Unfit
        quoted = f"{literal.prefix}{literal.quote}{repair.text}{literal.quote}"
        return [view.edit(view.start(literal), view.end(literal), quoted)]
    return [view.name(_attribute(node).attr, repair.text)]


def setter(view: View, node: Any, repair: Repair) -> list[Edit]:
    """`m.requires_grad = x` and `setattr(m, "requires_grad", x)` become a call, of `text`, with x."""
    if isinstance(node, cst.Call):
        if not _is_setattr(node) or not isinstance(view.parent(node), cst.Expr):
            raise Unfit
        owner, value = node.args[0].value, node.args[2].value
        if not isinstance(owner, (cst.Name, cst.Attribute, cst.Call, cst.Subscript)):
            raise Unfit
        return [view.whole(view.parent(node), _line(view, owner) + f".{repair.text}({_line(view, value)})")]
    target, assign = _only_target(view, node)
    return [view.whole(assign, f"{_named(view, target, repair.text)}({_argument(view, assign.value)})")]


def mode(view: View, node: Any, repair: Repair) -> list[Edit]:
    """`m.training = False` becomes a call of `text` without arguments."""
    target, assign = _only_target(view, node)
    return [view.whole(assign, f"{_named(view, target, repair.text)}()")]


def call(view: View, node: Any, repair: Repair) -> list[Edit]:
    """The parentheses of a method that is named."""
    if not isinstance(node, cst.Attribute):
        raise Unfit
    return [view.after(node, "()")]


def assign(view: View, node: Any, repair: Repair) -> list[Edit]:
    """`a == b` as a statement becomes `a = b`."""
    if not isinstance(node, cst.Comparison) or node.lpar or len(node.comparisons) != 1:
        raise Unfit
    if not isinstance(view.parent(node), cst.Expr) or not isinstance(node.left, cst.Attribute) or node.left.lpar:
        raise Unfit
    operator = node.comparisons[0].operator
    start = view.end(node.left)
    gap = view.between(start, view.start(node.comparisons[0].comparator))
    sign = "==" if isinstance(operator, cst.Equal) else "is"
    if not gap.strip(" \t\\\n(").startswith(sign) or "#" in gap:
        raise Unfit
    line = start[0] + gap[: gap.index(sign)].count("\n")
    first = gap[: gap.index(sign)]
    column = start[1] + len(first) if "\n" not in first else len(first.rpartition("\n")[2]) + 1
    return [view.edit((line, column), (line, column + len(sign)), "=")]


def argument(view: View, node: Any, repair: Repair) -> list[Edit]:
    """`text` between the empty parentheses of a call."""
    if not isinstance(node, cst.Call) or node.args or node.lpar:
        raise Unfit
    line, column = view.end(node)
    return [view.edit((line, column - 1), (line, column - 1), repair.text)]


def star(view: View, node: Any, repair: Repair) -> list[Edit]:
    """A star before the item `text` of the list that a call is given."""
    if not isinstance(node, cst.Call):
        raise Unfit
    found = []
    for given in node.args:
        if isinstance(given.value, (cst.List, cst.Tuple)):
            for element in given.value.elements:
                if type(element) is cst.Element and _flat(view, element.value) == repair.text:
                    found.append(element.value)
    if len(found) != 1 or found[0].lpar:
        raise Unfit
    return [view.before(found[0], "*")]


def return_self(view: View, node: Any, repair: Repair) -> list[Edit]:
    """`return self` at the end of a method that returns nothing anywhere."""
    function = view.parent(node)
    if not isinstance(function, cst.FunctionDef) or not function.params.params or function.asynchronous:
        raise Unfit
    if any(isinstance(one, (cst.Return, cst.Yield)) for one in inside(function.body)):
        raise Unfit
    code = f"return {function.params.params[0].name.value}"
    if isinstance(function.body, cst.SimpleStatementSuite):
        return [view.after(function.body.body[-1], f"; {code}")]
    body: Any = function.body
    last = body.body[-1]
    if isinstance(last, cst.SimpleStatementLine) and isinstance(last.body[-1], cst.Raise):
        raise Unfit
    first = view.start(body.body[0])[0]
    return [view.below_line(view.last_line(body), view.indent(first) + code)]


# What ways have in common ---------------------------------------------------------------------------------------------


def _is_setattr(node: cst.Call) -> bool:
    plain = all(arg.keyword is None and not arg.star for arg in node.args)
    return isinstance(node.func, cst.Name) and node.func.value == "setattr" and len(node.args) == 3 and plain


def _attribute(node: Any) -> cst.Attribute:
    """The attribute that a place writes."""
    target = node.target if isinstance(node, (cst.AssignTarget, cst.AnnAssign)) else node
    target = target.func if isinstance(target, cst.Call) else target
    if not isinstance(target, cst.Attribute):
        raise Unfit
    return target


def _only_target(view: View, node: Any) -> tuple[cst.Attribute, Any]:
    """The attribute of an assignment to nothing else, and the assignment."""
    target, parent = _attribute(node), view.parent(node)
    if not isinstance(node, cst.AssignTarget) or not isinstance(parent, cst.Assign) or len(parent.targets) != 1:
        raise Unfit
    if target.lpar:
        raise Unfit
    return target, parent


def _named(view: View, target: cst.Attribute, name: str) -> str:
    """The code of an attribute, as it is written, with another name."""
    return view.code(target.with_changes(attr=cst.Name(name)))


def _argument(view: View, value: cst.BaseExpression) -> str:
    """A value as the only argument of a call."""
    if isinstance(value, (cst.Tuple, cst.Yield)):
        raise Unfit
    return view.code(value)


def _line(view: View, node: cst.CSTNode) -> str:
    """The code of a node that stands on one line, without a comment."""
    code = view.code(node)
    if "\n" in code or "\r" in code or "#" in code:
        raise Unfit
    return code


def _flat(view: View, node: cst.CSTNode) -> str:
    return " ".join(view.code(node).split())
