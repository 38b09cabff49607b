"""Patch tokens that photos are compared by, at the model's own context size or any other."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from detector.cache import FeatureCache, image_fingerprint, picture_key
from detector.errors import DetectorError
from detector.model.filo import FiLo
from detector.preprocess import to_pixels

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

    def read(self, pictures: Sequence[Image.Image]) -> list[Levels]:
        """Tokens of every picture (upright RGB, as `images.to_image` gives it), on the model's device."""
        return [self._read(picture) for picture in pictures]

    @torch.inference_mode()
    def _read(self, picture: Image.Image) -> Levels:
        device = self.model.clip.visual.conv1.weight.device
        key = picture_key(picture, self._key) if self.cache else ""
        kept = self.cache.tensors(key) if self.cache else None
        if kept:
            return tuple(kept[f"context.{index}"].to(device) for index in range(len(kept)))
        pixels = to_pixels(picture, self.model.config, self.size)[None].to(device)
        levels = tuple(level[0] for level in context_tokens(self.model, pixels))
        if self.cache:
            self.cache.keep(key, {f"context.{index}": level for index, level in enumerate(levels)})
        return levels
