"""A file whose functions are parsed when something looks into them is the file that libcst parses as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import libcst as cst
import pytest
from libcst.metadata import MetadataWrapper, PositionProvider

from freezelint.static import deferred
from freezelint.static.deferred import Deferred
from freezelint.static.positions import Positions

STATIC = Path(deferred.__file__).parent
FILES = [STATIC / name for name in ("deferred.py", "modules.py", "summaries.py")]

THREE = ("a = 1", "b = 2", "return a")


def _text(*lines: str, end: str = "\n") -> str:
    return "".join(line + end for line in lines)


def _function(indent: str = "", name: str = "f") -> tuple[str, ...]:
    return (f"{indent}def {name}(self):", *(f"{indent}    {line}" for line in THREE))


ODD = {
    "nothing": "",
    "comments below": _text(*_function(), "    # of f", "# of the module", "", "def g(): pass"),
    "comments above": _text("def f():  # one: two", "    # three", "", *(f"    {line}" for line in THREE), "x = 1"),
    "no newline at the end": _text(*_function())[:-1],
    "line ends of Windows": _text("class A:", "", *_function("    "), "", "    b = '''x", "y'''", end="\r\n"),
    "tabs": _text("class A:", *_function("    "), "    x = 1").replace("    ", "\t"),
    "two ways to indent": _text("def f():", "  a = 1", "  if a:", "        return 2", "  return 3", *_function()),
    "as deep as the usual two": _text(
        "class A:", "    def f(self):", "        if self:", "                return 1", "        x"
    ),
    "async": _text("async def f():", "    async with a as b:", "        await b", "    yield b", "    x = 1"),
    "decorated first": _text("def f():", "    @g", "    def h():", "        pass", "    return h"),
    "string to the margin": _text("def f():", '    a = """', "x", '"""', "    return a"),
    "one line": _text("def f(): a = 1; b = 2", "def g(): return (", "    1,", "    2,", "    3)"),
    "a line that goes on": _text(
        "def f(): \\", "  return (", "  1,", "  2)", *_function()[:-1], "    c = 3 \\", "", "x = 1"
    ),
    "everywhere": _text("if a:", *_function("    "), "else:", "    try:", "        class A:", *_function(" " * 12))
    + _text("    except E:", *_function(" " * 8), "    finally:", *_function(" " * 8)),
}


def _below(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    yield node
    for child in node.children:
        yield from _below(child)


def _places(tree: cst.Module) -> list[tuple[str, int, int, int, int]]:
    told = MetadataWrapper(tree, unsafe_skip_copy=True).resolve(PositionProvider)
    ranges = [(node, told[node]) for node in _below(tree) if node in told and _counts(node)]
    return [
        (type(node).__name__, at.start.line, at.start.column + 1, at.end.line, at.end.column + 1) for node, at in ranges
    ]


def _counts(node: cst.CSTNode) -> bool:
    """Statements and expressions: a comment below a function may belong to the function or to a block in it."""
    return not isinstance(node, (cst.BaseSuite, cst.EmptyLine, cst.Comment, cst.Newline, cst.SimpleWhitespace))


@pytest.mark.parametrize("text", [*ODD.values(), *(f.read_text() for f in FILES)], ids=[*ODD, *(f.name for f in FILES)])
def test_same_tree_same_text_same_places(text: str) -> None:
    whole, lazy = cst.parse_module(text), deferred.parse(text)
    assert lazy.code == text
    nodes = list(_below(lazy))  # looks into everything
    assert lazy.code == text
    positions = Positions(lazy)
    mine = [(type(node).__name__, *(positions.get(node) or ())) for node in nodes if _counts(node)]
    assert mine == _places(whole)


def test_a_body_is_parsed_once_and_only_when_it_is_looked_into() -> None:
    tree = deferred.parse(ODD["comments above"])
    function = tree.body[0]
    assert isinstance(function, cst.FunctionDef)
    assert isinstance(function.body, Deferred)
    assert "b = 2" in tree.code_for_node(function)
    assert function.body.parsed is None
    assert function.body.body is function.body.body
    assert len(function.body.body) == 3


def test_places_of_what_is_parsed_later_are_found_later() -> None:
    tree = deferred.parse(ODD["comments above"])
    before = Positions(tree)
    statement = tree.body[0].body.body[1]  # type: ignore[union-attr]
    assert before.get(statement) is None  # type: ignore[arg-type]
    assert Positions(tree).get(statement) == (5, 5, 5, 10)  # type: ignore[arg-type]


def test_what_libcst_cannot_read_is_taken_to_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = deferred.parse(ODD["comments above"])
    whole = cst.parse_module

    def fails(text: str) -> cst.Module:
        if "b = 2" in text:
            raise cst.ParserSyntaxError("no", lines=[text], raw_line=1, raw_column=0)
        return whole(text)

    monkeypatch.setattr(cst, "parse_module", fails)
    (line,) = tree.body[0].body.body  # type: ignore[union-attr]
    assert isinstance(line, cst.SimpleStatementLine)
    assert isinstance(line.body[0], cst.Raise)


@pytest.mark.parametrize("text", ["def f():\n    a = 1\n    b = = 2\n    return a\n", "def f(:\n    a\n    b\n    c\n"])
def test_a_text_that_is_no_python_is_refused_as_a_whole(text: str) -> None:
    with pytest.raises(cst.ParserSyntaxError) as whole:
        cst.parse_module(text)
    with pytest.raises(cst.ParserSyntaxError) as told:
        deferred.parse(text)
    assert (told.value.message, told.value.raw_line) == (whole.value.message, whole.value.raw_line)


def test_form_feeds_are_left_to_libcst() -> None:
    text = "def f():\n    a = 1\n\f    b = 2\n    return a\n"
    assert deferred.parse(text).code == cst.parse_module(text).code
