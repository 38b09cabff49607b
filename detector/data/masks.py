"""Ground-truth masks: which pixels of an image are defective."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from detector.images import BROKEN, SUFFIXES, ImageError, mask_at, refuse_huge, why

LOSSY = frozenset({"JPEG", "WEBP", "MPO"})
"""Formats whose black pixels are not all 0."""
RINGING = 31
"""Largest value that a lossy format may leave in a mask without any defect."""


def read_mask(path: Path | None, image_size: tuple[int, int], size: int | None = None) -> NDArray[np.bool_]:
    """A mask as booleans [height, width], true on the defect, turned upright as its image is.

    A pixel counts from half of the mask's largest value on, so that soft edges and the ringing of lossy formats do not
    grow the defect, while masks of 0 and 1, or of 236 and 248 for two kinds of defect, are read as they are meant.

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
    for file in mask_files(path):
        mask = _read(file)
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


def _read(path: Path) -> NDArray[np.bool_]:
    """Where any channel (opacity aside) reaches half of the largest value."""
    try:
        with Image.open(path) as picture:
            refuse_huge(picture, path)
            lossy = picture.format in LOSSY
            upright = ImageOps.exif_transpose(picture)
            plain = upright.convert("RGB") if upright.mode in {"P", "PA", "LA", "RGBA", "CMYK", "YCbCr"} else upright
            values = np.asarray(plain)
    except BROKEN as error:
        raise ImageError(f"{path} cannot be read: {why(error)}", expected="a picture of the mask") from error
    values = values if values.ndim == 2 else values.max(axis=-1)
    largest = values.max(initial=0)
    if largest <= (RINGING if lossy else 0):
        return np.zeros(values.shape, dtype=np.bool_)
    return np.asarray(2.0 * values >= float(largest))


def _by(size: tuple[int, ...]) -> str:
    return f"{size[0]}x{size[1]}"
