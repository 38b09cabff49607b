"""Photos that can be compared, and the patch tokens they are compared by, at any size.

DetectorError
+-- ContextSizeError    a size that the image tower cannot cut into patches
"""

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from descriptions.common.errors import ForgeError
from detector.errors import DetectorError
from detector.images.load import to_image
from detector.images.tensors import to_pixels
from detector.model.filo import FiLo
from detector.scoring.feature_cache import FeatureCache, image_fingerprint, picture_key

MAX_SIZE = 4096
"""Long side in pixels that larger photos are shrunk to while loading, as everywhere."""
SHAPE = 1.1
"""Factor between the shapes (width by height) of a photo and of most others from which a note says so."""
Levels = tuple[Tensor, ...]
"""Tokens of one photo, one tensor [patches, width] a level, each token of length one."""


class ContextSizeError(DetectorError):
    """A size that the image tower cannot cut into patches."""


def context_tokens(
    model: FiLo, pixels: Float[Tensor, "batch 3 high wide"]
) -> tuple[Float[Tensor, "batch patches width"], ...]:
    """Unit-length patch tokens after every context level (MuSc, ICLR 2024, section 3.1; AnomalyDINO, WACV 2025).

    The ordinary stream without CLS, in the precision of the model, row-major over the grid of patches.

    Args:
        model: on the device of `pixels`.
        pixels: normalised, of any size that is a multiple of the patch size.

    Raises:
        ContextSizeError: another size.
    """
    patch = model.clip.visual.conv1.kernel_size[0]
    if pixels.shape[-2] % patch or pixels.shape[-1] % patch:
        raise ContextSizeError(
            f"photos of {pixels.shape[-1]} x {pixels.shape[-2]} pixels",
            expected=f"multiples of {patch}, the patch size",
        )
    levels = model.image_tower.tokens_at(pixels.to(model.dtype), model.config.levels_of_context)
    return tuple(F.normalize(level.float(), dim=-1).to(model.dtype).contiguous() for level in levels)


