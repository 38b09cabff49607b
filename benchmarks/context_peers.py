"""What others published, as straightforward code on the same tokens of the same photos at the same size.

AnomalyDINO (WACV 2025): the last level, one minus the cosine with the nearest patch of any reference, mean of the
highest 1 %. PatchCore (CVPR 2022): levels side by side after a mean over 3 x 3 neighbours, Euclidean distance to the
nearest of a core set of a tenth, image score re-weighted by the neighbourhood in the core set (equation 7).
MuSc (ICLR 2024): 1 x 1, 3 x 3 and 5 x 5 neighbourhoods, Euclidean distances, mean over the nearest 30 % of the other
photos, highest patch, then RsCIN. Its class tokens are replaced by the mean of a photo's tokens, since these banks hold
no class token.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detector.context.calibration import top_mean
from detector.context.distances import core_set, nearest, neighbourhood
from detector.context.tokens import Levels

Scored = tuple[list[float], list[NDArray[np.floating]]]
"""Scores and maps of the photos."""


def anomaly_dino(photos: Sequence[Levels], references: Sequence[Levels]) -> Scored:
    """Photos beside references."""
    bank = torch.cat([each[-1] for each in references])
    maps = [nearest(each[-1], bank).numpy() for each in photos]
    return [top_mean(each) for each in maps], maps


def patch_core(
    photos: Sequence[Levels], references: Sequence[Levels], grid: tuple[int, int], share: float = 0.1, around: int = 9
) -> Scored:
    """Photos beside a core set of the references."""
    whole = torch.cat([_locally_aware(each, grid) for each in references])
    bank = whole[core_set(whole, max(around, math.ceil(share * len(whole))))]
    scores, maps = [], []
    for photo in photos:
        far, index = torch.cdist(_locally_aware(photo, grid), bank).min(1)
        worst = int(far.argmax())
        centre = bank[index[worst]]
        support = torch.cdist(centre[None], bank)[0].topk(min(around, len(bank)), largest=False).indices
        patch = _locally_aware(photo, grid)[worst]
        weight = 1 - torch.softmax(torch.cdist(patch[None], bank[support])[0], 0)[0]
        scores.append(float(weight * far[worst]))
        maps.append(far.numpy())
    return scores, maps


def _locally_aware(photo: Levels, grid: tuple[int, int]) -> Tensor:
    return torch.cat([neighbourhood(level, grid, 3) for level in photo], 1)


def musc(photos: Sequence[Levels], grid: tuple[int, int], fraction: float = 0.3) -> Scored:
    """Photos among each other, all with all."""
    maps: list[Tensor] = [torch.zeros(len(photos[0][0])) for _ in photos]
    degrees = (1, 3, 5)
    for level in range(len(photos[0])):
        for degree in degrees:
            tokens = [neighbourhood(each[level], grid, degree) for each in photos]
            for index, one in enumerate(tokens):
                far = torch.stack([_euclidean(one, other) for at, other in enumerate(tokens) if at != index])
                keep = max(1, math.ceil(fraction * len(far)))
                maps[index] += far.topk(keep, dim=0, largest=False).values.mean(0)
    arrays = [each.numpy() / (len(degrees) * len(photos[0])) for each in maps]
    raw = np.array([each.max() for each in arrays])
    return _rescored(raw, torch.stack([each[-1].mean(0) for each in photos])).tolist(), arrays


def _euclidean(tokens: Tensor, others: Tensor) -> Tensor:
    """Between tokens of unit length."""
    return (2 * nearest(tokens, others)).clamp_min(0).sqrt()


def _rescored(
    scores: NDArray[np.float64], photos: Tensor, neighbours: Sequence[int] = (1, 2, 3)
) -> NDArray[np.float64]:
    """RsCIN: scores smoothed over the photos that look most alike."""
    scaled = torch.from_numpy((scores.astype(np.float64) - scores.min()) / max(float(np.ptp(scores)), 1e-12))
    unit = torch.nn.functional.normalize(photos, dim=-1).double()
    likeness = unit @ unit.T
    smoothed = []
    for count in neighbours:
        values, at = likeness.topk(min(count, len(scores)), dim=1)
        weights = torch.zeros_like(likeness).scatter_(1, at, values)
        smoothed.append(weights / weights.sum(1, keepdim=True) @ scaled)
    rescored: NDArray[np.float64] = torch.stack(smoothed).mean(0).numpy()
    return rescored
