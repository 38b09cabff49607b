"""From PIL images to what the model reads."""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from detector.images import as_rgb
from detector.model.config import ModelConfig


def to_pixels(image: Image.Image, config: ModelConfig) -> Float[Tensor, "3 size size"]:
    """Convert to RGB, resize straight to the model's square (bicubic, aspect not kept), normalise."""
    resized = as_rgb(image).resize((config.image_size, config.image_size), Image.Resampling.BICUBIC)
    unit = torch.from_numpy(np.array(resized)).permute(2, 0, 1).float() / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (config.mean, config.std))
    return (unit - mean) / std


def to_mask(mask: Image.Image, size: int) -> UInt8[Tensor, "size size"]:
    """Resize a ground-truth mask (bilinear) to a square; 1 where more than half a pixel is defect."""
    resized = mask.convert("L").resize((size, size), Image.Resampling.BILINEAR)
    return (torch.from_numpy(np.array(resized)).float() / 255 > 0.5).to(torch.uint8)
