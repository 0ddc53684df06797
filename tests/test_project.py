"""Discovery and reading: what is checked, and the one clear line for everything that cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from freezelint.config import Config, Pattern
from freezelint.finding import Finding, Severity
from freezelint.static.project import Source, discover, display_path, read


def lay(folder: Path, *names: str, text: str = "x = 1\n") -> None:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def found(*paths: str, exclude: tuple[str, ...] = ()) -> list[str]:
    settings = Config(exclude=tuple(Pattern(Path.cwd(), glob) for glob in exclude))
    return [display_path(file) for file in discover([Path(path) for path in paths], settings)]


def test_python_files_in_a_stable_order(folder: Path) -> None:
    lay(folder, "b.py", "a.py", "z/c.py", "d/e.py", "note.txt", "stub.pyi")
    assert found(".") == ["a.py", "b.py", "d/e.py", "z/c.py"]
    assert found("z", "a.py", ".") == ["z/c.py", "a.py", "b.py", "d/e.py"], "each file once, in the order of naming"


def test_folders_of_others_are_left_out_unless_named(folder: Path) -> None:
    lay(folder, "a.py", ".venv/b.py", "build/c.py", "node_modules/d.py", "lib/site-packages/e.py", "__pycache__/f.py")
    assert found(".") == ["a.py"]
    assert found("build", ".venv", "lib/site-packages/e.py") == ["build/c.py", ".venv/b.py", "lib/site-packages/e.py"]


def test_gitignore_at_every_level(folder: Path) -> None:
    lay(folder, "a.py", "data/b.py", "data/keep.py", "src/c.py", "src/gen/d.py", "src/gen_x.py", "src/deep/gen_y.py")
    (folder / ".gitignore").write_text("gen_*.py\n/data/*\n!/data/keep.py\n")
    (folder / "src" / ".gitignore").write_text("/gen/\n!gen_x.py\n")
    assert found(".") == ["a.py", "data/keep.py", "src/c.py", "src/gen_x.py"]


def test_gitignore_above_a_named_folder(folder: Path) -> None:
    lay(folder, "src/a.py", "src/b_gen.py", "out/c.py")
    (folder / ".gitignore").write_text("*_gen.py\n/out/\n")
    assert found("src") == ["src/a.py", "src/b_gen.py"], "no repository, so what lies above has no say"
    (folder / ".git" / "info").mkdir(parents=True)
    assert found("src") == ["src/a.py"]
    assert found("out", "src/b_gen.py") == ["out/c.py", "src/b_gen.py"], "what is named is wanted"
    (folder / ".git" / "info" / "exclude").write_text("a.py\n")
    assert found("src") == []


def test_broken_gitignore_is_passed_over(folder: Path) -> None:
    lay(folder, "a.py")
    (folder / ".gitignore").write_bytes(b"\xff\xfe!\n!\n")
    assert found(".") == ["a.py"]


def test_exclude(folder: Path) -> None:
    lay(folder, "a.py", "old/b.py", "src/old/c.py", "src/d_pb2.py")
    assert found(".", exclude=("old/", "*_pb2.py")) == ["a.py"]
    assert found(".", exclude=("/old",)) == ["a.py", "src/d_pb2.py", "src/old/c.py"]
    assert found("old", "src/d_pb2.py", exclude=("old/", "*_pb2.py")) == ["old/b.py", "src/d_pb2.py"]
    (folder / ".gitignore").write_text("!old\n")
    assert found(".", exclude=("old",)) == ["a.py", "src/d_pb2.py"], "a .gitignore takes nothing back in"


def test_links_are_not_followed(folder: Path) -> None:
    lay(folder, "in/a.py", "outside/b.py")
    try:
        (folder / "in" / "loop").symlink_to(folder / "in", target_is_directory=True)
        (folder / "in" / "out").symlink_to(folder / "outside", target_is_directory=True)
        (folder / "in" / "self.py").symlink_to("self.py")
        (folder / "in" / "c.py").symlink_to(folder / "outside" / "b.py")
    except OSError:
        pytest.skip("this system makes no links")
    assert found("in") == ["in/a.py"]
    assert found("in/c.py") == ["in/c.py"], "a named link is wanted"
    assert "cannot be read" in error(Path("in/self.py")).message


def test_deep_folders(folder: Path) -> None:
    deep = "/".join(["d"] * 600)
    os.makedirs(deep)
    lay(folder, f"{deep}/a.py")
    assert found(".") == [f"{deep}/a.py"]


def test_what_cannot_be_entered_is_said_when_it_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(folder, "a.py", "locked/b.py")
    listing = os.scandir

    def scandir(path: str | Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return listing(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert found(".") == ["a.py", "locked"]
    assert "folder that cannot be listed" in error(Path("locked")).message
    assert found("missing.py") == ["missing.py"]


def test_display_path(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert display_path(folder / "a" / ".." / "b.py") == "b.py"
    outside = tmp_path_factory.mktemp("outside") / "c.py"
    assert display_path(outside) == outside.as_posix()
    assert display_path(Path("..b/c.py")) == "..b/c.py"


def text(path: Path) -> str:
    source = read(path)
    assert isinstance(source, Source), source
    return source.text


def error(path: Path) -> Finding:
    finding = read(path)
    assert isinstance(finding, Finding)
    assert finding.rule == "read-error" and "\n" not in finding.message
    return finding


@pytest.mark.parametrize(
    "data, expected",
    [
        (b"", ""),
        ("é = 1\n".encode(), "é = 1\n"),
        (b"\xef\xbb\xbfx = 1\n", "x = 1\n"),
        (b"# coding: latin-1\nx = '\xe9'\n", "# coding: latin-1\nx = 'é'\n"),
        (
            b"#!/bin/python\n# -*- coding: cp1252 -*-\nx = '\x80'\n",
            "#!/bin/python\n# -*- coding: cp1252 -*-\nx = '€'\n",
        ),
        ("# coding: shift_jis\nx = '日'\n".encode("shift_jis"), "# coding: shift_jis\nx = '日'\n"),
    ],
)
def test_declared_encodings(folder: Path, data: bytes, expected: str) -> None:
    (folder / "a.py").write_bytes(data)
    assert text(Path("a.py")) == expected


@pytest.mark.parametrize(
    "data, line, message",
    [
        (b"x = 1\ny = '\xe9'\n", 2, "is not valid UTF-8 on line 2 (byte 0xe9)"),
        (b"x = 1\n\n\ny = '\xe9'\n", 4, "is not valid utf-8 on line 4 (byte 0xe9)"),
        (b"x = 1\ny = '\0'\n", 2, "holds a null byte on line 2"),
        ("x = 1\n".encode("utf-16"), 1, "is UTF-16"),
        (b"# coding: klingon\n", 1, "declares an encoding that cannot be used (unknown encoding: klingon)"),
        (b"# coding: hex\nx = 1\n", 1, "declares an encoding that cannot be used"),
        (b"# coding: undefined\nx = 1\n", 1, "declares an encoding that cannot be used"),
        (b"\xef\xbb\xbf# coding: latin-1\n", 1, "declares an encoding that cannot be used"),
        (b"\xef\xbb\xbfx = 1\n\ny = '\xe9'\n", 3, "(byte 0xe9)"),
        (b"# coding: ascii\nx = '\xe9'\n", 2, "is not valid ascii on line 2"),
    ],
)
def test_undecodable_bytes(folder: Path, data: bytes, line: int, message: str) -> None:
    (folder / "a.py").write_bytes(data)
    finding = error(Path("a.py"))
    assert message.lower() in finding.message.lower()
    assert (finding.site.path, finding.site.line, finding.severity) == ("a.py", line, Severity.ERROR)


def test_missing_vanished_and_impossible(folder: Path) -> None:
    assert "does not exist" in error(Path("missing.py")).message
    assert "cannot be read" in error(Path("nu\0ll.py")).message
    (folder / "sub").mkdir()
    assert "folder" in error(Path("sub")).message


def test_vanishing_between_listing_and_reading(folder: Path) -> None:
    lay(folder, "a.py", "b.py")
    readings = []
    for file in discover([Path(".")], Config()):
        if file.name == "a.py":
            file.unlink()
        readings.append(read(file))
    assert [isinstance(reading, Finding) for reading in readings] == [True, False]


def test_unreadable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    lay(folder, "a.py")
    monkeypatch.setattr("builtins.open", refuse)
    finding = error(Path("a.py"))
    assert "may not be read" in finding.message


def test_generated_giant_is_left_out_with_a_word(folder: Path) -> None:
    lay(folder, "a.py", text="x = 1\n" * 900_000)
    finding = error(Path("a.py"))
    assert finding.severity is Severity.INFO and "5.4 MB" in finding.message


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs /dev/zero")
def test_a_device_without_end_does_no_harm() -> None:
    assert error(Path("/dev/zero")).severity is Severity.INFO


def test_lines_are_counted_as_python_does() -> None:
    assert Source("a.py", "a\r\nb\x0c\u2028\x85c\rd\n").lines == ("a", "b\x0c\u2028\x85c", "d", "")
    assert Source("a.py", "").lines == ("",)
