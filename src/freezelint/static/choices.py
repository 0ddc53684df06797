"""Constants that choose: a name in the program that is compared with several others is an option, as on a command line.

    ARCH = "resnet18"                  compared with "resnet18" and "vgg16": the program is run once more with "vgg16"
    model = build(ARCH)                in its place, and what only that run finds is told with its condition

The first run notes which literal comes to which comparisons. A value that some literal of the program fulfils is no
alternative: that way was seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import libcst as cst

from freezelint.static.modules import Module, dotted
from freezelint.static.values import Const

OPTIONS = 2  # constants that are varied, one at a time
ALTERNATIVES = 4  # values that each is given


@dataclass(frozen=True)
class Alternative:
    """A value that a literal could have: the literal, by module and `id`, and what the program writes for it there."""

    module: Module
    literal: int
    value: str
    text: str


_DECIDES = re.compile(
    r"requires_grad|freeze|pretrained|models\.|timm|torch\.hub|from_pretrained|optim|param|\.(?:eval|train)\(|no_grad|"
    r"\.(?:fc|classifier|head|last_linear|heads)\b"
)

# What a program is to do, not what it is to do it with.
_PHASES = frozenset(
    "train training test testing val valid validation eval dev predict infer inference demo debug".split()
)


@dataclass
class Choices:
    """What was compared with which words in a run."""

    compared: dict[int, tuple[Const, dict[str, str]]] = field(default_factory=dict)  # words and tests, by `id`
    origin: dict[int, tuple[Const, Const]] = field(default_factory=dict)  # what `.lower()` was asked of, by `id`
    fulfilled: set[str] = field(default_factory=set)  # words that some constant was
    chains: dict[int, tuple[cst.If, cst.BaseExpression | None, tuple[str, ...]]] = field(default_factory=dict)

    def derived(self, new: Const, old: Const) -> None:
        """Note that a constant is another one in other letters."""
        self.origin[id(new)] = (new, old)

    def of(self, node: cst.If, module: Module) -> tuple[cst.BaseExpression | None, tuple[str, ...]]:
        """What an `if ... elif ...` compares with words again and again, and the words; None when it compares several
        things, or decides nothing about a model."""
        known = self.chains.get(id(node))
        if known is None:
            asked, words = _of_chain(node)
            if asked is not None and not _DECIDES.search(module.code(node)):
                asked = None
            known = self.chains[id(node)] = (node, asked, words)
        return known[1:]

    def note(self, text: str, value: Const, words: tuple[str, ...]) -> None:
        """Note that a constant, for which the program writes `text`, is compared with words."""
        self.fulfilled.update(word for word in words if word in value.value)
        while id(value) in self.origin:
            value = self.origin[id(value)][1]
        tests = self.compared.setdefault(id(value), (value, {}))[1]
        for word in words:
            tests.setdefault(word, text)

    def alternatives(self, modules: list[Module]) -> Iterator[Alternative]:
        """What the literals of some modules could be as well."""
        options = 0
        for module in modules:
            for literal, value in list(module.constants.items()):
                words = self.compared.get(id(value), (value, {}))[1]
                others = [word for word in words if word not in self.fulfilled and word.lower() not in _PHASES]
                if len(words) < 2 or not others or options == OPTIONS or not _names_one_thing(module.tree, literal):
                    continue
                options += 1
                for word in others[:ALTERNATIVES]:
                    yield Alternative(module, literal, word, words[word])


def _of_chain(node: cst.If) -> tuple[cst.BaseExpression | None, tuple[str, ...]]:
    asked: list[cst.BaseExpression] = []
    words: list[str] = []
    branch: Any = node
    while isinstance(branch, cst.If):
        for test in _tests(branch.test):
            left, right = test.left, test.comparisons[0].comparator
            given = _words(right)
            word, other = (given, left) if given else (_words(left), right)
            if word and _name(other):
                asked.append(other)
                words += word
        branch = branch.orelse
    if len({_name(one) for one in asked}) != 1:
        return None, ()
    return asked[0], tuple(words)


def _tests(test: cst.BaseExpression) -> list[cst.Comparison]:
    """The comparisons that a test consists of, when any of them makes it true."""
    if isinstance(test, cst.BooleanOperation) and isinstance(test.operator, cst.Or):
        return _tests(test.left) + _tests(test.right)
    return [test] if isinstance(test, cst.Comparison) and len(test.comparisons) == 1 else []


def _words(node: cst.BaseExpression) -> list[str]:
    """The strings that are written there, alone or in a list."""
    items = [e.value for e in node.elements] if isinstance(node, (cst.List, cst.Tuple, cst.Set)) else [node]
    values = [item.evaluated_value for item in items if isinstance(item, cst.SimpleString)]
    return [value for value in values if isinstance(value, str)] if len(values) == len(items) else []


def _name(node: cst.BaseExpression) -> str:
    """`name`, `self.name`, `name.lower()`: what a choice is called; "" of anything else."""
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and not node.args:
        return dotted(node.func) if node.func.attr.value in ("lower", "upper", "strip") else ""
    if isinstance(node, cst.Subscript) and len(node.slice) == 1 and isinstance(node.slice[0].slice, cst.Index):
        key = node.slice[0].slice.value
        return f"{dotted(node.value)}[{key.value}]" if isinstance(key, cst.SimpleString) else ""
    return dotted(node)


def _names_one_thing(node: cst.CSTNode, literal: int) -> bool:
    """Whether a literal below a node is assigned, given or a default, and none of several in a list."""
    for child in node.children:
        if id(child) == literal:
            return isinstance(node, (cst.Assign, cst.AnnAssign, cst.Arg, cst.Param, cst.DictElement))
        if _names_one_thing(child, literal):
            return True
    return False
