"""What is too deep or too long to be parsed, told from the text: by its brackets, its operators and its tokens."""

from __future__ import annotations

import re

DEEPEST = 200  # brackets in brackets, as Python itself has it
CHAIN = 2_000  # operators in a row; the parser takes a time that grows with the square of either
_OPENING, _CLOSING, _ENDS = frozenset("([{"), frozenset(")]}"), frozenset(",:;=")
_SIGNS = frozenset(". + - * / % @ & | ^ < > ~ ) ] } not and or is lambda await else".split())
_BRACKETS = re.compile(r"[()\[\]{}]+")
LONGEST = 90_000  # tokens of a file: more than 15,000 lines of ordinary code, whose tree takes 200 MB
A_TOKEN = 7  # characters of ordinary code to a token, comments and white space included
_TOKEN = re.compile(
    r"""\"{3}[\s\S]*?\"{3}|'{3}[\s\S]*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\#[^\n]*|\w+|[^\w\s]|\n"""
)


class TooLong(ValueError):
    """A file has so many tokens that its tree would take too much memory."""


def tokens(text: str) -> int:
    """About how many tokens a text has, blank lines included."""
    return sum(1 for _ in _TOKEN.finditer(text))


def size(text: str) -> int:
    """How many characters ordinary code has whose tree takes as much memory."""
    return max(len(text), A_TOKEN * tokens(text))


def too_deep(text: str) -> bool:
    """Whether brackets are nested, or operators follow one another, further than the parser can be asked to go."""
    if text.count("elif ") > CHAIN:  # each is an `if` in the `else` of the one before
        return True
    if _rounds(text) <= DEEPEST and sum(map(text.count, _SIGNS)) <= CHAIN:
        return False
    chains = [0]  # operators so far, of what stands in each of the open brackets
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word in _OPENING:
            chains.append(0)
        elif word in _ENDS or (word == "\n" and len(chains) == 1):
            chains[-1] = 0
        elif word in _SIGNS:
            if word in _CLOSING and len(chains) > 1:
                chains.pop()
            chains[-1] += 1
        if len(chains) > DEEPEST or chains[-1] > CHAIN:
            return True
    return False


def _rounds(text: str) -> int:
    """How deep brackets may be nested at most, by how often the innermost can be taken away."""
    brackets, rounds = "".join(_BRACKETS.findall(text)), 0
    while brackets and rounds <= DEEPEST:
        rounds += 1
        fewer = brackets.replace("()", "").replace("[]", "").replace("{}", "")
        if fewer == brackets:  # what stands in strings has no match
            return rounds + len(brackets)
        brackets = fewer
    return rounds
