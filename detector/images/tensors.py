"""From PIL images to what the model reads."""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from detector.images.load import as_rgb, mask_at
from detector.model.config import ModelConfig


def to_pixels(image: Image.Image, config: ModelConfig, size: int | None = None) -> Float[Tensor, "3 size size"]:
    """Convert to RGB, resize straight to a square (bicubic, aspect not kept), normalise.

    Args:
        image: any mode.
        config: of the model.
        size: side in pixels; the model's image size by default.
    """
    side = size or config.image_size
    resized = as_rgb(image).resize((side, side), Image.Resampling.BICUBIC)
    unit = torch.from_numpy(np.array(resized)).permute(2, 0, 1).float() / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (config.mean, config.std))
    return (unit - mean) / std


def to_mask(mask: Image.Image, size: int) -> UInt8[Tensor, "size size"]:
    """As `images.mask_at`, with 1 on the defect."""
    return torch.from_numpy(mask_at(mask, size).astype(np.uint8))