def context_fingerprint(model: FiLo) -> str:
    """SHA-256 over what decides the tokens: image tower, levels and pixel normalisation.

    Weights are rounded to bfloat16 first, so that a bank built on a CPU fits the same model on a GPU.
    """
    config = model.config
    digest = hashlib.sha256(f"{config.levels_of_context} {config.mean} {config.std} {config.quick_gelu}".encode())
    for name, tensor in sorted(model.clip.visual.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().bfloat16().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


class ContextReader:
    """From photos to tokens, each photo looked at once: the cache keeps what it has seen.

    Args:
        model: where it is; it is not moved.
        cache: of features, or None.
        size: side in pixels of the square that photos are resized to; the model's context size by default.

    Raises:
        ContextSizeError: the side is not a multiple of the patch size.
    """

    def __init__(self, model: FiLo, cache: FeatureCache | None = None, size: int | None = None) -> None:
        self.model, self.cache, self.size = model, cache, size or model.config.size_of_context
        patch = model.clip.visual.conv1.kernel_size[0]
        if self.size % patch:
            raise ContextSizeError(f"context size {self.size}", expected=f"a multiple of {patch}, the patch size")
        levels = ",".join(map(str, model.config.levels_of_context))
        self._key = f"context {image_fingerprint(model)} {self.size} {levels} {model.dtype}"

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        weight: Tensor = self.model.clip.visual.conv1.weight
        return weight.device

    def read(self, pictures: Sequence[Image.Image]) -> list[Levels]:
        """Tokens of every picture (upright RGB, as `images.to_image` gives it), on the model's device."""
        return [self._read(picture) for picture in pictures]

    @torch.inference_mode()
    def _read(self, picture: Image.Image) -> Levels:
        key = picture_key(picture, self._key) if self.cache else ""
        kept = self.cache.tensors(key) if self.cache else None
        if kept:
            return tuple(kept[f"context.{index}"].to(self.device) for index in range(len(kept)))
        pixels = to_pixels(picture, self.model.config, self.size)[None].to(self.device)
        levels = tuple(level[0] for level in context_tokens(self.model, pixels))
        if self.cache:
            self.cache.keep(key, {f"context.{index}": level for index, level in enumerate(levels)})
        return levels


class Photo(NamedTuple):
    """A usable photo."""

    name: str
    picture: Image.Image
    content: str
    """See `photo_hash`."""
    from_file: bool
    """Whether `name` is a path that the photo can be read from again."""


def photo_hash(picture: Image.Image) -> str:
    """SHA-256 of a photo's pixels and size, whatever file they came from."""
    return hashlib.sha256(f"{picture.mode} {picture.size} ".encode() + picture.tobytes()).hexdigest()


def read_photo(value: Any) -> Image.Image:
    """A path, PIL image, array or tensor as upright RGB, its long side at most `MAX_SIZE`.

    Raises:
        ImageError: it cannot be used.
    """
    return to_image(value, MAX_SIZE)


def read_photos(
    photos: Iterable[Any], known: Collection[str] = (), load: Callable[[Any], Image.Image] = read_photo
) -> tuple[list[Photo], list[str]]:
    """Photos that can be references, and one line on each that cannot or that deserves a word.

    Args:
        photos: paths, PIL images, arrays or tensors.
        known: content hashes of photos that are there already.
        load: reads one of them.
    """
    kept: list[Photo] = []
    notes: list[str] = []
    seen = set(known)
    for number, value in enumerate(photos, start=len(known) + 1):
        name = str(value) if isinstance(value, str | Path) else f"photo {number}"
        try:
            picture = load(value)
        except ForgeError as error:
            notes.append(f"{error}; left out" if name in str(error) else f"{name}: {error}; left out")
            continue
        content = photo_hash(picture)
        if looks_like_mask(picture):
            notes.append(f"{name} holds black and white only, as masks do; left out")
        elif content in seen:
            notes.append(f"{name} is a reference already, pixel by pixel; left out")
        else:
            seen.add(content)
            kept.append(Photo(name, picture, content, isinstance(value, str | Path)))
    return kept, notes + _shapes(kept)


def looks_like_mask(picture: Image.Image) -> bool:
    """Whether a picture has no values but 0 and 255: no photo has that."""
    values = np.asarray(picture)
    return bool(((values == 0) | (values == 255)).all())


def _shapes(photos: list[Photo]) -> list[str]:
    """A line on every photo of another shape than most: all are compared as squares."""
    if len(photos) < 3:
        return []
    shapes = [photo.picture.width / photo.picture.height for photo in photos]
    usual = float(np.median(shapes))
    alike = sum(usual / SHAPE <= shape <= usual * SHAPE for shape in shapes)
    if alike < 0.8 * len(photos):  # cut-outs of many shapes
        return []
    return [
        f"{photo.name} is {photo.picture.width} x {photo.picture.height}, of another shape than the other references"
        for photo, shape in zip(photos, shapes, strict=True)
        if not usual / SHAPE <= shape <= usual * SHAPE
    ]


def rotated(picture: Image.Image, size: int, count: int) -> list[Image.Image]:
    """The photo as a square of `size` pixels turned to `count` directions, as it lies first.

    Quarter turns lose nothing; corners that others leave empty get the colour of the border's middle value.
    """
    if count == 1:
        return [picture]
    square = picture.resize((size, size), Image.Resampling.BICUBIC)
    fill = _border_colour(square)
    turned = [square.rotate(360 * step / count, Image.Resampling.BICUBIC, fillcolor=fill) for step in range(1, count)]
    return [picture, *turned]


def own_versions(picture: Image.Image, size: int) -> list[Image.Image]:
    """Flips and quarter turns of a photo: what a single reference is calibrated against."""
    square = picture.resize((size, size), Image.Resampling.BICUBIC)
    flips = [square.transpose(how) for how in (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM)]
    return [*flips, *rotated(square, size, 4)[1:]]


def _border_colour(square: Image.Image) -> tuple[int, ...]:
    values = np.asarray(square)
    border = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    return tuple(int(value) for value in np.median(border, axis=0))
