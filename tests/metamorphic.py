"""Changes of a program that mean nothing: what is found, and on which statement, must stay the same.

A program is a list of lines for each file, each with the line of the original that it stands for, so that changes can
follow one another and a finding can be told by where it stood before all of them. Each change takes random numbers and
answers with the changed program, or None where there is nothing for it to change.
"""

from __future__ import annotations

import ast
import builtins
import io
import itertools
import keyword
import tokenize
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from random import Random

from freezelint.finding import Finding
from freezelint.static.interpreter import MODEL_NAMES
from freezelint.suppress import statements

Origin = tuple[str, int] | None  # file and line of the original; None for a line that is new
Lines = tuple[tuple[str, Origin], ...]


@dataclass(frozen=True)
class Program:
    """The files of a program by name."""

    files: Mapping[str, Lines]

    @staticmethod
    def of(texts: Mapping[str, str]) -> Program:
        """The original."""
        return Program({f: tuple((x, (f, n)) for n, x in enumerate(t.split("\n"), 1)) for f, t in texts.items()})

    def text(self, file: str) -> str:
        return "\n".join(line for line, _ in self.files[file])

    def texts(self) -> dict[str, str]:
        return {file: self.text(file) for file in self.files}

    def but(self, file: str, lines: Iterable[tuple[str, Origin]]) -> Program:
        """With other lines for one file."""
        return Program({**self.files, file: tuple(lines)})

    def told(self, findings: Iterable[Finding]) -> Counter[tuple[str, Origin]]:
        """Findings by rule and the statement of the original that they stand on."""
        starts: dict[str, dict[int, int]] = {}
        found: Counter[tuple[str, Origin]] = Counter()
        for finding in findings:
            file, line = finding.site.path, finding.site.line
            if file not in starts:
                pairs = statements(self.text(file))
                starts[file] = {n: first for first, last in pairs for n in range(first, last + 1)}
            lines = self.files[file]
            origin = lines[starts[file].get(line, line) - 1][1] if line <= len(lines) else None
            found[finding.rule, origin] += 1
        return found


Change = Callable[[Random, Program], "Program | None"]


def _one(change: Callable[[Random, Lines], Iterable[tuple[str, Origin]] | None]) -> Change:
    """A change of one file, made in any of them."""

    def changed(random: Random, program: Program) -> Program | None:
        file = random.choice(sorted(program.files))
        lines = change(random, program.files[file])
        return None if lines is None else program.but(file, lines)

    changed.__name__ = change.__name__
    return changed


def _parsed(lines: Lines) -> ast.Module | None:
    try:
        return ast.parse("\n".join(line for line, _ in lines))
    except (SyntaxError, ValueError):
        return None


Block = list[ast.stmt]


def _blocks(tree: ast.AST) -> Iterator[Block]:
    """The lists of statements that stand on lines of their own, the top level first."""
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                yield block


def _first(node: ast.stmt) -> int:
    """The first line of a statement, its decorators included."""
    return min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])


def _whole_lines(block: Block, lines: Lines) -> list[ast.stmt]:
    """The statements of a block that share no line with another."""
    indent = {line[: len(line) - len(line.lstrip())] for line in (lines[_first(s) - 1][0] for s in block)}
    # An `elif` is the one statement of its block, and has no line of its own: a line before it would end the `if`.
    own = [s for s in block if not lines[_first(s) - 1][0].lstrip().startswith("elif")]
    alone = [s for s in own if lines[_first(s) - 1][0][: s.col_offset].strip() in ("", "@")]
    ends = Counter(line for s in block for line in {_first(s), s.end_lineno})
    return [s for s in alone if len(indent) == 1 and ends[_first(s)] == ends[s.end_lineno or 0] == 1]


def _in_strings(lines: Lines) -> set[int] | None:
    """The lines that begin within a string or behind a backslash; None when they cannot be told."""
    found: set[int] = set()
    try:
        for token in tokenize.generate_tokens(io.StringIO("\n".join(line for line, _ in lines)).readline):
            if token.end[0] > token.start[0] and token.type != tokenize.NEWLINE:
                found |= set(range(token.start[0] + 1, token.end[0] + 1))
    except (tokenize.TokenError, SyntaxError):
        return None
    return found | {n + 1 for n, (line, _) in enumerate(lines, 1) if line.endswith("\\")}


