"""Training losses of FiLo (section 3.5), on probabilities as the maps hold them."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

ProbabilityMaps = Float[Tensor, "batch 2 height width"]
Mask = Float[Tensor, "batch height width"]

FOCUS = 2.0
"""Exponent that turns attention away from easy pixels."""
CLAMP = 1e-5
"""Label smoothing of the one-hot target, also added inside the logarithm."""
TEMPERATURE = 0.07
"""Sharpness of the image classification that trains the adapter."""


def focal(maps: ProbabilityMaps, mask: Mask) -> Float[Tensor, ""]:
    """Focal loss (Lin et al. 2017), averaged over pixels; channel 1 of `maps` is right where `mask` is 1."""
    target = torch.stack([1 - mask, mask], dim=1).clamp(CLAMP, 1 - CLAMP)
    probability = (target * maps).sum(1) + CLAMP
    return -((1 - probability) ** FOCUS * probability.log()).mean()


def dice(probabilities: Mask, mask: Mask, *, rowwise: bool = False) -> Float[Tensor, ""]:
    """Dice loss with smoothing 1, a mean over images, or over image rows as the released training has it.

    Args:
        probabilities: of one channel.
        mask: 1 where that channel is right.
        rowwise: take every row of every image for an image of its own (variant `released`).
    """
    axes = (-1,) if rowwise else (-2, -1)
    overlap = (probabilities * mask).sum(axes)
    return (1 - (2 * overlap + 1) / (probabilities.sum(axes) + mask.sum(axes) + 1)).mean()


def segmentation_terms(
    maps: tuple[ProbabilityMaps, ...], mask: Mask, *, rowwise: bool = False
) -> dict[str, Float[Tensor, ""]]:
    """Main stage: focal loss and the Dice losses of both channels, each summed over all maps; their sum is minimised.

    Args:
        maps: of every decoder and level.
        mask: 1 where anomalous.
        rowwise: as of `dice`.
    """
    return {
        "focal": torch.stack([focal(level, mask) for level in maps]).sum(),
        "dice_abnormal": torch.stack([dice(level[:, 1], mask, rowwise=rowwise) for level in maps]).sum(),
        "dice_normal": torch.stack([dice(level[:, 0], 1 - mask, rowwise=rowwise) for level in maps]).sum(),
    }


def adapter_loss(similarity: Float[Tensor, "batch 2"], label: Int[Tensor, " batch"]) -> Float[Tensor, ""]:
    """Adapter stage: cross-entropy of image against label (1 is abnormal), from `FiLo.similarity`."""
    return F.cross_entropy(similarity / TEMPERATURE, label)
