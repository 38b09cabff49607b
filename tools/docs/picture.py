"""Draws docs/images/detect.png: what `detector detect` says beside twenty good photos: `python -m tools.docs.picture`.

Image 000 of each kind of defect that `detector data sample` draws, so that nothing is selected by its result.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent.parent
TARGET = ROOT / "docs" / "images" / "detect.png"
KINDS = ("cracked", "punctured", "scratched", "stained")
WIDTH = 1120
"""Of the whole picture in pixels; two results stand side by side."""


def tool(*words: str, folder: Path) -> str:
    """Run `detector` as a person would, away from this checkout's own descriptions; returns its stdout."""
    script = Path(sys.executable).with_name("detector")
    return subprocess.run([script, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def detect(folder: Path) -> list[Image.Image]:
    """The pictures that `detect --out` leaves, in the order of `KINDS`."""
    tool("data", "sample", "pictures", folder=folder)
    good = ("--references", "pictures/capsule/train/good", "--false-alarms", "5%")
    tool("detect", "pictures/capsule/test", "--category", "capsule", *good, "--out", "found", folder=folder)
    rows = json.loads((folder / "found" / "results.json").read_text())["images"]
    heatmaps = {row["path"]: folder / "found" / row["heatmap"] for row in rows}
    return [Image.open(heatmaps[f"pictures/capsule/test/{kind}/000.png"]).convert("RGB") for kind in KINDS]


def sheet(pictures: Sequence[Image.Image]) -> Image.Image:
    """Two beside each other, in rows."""
    width = WIDTH // 2
    small = [one.resize((width, round(one.height * width / one.width)), Image.Resampling.LANCZOS) for one in pictures]
    height = max(one.height for one in small)
    page = Image.new("RGB", (WIDTH, height * ((len(small) + 1) // 2)), "white")
    for place, one in enumerate(small):
        page.paste(one, (place % 2 * width, place // 2 * height))
    return page


def main() -> None:
    """Draw, look, save."""
    with tempfile.TemporaryDirectory() as name:
        page = sheet(detect(Path(name)))
    page.save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