def _is_head(statement: ast.stmt) -> bool:
    """Whether a statement has to stay where it is, at the head of its block."""
    doc = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return doc or (isinstance(statement, ast.ImportFrom) and statement.module == "__future__")


def _spots(lines: Lines) -> list[tuple[int, str]]:
    """Where a statement may be put: before which line, and how far it is indented."""
    tree = _parsed(lines)
    if tree is None:
        return []
    spots = []
    for block in _blocks(tree):
        for at, statement in enumerate(_whole_lines(block, lines)):
            if not (at == 0 and block[0] is not statement) and not _is_head(statement):
                spots.append((_first(statement), lines[_first(statement) - 1][0][: statement.col_offset]))
    return [(n, indent.rstrip("@")) for n, indent in spots]


# The changes ---------------------------------------------------------------------------------------------------------


def comments(random: Random, lines: Lines) -> Iterable[tuple[str, Origin]] | None:
    """Comments and blank lines between lines, and comments behind them."""
    inside = _in_strings(lines)
    if inside is None:
        return None
    new: list[tuple[str, Origin]] = []
    for number, (line, origin) in enumerate(lines, 1):
        if number not in inside and random.random() < 0.3:
            new.append((random.choice(("", "# a word", "        # p.requires_grad = True", "    ")), None))
        behind = number + 1 not in inside and line.strip() and "#" not in line and not line.endswith("\\")
        new.append((line + "  # model.train()" if behind and random.random() < 0.2 else line, origin))
    return new


DEAD = (
    "idle_0 = 3",
    'idle_1 = "a" + "b"',
    "if False:\n    idle_2 = 1",
    "def idle_3(a, b=2):\n    return a + b",
    "pass",
    "assert True",
    "class Idle4:\n    size = 3",
    "for idle_5 in (): pass",
    "idle_6 = [1, 2][0]",
    "idle_7: int = 0",
    "if 1 > 2:\n    pass\nelse:\n    pass",
    "try:\n    idle_8 = 1\nfinally:\n    pass",
    "idle_9 = lambda: None",
)


def dead_code(random: Random, lines: Lines) -> Iterable[tuple[str, Origin]] | None:
    """Statements without any effect."""
    spots = _spots(lines)
    if not spots:
        return None
    chosen = dict(random.sample(spots, min(len(spots), random.randint(1, 5))))
    new: list[tuple[str, Origin]] = []
    for number, line in enumerate(lines, 1):
        if number in chosen:
            new += [(chosen[number] + text, None) for text in random.choice(DEAD).split("\n")]
        new.append(line)
    return new


def if_true(random: Random, lines: Lines) -> Iterable[tuple[str, Origin]] | None:
    """A few statements below `if True:`, which is always the case."""
    return _nested(random, lines, random.choice(("if True:", "if 1:", "if not False:", 'if __name__ != "":')))


def _nested(random: Random, lines: Lines, head: str) -> Iterable[tuple[str, Origin]] | None:
    tree, inside = _parsed(lines), _in_strings(lines)
    if tree is None or inside is None:
        return None
    blocks = [
        good
        for block in _blocks(tree)
        if (good := [s for s in _whole_lines(block, lines) if not _is_head(s)]) and good == block[-len(good) :]
    ]
    if not blocks:
        return None
    block = random.choice(blocks)
    at = random.randrange(len(block))
    run = block[at : at + random.randint(1, 4)]
    start, end = _first(run[0]), run[-1].end_lineno or 0
    if inside & set(range(start, end + 1)):
        return None
    indent = lines[start - 1][0][: run[0].col_offset].rstrip("@")
    body = [(indent + "    " + line[len(indent) :] if line.startswith(indent) else line, o) for line, o in
            lines[start - 1 : end]]  # fmt: skip
    return [*lines[: start - 1], (indent + head, None), *body, *lines[end:]]


