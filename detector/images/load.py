"""Any picture people have becomes RGB, 8 bits, upright; anything else becomes one clear line.

DetectorError
+-- ImageError          a file or array that cannot be used as an image
"""

from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from detector.defaults import MAX_PIXELS
from detector.errors import DetectorError
from detector.images.deep import deep_values, is_deep, is_deep_colour, scaled

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".gif"})
"""What is picked up in a folder; a file named explicitly is tried whatever its name."""

_DEEP_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".pgm"})
"""Of formats that can hold 16 bits per value."""

BROKEN = (OSError, SyntaxError, ValueError, EOFError, OverflowError, MemoryError, TypeError)
"""What Pillow raises on damaged files, depending on the format and on which byte is wrong."""

SMALLEST = 8
"""Side in pixels below which a picture cannot show anything."""
FLAT = 4
"""Difference of grey levels, of 255, below which a picture shows nothing."""

Image.MAX_IMAGE_PIXELS = None  # our own limit, above, is checked before a pixel is decoded, and says what to do


class ReadOptions(NamedTuple):
    """How picture files are read; the same for every picture of a run."""

    bits: int | None = None
    """Of the values in 16-bit files; None finds out from the files of a folder (`folder_bits`)."""
    max_pixels: int = MAX_PIXELS
    """Larger pictures are refused before they are decoded."""


class ImageError(DetectorError):
    """A file or array that cannot be used as an image."""

    exit_code: ClassVar[int] = 1


def load_image(path: Path, max_size: int | None = None, reading: ReadOptions | None = None) -> Image.Image:
    """Read one picture: RGB, 8 bits, turned upright, its long side at most `max_size` pixels.

    Sixteen-bit values are scaled by the range of their folder, since cameras store 10 and 12 bits in them; transparency
    is laid over white; of several frames the first is taken.

    Raises:
        ImageError: missing, empty, truncated, too large, not an image, or not readable.
    """
    how = reading or ReadOptions()
    try:
        if path.is_file() and path.stat().st_size == 0:
            raise ImageError(f"{path} is empty")
        with Image.open(path) as image:
            if max_size:
                image.draft("RGB", (max_size, max_size))  # JPEG decodes straight to a smaller size
            require_safe(image, path, how.max_pixels)
            bits = (how.bits or folder_bits(path.parent)) if is_deep(image) else 16
            upright = ImageOps.exif_transpose(_deep_colour(image, path, bits) if bits < 16 else image)
            return limit_size(as_rgb(upright, str(path), bits), max_size)
    except UnidentifiedImageError as error:
        raise ImageError(f"{path} is not an image", expected="PNG, JPEG, TIFF, BMP or WebP") from error
    except FileNotFoundError as error:
        raise ImageError(f"no file at {path}") from error
    except BROKEN as error:
        raise ImageError(f"{path} cannot be read: {why(error)}", hint="copy or export it again") from error


def image_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture file, turned upright, from its header alone.

    Raises:
        ImageError: missing, or not readable.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            sideways = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    except BROKEN as error:
        raise ImageError(f"{path} cannot be read: {why(error)}", hint="copy or export it again") from error
    return (height, width) if sideways else (width, height)


def why(error: Exception) -> str:
    """What is wrong with a damaged file; some errors of Pillow say nothing."""
    return str(error) or type(error).__name__


def require_safe(image: Image.Image, path: Path, max_pixels: int = MAX_PIXELS) -> None:
    """Before a pixel is decoded, whatever the name of the file says.

    Raises:
        ImageError: more than `max_pixels`, or PostScript, which Pillow hands to an interpreter that runs it.
    """
    if image.format == "EPS":
        raise ImageError(f"{path} is a PostScript program", expected="PNG, JPEG, TIFF, BMP or WebP")
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(
            f"{path} has {width} x {height} pixels",
            expected=f"at most {max_pixels:,}",
            hint="cut it into pieces, or set max_pixels in [detector] of filo-forge.toml (or FILO_FORGE_MAX_PIXELS)",
        )


def _deep_colour(image: Image.Image, path: Path, bits: int) -> Image.Image:
    """A picture of 16-bit colour with 8 bits, turned as the file is; any other picture as it is."""
    if not is_deep_colour(image):
        return image
    shallow = Image.fromarray(scaled(deep_values(image, path), bits))
    shallow.info["exif"] = image.getexif().tobytes()
    return shallow


_RANGES = (8, 10, 12)
"""Bits that cameras use of the 16 of a file."""
_LOOKED_AT = 32
"""Files of a folder that its range is found out from."""


@lru_cache(maxsize=256)
def folder_bits(folder: Path) -> int:
    """Bits that the 16-bit pictures of a folder use: 8, 10, 12 or 16, found out from the first 32 of them.

    Cameras store 10 or 12 bits in files of 16. One range holds for a whole folder, so that a dark picture stays darker
    than a bright one; where most files use all 16 bits, the few dark ones among them are 16 bits too.
    """
    deep = (
        (path for path in sorted(folder.iterdir()) if path.suffix.lower() in _DEEP_SUFFIXES) if folder.is_dir() else ()
    )
    largest = [value for path in islice(deep, _LOOKED_AT) if (value := _largest(path)) is not None]
    narrow = [value for value in largest if value < 2 ** _RANGES[-1]]
    if not narrow or 2 * len(narrow) < len(largest):
        return 16
    return next(bits for bits in _RANGES if max(narrow) < 2**bits)


