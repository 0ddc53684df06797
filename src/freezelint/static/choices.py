"""Constants that choose: a name in the program that is compared with several others is an option, as on a command line.

    ARCH = "resnet18"                  compared with "resnet18" and "vgg16": the program is run once more with "vgg16"
    model = build(ARCH)                in its place, and what only that run finds is told with its condition

The first run notes which literal comes to which comparisons. A value that some literal of the program fulfils is no
alternative: that way was seen.
"""

from __future__ import annotations

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


@dataclass
class Choices:
    """What was compared with which words in a run."""

    compared: dict[int, tuple[Const, dict[str, str]]] = field(default_factory=dict)  # words and tests, by `id`
    origin: dict[int, tuple[Const, Const]] = field(default_factory=dict)  # what `.lower()` was asked of, by `id`
    chains: set[int] = field(default_factory=set)  # `if ... elif ...` that were looked at, by `id`
    fulfilled: set[str] = field(default_factory=set)  # tests that some constant passed

    def derived(self, new: Const, old: Const) -> None:
        """Note that a constant is another one in other letters."""
        self.origin[id(new)] = (new, old)

    def note(self, node: cst.CSTNode, text: str, value: Const, words: tuple[Any, ...], *, passed: bool) -> None:
        """Note that a constant is compared with words; `node` is what the program writes for it, `text` its code."""
        if not isinstance(value.value, str) or not isinstance(node, (cst.Name, cst.Attribute, cst.Subscript, cst.Call)):
            return
        if passed:
            self.fulfilled.update(words)
        while id(value) in self.origin:
            value = self.origin[id(value)][1]
        tests = self.compared.setdefault(id(value), (value, {}))[1]
        for word in words:
            if isinstance(word, str):
                tests.setdefault(word, text)

    def alternatives(self, modules: list[Module]) -> Iterator[Alternative]:
        """What the literals of some modules could be as well."""
        options = 0
        for module in modules:
            for literal, value in list(module.constants.items()):
                words = self.compared.get(id(value), (value, {}))[1]
                others = [word for word in words if word not in self.fulfilled]
                if len(words) < 2 or not others or options == OPTIONS or not _names_one_thing(module.tree, literal):
                    continue
                options += 1
                for word in others[:ALTERNATIVES]:
                    yield Alternative(module, literal, word, words[word])


def of_chain(node: cst.If) -> tuple[cst.BaseExpression | None, tuple[str, ...]]:
    """What an `if ... elif ...` compares with words again and again, and the words; the first that is true hides the
    others. None when it compares several things."""
    asked: list[cst.BaseExpression] = []
    words: list[str] = []
    branch: Any = node
    while isinstance(branch, cst.If):
        test = branch.test
        if isinstance(test, cst.Comparison) and len(test.comparisons) == 1:
            left, right = test.left, test.comparisons[0].comparator
            word, other = (right, left) if isinstance(right, cst.SimpleString) else (left, right)
            if isinstance(word, cst.SimpleString) and isinstance(word.evaluated_value, str) and dotted(other):
                asked.append(other)
                words.append(word.evaluated_value)
        branch = branch.orelse
    if len({dotted(one) for one in asked}) != 1:
        return None, ()
    return asked[0], tuple(words)


def _names_one_thing(node: cst.CSTNode, literal: int) -> bool:
    """Whether a literal below a node is assigned, given or a default, and none of several in a list."""
    for child in node.children:
        if id(child) == literal:
            return isinstance(node, (cst.Assign, cst.AnnAssign, cst.Arg, cst.Param, cst.DictElement))
        if _names_one_thing(child, literal):
            return True
    return False
