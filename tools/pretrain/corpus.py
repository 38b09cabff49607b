"""The training images: read in place, shrunk once into memory. The development sets are refused by name."""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

DEVELOPMENT = frozenset({"magnetic_tile", "transistor"})
"""Categories that measure the model; nothing of theirs, good images included, may reach training."""

SOURCES = {
    "steel/steel": "steel strip",
    "leather/leather_custom": "leather",
    "crackforest/road": "road",
    "deeppcb/pcb": "circuit board",
}
DEFECTIVE = ("steel strip", "leather", "road")
"""Subjects whose defective images are shown, each as often; some circuit boards have frames drawn on them."""
DTD = "dtd10"
LONG_SIDE = 320
AMBIGUOUS = frozenset({"cracked", "cobwebbed"})
"""Textures that look like defects: they are not read, since a label could call them neither normal nor defective."""

Pixels = NDArray[np.uint8]


class Example(NamedTuple):
    """One image with what is known about it."""

    image: Pixels
    """[h, w, 3], RGB."""
    mask: Pixels
    """[h, w], 0 or 1; all zero for a good image."""
    subject: str
    """What is shown, in words: `steel strip`."""
    kind: str
    """Defect folder, or `good`."""


def load(root: Path) -> list[Example]:
    """All training examples below the data folder, in a stable order.

    Args:
        root: The folder with `steel`, `leather`, `crackforest`, `deeppcb` and `dtd10` in MVTec layout.

    Raises:
        ValueError: A folder of the development sets is asked for.
    """
    examples = [e for name, subject in SOURCES.items() for e in _category(root / name, subject)]
    textures = sorted(p for p in (root / DTD).iterdir() if p.is_dir() and p.name not in AMBIGUOUS)
    return examples + [e for folder in textures for e in _category(folder, f"{folder.name} texture")]


def _category(folder: Path, subject: str) -> list[Example]:
    if DEVELOPMENT & set(folder.parts):
        raise ValueError(f"{folder.name} is a development set; it is never trained on")
    found = sorted([*folder.glob("train/good/*.jpg"), *folder.glob("test/*/*.jpg")])
    return [_example(path, folder, subject) for path in found]


def _example(path: Path, folder: Path, subject: str) -> Example:
    image = cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    kind = path.parent.name
    mask_path = folder / "ground_truth" / kind / f"{path.stem}_mask.png"
    if mask_path.is_file():
        mask = (cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE) > 127).astype(np.uint8)
    else:
        mask = np.zeros(image.shape[:2], np.uint8)
    scale = min(1.0, LONG_SIDE / max(image.shape[:2]))
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    shrunk = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    coverage = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return Example(shrunk, (coverage > 0.3).astype(np.uint8), subject, kind)
