"""Pixels of one category gathered image by image: exactly, or in a fixed number of bins."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from detector.metrics.ranking import Ordered, Ranking, order
from detector.metrics.regions import region_weights

BINS = 2**16
"""Resolution of binned pixel metrics over scores in [0, 1]."""

EXACT_PIXELS = 2**27
"""Pixels of one category (500 maps of 518 x 518, 0.5 GB) up to which pixel metrics are exact; beyond, binned."""


class Histogram(NamedTuple):
    """Pixels of one or many maps counted by score; adding two histograms joins their images."""

    negatives: Float[np.ndarray, " bins"]
    positives: Float[np.ndarray, " bins"]
    overlaps: Float[np.ndarray, " bins"]
    """Positives weighted by one over the area of their region; the sum is the number of regions."""


def rank_pixels(pairs: Iterable[tuple[Float[np.ndarray, "_ _"], Bool[np.ndarray, "_ _"]]]) -> Ranking:
    """Rank every pixel of every (anomaly map, mask) pair, exactly.

    The negatives, nearly all pixels, are sorted as bare values; only the positives carry weights.
    """
    negatives, positives, weights, regions = [], [], [], 0
    for scores, mask in pairs:
        negatives.append(scores[~mask])
        if mask.any():
            weighed = region_weights(mask)
            positives.append(scores[mask])
            weights.append(weighed.weights)
            regions += weighed.regions
    background = order(_join(negatives))
    foreground = order(_join(positives), _join(weights) / max(regions, 1))
    counts = np.arange(len(foreground.values) + 1, dtype=np.float64)
    return Ranking(background, Ordered(foreground.values, counts), foreground, _extent(background, foreground))


def count_pixels(
    scores: Float[np.ndarray, "height width"], mask: Bool[np.ndarray, "height width"], bins: int = BINS
) -> Histogram:
    """Count one map's pixels in `bins` equal bins over [0, 1]; scores outside count in the first or last bin."""
    places = np.clip(scores * bins, 0, bins - 1).astype(np.int64)
    inside = places[mask]
    return Histogram(
        np.bincount(places[~mask], minlength=bins).astype(np.float64),
        np.bincount(inside, minlength=bins).astype(np.float64),
        np.bincount(inside, region_weights(mask).weights, minlength=bins).astype(np.float64),
    )


def add(first: Histogram, second: Histogram) -> Histogram:
    """The histogram of both sets of images."""
    return Histogram(*(a + b for a, b in zip(first, second, strict=True)))


def create_histogram(bins: int = BINS) -> Histogram:
    """The histogram of no image."""
    return Histogram(np.zeros(bins), np.zeros(bins), np.zeros(bins))


def fold(histogram: Histogram, bins: int) -> Histogram:
    """The same pixels in fewer bins; `bins` must divide the present number."""
    return Histogram(*(counts.reshape(bins, -1).sum(axis=1) for counts in histogram))


def rank_histogram(histogram: Histogram) -> Ranking:
    """Rank binned pixels: pixels of one bin are tied."""
    regions = histogram.overlaps.sum()
    overlaps = histogram.overlaps / regions if regions else histogram.overlaps
    negatives, positives = _ordered(histogram.negatives), _ordered(histogram.positives)
    weights = _ordered(overlaps, histogram.positives > 0)
    return Ranking(negatives, positives, weights, _extent(negatives, positives))


def _ordered(counts: Float[np.ndarray, " bins"], used: Bool[np.ndarray, " bins"] | None = None) -> Ordered:
    """Bin centres that hold something, with their weights."""
    places = np.flatnonzero(counts if used is None else used)
    centres = (places + 0.5) / len(counts)
    return Ordered(centres, np.concatenate(([0.0], np.cumsum(counts[places]))))


def _join(parts: list[Float[np.ndarray, " _"]]) -> Float[np.ndarray, " total"]:
    return np.concatenate(parts) if parts else np.zeros(0)


def _extent(*groups: Ordered) -> tuple[float, float]:
    """Lowest and highest value of all groups."""
    filled = [group.values for group in groups if len(group.values)]
    if not filled:
        return (0.0, 0.0)
    return (min(float(values[0]) for values in filled), max(float(values[-1]) for values in filled))
