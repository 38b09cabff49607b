"""Pillow's bicubic resize as products of matrices, so that an exported file sees the bytes that `detect` sees."""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor, nn

from detector.model.config import ModelConfig

PLACES = 2.0**22
"""What Pillow multiplies the weights of a resize with before it makes them integers."""


class Pixels(nn.Module):
    """Bytes of any size to the model's normalised square, as Pillow's bicubic resize does it.

    Pillow resizes along one axis, then along the other, with a kernel as wide as the reduction asks for, in integers of
    22 binary places, and rounds to bytes after each pass. Both passes are products with a matrix of such integers here,
    exact in double precision, so that every byte is Pillow's whatever resize a runtime has.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.size, self.down_first = config.image_size, pillow_goes_down_first()
        self.register_buffer("mean", torch.tensor(config.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(config.std)[:, None, None])

    def forward(self, image: UInt8[Tensor, "batch height width 3"]) -> Float[Tensor, "batch 3 size size"]:
        """Resized, in unit range, normalised."""
        channels = image.permute(0, 3, 1, 2).double()
        row, column = (torch.ones_like(line) for line in (channels[0, 0, 0], channels[0, 0, :, 0]))
        across, down = _bicubic(row, self.size).T, _bicubic(column, self.size)
        if not self.down_first:
            square = _across_first(channels, across, down)
        else:
            height, width = column.sum(), row.sum()
            tall = (height > self.size) & (2 * width < height + self.size)
            square = torch.cond(tall, _down_first, _across_first, (channels, across, down))
        return (square.float() / 255 - self.mean) / self.std


def pillow_goes_down_first() -> bool:
    """Whether the Pillow that is installed resizes tall pictures along their height first, as Pillow 13 does.

    Its rule: the height is reduced, and twice the width is less than height and target together.
    """
    noise = np.random.default_rng(0).integers(0, 2, (16, 8, 3), dtype=np.uint8) * 255
    picture, how = Image.fromarray(noise), Image.Resampling.BICUBIC
    return picture.resize((9, 9), how).tobytes() == picture.resize((8, 9), how).resize((9, 9), how).tobytes()


def _across_first(channels: Tensor, across: Tensor, down: Tensor) -> Tensor:
    return _bytes(down @ _bytes(channels @ across))


def _down_first(channels: Tensor, across: Tensor, down: Tensor) -> Tensor:
    return _bytes(_bytes(down @ channels) @ across)


def _bytes(sums: Tensor) -> Tensor:
    return (sums / PLACES + 0.5).floor().clamp(0, 255)


def _bicubic(ones: Float[Tensor, " length"], size: int) -> Float[Tensor, "size length"]:
    """Weights of every pixel of a line in each of `size` pixels (Pillow's `precompute_coeffs`, a = -0.5)."""
    places = ones.cumsum(0) - 1
    scale = (places[-1:] + 1) / size
    centers = (torch.arange(size, dtype=torch.float64) + 0.5) * scale
    away = ((places[None] - centers[:, None] + 0.5) * (1 / scale.clamp(min=1))).abs()
    near = (1.5 * away - 2.5) * away * away + 1
    far = (((away - 5) * away + 8) * away - 4) * -0.5
    weights = torch.where(away < 1, near, torch.where(away < 2, far, torch.zeros_like(away)))
    exact = weights * (1 / weights.sum(1, keepdim=True)) * PLACES
    return torch.where(exact < 0, (exact - 0.5).ceil(), (exact + 0.5).floor())
