"""The metrics of many weightings of the same scores at once, which is what a bootstrap asks for a thousand times.

Row by row the same numbers as `compute.image_metrics` and `compute.pixel_metrics_binned`, to rounding; a loop over
those spends most of its time on empty steps.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from detector.metrics.values import FPR_LIMIT, LEGACY_STEPS

CELLS = 2**18
"""Draws times scores that are worked on at once: arrays of 2 MB stay in the processor's caches."""

Rows = Float[np.ndarray, "draws scores"]
Column = Float[np.ndarray, " draws"]


class Weightings(NamedTuple):
    """How much weight each distinct score carries in each draw."""

    scores: Float[np.ndarray, " scores"]
    """Distinct, rising."""
    negatives: Rows
    positives: Rows
    overlaps: Rows | None = None
    """Positives weighted by one over the area of their region; None for image scores."""


class _Falling(NamedTuple):
    """Counts at a threshold that falls from the highest score to the lowest, in every draw."""

    scores: Float[np.ndarray, " scores"]
    gains: Rows
    """Positives that score exactly the threshold."""
    hits: Rows
    """Positives at or above the threshold."""
    alarms: Rows
    """Negatives at or above the threshold."""
    mixed: Rows
    """Negatives that score exactly the threshold."""
    overlap: Rows | None
    """Mean over regions of the part at or above the threshold."""

    @property
    def positives(self) -> Float[np.ndarray, "draws 1"]:
        return self.hits[:, -1:]

    @property
    def negatives(self) -> Float[np.ndarray, "draws 1"]:
        return self.alarms[:, -1:]


def metrics_of_draws(weightings: Weightings, names: Sequence[str]) -> Float[np.ndarray, "draws names"]:
    """Metrics by draw; NaN where one does not exist.

    Args:
        weightings: of the same scores.
        names: of `compute.METRICS`; those of pixels and of images are computed alike.
    """
    scores, draws = weightings.scores, len(weightings.negatives)
    if not len(scores):
        return np.full((draws, len(names)), np.nan)
    step = max(1, CELLS // len(scores))
    parts = []
    for start in range(0, draws, step):
        falling = _fall(weightings, slice(start, start + step))
        with np.errstate(divide="ignore", invalid="ignore"):  # draws without positives or negatives are NaN below
            values = np.stack([_METRICS[name.removeprefix("image_").removeprefix("pixel_")](falling) for name in names])
        exists = (falling.positives > 0) & (falling.negatives > 0)
        parts.append(np.where(exists, values.T, np.nan))
    return np.concatenate(parts)


def _fall(weightings: Weightings, draws: slice) -> _Falling:
    gains, mixed = weightings.positives[draws, ::-1], weightings.negatives[draws, ::-1]
    overlap = None
    if weightings.overlaps is not None:
        overlap = np.cumsum(weightings.overlaps[draws, ::-1], axis=1)
        overlap = overlap / np.where(overlap[:, -1:] > 0, overlap[:, -1:], 1)
    return _Falling(weightings.scores[::-1], gains, np.cumsum(gains, axis=1), np.cumsum(mixed, axis=1), mixed, overlap)


def _auroc(at: _Falling) -> Column:
    beaten = at.negatives - at.alarms + at.mixed / 2
    area: Column = (at.gains * beaten).sum(1) / (at.positives * at.negatives)[:, 0]
    return area


def _average_precision(at: _Falling) -> Column:
    called = at.hits + at.alarms
    precision = np.divide(at.hits, called, out=np.zeros_like(called), where=called > 0)
    area: Column = (at.gains * precision).sum(1) / at.positives[:, 0]
    return area


def _f1_max(at: _Falling) -> Column:
    best: Column = (2 * at.hits / (at.positives + at.hits + at.alarms)).max(1)
    return best


def _aupro(at: _Falling) -> Column:
    """As `values.aupro`: between two scores the curve is straight, and the limit cuts the segment it falls into."""
    assert at.overlap is not None
    width = at.mixed / at.negatives
    taken = np.clip(FPR_LIMIT - (at.alarms - at.mixed) / at.negatives, 0, width)
    rise = np.diff(at.overlap, prepend=0.0, axis=1)
    slope = np.divide(rise, width, out=np.zeros_like(width), where=width > 0)
    area: Column = (taken * (at.overlap - rise + slope * taken / 2)).sum(1) / FPR_LIMIT
    return area


def _aupro_legacy(at: _Falling) -> Column:
    """As `values.aupro_legacy`; its thresholds are evenly spaced over the scores that carry weight in the draw."""
    assert at.overlap is not None
    filled = at.gains + at.mixed > 0
    high = at.scores[filled.argmax(1)][:, None]
    low = at.scores[::-1][filled[:, ::-1].argmax(1)][:, None]
    step = (low + (high - low) / LEGACY_STEPS) - low  # as `numpy.arange` rounds it
    number = np.arange(LEGACY_STEPS + 1)
    thresholds = low + number * step
    above = len(at.scores) - np.searchsorted(at.scores[::-1], thresholds, side="right")
    rate = _before(at.alarms, above) / at.negatives
    overlap = _before(at.overlap, above)
    counts = np.ceil((high - low) / np.where(high > low, (high - low) / LEGACY_STEPS, 1))
    below = (rate < FPR_LIMIT) & (number < counts)
    lowest = np.where(below, rate, np.inf).min(1, keepdims=True)
    highest = np.where(below, rate, -np.inf).max(1, keepdims=True)
    stretched = (rate - lowest) / (highest - lowest)
    pairs = below[:, 1:] & below[:, :-1]
    pieces = (stretched[:, :-1] - stretched[:, 1:]) * (overlap[:, :-1] + overlap[:, 1:]) / 2
    area: Column = np.abs(np.where(pairs, pieces, 0).sum(1))
    return np.where((below.sum(1) >= 2) & (highest > lowest)[:, 0], area, np.nan)


def _before(cumulative: Rows, count: np.ndarray) -> Float[np.ndarray, "draws thresholds"]:
    """The cumulative value after the first `count` scores of each draw."""
    padded = np.concatenate([np.zeros((len(cumulative), 1)), cumulative], axis=1)
    return np.take_along_axis(padded, count, axis=1)


_METRICS: dict[str, Callable[[_Falling], Column]] = {
    "auroc": _auroc,
    "ap": _average_precision,
    "f1max": _f1_max,
    "aupro": _aupro,
    "aupro_legacy": _aupro_legacy,
}
