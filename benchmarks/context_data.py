"""Photos of real sets with their tokens, for `benchmarks.context`: drawn by a seed, looked at once.

Sets are folders in MVTec's layout. Of large sets a part is taken; which one depends on the seed alone.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from detector.context.fusion import on_picture
from detector.context.tokens import ContextReader, Levels
from detector.images.load import mask_at, to_image
from detector.metrics import image_metrics, pixel_metrics

SETS = (
    "mvtec/transistor",
    "magnetic_tile/magnetic_tile",
    "mpdd/metal_plate",
    "mvtec_loco/juice_bottle",
    "mtoc/optical_lens",
)
"""Development sets; what is kept to judge is not named here."""
SIDE = 128
"""Side in pixels of the maps that pixel figures are read from."""
GOOD, KIND, POOL = 60, 20, 100
"""Photos taken at most: good test photos, test photos of one kind (three times as many where there is one kind), and
good training photos to draw references from."""


class Figures(NamedTuple):
    """What a way of scoring comes to on a set; fractions, None where it does not exist."""

    image_auroc: float
    pixel_auroc: float
    pixel_ap: float
    aupro: float


class Photos:
    """Test photos of a set with what is true of them, and good ones to draw references from.

    Args:
        folder: of the set.
        share: part of what `GOOD`, `KIND` and `POOL` allow, for a quick look.
        seed: of the draw.
    """

    def __init__(self, folder: Path, share: float = 1.0, seed: int = 0) -> None:
        self.name = folder.name
        kinds = sorted(each.name for each in (folder / "test").iterdir() if each.is_dir() and each.name != "good")
        most = KIND * 3 if len(kinds) == 1 else KIND
        self.paths = _drawn(folder / "test" / "good", round(GOOD * share), seed)
        for kind in kinds:
            self.paths += _drawn(folder / "test" / kind, round(most * share), seed)
        self.pool = _drawn(folder / "train" / "good", max(round(POOL * share), 24), seed)
        self.kinds = [path.parent.name for path in self.paths]
        self.labels = np.array([kind != "good" for kind in self.kinds])
        self.masks = [_mask(folder, path) for path in self.paths]

    def figures(self, scores: list[float], maps: list[NDArray[np.floating]]) -> Figures:
        """Of one score and one map of patches a test photo."""
        side = round(len(maps[0]) ** 0.5)
        anomaly_maps = [on_picture(each, (side, side), (SIDE, SIDE)) for each in maps]
        low, high = min(each.min() for each in anomaly_maps), max(each.max() for each in anomaly_maps)
        pixel = pixel_metrics([(each - low) / (high - low) for each in anomaly_maps], self.masks).values
        image = image_metrics(np.array(scores), self.labels).values["image_auroc"]
        values = (image, *(pixel[name] for name in ("pixel_auroc", "pixel_ap", "aupro")))
        return Figures(*(float("nan") if value is None else float(value) for value in values))


def _drawn(folder: Path, most: int, seed: int) -> list[Path]:
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in (".jpg", ".png"))
    return sorted(random.Random(seed).sample(paths, min(most, len(paths))))


def _mask(folder: Path, path: Path) -> NDArray[np.bool_]:
    mask = folder / "ground_truth" / path.parent.name / f"{path.stem}_mask.png"
    return mask_at(Image.open(mask), SIDE) if mask.is_file() else np.zeros((SIDE, SIDE), bool)


class Tokens:
    """Tokens of photos, in half precision in memory, each photo read once.

    Args:
        reader: of a model.
        kept: file that holds those of earlier runs; `save` writes it.
        coarse: average 2 x 2 patches, which makes every comparison of two photos sixteen times cheaper.
    """

    def __init__(self, reader: ContextReader, kept: Path | None = None, *, coarse: bool = False) -> None:
        self.reader, self._file, self._coarse = reader, kept, coarse
        stored = torch.load(kept) if kept is not None and kept.is_file() else {}
        self._kept: dict[str, Levels] = stored
        self._read = 0

    def __call__(self, path: Path) -> Levels:
        """In single precision."""
        if str(path) not in self._kept:
            self._kept[str(path)] = tuple(level.half().cpu() for level in self.reader.read([to_image(path)])[0])
            self._read += 1
        levels = tuple(level.float() for level in self._kept[str(path)])
        return tuple(_halved(level) for level in levels) if self._coarse else levels

    def all(self, paths: Sequence[Path]) -> list[Levels]:
        """Of many photos."""
        return [self(path) for path in paths]

    def save(self) -> None:
        """Keep what was read for the next run."""
        if self._file is not None and self._read:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            torch.save(self._kept, self._file)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of a map."""
        side = self.reader.size // self.reader.model.clip.visual.conv1.kernel_size[0] // (1 + self._coarse)
        return side, side


def _halved(level: Float[Tensor, "patches width"]) -> Float[Tensor, "fewer width"]:
    side = round(len(level) ** 0.5)
    pooled = F.avg_pool2d(level.T.reshape(1, -1, side, side), 2)
    return F.normalize(pooled.flatten(2)[0].T, dim=-1).contiguous()
