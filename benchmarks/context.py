"""What good photos, and photos among each other, add: image and pixel figures beside plain nearest neighbours.

    python -m benchmarks.context --data DATA                         # all development sets, hours on two cores
    python -m benchmarks.context --data DATA --sets mpdd/metal_plate --references 1 --references 8 --draws 2 --every 4

Rows are `plain` (nearest neighbour and mean of the highest 1 %, as AnomalyDINO, on the same tokens) and `ours`
(as `detector.context` scores). Features are kept in a temporary folder, so that a photo is looked at
once.
"""

import argparse
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detector.context.bank import Bank
from detector.context.calibration import top_mean
from detector.context.distances import mutual_distances, reference_distances
from detector.context.fusion import on_picture
from detector.context.tokens import ContextReader, photo_hash
from detector.images.load import mask_at, to_image
from detector.metrics import image_metrics, pixel_metrics
from detector.scoring.feature_cache import FeatureCache
from detector.weights.registry import load_model

SETS = (
    "mvtec/transistor",
    "magnetic_tile/magnetic_tile",
    "mpdd/metal_plate",
    "mvtec_loco/juice_bottle",
    "mtoc/optical_lens",
)
"""Development sets; what is kept to judge is not named here."""
SIDE = 256
"""Side in pixels of the maps that pixel figures are read from."""


class Photos:
    """Test photos of a set with what is true of them, and good ones to draw references from."""

    def __init__(self, folder: Path, every: int) -> None:
        self.paths = sorted(folder.glob("test/*/*.jpg"))[::every]
        self.pool = sorted(folder.glob("train/good/*.jpg"))
        self.labels = np.array([path.parent.name != "good" for path in self.paths])
        self.masks = [self._mask(folder, path) for path in self.paths]

    def _mask(self, folder: Path, path: Path) -> NDArray[np.bool_]:
        mask = folder / "ground_truth" / path.parent.name / f"{path.stem}_mask.png"
        return mask_at(Image.open(mask), SIDE) if mask.is_file() else np.zeros((SIDE, SIDE), bool)

    def figures(self, scores: Sequence[float], maps: Sequence[NDArray[np.floating]]) -> list[float]:
        """Image AUROC, pixel AUROC, pixel AP."""
        side = round(len(maps[0]) ** 0.5)
        anomaly_maps = [on_picture(each, (side, side), (SIDE, SIDE)) for each in maps]
        low, high = min(each.min() for each in anomaly_maps), max(each.max() for each in anomaly_maps)
        pixel = pixel_metrics([(each - low) / (high - low) for each in anomaly_maps], self.masks).values
        image = image_metrics(np.array(scores), self.labels).values["image_auroc"]
        return [float(value or 0) for value in (image, pixel["pixel_auroc"], pixel["pixel_ap"])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--references", type=int, action="append")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--every", type=int, default=1, help="take every n-th test photo")
    parser.add_argument("--size", type=int, help="side in pixels that photos are compared at")
    parser.add_argument("--preset")
    args = parser.parse_args()
    model = load_model(args.preset)
    print("| set | way | references | image AUROC | spread | pixel AUROC | pixel AP | seconds a photo |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as cache:
        reader = ContextReader(model, FeatureCache(Path(cache)), args.size)
        for name in args.sets:
            photos = Photos(args.data / name, args.every)
            for count in args.references or (1, 2, 4, 8, 16):
                _with_references(name, photos, reader, count, args.draws)
            _together(name, photos, reader)


def _with_references(name: str, photos: Photos, reader: ContextReader, count: int, draws: int) -> None:
    rows: dict[str, list[list[float]]] = defaultdict(list)
    spent = 0.0
    for draw in range(draws):
        references = random.Random(draw).sample(photos.pool, min(count, len(photos.pool)))
        bank = Bank.from_images(reader.model, references, size=reader.size, cache=reader.cache)
        plain, ours = [], []
        for path in photos.paths:
            picture = to_image(path)
            tokens = reader.read([picture])[0]
            plain.append(reference_distances(tokens, bank.tokens).cpu().numpy())
            began = time.perf_counter()
            ours.append(bank.distances(tokens, photo_hash(picture))[0])
            spent += time.perf_counter() - began
        rows["plain"].append(photos.figures([top_mean(each) for each in plain], plain))
        rows["ours"].append(photos.figures([bank.score(each) for each in ours], ours))
    for way, values in rows.items():
        _row(name, way, str(count), values, spent / draws / len(photos.paths))


def _together(name: str, photos: Photos, reader: ContextReader) -> None:
    began = time.perf_counter()
    tokens = [reader.read([to_image(path)])[0] for path in photos.paths]
    maps = [each.cpu().numpy() for each in mutual_distances(tokens)]
    seconds = (time.perf_counter() - began) / len(maps)
    _row(name, "plain", "together", [photos.figures([top_mean(each) for each in maps], maps)], seconds)


def _row(name: str, way: str, count: str, values: list[list[float]], seconds: float) -> None:
    image, pixel, precision = np.mean(values, axis=0)
    spread = np.std([each[0] for each in values])
    print(f"| {name} | {way} | {count} | {image:.3f} | {spread:.3f} | {pixel:.3f} | {precision:.3f} | {seconds:.2f} |")


if __name__ == "__main__":
    main()
