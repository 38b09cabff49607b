"""Error bars: the bootstrap over images, the same draws for everything that is compared."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.metrics.draws import Weightings, metrics_of_draws
from detector.metrics.pixels import Histogram

LEVEL = 0.95
"""Share of the draws that an interval holds."""

COARSE_BINS = 2**12
"""Bins, at most, of the histograms that are drawn from; point values use 2^16."""

BLOCK = 64
"""Images whose histograms are in memory at once."""

Interval = tuple[float, float]
Draws = NDArray[np.int64]
"""[draws, images]: how often each image is in each draw."""


class Groups(NamedTuple):
    """Neighbouring bins drawn as one."""

    of: NDArray[np.int64]
    """[bins]: the group of each bin."""
    at: NDArray[np.int64]
    """[groups]: the bin that stands for each group."""

    @property
    def centres(self) -> NDArray[np.float64]:
        """[groups]: the score that stands for each group, the centre of its bin."""
        return (self.at + 0.5) / max(1, len(self.of))


def group_bins(pooled: Histogram, most: int = COARSE_BINS) -> Groups:
    """Groups for a histogram of all images: one a filled bin, or at most `most` where more are filled.

    These then share negatives, positives and filled bins evenly, so that maps whose values lie close together keep
    their order, and few values far from all others their place.
    """
    present = pooled.negatives + pooled.positives > 0
    filled = np.flatnonzero(present)
    number = np.arange(len(filled))
    if len(filled) > most:
        weight = sum(side / max(side.sum(), 1) for side in (pooled.negatives, pooled.positives, present))
        before = np.concatenate(([0.0], np.cumsum(weight[filled])[:-1]))
        number = np.unique((before * most / 3).astype(np.int64), return_inverse=True)[1]
    of = np.zeros(len(present), dtype=np.int64)
    of[filled] = number
    ends = np.searchsorted(number, np.arange(number[-1] + 1), side="right") - 1 if len(number) else number
    starts = np.concatenate(([0], ends[:-1] + 1))[: len(ends)]
    return Groups(of, (filled[starts] + filled[ends]) // 2)


def draw_images(labels: NDArray[np.bool_], draws: int, seed: int | tuple[int, ...] = 0) -> Draws:
    """Draw good and defective images separately, with replacement, so that every draw has both."""
    generator = np.random.default_rng(seed)
    times = np.zeros((draws, len(labels)), dtype=np.int64)
    for side in (np.flatnonzero(~labels), np.flatnonzero(labels)):
        if len(side):
            times[:, side] = generator.multinomial(len(side), np.full(len(side), 1 / len(side)), size=draws)
    return times


def over_images(
    scores: NDArray[np.float64], labels: NDArray[np.bool_], draws: Draws, names: Sequence[str]
) -> NDArray[np.float64]:
    """Metrics [draws, names] of image scores in every draw; NaN where one does not exist."""
    order = np.argsort(scores, kind="stable")
    distinct, starts = np.unique(scores[order], return_index=True)
    sides = []
    for side in (~labels, labels):
        times = np.where(side, draws, 0)[:, order].astype(np.float64)
        sides.append(np.add.reduceat(times, starts, axis=1) if len(starts) else times)
    return metrics_of_draws(Weightings(distinct, *sides), names)


def over_pixels(
    images: Iterable[Histogram | None], groups: Groups, draws: Draws, names: Sequence[str]
) -> NDArray[np.float64] | None:
    """Metrics [draws, names] of the pixels of every draw; None where no image has a mask.

    Images are added up a block at a time, so that memory does not grow with their number.

    Args:
        images: one histogram of `groups` per image.
        groups: bins drawn as one.
        draws: how often each image is in each draw.
        names: of pixel metrics.
    """
    totals: list[NDArray[np.float64]] | None = None
    numbered = ((index, histogram) for index, histogram in enumerate(images) if histogram is not None)
    while block := list(islice(numbered, BLOCK)):
        times = draws[:, [index for index, _ in block]].astype(np.float64)
        drawn = [times @ np.stack([histogram[side] for _, histogram in block]) for side in range(3)]
        totals = drawn if totals is None else [total + more for total, more in zip(totals, drawn, strict=True)]
    if totals is None:
        return None
    return metrics_of_draws(Weightings(groups.centres, *totals), names)


def interval(values: NDArray[np.float64], level: float = LEVEL) -> Interval | None:
    """The middle `level` of the draws; None where no draw has a value."""
    present = values[~np.isnan(values)]
    if not len(present):
        return None
    low, high = np.quantile(present, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def excludes_zero(bounds: Interval | None) -> bool:
    """Whether all of an interval lies on one side of zero."""
    return bounds is not None and (bounds[0] > 0 or bounds[1] < 0)
