"""The metrics, each a few lines over the curve of `ranking.trace`."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from detector.metrics.ranking import Curve, Ranking

FPR_LIMIT = 0.3
"""False positive rate up to which AUPRO integrates (Bergmann et al., MVTec AD)."""

LEGACY_STEPS = 200
"""Thresholds of `aupro_legacy`, the approximation most published tables were made with."""


def auroc(curve: Curve) -> float:
    """Area under the ROC curve: how often a positive outranks a negative, ties counting half."""
    beaten = curve.negatives - (curve.alarms_before + curve.alarms) / 2
    return float(np.sum(_gains(curve.hits) * beaten) / (curve.positives * curve.negatives))


def average_precision(curve: Curve) -> float:
    """Precision averaged over recall, as steps (not trapezoids)."""
    precision = curve.hits / (curve.hits + curve.alarms)
    return float(np.sum(_gains(curve.hits) * precision) / curve.positives)


def f1_max(curve: Curve) -> float:
    """The best F1 any threshold reaches."""
    return float(np.max(2 * curve.hits / (curve.positives + curve.hits + curve.alarms)))


class Line(NamedTuple):
    """Points of a curve in order."""

    x: Float[np.ndarray, " points"]
    y: Float[np.ndarray, " points"]


def roc_line(curve: Curve) -> Line:
    """False positive rate against true positive rate, from (0, 0) to (1, 1)."""
    return _staircase(curve, curve.hits / curve.positives)


def pro_line(curve: Curve) -> Line:
    """False positive rate against mean per-region overlap, from (0, 0) to (1, 1)."""
    if curve.overlap is None:
        raise ValueError("this curve was traced without regions")
    return _staircase(curve, curve.overlap)


def pr_line(curve: Curve) -> Line:
    """Recall against precision, by rising recall."""
    return Line(curve.hits / curve.positives, curve.hits / (curve.hits + curve.alarms))


def aupro(curve: Curve, limit: float = FPR_LIMIT) -> float:
    """Area under the PRO curve up to a false positive rate of `limit`, divided by `limit`.

    Exact: the curve is a polyline with a point at every distinct score, and the segment that crosses the limit is
    cut there by linear interpolation.
    """
    line = pro_line(curve)
    return area_until(line, limit) / limit


def area_until(line: Line, limit: float) -> float:
    """Area under a polyline from its first point to x = `limit`."""
    width = np.diff(line.x)
    taken = np.clip(limit - line.x[:-1], 0.0, width)
    slope = np.divide(np.diff(line.y), width, out=np.zeros_like(width), where=width > 0)
    return float(np.sum(taken * (line.y[:-1] + slope * taken / 2)))


def aupro_legacy(ranking: Ranking, limit: float = FPR_LIMIT) -> float | None:
    """AUPRO as commonly published: 200 evenly spaced thresholds, false positive rates below 0.3 stretched to [0, 1].

    Returns:
        The area, or None where fewer than two of the thresholds fall below the limit (nothing to integrate).
    """
    low, high = ranking.extent
    if ranking.overlaps is None or not high > low:
        return None
    thresholds = np.arange(low, high, (high - low) / LEGACY_STEPS)
    negatives = ranking.negatives.total
    rate = (negatives - ranking.negatives.below(thresholds, inclusive=True)) / negatives
    overlap = ranking.overlaps.total - ranking.overlaps.below(thresholds, inclusive=True)
    below = rate < limit
    rate, overlap = rate[below], overlap[below]
    if len(rate) < 2 or rate.max() == rate.min():
        return None
    rate = (rate - rate.min()) / (rate.max() - rate.min())
    return float(abs(np.trapezoid(overlap, rate)))


def _gains(cumulative: Float[np.ndarray, " steps"]) -> Float[np.ndarray, " steps"]:
    """What each step adds to a cumulative count."""
    return np.diff(cumulative, prepend=0.0)


def _staircase(curve: Curve, height: Float[np.ndarray, " steps"]) -> Line:
    """Two points a step, so that false positives between two positives make a flat piece and ties a slanted one."""
    before = np.concatenate(([0.0], height[:-1]))
    x = np.stack([curve.alarms_before, curve.alarms], axis=1).ravel() / curve.negatives
    y = np.stack([before, height], axis=1).ravel()
    return Line(np.concatenate(([0.0], x, [1.0])), np.concatenate(([0.0], y, [1.0])))
