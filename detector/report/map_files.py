"""Files of one image within `--out`: its picture, its raw anomaly map, and the small map that pictures are drawn from.

    maps/NAME.png       picture for people
    maps/NAME.npy       raw map, on request: float16, or `.tiff` with 16-bit integers, value / 65535
    maps/raw/NAME.png   map as 16-bit grey, at most as large as a panel of the picture

Pictures are drawn when all images are scored, since their scale, lines and boxes depend on the whole run. The small
maps stay, so that `--resume` draws them again with another threshold and without scoring anything.
"""

import hashlib
import io
import os
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float
from PIL import Image

from descriptions.common.files import atomic_write
from detector.detect.overlay import PANEL, resized

MapForm = Literal["npy", "tiff"]

MAPS = "maps"
"""Folder of pictures and maps within `--out`."""
MAX_STEM = 100
"""Bytes of an image's name that its files take over; file systems allow 143 to 255 in all."""
WHITE = 65535
"""What a map value of 1 is as a 16-bit integer."""


class MapFiles:
    """Names, writes and reads the files of each image.

    Args:
        out: folder of the results.
        form: of raw maps; None for none.
    """

    def __init__(self, out: Path, form: MapForm | None = None) -> None:
        self.out, self.form = out, form

    def picture_name(self, path: str) -> str:
        """Of the picture of an image, within the folder of the results."""
        return f"{MAPS}/{_stem(path)}.png"

    def map_name(self, path: str) -> str | None:
        """Of the raw map, within the folder of the results; None where none was asked for."""
        return f"{MAPS}/{_stem(path)}.{self.form}" if self.form else None

    def has(self, path: str) -> bool:
        """Whether everything that `keep` writes is there."""
        raw = self.map_name(path)
        return self._kept(path).is_file() and (raw is None or (self.out / raw).is_file())

    def keep(self, path: str, anomaly_map: Float[np.ndarray, "height width"]) -> None:
        """Write the map of an image, in both forms.

        Raises:
            OSError: the disk is full.
        """
        if raw := self.map_name(path):
            atomic_write(self.out / raw, to_npy(anomaly_map) if self.form == "npy" else to_tiff(anomaly_map))
        height, width = anomaly_map.shape
        scale = min(PANEL / max(height, width), 1)
        small = resized(anomaly_map, (max(round(width * scale), 1), max(round(height * scale), 1)))
        atomic_write(self._kept(path), _encoded(small, "PNG"))

    def load(self, path: str) -> Float[np.ndarray, "height width"]:
        """The small map of an image.

        Raises:
            OSError: it is gone or damaged.
        """
        with Image.open(self._kept(path)) as image:
            return np.asarray(image, dtype=np.float32) / WHITE

    def _kept(self, path: str) -> Path:
        return self.out / MAPS / "raw" / f"{_stem(path)}.png"


def to_npy(anomaly_map: Float[np.ndarray, "height width"]) -> bytes:
    """A map as `.npy` in half precision."""
    stream = io.BytesIO()
    np.save(stream, anomaly_map.astype(np.float16))
    return stream.getvalue()


def to_tiff(anomaly_map: Float[np.ndarray, "height width"]) -> bytes:
    """A map as 16-bit TIFF without compression, which every reader takes."""
    return _encoded(anomaly_map, "TIFF")


def _encoded(anomaly_map: Float[np.ndarray, "height width"], form: str) -> bytes:
    values = (np.clip(np.nan_to_num(anomaly_map), 0, 1) * WHITE).round().astype(np.uint16)
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, form)
    return stream.getvalue()


def _stem(path: str) -> str:
    """Part of the image's own name, and enough of a digest of its path to tell equal names apart."""
    stem = os.fsencode(Path(path).stem)[:MAX_STEM].decode("utf-8", "ignore")
    return f"{stem}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"
