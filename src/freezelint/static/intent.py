"""What a flag was asked to be, in the author's words: the argument or setting that stands where True or False could."""

from __future__ import annotations

import re
from typing import Any

import libcst as cst

from freezelint.static.interpreter import Interpreter
from freezelint.static.modules import FunctionInfo


def asked(it: Interpreter, node: cst.CSTNode) -> str:
    """The name of what `p.requires_grad = name` or `requires_grad_(name)` is given: an argument of the running
    function, a local that is only True or False, or an attribute or item of settings. "" for anything that is worked
    out on the way."""
    value = it.assigning if isinstance(node, (cst.AssignTarget, cst.AnnAssign)) else None
    if isinstance(node, cst.Call) and node.args:
        value = node.args[-1].value
    if isinstance(value, cst.Name):
        return value.value if _is_argument(it, value.value) or _is_switch(it, value.value) else ""
    if isinstance(value, cst.Attribute):
        name = value.attr.value
        # `self.frozen = not trainable` says what it means elsewhere.
        elsewhere = re.findall(rf"\.{name}[ \t]*(?::[^=\n]*)?=(?!=)[ \t]*(.*)", it.scope.module.text)
        return name if all(re.fullmatch(rf"\(*[\w.]*\b{name}\b\)*,?[ \t]*(#.*)?", text) for text in elsewhere) else ""
    if isinstance(value, cst.Subscript) and len(value.slice) == 1 and isinstance(value.slice[0].slice, cst.Index):
        key = value.slice[0].slice.value
        return str(key.evaluated_value) if isinstance(key, cst.SimpleString) else ""
    return ""


def _is_argument(it: Interpreter, name: str) -> bool:
    """Whether a name is an argument that the function takes as it is. One whose default already does what the function
    is called after (`def freeze(model, freeze=False)`) has the sense of the flag."""
    function = it.scope.function
    if function is None or not isinstance(function.node, cst.FunctionDef):
        return False
    params = function.node.params
    param = next((p for p in (*params.params, *params.kwonly_params) if p.name.value == name), None)
    if param is None or _rebinds(it, function, name):
        return False
    return not (isinstance(param.default, cst.Name) and param.default.value == "False" and "freez" in function.name)


def _is_switch(it: Interpreter, name: str) -> bool:
    """Whether a name is a local of the function that True or False is written to, and nothing else."""
    function = it.scope.function
    if function is None or not isinstance(function.node, cst.FunctionDef):
        return False
    if any(p.name.value == name for p in (*function.node.params.params, *function.node.params.kwonly_params)):
        return False
    text = function.module.code(function.node.body)
    written = re.findall(rf"(?<![.\w]){name}[ \t]*(?::[ \t]*bool[ \t]*)?=(?!=)[ \t]*([^\n]*)", text)
    return bool(written) and all(re.fullmatch(r"\(*(True|False)\)*[ \t]*(#.*)?", value) for value in written)


def _rebinds(it: Interpreter, function: FunctionInfo, name: str) -> bool:
    known: Any = it.rebound.get((id(function.node), name))
    if known is None:
        text = function.module.code(function.node.body)
        known = it.rebound[id(function.node), name] = re.search(rf"(?<![.\w]){name}[ \t]*=(?!=)", text) is not None
    return bool(known)
