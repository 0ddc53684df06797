"""Which names of a model a name test passes, and which of them its author may not have thought of."""

from __future__ import annotations

import re

import libcst as cst

from freezelint.static.evaluate import source
from freezelint.static.interpreter import Interpreter
from freezelint.static.values import Members
from freezelint.static.world import World
from freezelint.trace import events as ev
from freezelint.trace.misspelt import meant, misspelt
from freezelint.trace.regions import HEADS, Test
from freezelint.trace.tri import NO, UNSURE, YES


def all_names(members: Members) -> list[str]:
    """The names of every parameter of the models that these members are of; none when some are not known."""
    names: dict[str, None] = {}
    for view, part in members:
        root = part.root
        if root.names is None:
            return []
        stem = view.below + "." if view.below else ""
        own = [f"{where}.{p}".lstrip(".") for where, layer in (root.layers or {}).items() for p in layer.params]
        names.update((view.name(n), None) for n in own or sorted(root.names) if n == view.below or n.startswith(stem))
    return list(names)


def refuted(test: Test, members: Members) -> bool:
    """Whether surely no name of the models that these members are of passes, though not all of them are known."""
    roots = {(view, part.root) for view, part in members}
    return bool(roots) and (
        all(
            root.refutes(test, view)
            if root.names is None
            else all(test.of_name(view.name(name)) is NO for name in root.names)
            for view, root in roots
        )
        or misspelt(test, expected(members))
    )


def expected(members: Members) -> list[str]:
    """The names of some models, of a library's those of its default size; none if one has others."""
    found: list[str] = []
    for view, root in dict.fromkeys((view, part.root) for view, part in members):
        known = sorted(root.names) if root.names is not None else root.likely
        if not known and not root.layers:
            return []
        stem = f"{view.below}." if view.below else ""
        found += [view.name(name) for name in known if name.startswith(stem)]
    return found


def example(test: Test, names: list[str]) -> str:
    """A name that shows what the names of the model look like: one that the test nearly is, or that begins like it,
    else the last."""
    for word in test.args:
        near = meant(word, names)
        if near:
            return near
    for word in test.args:
        for name in names:
            if name.startswith(word + "."):
                return name
    return names[-1] if names else ""


def strays(it: Interpreter, test: Test, members: Members, node: cst.CSTNode) -> tuple[str, ...]:
    """Names that pass a test of substrings or beginnings by accident, as far as that is beyond doubt.

    A number goes on ("layer.1" in "layer.10"), or a child at the top has a name that deeper layers bear, too.
    """
    names = all_names(members) or likely(members)
    return tuple(_of_test(test, names, source(it, node))) if names else ()


def tell_joined(it: Interpreter, members: Members, node: cst.CSTNode, world: World) -> None:
    """Tell the rules of tests that `or` joins, where names pass them by accident."""
    tests = [it.decided[id(part)] for part in _operands(node) if id(part) in it.decided]
    for test in tests if len(tests) > 1 else ():
        found = strays(it, test, members, node)
        if found:
            event = ev.SelectNames(
                site=it.place(node),
                lap=it.lap(world),
                test=test.text,
                region=frozenset(p for _, p in members),
                matched=UNSURE,
                flag_set=True,
                kind=test.kind,
                words=test.args,
                strays=found,
            )
            it.emit(world, event)


OF_NAMES = ("in", "startswith", "endswith", "equals", "regex")


def joined(it: Interpreter, node: cst.CSTNode) -> tuple[Test, bool] | None:
    """Tests of one kind that `or` joins, as one test of several words, and whether `not` stands before them."""
    negated = isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Not)
    parts = _operands(node.expression if isinstance(node, cst.UnaryOperation) else node)
    tests = [it.decided[id(part)] for part in parts if id(part) in it.decided]
    if len(tests) < 2 or len(tests) < len(parts) or {test.kind for test in tests} - {tests[0].kind}:
        return None
    if tests[0].kind not in OF_NAMES:
        return None
    text = " or ".join(test.text for test in tests)
    return Test(tests[0].kind, tuple(word for test in tests for word in test.args), text), negated


def _operands(node: cst.CSTNode) -> list[cst.CSTNode]:
    """The tests that `or` joins."""
    if isinstance(node, cst.BooleanOperation) and isinstance(node.operator, cst.Or):
        return [*_operands(node.left), *_operands(node.right)]
    return [node]


def _of_test(test: Test, names: list[str], text: str) -> list[str]:
    if test.kind not in ("in", "startswith"):
        return []
    found: dict[str, None] = {}
    for word in test.args:
        passing = [name for name in names if (name.startswith(word) if test.kind == "startswith" else word in name)]
        found.update(dict.fromkeys(_numbered(word, passing, test.args, text)))
        if test.kind == "in":
            found.update(dict.fromkeys(_deeper(word, names, passing, test.args, text)))
    return list(found)


def likely(members: Members) -> list[str]:
    """The names of a library's model in its default size, where its true size is not known."""
    return [view.name(name) for view, part in members for name in part.root.likely if not view.below]


def _numbered(word: str, passing: list[str], words: tuple[str, ...], text: str) -> list[str]:
    """Names where a number goes on behind the word, if it ends in one and others have it whole."""
    if not word[-1:].isdigit() or not word.rstrip("0123456789").strip("."):
        return []
    whole = re.compile(re.escape(word) + r"(?!\d)")
    longer = [name for name in passing if not whole.search(name)]
    if len(longer) == len(passing):
        return []
    tokens = {match[0] for name in longer if (match := re.search(re.escape(word) + r"\d+", name))}
    if any(token in text or any(other != word and other in token for other in words) for token in tokens):
        return []  # they are asked for as well
    return longer


def _deeper(word: str, names: list[str], passing: list[str], words: tuple[str, ...], text: str) -> list[str]:
    """Names of deeper layers, where the test speaks of children at the top: of several, or of the head."""
    tops = {name.partition(".")[0] for name in names}
    if word not in tops:
        return []
    asked = {top for top in tops if top in words or re.search(rf"[\"']{top}\.?[\"']", text)}
    if len(asked) < 2 and word not in HEADS:
        return []
    return [name for name in passing if name.partition(".")[0] not in asked]


_WORN = re.compile(r"(?:(?:module|_orig_mod|base_model\.model)(?:\.|$))+")


def hindering(it: Interpreter, test: Test, members: Members) -> str:
    """The prefix that a wrapper puts before all these names, when the test fails for it alone and the file does not
    provide for it."""
    if test.kind not in ("startswith", "equals") or not members:
        return ""
    worn = {found[0] if (found := _WORN.match(view.prefix)) else "" for view, _ in members}
    prefix = worn.pop() if len(worn) == 1 else ""
    prefix = prefix and f"{prefix.rstrip('.')}."
    if not prefix or any(word.startswith(prefix[: len(word)]) for word in test.args):
        return ""
    if re.search(rf"[\"']{re.escape(prefix.split('.')[0])}\b", it.scope.module.text):
        return ""
    names = [name.removeprefix(prefix) for name in all_names(members)]
    return prefix if not names or any(test.of_name(name) is YES for name in names) else ""
