"""Ground-truth masks: which pixels of an image are defective."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy.ndimage import maximum_filter, minimum_filter

from detector.defaults import MAX_PIXELS
from detector.images.load import BROKEN, SUFFIXES, ImageError, mask_at, require_safe, why

LOSSY = frozenset({"JPEG", "WEBP", "MPO"})
"""Formats whose black pixels are not all 0."""
RINGING = 31
"""Largest value that a lossy format may leave in a mask without any defect."""
MOST_CLASSES = 16
"""Dark values of a mask with more are the steps of a soft edge."""
SMALL_NUMBER = 32
"""Largest value below which a lossless mask holds numbers of classes: nobody draws a soft edge so dark."""
FAINTEST = 16
"""A value below the largest one divided by this is the ringing of a resize and no class."""

_PLAIN = frozenset({"1", "L", "I", "I;16", "I;16B", "I;16L", "F", "RGB"})
"""Modes whose values are the mask as they are."""


def read_mask(path: Path | None, image_size: tuple[int, int], size: int | None = None) -> NDArray[np.bool_]:
    """A mask as booleans [height, width], true on the defect, turned upright as its image is.

    A pixel counts from half of the mask's largest value on, so that soft edges and the ringing of lossy formats do not
    grow the defect. In lossless masks the numbers of classes count too, however dark: 0 and 1, or 1 to 4 as in VisA.

    Args:
        path: mask file, or a folder of masks of one image, which are joined (MVTec LOCO); None for a good image, where
            nothing is true.
        image_size: (width, height) of the image, which the mask must have too.
        size: bring it to this square as `images.mask_at` does; without, it keeps its size.

    Raises:
        ImageError: unreadable, too large, or of another size than its image.
    """
    if path is None:
        return np.zeros((size, size) if size else image_size[::-1], dtype=np.bool_)
    joined = np.zeros(image_size[::-1], dtype=np.bool_)
    limit = max(MAX_PIXELS, image_size[0] * image_size[1])  # whoever allowed the image allows its mask
    for file in mask_files(path):
        mask = _read(file, limit)
        if mask.shape[::-1] != image_size:
            raise ImageError(f"{file} is {_by(mask.shape[::-1])}", expected=f"{_by(image_size)}, as its image")
        joined |= mask
    return joined if size is None else shrunk(joined, size)


def mask_files(path: Path | None) -> tuple[Path, ...]:
    """The picture files that make up the mask at `path`: one, those of a folder, or none."""
    if path is None:
        return ()
    if not path.is_dir():
        return (path,)
    return tuple(sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.name[0] != "."))


def shrunk(mask: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """A mask of any size at that of a model."""
    return mask_at(Image.fromarray(mask.astype(np.uint8) * 255), size)


def _read(path: Path, max_pixels: int) -> NDArray[np.bool_]:
    """Where any channel reaches half of the largest value, or names a class."""
    try:
        with Image.open(path) as picture:
            require_safe(picture, path, max_pixels)
            lossy = picture.format in LOSSY
            values = _brightness(ImageOps.exif_transpose(picture))
    except BROKEN as error:
        raise ImageError(f"{path} cannot be read: {why(error)}", expected="a picture of the mask") from error
    largest = values.max(initial=0)
    if largest <= (RINGING if lossy else 0):
        return np.zeros(values.shape, dtype=np.bool_)
    defective = np.asarray(2.0 * values >= float(largest))
    return defective if lossy else defective | _classes(values, largest)


def _brightness(picture: Image.Image) -> NDArray[Any]:
    """The brightest channel of each pixel [height, width], black where the picture is transparent.

    Masks that say everything with their opacity, or with the numbers behind a palette of one colour, are read by these.
    """
    if picture.mode in _PLAIN and "transparency" not in picture.info:
        values: NDArray[Any] = np.asarray(picture)
        return values if values.ndim == 2 else np.asarray(values.max(axis=-1))
    layers = np.asarray(picture.convert("RGBA"))
    colour, opacity = np.asarray(layers[..., :3].max(axis=-1)), layers[..., 3]
    visible = np.asarray(colour.astype(np.uint16) * opacity // 255).astype(np.uint8)
    if visible.any():
        return visible
    if colour.any():
        return colour  # an opacity of zero everywhere says nothing
    if opacity.min(initial=255) < opacity.max(initial=0):
        return opacity
    return np.asarray(picture) if picture.mode == "P" else colour


def _classes(values: NDArray[Any], largest: float) -> NDArray[np.bool_]:
    """Pixels that are dark but hold the number of a class, as VisA writes 1, 2, 3, and others 85, 170, 255.

    A class covers areas of one value. At a soft edge a value covers no area, or there are many values.
    """
    below = (values > 0) & (2.0 * values < float(largest))
    if largest < SMALL_NUMBER and values.dtype.kind in "ui":
        return below
    if not 0 < len(np.unique(values[below])) <= MOST_CLASSES:
        return np.zeros(values.shape, dtype=np.bool_)
    below &= values >= float(largest) / FAINTEST
    even = minimum_filter(values, 3) == maximum_filter(values, 3)
    return np.asarray(below & np.isin(values, np.unique(values[below & even])))


def _by(size: tuple[int, ...]) -> str:
    return f"{size[0]}x{size[1]}"
