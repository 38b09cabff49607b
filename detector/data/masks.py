"""Ground-truth masks: which pixels of an image are defective."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from detector.images import BROKEN, ImageError, mask_at, refuse_huge, why


def read_mask(path: Path | None, image_size: tuple[int, int], size: int | None = None) -> NDArray[np.bool_]:
    """A mask as booleans [height, width], true on the defect, turned upright as its image is.

    Args:
        path: mask file, non-zero on the defect; None for a good image, where nothing is true.
        image_size: (width, height) of the image, which the mask must have too.
        size: bring it to this square as `images.mask_at` does; without, it keeps its size.

    Raises:
        ImageError: unreadable, too large, or of another size than its image.
    """
    if path is None:
        return np.zeros((size, size) if size else image_size[::-1], dtype=np.bool_)
    mask = _read(path)
    if mask.shape[::-1] != image_size:
        raise ImageError(f"{path} is {_by(mask.shape[::-1])}", expected=f"{_by(image_size)}, as its image")
    return mask if size is None else shrunk(mask, size)


def shrunk(mask: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """A mask of any size at that of a model."""
    return mask_at(Image.fromarray(mask.astype(np.uint8) * 255), size)


def _read(path: Path) -> NDArray[np.bool_]:
    """Where any channel (opacity aside) is positive."""
    try:
        with Image.open(path) as picture:
            refuse_huge(picture, path)
            upright = ImageOps.exif_transpose(picture)
            plain = upright.convert("RGB") if upright.mode in {"P", "PA", "LA", "RGBA", "CMYK", "YCbCr"} else upright
            found = np.asarray(plain) > 0
    except BROKEN as error:
        raise ImageError(f"{path} cannot be read: {why(error)}", expected="a picture of the mask") from error
    return found if found.ndim == 2 else np.any(found, axis=-1)


def _by(size: tuple[int, ...]) -> str:
    return f"{size[0]}x{size[1]}"
