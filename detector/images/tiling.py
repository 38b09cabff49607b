"""Large images in overlapping windows, so that small defects keep their size; the maps are blended into one."""

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from PIL import Image

OVERLAP = 0.25
"""Share of a window's side that it shares with the next one."""


class Window(NamedTuple):
    """A square or smaller cut, in pixels."""

    left: int
    top: int
    right: int
    bottom: int


def windows(width: int, height: int, side: int, overlap: float = OVERLAP) -> list[Window]:
    """Windows of `side` pixels that cover the image, row by row; the last ones end at the border."""
    across, down = _starts(width, side, overlap), _starts(height, side, overlap)
    return [Window(x, y, min(x + side, width), min(y + side, height)) for y in down for x in across]


def _starts(length: int, side: int, overlap: float) -> list[int]:
    if length <= side:
        return [0]
    step = max(int(side * (1 - overlap)), 1)
    count = -(-(length - side) // step) + 1
    return [round(index * (length - side) / (count - 1)) for index in range(count)]


class Blend:
    """Maps of one or several kinds over a whole image, put together from those of its windows.

    At every pixel the windows over it are averaged, with weights that fall towards each window's border, so that no
    seam shows.

    Args:
        size: width and height of the image.
        limit: long side of the blended maps in pixels; those of larger images are made at this size.
    """

    def __init__(self, size: tuple[int, int], limit: int | None = None) -> None:
        scale = min(1.0, limit / max(size)) if limit else 1.0
        self.width, self.height = (max(round(side * scale), 1) for side in size)
        self._scales = self.width / size[0], self.height / size[1]
        self._weight = np.zeros((self.height, self.width), dtype=np.float32)
        self._totals: list[Float[np.ndarray, "height width"]] = []

    def add(self, window: Window, anomaly_maps: Sequence[Float[np.ndarray, "h w"]]) -> None:
        """Lay the maps of a window, one per kind and of any size, over its place."""
        if not self._totals:
            self._totals = [np.zeros_like(self._weight) for _ in anomaly_maps]
        (left, right), (top, bottom) = (
            _span(*pair, scale) for pair, scale in zip((window[::2], window[1::2]), self._scales, strict=True)
        )
        ramp = np.outer(_ramp(bottom - top), _ramp(right - left))
        self._weight[top:bottom, left:right] += ramp
        for total, anomaly_map in zip(self._totals, anomaly_maps, strict=True):
            total[top:bottom, left:right] += ramp * enlarged(anomaly_map, right - left, bottom - top)

    def maps(self) -> list[Float[np.ndarray, "height width"]]:
        """One map per kind."""
        return [np.asarray(total / self._weight, dtype=np.float32) for total in self._totals]


def _span(start: int, end: int, scale: float) -> tuple[int, int]:
    """Pixels of the blended map that a window touches on one axis; neighbours leave no gap."""
    return int(start * scale), max(ceil(end * scale - 1e-6), int(start * scale) + 1)


def enlarged(anomaly_map: Float[np.ndarray, "h w"], width: int, height: int) -> Float[np.ndarray, "height width"]:
    """A map at another size, bilinear."""
    resized = Image.fromarray(np.asarray(anomaly_map, dtype=np.float32)).resize(
        (width, height), Image.Resampling.BILINEAR
    )
    return np.asarray(resized, dtype=np.float32)


def _ramp(length: int) -> Float[np.ndarray, " length"]:
    """1 in the middle, falling linearly to a small positive weight at both ends."""
    distance = np.minimum(np.arange(length), np.arange(length)[::-1]) + 1.0
    return np.asarray(np.minimum(distance / max(length * OVERLAP, 1.0), 1.0), dtype=np.float32)
