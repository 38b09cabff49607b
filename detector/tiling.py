"""Large images in overlapping windows, so that small defects keep their size; the maps are blended into one."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
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


def blended(
    image: Image.Image,
    side: int,
    score: Callable[[Sequence[Image.Image], Sequence[Window]], Sequence[Float[np.ndarray, "h w"]]],
    *,
    batch: int = 4,
    overlap: float = OVERLAP,
) -> Float[np.ndarray, "height width"]:
    """One map of the whole image, in its pixels, from the maps of its windows.

    At every pixel the windows over it are averaged, with weights that fall towards each window's border, so that
    no seam shows. Only `batch` cuts are held at a time.

    Args:
        image: any size.
        side: of a window, in pixels.
        score: maps of any size for some cuts; each is enlarged to its window.
        batch: cuts scored together.
        overlap: share of a window's side that neighbours share.
    """
    total = np.zeros((image.height, image.width), dtype=np.float32)
    weight = np.zeros_like(total)
    for group in _batches(windows(image.width, image.height, side, overlap), batch):
        for window, heat in zip(group, score([image.crop(window) for window in group], group), strict=True):
            left, top, right, bottom = window
            ramp = np.outer(_ramp(bottom - top), _ramp(right - left))
            total[top:bottom, left:right] += ramp * enlarged(heat, right - left, bottom - top)
            weight[top:bottom, left:right] += ramp
    return np.asarray(total / weight, dtype=np.float32)


def enlarged(heat: Float[np.ndarray, "h w"], width: int, height: int) -> Float[np.ndarray, "height width"]:
    """A map at another size, bilinear."""
    resized = Image.fromarray(np.asarray(heat, dtype=np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.float32)


def _ramp(length: int) -> Float[np.ndarray, " length"]:
    """1 in the middle, falling linearly to a small positive weight at both ends."""
    distance = np.minimum(np.arange(length), np.arange(length)[::-1]) + 1.0
    return np.asarray(np.minimum(distance / max(length * OVERLAP, 1.0), 1.0), dtype=np.float32)


def _batches(items: Sequence[Window], size: int) -> Iterator[list[Window]]:
    iterator = iter(items)
    while group := list(islice(iterator, size)):
        yield group
