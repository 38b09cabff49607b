"""Draws docs/images/page-review.png and page-judge.png, the review page as a browser shows it.

`python -m tools.docs.review_page`, with Debian's `chromium` and the extra `serve` installed. The photos are those of
`detector data sample`; one phrase is switched off.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tools.docs.picture import tool
from tools.docs.screenshots import COLOURS, IMAGES

SIZE = {"width": 1280, "height": 800}


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server over drawn capsules."""
    tool("data", "sample", "pictures", folder=folder)
    script = Path(sys.executable).with_name("detector")
    words = ["serve", "--category", "capsule", "--data", "pictures", "--no-browser", "--port", "0", "--as", "Ada"]
    env = os.environ | {"COLUMNS": "200"}
    with subprocess.Popen([script, *words], cwd=folder, stderr=subprocess.PIPE, text=True, env=env) as process:
        assert process.stderr is not None
        address = next(filter(None, (re.search(r"http://\S+?(?=;)", line) for line in process.stderr)))
        try:
            yield address[0]
        finally:
            process.terminate()


def shoot(browser: Browser, url: str, target: Path, *, scheme: str, wait: str) -> None:
    """Photographs one window of a page, once an element is there."""
    tab = browser.new_page(color_scheme=scheme, viewport=SIZE)
    tab.goto(url)
    tab.locator(wait).first.wait_for(timeout=120_000)
    tab.wait_for_load_state("networkidle")
    with Image.open(io.BytesIO(tab.screenshot())) as seen:
        few = seen.convert("RGB").quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(target, optimize=True)
    tab.close()


def main() -> None:
    """Serve, look, save."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright, served(Path(name)) as url:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        review = f"{url}/review/capsule?v=1&do=off~dent-or-bend-2"
        shoot(browser, review, IMAGES / "page-review.png", scheme="light", wait=".photo .change")
        shoot(browser, f"{url}/judge/capsule", IMAGES / "page-judge.png", scheme="dark", wait=".gains li")
        browser.close()


if __name__ == "__main__":
    main()
