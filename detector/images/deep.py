"""Pictures with more than 8 bits per value, as far as Pillow keeps them from us: it halves 16-bit colour to 8 bits."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_COLOUR = ("RGB;16", "RGBA;16")
"""What Pillow's names of 16-bit colour pixels in a file begin with; the last letter is the order of their bytes."""


def is_deep(image: Image.Image) -> bool:
    """Whether a picture has more than 8 bits per value."""
    return image.mode.startswith("I") or is_deep_colour(image)


def is_deep_colour(image: Image.Image) -> bool:
    """Whether an opened file, not yet decoded, has 16 bits per channel, of which Pillow drops the lower 8."""
    return any(_raw_mode(tile).startswith(_COLOUR) for tile in getattr(image, "tile", ()))


def deep_values(image: Image.Image, path: Path) -> NDArray[np.uint16]:
    """Values of a picture for which `is_deep` holds: [height, width], or [height, width, 3 or 4] for colour.

    Args:
        image: opened from `path`, not yet decoded.
        path: opened again for the lower bytes of colour.
    """
    if not is_deep_colour(image):
        return np.asarray(np.asarray(image).clip(0, 65535).astype(np.uint16))
    high = np.asarray(image).astype(np.uint16)
    with Image.open(path) as again:
        again.tile = [_other_order(tile) for tile in again.tile]
        return np.asarray(high * 256 + np.asarray(again))


def scaled(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Values of the given number of bits, scaled to 8 bits; a picture with larger values uses all 16."""
    white = 2**bits - 1 if bits < 16 and values.max(initial=0) < 2**bits else 65535
    return np.asarray(values.astype(np.uint32) * 255 // white).astype(np.uint8)


def _raw_mode(tile: Any) -> str:
    """How the pixels of a part of a file are stored, in Pillow's words."""
    args = tile.args if isinstance(tile.args, tuple) else (tile.args,)
    return str(args[0]) if args else ""


def _other_order(tile: Any) -> Any:
    """The same part of a file read with its bytes swapped, so that the lower byte is the one that is kept."""
    raw = _raw_mode(tile)
    native = "L" if sys.byteorder == "little" else "B"
    order = {"N": native}.get(raw[-1], raw[-1])
    swapped = raw[:-1] + ("B" if order == "L" else "L")
    return tile._replace(args=(swapped, *tile.args[1:]) if isinstance(tile.args, tuple) else swapped)
