"""Where the product lies in its photo, so that a position can be told relative to it."""

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image
from scipy import ndimage

from detector.localize.boxes import Box

WHOLE = Box(0.0, 0.0, 1.0, 1.0)
"""Of a product that fills its photo, such as a texture, or that cannot be told from the background."""
_SIDE = 128
"""Long side in pixels of the copy that is looked at."""
_RING = 3
"""Width in pixels of the border that is taken for background."""
_SPREAD = 4.0
"""Robust deviations from the colour of the border beyond which a pixel is no background."""
_LEAST_SPREAD = 6.0
"""Grey levels, of 255, that the border is taken to vary by at least: JPEG noise is no product."""
_SMALLEST, _LARGEST = 0.02, 0.9
"""Shares of the photo outside of which an area is not taken for a product."""
_PLAIN = 0.8
"""Share of the border that must look like background; otherwise the product, or a pattern, touches it."""


def product_box(picture: Image.Image) -> Box:
    """The box of the product in unit coordinates; `WHOLE` where the product cannot be told from the background.

    A product is taken to lie on a background of one colour: what differs from the colour of the border in one piece is
    the product. No weights take part, so the answer is the same for every model.

    Args:
        picture: upright RGB.
    """
    small = picture.convert("RGB")
    small.thumbnail((_SIDE, _SIDE))
    pixels = np.asarray(small, dtype=np.float64)
    if min(pixels.shape[:2]) <= 2 * _RING:
        return WHOLE
    outside = _unlike_border(pixels)
    if outside is None:
        return WHOLE
    return _largest(ndimage.binary_fill_holes(ndimage.binary_opening(outside)))


def _unlike_border(pixels: Float[np.ndarray, "height width 3"]) -> Bool[np.ndarray, "height width"] | None:
    """Pixels of another colour than the border; None where the border has no colour of its own."""
    ring = np.ones(pixels.shape[:2], bool)
    ring[_RING:-_RING, _RING:-_RING] = False
    colour = np.median(pixels[ring], axis=0)
    far = np.linalg.norm(pixels - colour, axis=2)
    spread = max(1.4826 * float(np.median(far[ring])), _LEAST_SPREAD)
    unlike: Bool[np.ndarray, "height width"] = far > _SPREAD * spread
    return unlike if float((~unlike[ring]).mean()) >= _PLAIN else None


def _largest(unlike: Bool[np.ndarray, "height width"]) -> Box:
    areas, count = ndimage.label(unlike)
    if not count:
        return WHOLE
    sizes = np.bincount(areas.ravel())[1:]
    if not _SMALLEST <= sizes.max() / unlike.size <= _LARGEST:
        return WHOLE
    rows, columns = ndimage.find_objects(areas)[int(sizes.argmax())]
    height, width = unlike.shape
    return Box(columns.start / width, rows.start / height, columns.stop / width, rows.stop / height)
