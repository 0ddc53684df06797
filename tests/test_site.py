"""The documentation site: built without a warning, its links lead somewhere, and nothing is loaded from elsewhere."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    return folder


class Page(HTMLParser):
    """Where a page leads, what it loads, and the places in it that a link can name."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = {""}
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.places.add(found.get("id") or "")
        if tag == "a" and found.get("href"):
            self.links.append(found["href"] or "")
        if tag in ("script", "img", "iframe", "source") and found.get("src"):
            self.loads.append(found["src"] or "")
        if tag == "link" and found.get("href") and found.get("rel") != "canonical":
            self.loads.append(found["href"] or "")


def test_links_and_what_is_loaded(site: Path) -> None:
    pages = {file: Page(file) for file in site.rglob("*.html")}
    broken = [problem for file, page in pages.items() for problem in problems(file, page, pages, site)]
    assert broken == [] and len(pages) > 30


def problems(file: Path, page: Page, pages: dict[Path, Page], site: Path) -> Iterator[str]:
    for address in page.loads:
        if urlsplit(address).netloc:
            yield f"{file.name} loads {address}"
    for address in page.links + page.loads:
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        base = site if file.name == "404.html" else file.parent
        target = (base / unquote(parts.path).lstrip("/")).resolve() if parts.path else file
        target = target / "index.html" if target.is_dir() else target
        if not target.exists():
            yield f"{file.name} links to {address}"
        elif target in pages and unquote(parts.fragment) not in pages[target].places:
            yield f"{file.name}: {address} names no place there"


def test_every_page_is_in_the_navigation(site: Path) -> None:
    front = (site / "index.html").read_text(encoding="utf-8")
    for file in sorted((ROOT / "docs").rglob("*.md")):
        name = file.relative_to(ROOT / "docs").with_suffix(".html").as_posix().replace("README.html", "index.html")
        assert f'href="{name}"' in front or name == "index.html", f"{name} is not in the navigation"


@pytest.fixture(scope="module")
def make_reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "tools" / "make_reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["configuration.md", "command-line.md"])
def test_the_reference_is_up_to_date(make_reference: ModuleType, name: str) -> None:
    there = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert there == make_reference.pages()[name], "run `python tools/make_reference.py`"


def test_the_examples_of_the_reference_are_valid(tmp_path: Path) -> None:
    from freezelint import config

    for name, key in config.KEYS.items():
        file = tmp_path / "freezelint.toml"
        (tmp_path.parent / "freezelint.toml").write_text("")
        file.write_text(key.example)
        loaded = config.load(file)
        assert loaded is not None
        if name != "extend":
            assert getattr(loaded, name.replace("-", "_")) != getattr(config.Config(), name.replace("-", "_"))
