"""Photos, maps and lines as pictures for the page."""

import io
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image
from scipy import ndimage

from detector.data import read_mask
from detector.detect.overlay import colours, contour, resized, stretched
from detector.images.load import image_size
from detector.scoring.map_scale import MapScale

SIZES = {"small": 360, "large": 1280}
"""Long sides of photos in pixels; a large one fills the screen however small it is."""
LINE_SIDE = 640
"""Long side of pictures of lines."""


def photo(image: Image.Image, size: str) -> bytes:
    """A photo as JPEG."""
    scale = SIZES[size] / max(image.size)
    if size == "small":
        scale = min(scale, 1)
    fitted = max(round(image.width * scale), 1), max(round(image.height * scale), 1)
    small = image.resize(fitted, Image.Resampling.LANCZOS, reducing_gap=3.0)
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=88)
    return stream.getvalue()


def heat(values: Float[np.ndarray, "height width"], scale: MapScale) -> bytes:
    """A map in colours."""
    return _png(Image.fromarray(colours(stretched(values.astype(np.float32), scale.low, scale.high))))


def phrase(values: Float[np.ndarray, "height width"], low: float, high: float) -> bytes:
    """How near a phrase is to every patch, in colours."""
    smooth = resized(values.astype(np.float32), (16 * values.shape[1], 16 * values.shape[0]))
    return _png(Image.fromarray(colours(stretched(smooth, low, high))))


def level_line(values: Float[np.ndarray, "height width"], level: float, size: tuple[int, int]) -> bytes:
    """The line around everything above a level, white on dark, else transparent."""
    return lines(resized(values.astype(np.float32), _fitted(size)) > level, (255, 255, 255))


def mask_line(mask: Path, image: Path) -> bytes:
    """The line around the defect that a data set marks, in green on dark, else transparent."""
    known = read_mask(mask, image_size(image))
    width, height = _fitted((known.shape[1], known.shape[0]))
    field = np.asarray(Image.fromarray(known.astype(np.uint8) * 255).resize((width, height), Image.Resampling.BOX))
    return lines(field > 0, (60, 255, 120))


def lines(field: Bool[np.ndarray, "height width"], colour: tuple[int, int, int]) -> bytes:
    """The edge of areas as a transparent picture."""
    edge = contour(field)
    pixels = np.zeros((*field.shape, 4), np.uint8)
    pixels[ndimage.binary_dilation(edge)] = (16, 16, 20, 255)
    pixels[edge] = (*colour, 255)
    return _png(Image.fromarray(pixels))


def _fitted(size: tuple[int, int]) -> tuple[int, int]:
    scale = LINE_SIDE / max(size)
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=3)
    return stream.getvalue()