def quotes(random: Random, lines: Lines) -> Iterable[tuple[str, Origin]] | None:
    """Single quotes instead of double ones, and the reverse."""
    return _tokens_changed(lines, lambda token: _requoted(token) if random.random() < 0.7 else None)


def _requoted(token: tokenize.TokenInfo) -> str | None:
    if token.type != tokenize.STRING or token.string[:1] not in "'\"" or token.string[:3] in ("'''", '"""'):
        return None
    inner = token.string[1:-1]
    if any(c in inner for c in "'\"\\\n"):
        return None
    other = "'" if token.string[0] == '"' else '"'
    return other + inner + other


def _tokens_changed(
    lines: Lines, change: Callable[[tokenize.TokenInfo], str | None]
) -> Iterable[tuple[str, Origin]] | None:
    """Lines with some tokens written in another way; none of them may span lines."""
    texts = [line for line, _ in lines]
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO("\n".join(texts)).readline))
    except (tokenize.TokenError, SyntaxError):
        return None
    count = 0
    for token in reversed(tokens):
        row, column = token.start
        new = change(token) if token.end[0] == row else None
        if new is not None:
            texts[row - 1] = texts[row - 1][:column] + new + texts[row - 1][token.end[1] :]
            count += 1
    return [(text, origin) for text, (_, origin) in zip(texts, lines, strict=True)] if count else None


def spacing(random: Random, lines: Lines) -> Iterable[tuple[str, Origin]] | None:
    """No spaces around `=`, `==` and behind commas."""
    tight = {"=", "==", "+", ","} if random.random() < 0.5 else {random.choice(("=", "==", "+", ","))}
    texts = [line for line, _ in lines]
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO("\n".join(texts)).readline))
    except (tokenize.TokenError, SyntaxError):
        return None
    for before, token, after in reversed(list(zip(tokens, tokens[1:], tokens[2:], strict=False))):
        if token.type == tokenize.OP and token.string in tight and before.end[0] == after.start[0]:
            row = token.start[0] - 1
            texts[row] = texts[row][: before.end[1]] + token.string + texts[row][after.start[1] :]
    return [(text, origin) for text, (_, origin) in zip(texts, lines, strict=True)]


def parentheses(random: Random, lines: Lines) -> Iterable[tuple[str, Origin]] | None:
    """Parentheses around what is assigned, returned, tested or given."""
    tree = _parsed(lines)
    if tree is None or any(not line.isascii() for line, _ in lines):
        return None
    places: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assign, ast.Return, ast.AugAssign, ast.keyword)):
            places += [node.value] if node.value is not None else []
        elif isinstance(node, (ast.If, ast.While)):
            places.append(node.test)
        elif isinstance(node, ast.For):
            places.append(node.iter)
        elif isinstance(node, ast.Call):
            places += node.args
    plain = (ast.Name, ast.Attribute, ast.Call, ast.Constant, ast.Compare, ast.BoolOp, ast.List, ast.Subscript)
    in_format = _in_format(tree)
    places = [p for p in places if isinstance(p, plain) and id(p) not in in_format]
    if not places:
        return None
    texts = [line for line, _ in lines]
    chosen = random.sample(places, min(len(places), random.randint(1, 6)))
    marks = [(p.lineno, p.col_offset, "(") for p in chosen]
    marks += [(p.end_lineno or 0, p.end_col_offset or 0, ")") for p in chosen]
    for row, column, mark in sorted(marks, key=lambda m: (m[0], m[1], m[2] == "("), reverse=True):
        texts[row - 1] = texts[row - 1][:column] + mark + texts[row - 1][column:]
    return [(text, origin) for text, (_, origin) in zip(texts, lines, strict=True)]


def _in_format(tree: ast.AST) -> set[int]:
    """What stands within f-strings, by `id`: there a position means nothing before Python 3.12."""
    return {id(inner) for f in ast.walk(tree) if isinstance(f, ast.JoinedStr) for inner in ast.walk(f)}


