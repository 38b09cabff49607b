"""Nearest patches between every two photos of a set, computed once and kept: whatever is tried next costs seconds.

For photo a, photo b, level l and patch p of a: how far the nearest patch of b is (one minus the cosine), and which.
References drawn in any way, spreads, neighbours that agree and scores among each other all follow from these numbers.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.context_data import Tokens
from detector.context.distances import SPREAD, nearest_with_index


class Pairs(NamedTuple):
    """Of photos with others."""

    far: NDArray[np.float16]
    """[photos, others, levels, patches]; infinite where a photo meets itself."""
    index: NDArray[np.int16]
    """Which patch of the other."""

    def beside(self, others: Sequence[int]) -> "Pairs":
        """With some of the others only."""
        return Pairs(self.far[:, others], self.index[:, others])


def pairs(tokens: Tokens, photos: Sequence[Path], others: Sequence[Path], kept: Path | None = None) -> Pairs:
    """Compare, or read what an earlier run kept in a file."""
    if kept is not None and kept.is_file():
        with np.load(kept) as stored:
            return Pairs(stored["far"], stored["index"])
    far, index = [], []
    compared = tokens.all(others)
    for path in photos:
        photo = tokens(path)
        met = [[nearest_with_index(a, b) for a, b in zip(photo, other, strict=True)] for other in compared]
        own = np.array([other == path for other in others])
        values = np.array([[far.numpy() for far, _ in levels] for levels in met])
        values[own] = np.inf
        far.append(values.astype(np.float16))
        index.append(np.array([[at.numpy() for _, at in levels] for levels in met], np.int16))
    made = Pairs(np.stack(far), np.stack(index))
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, far=made.far, index=made.index)
    return made


def plain(each: Pairs) -> NDArray[np.float64]:
    """[photos, patches]: distance to the nearest patch of any other photo, mean of the levels."""
    values: NDArray[np.float64] = each.far.min(1).mean(1, dtype=np.float64)
    return values


def spread_taken_off(each: Pairs, among: Pairs, share: float = SPREAD) -> NDArray[np.float64]:
    """As `detector.context` scores: what the nearest patch itself varies by among the references is taken off.

    Args:
        each: photos with the references.
        among: the references with each other.
        share: of the spread.
    """
    if among.far.shape[1] < 2:
        return plain(each)
    spread = among.far.min(1).astype(np.float32)  # [references, levels, patches]
    at = each.index.astype(np.int64)
    taken = np.take_along_axis(np.broadcast_to(spread, at.shape), at, axis=-1)
    values: NDArray[np.float64] = (each.far.astype(np.float32) - share * taken).min(1).mean(1, dtype=np.float64)
    return values


def lowest(each: Pairs, fraction: float) -> NDArray[np.float64]:
    """[photos, patches]: mean of the smallest share of the distances to other photos, at least one (MuSc)."""
    finite = np.isfinite(each.far[:, :, 0, 0]).sum(1).min()
    keep = max(1, int(np.ceil(fraction * finite)))
    smallest = np.partition(each.far, keep - 1, axis=1)[:, :keep]
    values: NDArray[np.float64] = smallest.mean((1, 2), dtype=np.float64)
    return values


def agreeing(
    each: Pairs, tokens: Tokens, photos: Sequence[Path], others: Sequence[Path], level: int
) -> NDArray[np.float64]:
    """Mean distance to neighbours that agree, after ANoCo.

    Of every reference the nearest patch counts only where it is more like the best of them than the photo's own patch.
    """
    stack = torch.stack([tokens(other)[level] for other in others])
    maps = []
    for row in range(len(photos)):
        far = torch.from_numpy(each.far[row, :, level].astype(np.float32))  # [others, patches]
        at = torch.from_numpy(each.index[row, :, level].astype(np.int64))
        best = far.argmin(0)
        near = torch.stack([stack[j][at[j]] for j in range(len(others))])  # [others, patches, width]
        centre = near[best, torch.arange(far.shape[1])]
        likeness = (near * centre).sum(-1)
        agrees = likeness > 1 - far.amin(0)
        agrees[best, torch.arange(far.shape[1])] = True
        maps.append(((far.clamp_max(2) * agrees).sum(0) / agrees.sum(0)).numpy().astype(np.float64))
    return np.stack(maps)
