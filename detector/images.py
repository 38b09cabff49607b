"""Any picture people have becomes RGB, 8 bits, upright; anything else becomes one clear line.

DetectorError
+-- ImageError          a file or array that cannot be used as an image
+-- NoImagesError       paths under which there is nothing to look at
"""

import glob
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from detector.errors import DetectorError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".gif"})
"""What is picked up in a folder; a file named explicitly is tried whatever its name."""

BROKEN = (OSError, SyntaxError, ValueError, EOFError, OverflowError, MemoryError, TypeError)
"""What Pillow raises on damaged files, depending on the format and on which byte is wrong."""

MAX_DECODED_BYTES = 1_500_000_000
"""Largest picture that is decoded: 20,000 x 20,000 RGB fits."""

Image.MAX_IMAGE_PIXELS = None  # our own limit, above, is checked before a pixel is decoded, and says what to do


class ImageError(DetectorError):
    """A file or array that cannot be used as an image."""

    exit_code: ClassVar[int] = 1


class NoImagesError(DetectorError):
    """Paths under which there is nothing to look at."""


def find_images(paths: Iterable[str], listing: Iterable[str] = sys.stdin, skip: Path | None = None) -> list[Path]:
    """Files named by files, folders (searched whole, without hidden files and masks), globs, or `-` (one path a line).

    A file that is named but missing stays in the list, so that it is reported with the other bad ones.

    Args:
        paths: what was typed.
        listing: lines that `-` stands for.
        skip: folder of our own pictures, which folders and globs leave out.

    Raises:
        NoImagesError: a folder or glob without images, or no path at all.
    """
    found: dict[Path, None] = {}
    for path in paths:
        found.update(dict.fromkeys(_from_list(listing) if path == "-" else _expand(path, skip)))
    if not found:
        raise NoImagesError("no images named", expected="files, folders, globs, or - for a list on standard input")
    return list(found)


def _from_list(listing: Iterable[str]) -> list[Path]:
    return [Path(line.strip()) for line in listing if line.strip()]


def _expand(path: str, skip: Path | None) -> list[Path]:
    given = Path(path)
    if given.is_dir():
        seen = (file for file in given.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        inside = sorted(
            file
            for file in _not_ours(seen, skip)
            if not _is_hidden(file.relative_to(given)) and not _is_ground_truth(file, given)
        )
        if not inside:
            raise NoImagesError(f"no images in {given}", expected=f"files such as {', '.join(sorted(SUFFIXES)[:4])}")
        return inside
    if given.exists() or not glob.has_magic(path):
        return [given]
    names = glob.glob(path, recursive=True)  # noqa: PTH207 - Path.glob refuses absolute patterns
    matches = sorted(_not_ours(map(Path, names), skip))
    if not matches:
        raise NoImagesError(f"nothing matches {path}", hint="quote the pattern, or name a folder")
    return [file for match in matches for file in (_expand(str(match), skip) if match.is_dir() else [match])]


def _not_ours(files: Iterable[Path], skip: Path | None) -> Iterable[Path]:
    if skip is None or not skip.is_dir():
        return files
    ours = skip.resolve()
    return (file for file in files if not file.resolve().is_relative_to(ours))


def _is_hidden(inside: Path) -> bool:
    """Such as `._a.jpg`, which macOS leaves beside `a.jpg` and which is no picture."""
    return any(part.startswith(".") for part in inside.parts)


def _is_ground_truth(file: Path, folder: Path) -> bool:
    """Whether a file is a mask of a data set in the MVTec layout, which `folder` is or holds."""
    inside = [parent for parent in file.parents if parent.is_relative_to(folder)]
    return any(parent.name == "ground_truth" and (parent.parent / "test").is_dir() for parent in inside)


def load_image(path: Path, max_size: int | None = None) -> Image.Image:
    """Read one picture: RGB, 8 bits, turned upright, its long side at most `max_size` pixels.

    Sixteen-bit values are divided by 257; transparency is laid over white; of several frames the first is taken.

    Raises:
        ImageError: missing, empty, truncated, too large, not an image, or not readable.
    """
    try:
        if path.is_file() and path.stat().st_size == 0:
            raise ImageError(f"{path} is empty")
        with Image.open(path) as image:
            if max_size:
                image.draft("RGB", (max_size, max_size))  # JPEG decodes straight to a smaller size
            refuse_huge(image, path)
            return limit_size(as_rgb(ImageOps.exif_transpose(image), str(path)), max_size)
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


def refuse_huge(image: Image.Image, path: Path) -> None:
    """Before a pixel is decoded.

    Raises:
        ImageError: more than `MAX_DECODED_BYTES`.
    """
    width, height = image.size
    if width * height * len(image.getbands()) > MAX_DECODED_BYTES:
        raise ImageError(
            f"{path} has {width} x {height} pixels", expected="at most 1.5 GB decoded", hint="cut it into pieces first"
        )


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


def as_rgb(image: Image.Image, name: str = "the image") -> Image.Image:
    """Any mode to RGB: 16 bits scaled to 8, transparency over white.

    Args:
        image: any.
        name: what an error calls it.

    Raises:
        ImageError: floating-point pixels, whose range nobody knows.
    """
    if image.mode == "RGB":
        return image
    if image.mode == "F":
        raise ImageError(f"{name} has floating-point pixels", expected="8 or 16 bits", hint="export it as 16-bit PNG")
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8)).convert("RGB")
    if "A" in image.getbands() or "transparency" in image.info:
        layer = image.convert("RGBA")
        paper = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(paper, layer).convert("RGB")
    return image.convert("RGB")


def to_image(value: Any, max_size: int | None = None) -> Image.Image:
    """A path, PIL image, array [h, w], [h, w, 1|3|4] or tensor [1|3|4, h, w] as RGB.

    Arrays and tensors hold uint8, uint16, or floating-point numbers in [0, 1].

    Raises:
        ImageError: it is none of these.
    """
    if isinstance(value, str | Path):
        return load_image(Path(value), max_size)
    if isinstance(value, Image.Image):
        return limit_size(as_rgb(ImageOps.exif_transpose(value)), max_size)
    if type(value).__module__.split(".")[0] == "torch":
        value = value.detach().cpu().numpy()
        value = np.moveaxis(value, 0, -1) if value.ndim == 3 else value
    if isinstance(value, np.ndarray):
        return limit_size(as_rgb(Image.fromarray(_eight_bits(value))), max_size)
    raise ImageError(f"a {type(value).__name__} is not an image", expected="a path, PIL image, array or tensor")


def _eight_bits(array: np.ndarray) -> np.ndarray:
    shape = array.shape
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.size == 0 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageError(f"an array of shape {shape} is not an image", expected="[h, w] or [h, w, 3]")
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype == np.uint16:
        return (array // 257).astype(np.uint8)
    if np.issubdtype(array.dtype, np.floating) and np.isfinite(array).all() and 0 <= array.min() <= array.max() <= 1:
        return np.round(array * 255).astype(np.uint8)
    raise ImageError(f"an array of {array.dtype} is not an image", expected="uint8, uint16, or floats in [0, 1]")
