"""The HTML report: nothing in it acts but its own script, and a real browser shows and filters what it should."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest

from freezelint.__main__ import run
from freezelint.finding import Finding, Severity, Site
from freezelint.report.base import Fixed, Report, Style, Suppressed, renderer

EXAMPLE = Path(__file__).parent.parent / "examples" / "finetune"
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
EVIL = "</script><script>document.title='owned'</script>`<img src=x onerror=alert(1)>` \x1b\u202e&\"'"


@pytest.fixture(scope="session")
def browser() -> str:
    """A headless Chromium, where one is at hand."""
    found = os.environ.get("FREEZELINT_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no Chromium here")
    return found


def look(browser: str, page: Path, address: str, *options: str) -> str:
    """What a browser makes of a page."""
    done = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--window-size=1000,1400",
            *options,
            page.as_uri() + address,
        ],
        capture_output=True,
        timeout=90,
        check=False,
        cwd=page.parent,
    )
    return done.stdout.decode("utf-8", "replace")


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("html") / "report.html"
    assert run(["check", "--isolated", str(EXAMPLE), "--report", f"html={file}", "-q"]) == 1
    return file


class Shown(HTMLParser):
    """The findings of a page that are not hidden, and everything that would be loaded."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rules: list[str] = []
        self.loads: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        if tag == "article" and "hidden" not in found:
            self.rules.append(found["data-rule"] or "")
        self.loads += [f"{tag} {name}" for name in ("src", "data", "action", "srcset") if name in found]
        if tag == "a" and not (found["href"] or "").startswith("#"):
            self.links.append(found["href"] or "")


def test_it_needs_nothing_from_elsewhere(example: Path) -> None:
    text = example.read_text(encoding="utf-8")
    shown = Shown(text)
    assert len(shown.rules) == 4 and not shown.loads and "link" not in shown.tags
    assert shown.links and all(link.startswith("https://docs.pytorch.org/") for link in shown.links), "of rules' pages"
    assert "Fix: spell it <code>requires_grad</code> (--fix)" in text
    assert "default-src 'none'" in text and "@import" not in text and "url(" not in text


def test_what_files_hold_stays_text() -> None:
    finding = Finding(EVIL, Severity.ERROR, EVIL, Site(EVIL, 1, 1, 1, 9), (Site(EVIL, 1, message=EVIL),), EVIL, EVIL)
    report = Report(
        [finding],
        lines_of=lambda site: [EVIL],
        suppressed=[Suppressed(finding, "comment", EVIL)],
        fixed=[Fixed(EVIL, EVIL)],
    )
    text = "".join(renderer("html")(report, Style()))
    shown = Shown(text)
    assert "img" not in shown.tags and not shown.links and shown.tags.count("script") == 1
    assert "\x1b" not in text and "\u202e" not in text


def test_long_and_impossible_sites_do_no_harm() -> None:
    lines = ["x" * 5000 + "FAULT" + "y" * 5000, "", "a = (", *["  1,"] * 50, ")"]
    sites = [Site("a.py", 1, 5001, 1, 5006), Site("a.py", 3, 1, 54, 2), Site("a.py", 2, 9, 2, 4), Site("a.py", 99, 1)]
    report = Report([Finding("r", Severity.INFO, "m", site) for site in sites], lines_of=lambda site: lines)
    text = "".join(renderer("html")(report, Style()))
    assert "<mark>FAULT</mark>" in text and len(text) < 30_000


@pytest.mark.parametrize(
    "address, rules",
    [
        ("", 4),
        ("#level=error", 3),
        ("#q=SGD+step", 1),
        ("#rule=frozen-bn-train-mode&level=warning", 1),
        ("#q=nothing+like+it", 0),
    ],
)
def test_the_filter_in_a_browser(browser: str, example: Path, address: str, rules: int) -> None:
    shown = Shown(look(browser, example, address, "--dump-dom"))
    assert len(shown.rules) == rules


def test_nothing_runs_in_a_browser(browser: str, tmp_path: Path) -> None:
    finding = Finding("a-rule", Severity.ERROR, EVIL, Site("a.py", 1), when=EVIL)
    page = tmp_path / "a.html"
    page.write_text("".join(renderer("html")(Report([finding]), Style())), encoding="utf-8")
    assert "<title>owned" not in look(browser, page, "", "--dump-dom")
    page.write_text(
        page.read_text(encoding="utf-8").replace("</article>", "<script>document.title='owned'</script></article>")
    )
    assert "<title>owned" not in look(browser, page, "", "--dump-dom"), "the policy stops what got in all the same"


def test_the_picture(browser: str, example: Path, tmp_path: Path) -> None:
    """It is no blank page: the marks, the circles of the story and the colours of the levels are seen."""
    picture = tmp_path / "a.png"
    look(browser, example, "", f"--screenshot={picture}", "--force-dark-mode=0")
    colors = pixels(picture.read_bytes())
    for color, what in (((255, 233, 168), "marked code"), ((138, 148, 166), "steps"), ((196, 36, 43), "errors")):
        assert colors.get(color, 0) > 100, f"no {what} to be seen"


def pixels(png: bytes) -> dict[tuple[int, int, int], int]:
    """How often each colour occurs in a picture of 8 bits a channel, without interlacing."""
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    assert depth == 8 and kind in (2, 6)
    size = 3 if kind == 2 else 4
    packed = b"".join(
        png[match.end() : match.end() + struct.unpack(">I", png[match.start() - 4 : match.start()])[0]]
        for match in re.finditer(b"IDAT", png)
    )
    data = zlib.decompressobj().decompress(packed)
    counts: dict[tuple[int, int, int], int] = {}
    above = bytearray(width * size)
    for row in range(height):
        start = row * (width * size + 1)
        method, line = data[start], bytearray(data[start + 1 : start + 1 + width * size])
        for i in range(len(line)):
            left = line[i - size] if i >= size else 0
            up, corner = above[i], above[i - size] if i >= size else 0
            if method == 1:
                line[i] = (line[i] + left) & 255
            elif method == 2:
                line[i] = (line[i] + up) & 255
            elif method == 3:
                line[i] = (line[i] + (left + up) // 2) & 255
            elif method == 4:
                near = min((left, up, corner), key=lambda v: abs(left + up - corner - v))
                line[i] = (line[i] + near) & 255
        above = line
        for i in range(0, len(line), size):
            color = (line[i], line[i + 1], line[i + 2])
            counts[color] = counts.get(color, 0) + 1
    return counts
