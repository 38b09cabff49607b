"""What a multipart request brings: pictures on disk and fields, counted and measured before anything is decoded.

Names of files come from strangers: they are shown and never used as paths.
"""

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from descriptions.common.errors import nearest
from descriptions.common.terminal import printable
from detector.console import encodable
from detector.images.load import BROKEN, why
from detector.serve.engine.engine import Picture
from detector.serve.errors import ServeError, TooLargeError

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "PPM", "GIF")
"""What is taken from strangers; Pillow reads stranger things, some of them through other programs."""
SUFFIXES = {
    "PNG": ".png",
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "TIFF": ".tif",
    "BMP": ".bmp",
    "WEBP": ".webp",
    "PPM": ".pgm",
    "GIF": ".gif",
}
"""Endings by what Pillow calls the content."""
MAX_FIELDS = 32
MAX_FIELD = 64 * 1024
"""Bytes of a field that is no file."""
MAX_NAME = 255
"""Characters of a file name that are shown."""


class Limits(NamedTuple):
    """How much one request may bring."""

    images: int
    pixels: int


class Form(NamedTuple):
    """A request that was read."""

    pictures: list[Picture]
    references: list[Picture]
    fields: dict[str, str]


@asynccontextmanager
async def received(
    request: Request, limits: Limits, known: Sequence[str], folder: Path | None = None
) -> AsyncIterator[Form]:
    """The pictures and fields of a request; the files vanish with the block.

    Args:
        request: multipart.
        limits: of its pictures.
        known: names of fields.
        folder: to put files into; it stays. A temporary one by default.

    Raises:
        TooLargeError: too many pictures, or one of too many pixels.
        ServeError: no pictures, or a field that nothing reads.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        kind = request.headers.get("content-type") or "no content type"
        raise ServeError(kind, expected="multipart/form-data with a field images", hint="curl -F images=@photo.png ...")
    async with request.form(max_files=2 * limits.images + 1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD) as form:
        _require_known(form, known)
        images = _files(form, "images")
        references = _files(form, "references")
        if not images:
            raise ServeError("no pictures", expected="at least one in the field images")
        if len(images) > limits.images or len(references) > limits.images:
            count = max(len(images), len(references))
            raise TooLargeError(f"{count} pictures in one request", expected=f"at most {limits.images}")
        with TemporaryDirectory(prefix="filo-forge-") as temporary:
            root = folder or Path(temporary)
            pictures = await run_in_threadpool(_kept, images, root / "images", limits)
            good = await run_in_threadpool(_kept, references, root / "references", limits)
            fields = {name: str(value) for name, value in form.items() if not isinstance(value, UploadFile)}
            yield Form(pictures, good, fields)


def _require_known(form: FormData, known: Sequence[str]) -> None:
    for name, value in form.multi_items():
        expected = ("images", "references") if isinstance(value, UploadFile) else known
        if name not in expected:
            kind = "file field" if isinstance(value, UploadFile) else "field"
            raise ServeError(
                f"{kind} {shown(name)!r}", expected=f"one of: {', '.join(expected)}", hint=nearest(name, list(expected))
            )


def _files(form: FormData, name: str) -> list[UploadFile]:
    return [value for value in form.getlist(name) if isinstance(value, UploadFile)]


def _kept(uploads: Sequence[UploadFile], folder: Path, limits: Limits) -> list[Picture]:
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    for number, upload in enumerate(uploads):
        path = folder / f"{number:05}.upload"
        with path.open("wb") as stream:
            shutil.copyfileobj(upload.file, stream, 2**20)
        pictures.append(measured(path, shown(upload.filename or f"image {number + 1}"), limits.pixels))
    return pictures


def measured(path: Path, name: str, pixels: int) -> Picture:
    """The picture under a name with the ending of its content; its header is read and nothing is decoded.

    What is no picture is refused when its turn comes, and is not opened again.

    Raises:
        TooLargeError: the header declares more than `pixels`.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            (width, height), suffix = image.size, SUFFIXES[image.format or ""]
    except UnidentifiedImageError:
        return Picture(name, path, f"{name} is not an image; expected PNG, JPEG, TIFF, BMP or WebP")
    except BROKEN as error:
        return Picture(name, path, f"{name} cannot be read: {printable(why(error))}")
    if width * height > pixels:
        raise TooLargeError(f"{name} has {width} x {height} pixels", expected=f"at most {pixels:,}")
    return Picture(name, path.rename(path.with_suffix(suffix)))


def shown(name: str) -> str:
    """A name from a stranger as it may be shown: on one line, no longer than a file's name, the rest left out."""
    return printable(encodable(name))[:MAX_NAME]
