"""Give a training script the places where a user would put another tool's call, without touching what it does.

    for images, labels in batches():            __bench__.begin({"net": net, …}, [optimizer])
        loss = criterion(net(images), labels)   for images, labels in batches():
        optimizer.zero_grad()              ->       def __step(*, net=net, criterion=criterion):
        loss.backward()                                 loss = criterion(net(images), labels)
        optimizer.step()                                return loss
                                                    __bench__.batch(__step, {"net": net, …}, optimizer)
                                                    loss = criterion(net(images), labels)
                                                    optimizer.zero_grad()
                                                    __bench__.note(loss).backward()
                                                    optimizer.step()

`__step` computes the loss of the batch anew; what it calls may be given to it, so that a tool can try a copy.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Sequence

NOT_LOSS = {"zero_grad", "step", "backward", "clip_grad_norm_"}
Body = list[ast.stmt]


def rewritten(source: str, watched: bool = True) -> str:
    """The source with its places; when it is not to be `watched`, only the losses are noted."""
    tree = ast.parse(source)
    tree.body = _body(tree.body, [], None, watched)
    return ast.unparse(ast.fix_missing_locations(tree))


def _method(statement: ast.stmt) -> str | None:
    """`step` of `optimizer.step()`."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        called = statement.value.func
        return called.attr if isinstance(called, ast.Attribute) else None
    return None


def _body(body: Body, after: Body, looping: frozenset[str] | None, watched: bool) -> Body:
    done: Body = []
    begun = 0  # what belongs to the step after an earlier backward() of the same body
    for number, statement in enumerate(body):
        behind = [*body[number + 1 :], *after]
        if _method(statement) == "backward":
            assert isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
            called = statement.value.func
            assert isinstance(called, ast.Attribute)
            if watched:
                done[0:0] = _place(
                    [s for s in body[begun:number] if _method(s) not in NOT_LOSS], called.value, behind, looping
                )
            called.value = ast.Call(_bench("note"), [called.value], [])
            begun = number + 1
        inner = looping
        if isinstance(statement, (ast.For, ast.While)):
            inner = frozenset([*(looping or ()), *_stored([getattr(statement, "target", statement.body[0])])])
        if (
            inner is not None
            and looping is None
            and watched
            and any(_method(s) == "backward" for s in _inside(statement))
        ):
            done.append(_begin(statement))
        for field in ("body", "orelse"):
            if isinstance(getattr(statement, field, None), list):
                setattr(statement, field, _body(getattr(statement, field), behind, inner, watched))
        done.append(statement)
    return done


def _inside(node: ast.AST) -> Iterator[ast.stmt]:
    return (child for child in ast.walk(node) if isinstance(child, ast.stmt))


def _called(nodes: Sequence[ast.AST]) -> list[str]:
    """The bare names that are called, in the order in which the calls end: `net` before `probe` in `probe(net(x))`."""
    inside = [node for top in nodes for node in ast.walk(top)]
    calls = [n for n in inside if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    ordered = [ast.unparse(call.func) for call in sorted(calls, key=lambda call: (call.lineno, -call.col_offset))]
    return [name for name in dict.fromkeys(ordered) if name not in _stored(nodes)]


def _stored(nodes: Sequence[ast.AST]) -> set[str]:
    """The names that are given a value."""
    inside = [node for top in nodes for node in ast.walk(top)]
    return {node.id for node in inside if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _stepped(nodes: Sequence[ast.AST]) -> list[str]:
    """The names of what is stepped, schedulers among them."""
    steps = [s.value.func.value for node in nodes for s in _inside(node) if _method(s) == "step"]  # type: ignore[attr-defined]
    return list(dict.fromkeys(s.id for s in steps if isinstance(s, ast.Name)))


def _bench(name: str) -> ast.expr:
    return ast.Attribute(ast.Name("__bench__", ast.Load()), name, ast.Load())


def _names(names: Sequence[str]) -> ast.expr:
    return ast.Dict([ast.Constant(name) for name in names], [ast.Name(name, ast.Load()) for name in names])


def _begin(loop: ast.stmt) -> ast.stmt:
    optimizers: list[ast.expr] = [ast.Name(name, ast.Load()) for name in _stepped([loop])]
    called = _called([loop])
    return ast.Expr(ast.Call(_bench("begin"), [_names(called), ast.List(optimizers, ast.Load())], []))


def _place(before: Body, loss: ast.expr, behind: Body, looping: frozenset[str] | None) -> Body:
    content: Body = [*copy.deepcopy(before), ast.Return(copy.deepcopy(loss))]
    called = _called(content)
    given = [*called, *sorted((looping or frozenset()) & _stored(content))]  # images = images[hard]
    values: list[ast.expr | None] = [ast.Name(name, ast.Load()) for name in given]
    arguments = ast.arguments([], [], None, [ast.arg(name) for name in given], values, None, [])
    function = ast.FunctionDef("__step", arguments, content, [], type_params=[])
    optimizer = ast.Name((_stepped(behind) or ["None"])[0], ast.Load())
    step = ast.Name("__step", ast.Load())
    return [function, ast.Expr(ast.Call(_bench("batch"), [step, _names(called), optimizer], []))]
