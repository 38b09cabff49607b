"""Writes docs/library-scores.md: `detector eval` of every packaged version on data sets at hand.

    python -m tools.docs.library_scores --data DATA [--every 4]

DATA holds the sets in MVTec layout, as `SETS` names them. The table is what the command said, whatever that is.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from detector.data import open_data

TARGET = Path(__file__).resolve().parents[2] / "docs" / "library-scores.md"


class Source(NamedTuple):
    """Where images of a category of the library lie."""

    folder: str
    """Data set below DATA."""
    name: str
    """Category in that data set."""
    seen: bool
    """Whether `mini` was trained on images of this set."""


SETS = {
    "magnetic_tile": Source("magnetic_tile", "magnetic_tile", seen=False),
    "transistor": Source("mvtec", "transistor", seen=False),
    "leather": Source("leather", "leather_custom", seen=True),
    "road": Source("crackforest", "road", seen=True),
    "steel": Source("steel", "steel", seen=True),
    "pcb": Source("deeppcb", "pcb", seen=True),
}
METRICS = ("image_auroc", "pixel_auroc", "pixel_ap", "aupro")
INTRO = """# What the packaged descriptions score

People wrote `v1`; the small embedded language model drafted `v2`; `generic`, `winclip` and `random` are the
controls that `detector eval` always shows. Values are percentages with the 95 % interval in brackets; a value is
**bold** if the interval of its paired difference from `v1` excludes zero.

Made by `python -m tools.docs.library_scores --data DATA --every {every}` with the bundled model `mini`, on one of
{every} test images of each kind. `mini` saw the sets marked † in training: their numbers compare descriptions with
each other and say nothing about new products. A set without good images has no image metrics.
"""


def manifest(data: Path, category: str, every: int, target: Path) -> int:
    """Every n-th test image of each kind as a table of the library's category; how many there are."""
    source = SETS[category]
    samples = open_data(data / source.folder).select(category=source.name, split="test")
    kinds: dict[str, int] = {}
    rows = []
    for sample in samples:
        place = kinds[sample.defect] = kinds.get(sample.defect, -1) + 1
        if place % every == 0:
            mask = sample.mask.resolve() if sample.mask else ""
            rows.append([sample.image.resolve(), sample.defect, mask, category])
    with target.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["image", "label", "mask", "category"], *rows])
    return len(rows)


def evaluated(table: Path, category: str) -> dict[str, Any]:
    """Scores of both versions and the controls."""
    script = Path(sys.executable).with_name("detector")
    versions = [word for n in (1, 2) for word in ("--descriptions", f"{category}@{n}")]
    options = ["--category", category, *versions, "--no-contributions", "--format", "json"]
    command = [script, "eval", "--data", table.name, *options, "--out", f"out-{category}"]
    done = subprocess.run(command, cwd=table.parent, check=True, capture_output=True, text=True)
    variants: dict[str, Any] = json.loads(done.stdout)["categories"][category]["variants"]
    return variants


def row(name: str, values: dict[str, Any]) -> str:
    """One line of the table."""
    return f"| {name} | {' | '.join(_cell(values, metric) for metric in METRICS)} |"


def _cell(values: dict[str, Any], metric: str) -> str:
    if values.get(metric) is None:
        return ""
    low, high = (100 * value for value in values[f"{metric}_interval"])
    text = f"{100 * values[metric]:.1f} [{low:.0f}, {high:.0f}]"
    low, high = values.get(f"{metric}_difference_interval") or (0, 0)
    return f"**{text}**" if low > 0 or high < 0 else text


def main() -> None:
    """Evaluate, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--every", type=int, default=4)
    args = parser.parse_args()
    parts = [INTRO.format(every=args.every)]
    with tempfile.TemporaryDirectory() as folder:
        for category, source in SETS.items():
            table = Path(folder) / f"{category}.csv"
            images = manifest(args.data, category, args.every, table)
            print(f"{category}: {images} images", file=sys.stderr, flush=True)
            lines = [row(name, values) for name, values in evaluated(table, category).items()]
            title = f"{category}{' †' if source.seen else ''}, {images} images"
            head = f"| {title} | image AUROC | pixel AUROC | pixel AP | AUPRO |"
            parts.append("\n".join([head, "|---" * 5 + "|", *lines]) + "\n")
    TARGET.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
