"""Ground-truth masks: which pixels of an image are defective."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detector.images import ImageError


def read_mask(path: Path | None, image_size: tuple[int, int], size: int | None = None) -> NDArray[np.bool_]:
    """A mask as booleans [height, width], true on the defect.

    Args:
        path: mask file, non-zero on the defect; None for a good image, where nothing is true.
        image_size: (width, height) of the image, which the mask must have too.
        size: bring it to this square as `preprocess.to_mask` does; without, it keeps its size.

    Raises:
        ImageError: unreadable, or of another size than its image.
    """
    if path is None:
        return np.zeros((size, size) if size else image_size[::-1], dtype=np.bool_)
    values = _read(path)
    if values.shape[::-1] != image_size:
        raise ImageError(f"{path} is {_by(values.shape[::-1])}", expected=f"{_by(image_size)}, as its image")
    mask = values > 0
    if size is None:
        return mask
    from detector.preprocess import to_mask  # here, so that checking a data set does not load torch

    return to_mask(Image.fromarray(mask.astype(np.uint8) * 255), size).numpy().astype(np.bool_)


def _read(path: Path) -> NDArray[np.int64]:
    """Pixel values, the largest of all channels (opacity aside)."""
    try:
        with Image.open(path) as picture:
            plain = picture.convert("RGB") if picture.mode in {"P", "PA", "LA", "RGBA", "CMYK", "YCbCr"} else picture
            values = np.asarray(plain)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageError(f"{path} cannot be read: {error}", expected="a picture of the mask") from error
    return (values if values.ndim == 2 else values.max(axis=-1)).astype(np.int64)


def _by(size: tuple[int, ...]) -> str:
    return f"{size[0]}x{size[1]}"
