"""References scored against each other: how far every token lies from the other references, and every photo's map.

Both need the nearest token of every other reference. Where they fit in memory they are kept, so that one product of two
photos serves both photos and both steps; otherwise every product is made when it is needed.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detector.context.distances import (
    BLOCK,
    SPREAD,
    both_ways_with_index,
    nearest,
    reference_distances,
)
from detector.context.tokens import Levels

PAIRS_KEPT = 64
"""References up to which the nearest token in every other is kept: 26 MB a level for 64 photos of 784 patches."""


def leave_one_out(
    tokens: Sequence[Levels],
    own: Sequence[Levels],
    device: torch.device | str = "cpu",
    *,
    most: int = PAIRS_KEPT,
    block: int = BLOCK,
) -> tuple[list[Levels], NDArray[np.float32]]:
    """Spreads and maps of references.

    Args:
        tokens: of each reference, at least two, on the CPU; turned or reduced to a core set where the bank is.
        own: tokens of each as the photo lies, whole.
        device: where products are made.
        most: references up to which pairs are kept; the result does not depend on it.
        block: see `distances.nearest`.

    Returns:
        Of every token its distance to the other references (half precision), and the distances [references, patches]
        of every photo to the others.
    """
    whole = all(len(kept[0]) == len(photo[0]) for kept, photo in zip(tokens, own, strict=True))
    even = len({len(level) for photo in tokens for level in photo}) == 1  # a core set keeps as many here and there
    if whole and even and len(tokens) <= most:
        return _in_one_pass(tokens, device, block)
    return _in_two_passes(tokens, own, device, block)


def _in_one_pass(
    tokens: Sequence[Levels], device: torch.device | str, block: int
) -> tuple[list[Levels], NDArray[np.float32]]:
    spreads, maps = [], []
    for level in zip(*tokens, strict=True):
        far, index = _pairs([photo.float().to(device) for photo in level], block)
        spread = far.amin(1).half()
        spreads.append(spread.cpu())
        reduced = [
            far[i] - SPREAD * spread.float().gather(1, index[i].long())  # what the nearest token's own photo varies by
            for i in range(len(level))
        ]
        maps.append(torch.stack([values.amin(0) for values in reduced]))
    return list(zip(*spreads, strict=True)), torch.stack(maps).mean(0).cpu().numpy()


def _pairs(photos: Sequence[Tensor], block: int) -> tuple[Tensor, Tensor]:
    """[photo, other, patch]: distance to the nearest token of the other, infinite for itself, and which token it is."""
    count, patches = len(photos), len(photos[0])
    far = photos[0].new_full((count, count, patches), torch.inf)
    index = torch.zeros((count, count, patches), dtype=torch.int32, device=far.device)
    for i in range(count):
        for j in range(i + 1, count):
            there, back = both_ways_with_index(photos[i], photos[j], block)
            far[i, j], index[i, j] = there
            far[j, i], index[j, i] = back
    return far, index


def _in_two_passes(
    tokens: Sequence[Levels], own: Sequence[Levels], device: torch.device | str, block: int
) -> tuple[list[Levels], NDArray[np.float32]]:
    spreads, maps = [], []
    for index, photo in enumerate(tokens):
        far = []
        for at, level in enumerate(photo):
            here = level.float().to(device)
            others = (other[at].float().to(device) for other in _but(tokens, index))
            far.append(torch.stack([nearest(here, other, block) for other in others]).amin(0))
        spreads.append(tuple(level.half().cpu() for level in far))
    for index, photo in enumerate(own):
        floats = tuple(level.float().to(device) for level in photo)
        values = reference_distances(floats, _but(tokens, index), _but(spreads, index), block)
        maps.append(values.cpu().numpy())
    return spreads, np.stack(maps)


def _but(values: Sequence[Levels], index: int) -> list[Levels]:
    return [each for other, each in enumerate(values) if other != index]
