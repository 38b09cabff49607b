"""Draws docs/images/report-detect.png and report-eval.png, both reports as a browser shows them.

`python -m tools.docs.screenshots`, with Debian's `chromium` installed. The pictures are those of
`detector data sample`; the threshold is the median score, typed, so that nothing is selected by its result.
"""

import io
import json
import shutil
import statistics
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tools.docs.picture import ROOT, tool

IMAGES = ROOT / "docs" / "images"
COLOURS = 256
"""Of the saved picture; keeps it below 300 kB."""
SIZE = (1180, 1000)
"""Width and height of the window in pixels."""


def make_reports(folder: Path) -> None:
    """Runs `eval` and `detect` over drawn capsules; leaves `compared/report.html` and `detected/report.html`."""
    tool("data", "sample", "data", folder=folder)
    versions = ("--descriptions", "capsule@1", "--descriptions", "capsule@2")
    tool("eval", "--data", "data", "--category", "capsule", *versions, "--out", "compared", folder=folder)
    common = ("detect", "data/capsule/test", "--category", "capsule")
    rows = json.loads(tool(*common, "--format", "json", folder=folder))["images"]
    middle = statistics.median(row["score"] for row in rows)
    tool(*common, "--threshold", f"{middle:.3f}", "--out", "detected", folder=folder)


def shoot(browser: Browser, page: Path, target: Path, *, scheme: str, start: str) -> None:
    """Photographs one window of a page, from the element `start` on."""
    tab = browser.new_page(color_scheme=scheme, viewport={"width": SIZE[0], "height": SIZE[1]})
    tab.goto(page.as_uri())
    tab.locator(start).first.evaluate("element => element.scrollIntoView()")
    tab.wait_for_load_state("networkidle")
    tab.wait_for_timeout(500)  # lazily loaded pictures
    with Image.open(io.BytesIO(tab.screenshot())) as seen:
        few = seen.convert("RGB").quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(target, optimize=True)
    tab.close()


def main() -> None:
    """Make both reports, look, save."""
    chromium = shutil.which("chromium")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        make_reports(folder)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        detected, compared = (folder / run / "report.html" for run in ("detected", "compared"))
        shoot(browser, detected, IMAGES / "report-detect.png", scheme="light", start="figure.panel")
        shoot(browser, compared, IMAGES / "report-eval.png", scheme="dark", start="figure.panel")
        browser.close()


if __name__ == "__main__":
    main()