def _largest(path: Path) -> int | None:
    """The largest value of a 16-bit picture; None for any other file."""
    try:
        with Image.open(path) as image:
            if is_deep(image) and image.size[0] * image.size[1] <= MAX_PIXELS:
                return int(deep_values(image, path).max(initial=0))
    except BROKEN:
        pass  # whoever reads it says what is wrong
    return None


def bits_note(paths: Iterable[Path]) -> list[str]:
    """One line per folder whose 16-bit files do not use their 16 bits."""
    deep = sorted({path.parent for path in paths if path.suffix.lower() in _DEEP_SUFFIXES})
    return [
        f"{folder}: 16-bit files with {bits}-bit values, read as {bits} bits; type --bits to say otherwise"
        for folder in deep
        if (bits := folder_bits(folder)) < 16
    ]


def unremarkable(image: Image.Image) -> str:
    """What makes a picture useless although it can be read: it is tiny or shows nothing; otherwise nothing.

    Args:
        image: RGB, 8 bits.
    """
    if min(image.size) < SMALLEST:
        return f"only {image.size[0]}x{image.size[1]} pixels"
    values = np.asarray(image.resize((64, 64), Image.Resampling.BOX) if min(image.size) > 64 else image)
    low, high = (int(each) for each in np.percentile(values, (1, 99)))
    if high - low <= FLAT:
        shade = "black" if high <= FLAT else "white" if low >= 255 - FLAT else "of one colour"
        return f"nearly all {shade}" if shade != "of one colour" else "nearly constant: it shows nothing"
    return ""


def limit_size(image: Image.Image, max_size: int | None) -> Image.Image:
    """Shrink so that the long side is at most `max_size`, aspect kept; smaller pictures stay as they are."""
    width, height = image.size
    if not max_size or max(width, height) <= max_size:
        return image
    scale = max_size / max(width, height)
    target = max(round(width * scale), 1), max(round(height * scale), 1)
    return image.resize(target, Image.Resampling.LANCZOS, reducing_gap=3.0)


def mask_at(mask: Image.Image, size: int) -> NDArray[np.bool_]:
    """A ground-truth mask (255 on the defect) as a square of `size` pixels: true where more than half is defect."""
    resized = mask.convert("L").resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(resized) > 127


def as_rgb(image: Image.Image, name: str = "the image", bits: int = 16) -> Image.Image:
    """Any mode to RGB: 16 bits scaled to 8, transparency over white.

    Args:
        image: any.
        name: what an error calls it.
        bits: that the values of a 16-bit picture use, unless it holds larger ones.

    Raises:
        ImageError: floating-point pixels, whose range nobody knows.
    """
    if image.mode == "RGB":
        return image
    if image.mode == "F":
        raise ImageError(f"{name} has floating-point pixels", expected="8 or 16 bits", hint="export it as 16-bit PNG")
    if image.mode.startswith("I"):
        return Image.fromarray(scaled(np.asarray(image).clip(0, 65535), bits)).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        layer = image.convert("RGBA")
        paper = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(paper, layer).convert("RGB")
    return image.convert("RGB")


def to_image(value: Any, max_size: int | None = None, reading: ReadOptions | None = None) -> Image.Image:
    """A path, PIL image, array [h, w], [h, w, 1|3|4] or tensor [1|3|4, h, w] as RGB.

    Arrays and tensors hold uint8, uint16, or floating-point numbers in [0, 1]. The bits of `reading` hold for them too;
    where it names none, they use all 16.

    Raises:
        ImageError: it is none of these.
    """
    if isinstance(value, str | Path):
        return load_image(Path(value), max_size, reading)
    bits = (reading and reading.bits) or 16
    if isinstance(value, Image.Image):
        return limit_size(as_rgb(ImageOps.exif_transpose(value), bits=bits), max_size)
    if type(value).__module__.split(".")[0] == "torch":
        value = value.detach().cpu().numpy()
        value = np.moveaxis(value, 0, -1) if value.ndim == 3 else value
    if isinstance(value, np.ndarray):
        return limit_size(as_rgb(Image.fromarray(_eight_bits(value, bits))), max_size)
    raise ImageError(f"a {type(value).__name__} is not an image", expected="a path, PIL image, array or tensor")


def _eight_bits(array: np.ndarray, bits: int) -> np.ndarray:
    shape = array.shape
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.size == 0 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageError(f"an array of shape {shape} is not an image", expected="[h, w] or [h, w, 3]")
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype == np.uint16:
        return scaled(array, bits)
    if np.issubdtype(array.dtype, np.floating) and np.isfinite(array).all() and 0 <= array.min() <= array.max() <= 1:
        return np.round(array * 255).astype(np.uint8)
    raise ImageError(f"an array of {array.dtype} is not an image", expected="uint8, uint16, or floats in [0, 1]")
