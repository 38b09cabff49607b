"""Small pictures that a page carries within itself."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from detector.data import Sample, read_mask
from detector.images.load import ImageError, image_size, load_image

SIDE = 420
"""Long side in pixels of an embedded picture."""
OUTLINE = (217, 48, 37)


def embedded(sample: Sample) -> str:
    """The image of a sample as a data URL, what its mask calls defective outlined; empty where it cannot be read."""
    try:
        image = load_image(sample.image, 2 * SIDE)
        mask = None if sample.mask is None else read_mask(sample.mask, image_size(sample.image))
    except ImageError:
        return ""
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    if mask is not None:
        image = outlined(image, mask)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def outlined(image: Image.Image, mask: NDArray[np.bool_]) -> Image.Image:
    """The picture with a line around the mask, which is brought to its size so that no thin part of it is lost.

    Args:
        image: RGB, no larger than the mask.
        mask: [height, width], true on defects.
    """
    sides = zip(mask.shape, image.size[::-1], strict=True)
    rows, columns = (np.arange(small) * large // small for large, small in sides)
    small = np.logical_or.reduceat(np.logical_or.reduceat(mask, rows, axis=0), columns, axis=1)
    edge = ndimage.binary_dilation(small, iterations=2) & ~small
    drawn = np.array(image.convert("RGB"))
    drawn[edge] = OUTLINE
    return Image.fromarray(drawn)