def rename(random: Random, lines: Lines) -> Iterable[tuple[str, Origin]] | None:
    """Other names for some variables, wherever they stand in the file.

    Not for what is also a parameter, an import, a definition, a keyword, an attribute of a class or part of a string,
    and not for the few names that say by themselves what they hold (`model`).
    """
    tree = _parsed(lines)
    if tree is None:
        return None
    assigned = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    taken = {*keyword.kwlist, *dir(builtins), "self", "cls", "_", "__name__", "torch", "nn", "optim"}
    text: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            taken.add(node.arg)
        elif isinstance(node, ast.alias):
            taken |= {node.name.split(".")[0], node.asname or ""}
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            taken.add(node.name)
        elif isinstance(node, ast.keyword):
            taken.add(node.arg or "")
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            taken |= set(node.names)
        elif isinstance(node, ast.JoinedStr):
            taken |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text.append(node.value)
        elif isinstance(node, (ast.MatchAs, ast.MatchStar)):
            taken.add(node.name or "")
        if isinstance(node, ast.ClassDef):
            taken |= {n.id for s in node.body for n in ast.walk(s) if isinstance(n, ast.Name)}
    names = sorted(n for n in assigned - taken if n.lower() not in MODEL_NAMES and not any(n in t for t in text))
    if not names:
        return None
    chosen = {name: f"{name}_zz" for name in names if random.random() < 0.7}
    before = ""

    def change(token: tokenize.TokenInfo) -> str | None:
        return chosen.get(token.string) if token.type == tokenize.NAME else None

    dotted: set[tuple[int, int]] = set()
    try:
        for token in tokenize.generate_tokens(io.StringIO("\n".join(line for line, _ in lines)).readline):
            if before == ".":
                dotted.add(token.start)
            before = token.string
    except (tokenize.TokenError, SyntaxError):
        return None
    return _tokens_changed(lines, lambda token: None if token.start in dotted else change(token))


def reorder(random: Random, lines: Lines) -> Iterable[tuple[str, Origin]] | None:
    """Two neighbours that know nothing of each other change places: imports, definitions, assignments of constants."""
    tree = _parsed(lines)
    if tree is None:
        return None
    pairs = []
    for block in _blocks(tree):
        good = _whole_lines(block, lines)
        for first, second in itertools.pairwise(block):
            if first in good and second in good and _free(first) and _free(second):
                if not _names(first, ast.Store) & _names(second) and not _names(second, ast.Store) & _names(first):
                    pairs.append((first, second))
    if not pairs:
        return None
    first, second = random.choice(pairs)
    a, b, c, d = _first(first), first.end_lineno or 0, _first(second), second.end_lineno or 0
    return [*lines[: a - 1], *lines[c - 1 : d], *lines[b : c - 1], *lines[a - 1 : b], *lines[d:]]


def _free(statement: ast.stmt) -> bool:
    """Whether a statement only binds names, and nothing else happens."""
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return getattr(statement, "module", "") != "__future__" and all(a.name != "*" for a in statement.names)
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return not statement.decorator_list
    if isinstance(statement, ast.Assign):
        names = all(isinstance(t, ast.Name) for t in statement.targets)
        return names and all(
            isinstance(n, (ast.Constant, ast.List, ast.Tuple, ast.expr_context)) for n in ast.walk(statement.value)
        )
    return False


def _names(node: ast.AST, context: type = ast.AST) -> set[str]:
    """The names that a statement binds (ast.Store), or all that stand in it."""
    found: set[str] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and (context is ast.AST or isinstance(inner.ctx, context)):
            found.add(inner.id)
        elif isinstance(inner, ast.alias):
            found.add((inner.asname or inner.name).split(".")[0])
        elif isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(inner.name)
    return found


