"""Take the picture of the HTML report that docs/reports.md shows, with a Chromium.

python tools/make_screenshot.py [PROGRAM]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "report.png"
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def main() -> None:
    """Check the example, open the report, take the picture."""
    browser = next(filter(None, map(shutil.which, sys.argv[1:] or BROWSERS)), None)
    if browser is None:
        sys.exit("no Chromium here: name its program")
    PICTURE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.html")
        subprocess.run(
            [sys.executable, "-m", "freezelint", "check", "--isolated", ".", "--report", f"html={report}", "--quiet"],
            cwd=ROOT / "examples" / "finetune",
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            stdout=subprocess.DEVNULL,
            check=False,
        )
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=960,920"]
        address = f"{report.as_uri()}#level=error&rule=unfreeze-not-in-optimizer"
        subprocess.run([browser, *options, f"--screenshot={PICTURE}", address], check=True, capture_output=True)
    print(f"wrote {PICTURE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
