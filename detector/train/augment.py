"""Changes to a training picture, drawn from the stream of its (epoch, image): the same after any resume.

Pictures are `[3, height, width]` in [0, 1] before CLIP's normalisation, masks `[1, height, width]` of 0 and 1.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

TILES = 4
"""Pictures in a mosaic: two rows of two."""


class Picture(NamedTuple):
    """An image and where it is anomalous."""

    image: Float[Tensor, "3 height width"]
    mask: Float[Tensor, "1 height width"]


def flip(picture: Picture, rng: np.random.Generator) -> Picture:
    """Mirror left-right and up-down, each with probability one half, image and mask alike."""
    axes = [axis for axis, drawn in zip((-1, -2), rng.random(2) < 0.5, strict=True) if drawn]
    return Picture(picture.image.flip(axes), picture.mask.flip(axes)) if axes else picture


def photometric(picture: Picture, strength: float, rng: np.random.Generator) -> Picture:
    """Scale contrast about the mean, then brightness, each by a factor in `1 +- strength`; the mask stays."""
    contrast, brightness = 1 + strength * (2 * rng.random(2) - 1)
    mean = picture.image.mean()
    image = ((picture.image - mean) * float(contrast) + mean) * float(brightness)
    return picture._replace(image=image.clamp(0, 1))


def mosaic(pictures: Sequence[Picture]) -> Picture:
    """Four pictures of one size in two rows of two, shrunk to the size of one (spec B.1, item 13).

    Args:
        pictures: top left, top right, bottom left, bottom right.
    """
    size = pictures[0].image.shape[-2:]
    image, mask = (_two_by_two(list(parts)) for parts in zip(*pictures, strict=True))
    image = F.interpolate(image[None], size, mode="bilinear", antialias=True, align_corners=False)[0]
    mask = F.interpolate(mask[None], size, mode="bilinear", antialias=True, align_corners=False)[0]
    return Picture(image, (mask > 0.5).to(mask.dtype))


def _two_by_two(parts: list[Tensor]) -> Tensor:
    return torch.cat([torch.cat(parts[:2], dim=-1), torch.cat(parts[2:], dim=-1)], dim=-2)
