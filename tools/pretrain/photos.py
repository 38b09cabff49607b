"""Which real photos the image side learns from and is measured on: a seeded draw from each product, read in place."""

import random
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

DEVELOPMENT = frozenset({"magnetic_tile", "transistor"})
"""Products that measure the model; nothing of theirs may reach training."""
AMBIGUOUS = frozenset({"cracked", "cobwebbed"})
"""Textures that look like defects: a label could call them neither normal nor defective."""
DEFECTIVE, GOOD, TEXTURE = 120, 60, 16
"""At most so many photos a product, or good ones a texture."""
PRODUCTS = {
    "transistor": "mvtec/transistor",
    "magnetic_tile": "magnetic_tile/magnetic_tile",
    "steel": "steel/steel",
    "leather": "leather/leather_custom",
    "road": "crackforest/road",
    "pcb": "deeppcb/pcb",
    "metal_plate": "mpdd/metal_plate",
    "juice_bottle": "mvtec_loco/juice_bottle",
    "optical_lens": "mtoc/optical_lens",
    "glass_panel": "glass_anomaly/glass_panel",
}
"""Product to its folder below the data folder."""


class Photo(NamedTuple):
    """One real photo."""

    product: str
    """Key of `PRODUCTS`, or `texture`."""
    kind: str
    """Defect folder, or `good`."""
    image: Path
    mask: Path | None


def draw(root: Path, seed: int = 0) -> list[Photo]:
    """The photos of all products, kinds as evenly as there are photos, good ones from the test folder first."""
    photos = [p for product, folder in PRODUCTS.items() for p in _product(product, root / folder, seed)]
    textures = sorted(p for p in (root / "dtd10").iterdir() if p.is_dir() and p.name not in AMBIGUOUS)
    for folder in textures:
        paths = _shuffled(folder.glob("train/good/*.jpg"), seed)[:TEXTURE]
        photos += [Photo("texture", "good", path, None) for path in paths]
    return photos


def _shuffled(paths: object, seed: int) -> list[Path]:
    ordered = sorted(paths)  # type: ignore[call-overload]
    random.Random(seed).shuffle(ordered)
    return ordered


def _product(product: str, folder: Path, seed: int) -> list[Photo]:
    kinds: dict[str, list[Path]] = defaultdict(list)
    for path in _shuffled(folder.glob("test/*/*.jpg"), seed):
        kinds[path.parent.name].append(path)
    good = kinds.pop("good", []) + _shuffled(folder.glob("train/good/*.jpg"), seed)
    photos = [Photo(product, "good", path, None) for path in good[:GOOD]]
    left, each = DEFECTIVE, sorted(kinds.items(), key=lambda item: len(item[1]))
    for number, (kind, paths) in enumerate(each):
        share = paths[: left // (len(each) - number)]
        left -= len(share)
        masks = folder / "ground_truth" / kind
        photos += [Photo(product, kind, path, masks / f"{path.stem}_mask.png") for path in share]
    return photos
