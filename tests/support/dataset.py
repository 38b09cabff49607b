"""Makes a tiny data set in the MVTec AD layout: woven textures with painted defects and their masks."""

from pathlib import Path

import numpy as np
from PIL import Image

DEFECTS = ("hole", "scratch")


def texture(rng, size):
    """A woven grey texture [size, size] in [0, 1]."""
    y, x = np.mgrid[:size, :size]
    weave = 0.6 + 0.12 * np.sin(x / 2 + rng.random() * 6) * np.sin(y / 2 + rng.random() * 6)
    return np.clip(weave + rng.normal(0, 0.02, (size, size)), 0, 1)


def paint(rng, size, defect):
    """Mask of one defect: a disc for a hole, a thin line for a scratch."""
    y, x = np.mgrid[:size, :size]
    cy, cx = rng.uniform(0.25 * size, 0.75 * size, 2)
    if defect == "hole":
        return (y - cy) ** 2 + (x - cx) ** 2 < (size / 8) ** 2
    slope = rng.uniform(-1, 1)
    return (np.abs(y - cy - slope * (x - cx)) < size / 30) & (np.abs(x - cx) < size / 4)


def save(path: Path, values):
    """Store values in [0, 1] as an 8-bit grey PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.round(values * 255).astype(np.uint8)).save(path)


def make_dataset(root: Path, categories=("gear",), *, good=4, bad=3, train=2, size=48, seed=0) -> Path:
    """Write `good` test and `train` training images and `bad` of each defect for every category; returns `root`."""
    rng = np.random.default_rng(seed)
    for category in categories:
        for index in range(train):
            save(root / category / "train" / "good" / f"{index:03}.png", texture(rng, size))
        for index in range(good):
            save(root / category / "test" / "good" / f"{index:03}.png", texture(rng, size))
        for defect in DEFECTS:
            for index in range(bad):
                mask = paint(rng, size, defect)
                picture = np.where(mask, 0.15, texture(rng, size))
                save(root / category / "test" / defect / f"{index:03}.png", picture)
                save(root / category / "ground_truth" / defect / f"{index:03}_mask.png", mask.astype(float))
    return root
