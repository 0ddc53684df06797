"""Whose line was it: the innermost frame of the user's own code, as a Site."""

from __future__ import annotations

import linecache
import os
import re
import sys
import sysconfig
from functools import cache
from itertools import islice
from types import CodeType, FrameType

import torch

import freezelint
from freezelint.finding import Site

# Folders whose code is nobody's to change here: the standard library, installed packages, freezelint itself.
_LIBRARY = tuple(
    os.path.join(os.path.realpath(folder), "")
    for folder in {
        os.path.dirname(freezelint.__file__),
        *(path for key, path in sysconfig.get_paths().items() if key in ("stdlib", "platstdlib")),
        os.path.dirname(os.__file__),
    }
)
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_UNNAMED = ("<string>", "<frozen ", "<eval_with_key>", "<__array_function__", "<attrs ")

_FREEZELINT = os.path.join(os.path.dirname(freezelint.__file__), "")
_TORCH = os.path.join(os.path.dirname(torch.__file__), "")
_WATCHED = (_FREEZELINT, _TORCH)
_ASSIGNS = (_FREEZELINT, os.path.join(_TORCH, "nn", "modules", "module.py"))

_mine: dict[str, bool] = {}
_sites: dict[tuple[int, int], tuple[CodeType, Site]] = {}


def is_user_code(filename: str) -> bool:
    """Whether a file belongs to the program that is watched, and not to a library."""
    known = _mine.get(filename)
    if known is None:
        known = _mine[filename] = _is_user_code(filename)
    return known


def _is_user_code(filename: str) -> bool:
    if filename.startswith(_UNNAMED):
        return False
    if any(folder in filename for folder in _INSTALLED):
        return False
    return not os.path.realpath(filename).startswith(_LIBRARY)


def user_frame(start: FrameType | None = None) -> FrameType | None:
    """The innermost frame of user code, from `start` (by default the caller) outwards."""
    frame = start or sys._getframe(1)
    while frame is not None and not is_user_code(frame.f_code.co_filename):
        frame = frame.f_back  # type: ignore[assignment]
    return frame


def by_hand(start: FrameType | None = None) -> bool:
    """Whether user code called torch itself, with no other library in between."""
    frame = start or sys._getframe(1)
    while frame is not None and not is_user_code(frame.f_code.co_filename):
        if not frame.f_code.co_filename.startswith(_WATCHED):
            return False
        frame = frame.f_back  # type: ignore[assignment]
    return frame is not None


def in_person(start: FrameType | None = None) -> bool:
    """Whether user code assigned a submodule itself, and no container did."""
    frame = start or sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_ASSIGNS):
        frame = frame.f_back  # type: ignore[assignment]
    return frame is not None and is_user_code(frame.f_code.co_filename)


def user_frames(start: FrameType | None = None) -> list[FrameType]:
    """Every frame of user code, innermost first."""
    found, frame = [], start or sys._getframe(1)
    while frame is not None:
        if is_user_code(frame.f_code.co_filename):
            found.append(frame)
        frame = frame.f_back  # type: ignore[assignment]
    return found


def method_of(frame: FrameType | None) -> str:
    """The name of the method that a frame runs; empty for a function or a script."""
    if frame is None or frame.f_code.co_varnames[:1] != ("self",):
        return ""
    return frame.f_code.co_name


def function_of(frame: FrameType | None) -> str:
    """The name of the function that a frame runs; empty for a script, a lambda, a comprehension."""
    return "" if frame is None or frame.f_code.co_name.startswith("<") else frame.f_code.co_name


def site_of(frame: FrameType | None) -> Site | None:
    """The expression that a frame is evaluating, as a Site; None without a frame."""
    if frame is None:
        return None
    key = (id(frame.f_code), frame.f_lasti)
    known = _sites.get(key)
    if known is None or known[0] is not frame.f_code:
        known = _sites[key] = (frame.f_code, _site(frame))
    return known[1]


def here() -> Site | None:
    """The user's line that is being run."""
    return site_of(user_frame(sys._getframe(1)))


def framework(start: FrameType | None = None) -> str:
    """The framework whose code calls torch here: transformers, lightning, or "" for a loop of the program's own."""
    frame = start or sys._getframe(1)
    while frame is not None and not is_user_code(frame.f_code.co_filename):
        name = str(frame.f_globals.get("__name__", "")).split(".")[0]
        if name in _FRAMEWORKS:
            return _FRAMEWORKS[name]
        frame = frame.f_back  # type: ignore[assignment]
    return ""


_FRAMEWORKS = {
    "transformers": "transformers",
    "lightning": "lightning",
    "pytorch_lightning": "lightning",
}


def start_of(code: CodeType) -> Site:
    """The line on which a function begins; that of its first decorator, if it has one."""
    return Site(display(code.co_filename), code.co_firstlineno, 1, code.co_firstlineno, 1)


def _site(frame: FrameType) -> Site:
    path, code = display(frame.f_code.co_filename), frame.f_code
    if sys.version_info >= (3, 11):
        found = next(islice(code.co_positions(), frame.f_lasti // 2, None), None)
        if found is not None and all(number is not None for number in found):
            line, end_line, column, end_column = found
            assert line is not None and end_line is not None and column is not None and end_column is not None
            file = code.co_filename
            return Site(path, line, _column(file, line, column), end_line, _column(file, end_line, end_column))
    line = frame.f_lineno or 1
    return Site(path, line, 1, line, 1)


def _column(filename: str, line: int, offset: int) -> int:
    """A 1-based column out of an offset in bytes, which is how the interpreter counts."""
    text = linecache.getline(filename, line)
    if text.isascii():
        return offset + 1
    return len(text.encode("utf-8", "surrogatepass")[:offset].decode("utf-8", "replace")) + 1


@cache
def _file_reads(filename: str, name: str) -> bool:
    text = "".join(line.partition("#")[0] + "\n" for line in linecache.getlines(filename))
    return re.search(rf"\.{re.escape(name)}\b(?!\s*(:[^=\n]*)?=[^=])", text) is not None


def reads(frame: FrameType, cls: type, name: str) -> bool:
    """Whether the program itself gives a meaning to an attribute: its class has code for it, or the file reads it."""
    for base in cls.__mro__:
        for member in vars(base).values():
            code = getattr(member, "__code__", None)
            if code is not None and is_user_code(code.co_filename) and name in code.co_names:
                return True
    return _file_reads(frame.f_code.co_filename, name)


_start = os.getcwd()


def begin_in(folder: str) -> None:
    """Name files relative to this folder, as `check` does for the folder it is started in."""
    global _start
    _start = folder
    _sites.clear()
    _mine.clear()
    _file_reads.cache_clear()
    linecache.checkcache()


def display(filename: str) -> str:
    """A path as reports show it: relative to where the program was started, if it lies below."""
    path = os.path.abspath(os.path.join(_start, filename))
    base = os.path.join(_start, "")
    return (path[len(base) :] if path.startswith(base) else path).replace(os.sep, "/")
