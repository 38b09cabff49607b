"""Photos with painted defects that say what was painted: `python -m tools.pretrain.painted --data DATA --work WORK`.

A base photo gets up to three defects of different kinds side by side, so that each is the other's hard negative. The
words follow from what is seen afterwards: brightness, colour, shape, size, direction, number and place.
Output beside `features`: `WORK/painted-SIZE` with `tokens.npy`, `cover.npy` [photos, 3, patches] and `photos.json`.
"""

import argparse
import json
import random
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from detector.images.load import as_rgb
from detector.images.tensors import to_pixels
from detector.localize.regions import region_at
from tools.pretrain import features, paint, photos, products
from tools.pretrain.samples import painted as paint_on
from tools.pretrain.samples import synthetic

REGIONS = 3
NAMES = {
    "scratch": ("scratch", "scratches", "scratch line", "scrape mark"),
    "crack": ("crack", "cracks", "hairline crack", "cracked area"),
    "hole": ("hole", "pit", "pinhole", "pore", "puncture"),
    "stain": ("stain", "discoloration", "blotch", "spill"),
    "contamination": ("dirt", "foreign particles", "dust and debris", "specks"),
    "dent": ("dent", "bump", "dented area", "bulge"),
    "break": ("missing piece", "broken-off piece", "chip", "broken area"),
    "fray": ("worn area", "rough area", "abrasion", "frayed area"),
    "uneven": ("uneven shading", "uneven area", "cloudy area", "irregular brightness"),
    "misplaced": ("misplaced part", "shifted piece", "part in the wrong place", "distorted pattern"),
}
HUES = ((15, "red"), (40, "orange"), (70, "yellow"), (165, "green"), (260, "blue"), (320, "purple"), (361, "red"))


def say(before: paint.Image, after: paint.Image, mask: paint.Image, kind: str, rng: random.Random) -> list[str]:
    """Phrases of one painted defect, plain ones first."""
    seen = mask > 0.3
    look = _look(before[seen], after[seen])
    size, shape, count = _form(seen)
    name = rng.choice(NAMES[kind])
    y, x = (float(axis.mean()) / side for axis, side in zip(np.nonzero(seen), seen.shape, strict=True))
    number = "several" if count > 1 else ""
    adjectives = [word for word in (number, size, look, shape) if word and rng.random() < 0.6]
    return [name, f"{look} {name}".strip(), " ".join([*adjectives, name]), f"{name} at {region_at(x, y)}"]


def _look(before: NDArray[np.float32], after: NDArray[np.float32]) -> str:
    """Colour where it is one, otherwise darker or brighter than before."""
    mean, change = after.mean(0), float((after - before).mean())
    high, low = float(mean.max()), float(mean.min())
    if high - low > 0.25:
        hue = float(cv2.cvtColor(mean.reshape(1, 1, 3).astype(np.float32), cv2.COLOR_RGB2HSV)[0, 0, 0])
        return next(name for limit, name in HUES if hue < limit)
    if abs(change) < 0.05:
        return ""
    extreme = float(mean.mean())
    if change < 0:
        return "black" if extreme < 0.12 else "dark"
    return "white" if extreme > 0.85 else "bright"


def _form(seen: NDArray[np.bool_]) -> tuple[str, str, int]:
    """Size, shape and number of what is painted."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(seen.astype(np.uint8))
    large = [row for row in stats[1:count] if row[cv2.CC_STAT_AREA] > 12]
    share = float(seen.mean())
    size = "tiny" if share < 0.002 else "small" if share < 0.01 else "large" if share > 0.08 else ""
    points = np.argwhere(seen).astype(np.float32)
    spread = np.linalg.eigvalsh(np.cov(points.T)) if len(points) > 3 else np.ones(2)
    long = float(np.sqrt(spread[1] / max(spread[0], 1e-3)))
    shape = "long thin" if long > 5 else "elongated" if long > 2.5 else "round" if long < 1.3 else ""
    return size, shape, len(large)


def base(pool: list[photos.Photo], size: int, rng: np.random.Generator) -> tuple[paint.Image, str, paint.Image | None]:
    """A picture without defect, the product it shows, and where a made-up product is."""
    if rng.random() < 0.25:
        picture = synthetic(size, rng)
        if rng.random() < 0.5:
            return picture, "texture", None
        picture, where = products.place(picture, rng)
        return picture, "texture", where
    photo = pool[int(rng.integers(len(pool)))]
    picture = np.asarray(as_rgb(Image.open(photo.image)).resize((size, size)), np.float32) / 255
    turns = int(rng.integers(4))
    return np.ascontiguousarray(np.rot90(picture, turns)), photo.product, None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--size", type=int, default=392)
    parser.add_argument("--count", type=int, default=500)
    args = parser.parse_args()
    folder = args.work / f"painted-{args.size}"
    folder.mkdir(parents=True, exist_ok=True)
    good = [p for p in photos.draw(args.data) if p.kind == "good" and p.product not in photos.DEVELOPMENT]
    patches = (args.size // features.PATCH) ** 2
    shape = (args.count, len(features.LEVELS), 1 + patches, features.WIDTH)
    tokens = features.opened(folder / "tokens.npy", shape)
    covers = features.opened(folder / "cover.npy", (args.count, REGIONS, patches))
    eyes, rows = features.Eyes(args.size), []
    for index in range(args.count):
        rng, words = np.random.default_rng(index), random.Random(index)
        picture, product, where = base(good, args.size, rng)
        regions, said = _paint(picture, where, rng, words)
        rows.append([product, said])
        if not tokens[index, -1, 0].any():
            covers[index], picture = _covers(regions, args.size), regions[-1][0] if regions else picture
            image = Image.fromarray((picture * 255).astype(np.uint8))
            tokens[index] = eyes(to_pixels(image, eyes.config)[None])[0].half().numpy()
        (folder / "photos.json").write_text(json.dumps(rows), encoding="utf-8")


def _paint(
    picture: paint.Image, where: paint.Image | None, rng: np.random.Generator, words: random.Random
) -> tuple[list[tuple[paint.Image, paint.Image]], list[list[str]]]:
    """Up to three defects one after the other, as picture and mask; the words of each, its kind first."""
    done: list[tuple[paint.Image, paint.Image]] = []
    said: list[list[str]] = []
    covered = np.zeros(picture.shape[:2], bool)
    for kind in words.sample(list(paint.PAINTERS), int(rng.integers(1, REGIONS + 1))):
        after, mask = paint_on(picture, kind, rng, where)
        seen = mask > 0.3
        if seen.sum() < 30 or seen.mean() > 0.4 or (seen & covered).any():
            continue
        said.append([kind, *say(picture, after, mask, kind, words)])
        covered |= seen
        picture = after
        done.append((picture, mask))
    return done, said


def _covers(regions: list[tuple[paint.Image, paint.Image]], size: int) -> NDArray[np.float16]:
    side = size // features.PATCH
    out = np.zeros((REGIONS, side * side), np.float16)
    for number, (_, mask) in enumerate(regions):
        out[number] = cv2.resize(np.float32(mask > 0.3), (side, side), interpolation=cv2.INTER_AREA).reshape(-1)
    return out


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