def in_function(random: Random, program: Program) -> Program | None:
    """The statements of a script in a function that is called once; imports and definitions stay where they are."""
    if len(program.files) > 1:
        return None  # others may import what is bound here
    [(file, lines)] = program.files.items()
    tree, inside = _parsed(lines), _in_strings(lines)
    if tree is None or inside is None or len(_whole_lines(tree.body, lines)) != len(tree.body):
        return None
    stay = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    at = len(tree.body)
    while at and not any(isinstance(n, stay) for n in ast.walk(tree.body[at - 1])) and not _is_head(tree.body[at - 1]):
        at -= 1
    moved = tree.body[at:]
    bound = {name for s in moved for name in _names(s, ast.Store)}
    functions = {name for s in tree.body[:at] if isinstance(s, stay[2:]) for name in _names(s)}
    functions |= {name for s in tree.body[:at] for name in _names(s, ast.Store)}  # read before it is bound again
    text = program.text(file)
    if not moved or bound & functions or "global " in text or "__main__" in text or "globals()" in text:
        return None
    start, end = _first(moved[0]), moved[-1].end_lineno or 0
    if inside & set(range(start, end + 1)):
        return None
    body = [("    " + line if line.strip() else line, origin) for line, origin in lines[start - 1 : end]]
    name = f"main_{len(lines)}"  # there may be one already
    new = [*lines[: start - 1], (f"def {name}():", None), *body, ("", None), (f"{name}()", None), *lines[end:]]
    return program.but(file, new)


def split(random: Random, program: Program) -> Program | None:
    """The functions and classes of a script in a file of their own, which the script imports."""
    if list(program.files) != ["main.py"]:
        return None
    lines = program.files["main.py"]
    tree = _parsed(lines)
    if tree is None or len(_whole_lines(tree.body, lines)) != len(tree.body):
        return None
    imports = [s for s in tree.body if isinstance(s, (ast.Import, ast.ImportFrom))]
    defined = [s for s in tree.body if isinstance(s, (ast.FunctionDef, ast.ClassDef))]
    known = {name for s in (*imports, *defined) for name in _names(s, ast.Store)}
    rest = {name for s in tree.body if s not in imports and s not in defined for name in _names(s, ast.Store)}
    star = any(a.name == "*" for s in imports for a in s.names)
    used = {name for s in defined for name in _names(s)} | {
        name for s in ast.walk(tree) if isinstance(s, ast.Global) for name in s.names
    }
    called = {name for s in tree.body if s not in defined for name in _names(s)}
    names = [s.name for s in defined]
    if not defined or star or used & (rest - known) or known & rest or len(set(names)) != len(names):
        return None
    if any(name not in called for name in names) or "__name__" in program.text("main.py"):
        return None  # nothing would lead to it, or it is looked at as a program
    inside = {n for s in defined for n in range(_first(s), (s.end_lineno or 0) + 1)}
    heads = {n for s in imports for n in range(_first(s), (s.end_lineno or 0) + 1)}
    part = [line for n, line in enumerate(lines, 1) if n in inside]
    helper = [*((line, None) for n, (line, _) in enumerate(lines, 1) if n in heads), *part]
    last = max(heads, default=0)
    if any(n < last for n in inside):
        return None
    future = [n for n, (line, _) in enumerate(lines, 1) if n <= last and line]
    at = max(future, default=0)
    main = [line for n, line in enumerate(lines, 1) if n not in inside and n <= at]
    main.append((f"from helper_part import {', '.join(names)}", None))
    main += [line for n, line in enumerate(lines, 1) if n not in inside and n > at]
    return Program({"main.py": tuple(main), "helper_part.py": tuple(helper)})


CHANGES: tuple[Change, ...] = (
    *map(_one, (comments, dead_code, if_true, quotes, spacing, parentheses, rename, reorder)),
    in_function,
    split,
)


def variant(random: Random, program: Program, most: int = 3) -> tuple[Program, list[str]] | None:
    """A program that means the same after up to `most` changes, and what they are; None when none can be made."""
    names: list[str] = []
    for change in random.choices(CHANGES, k=random.randint(1, most)):
        new = change(random, program)
        if new is not None and all(_parsed(lines) is not None for lines in new.files.values()):
            program = new
            names.append(change.__name__)
    return (program, names) if names else None
