"""Scores in order, with the counts below each: the one sort that every metric uses."""

from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Num


class Ordered(NamedTuple):
    """Values in rising order and the weight that has been passed after each."""

    values: Num[np.ndarray, " values"]
    passed: Num[np.ndarray, " passed"] | None
    """Weight of the first k values, for k = 0..len(values); None where every value weighs one."""

    @property
    def total(self) -> float:
        """Weight of all values."""
        return float(len(self.values) if self.passed is None else self.passed[-1])

    def below(self, thresholds: Num[np.ndarray, " n"], *, inclusive: bool = False) -> Float[np.ndarray, " n"]:
        """Weight of the values below (with `inclusive`: at or below) each threshold."""
        side: Literal["left", "right"] = "right" if inclusive else "left"
        return self.before(np.searchsorted(self.values, thresholds, side=side))

    def before(self, index: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Weight of the values in front of each place in the order."""
        return np.asarray(index if self.passed is None else self.passed[index], dtype=np.float64)


def order(values: Num[np.ndarray, " n"], weights: Num[np.ndarray, " n"] | None = None) -> Ordered:
    """Sort `values`, carrying `weights` along."""
    if weights is None:
        return Ordered(rising(values), None)
    rank = np.argsort(values, kind="stable")
    return Ordered(values[rank], np.concatenate(([0.0], np.cumsum(weights[rank], dtype=np.float64))))


def rising(values: Num[np.ndarray, " n"]) -> Num[np.ndarray, " n"]:
    """Sorted values.

    Floats of 32 bits that are not negative have the order of their bits, and PyTorch sorts integers by radix. NumPy
    compares, which on processors with slow AVX-512 stores takes half as long again.
    """
    if values.dtype != np.float32 or not len(values) or not values.min() >= 0:
        return np.sort(values)
    bits = torch.from_numpy(np.ascontiguousarray(values).view(np.int32))
    return torch.sort(bits).values.numpy().view(np.float32)


class Ranking(NamedTuple):
    """Scores of the negatives and of the positives, each in order.

    Pixels that score the same (or fall into the same bin) are tied: a threshold takes all of them or none.
    """

    negatives: Ordered
    positives: Ordered
    overlaps: Ordered | None = None
    """The same values as `positives`, weighted so that all of them together weigh one: the per-region overlap."""
    extent: tuple[float, float] = (0.0, 0.0)
    """Lowest and highest score of all."""


class Curve(NamedTuple):
    """Counts at every distinct score of a positive, from the highest down.

    Between two of these scores only false positives are added, which changes neither recall nor overlap; ROC,
    precision-recall and PRO curves are therefore fully given by these points.
    """

    thresholds: Num[np.ndarray, " steps"]
    hits: Float[np.ndarray, " steps"]
    """Positives at or above the threshold."""
    alarms_before: Float[np.ndarray, " steps"]
    """Negatives strictly above the threshold."""
    alarms: Float[np.ndarray, " steps"]
    """Negatives at or above the threshold."""
    overlap: Float[np.ndarray, " steps"] | None
    """Mean over regions of the part at or above the threshold."""
    positives: float
    negatives: float


def rank_labels(scores: Num[np.ndarray, " n"], labels: Bool[np.ndarray, " n"]) -> Ranking:
    """Rank one score per image."""
    low, high = (float(scores.min()), float(scores.max())) if len(scores) else (0.0, 0.0)
    return Ranking(order(scores[~labels]), order(scores[labels]), extent=(low, high))


def trace(ranking: Ranking) -> Curve:
    """The curve that a falling threshold draws through `ranking`."""
    positives, negatives = ranking.positives.total, ranking.negatives.total
    first = _distinct(ranking.positives.values)
    steps = ranking.positives.values[first]
    overlap = None
    if ranking.overlaps is not None and positives:
        overlap = ranking.overlaps.total - ranking.overlaps.before(first)
    return Curve(
        thresholds=steps,
        hits=positives - ranking.positives.before(first),
        alarms_before=negatives - ranking.negatives.below(steps, inclusive=True),
        alarms=negatives - ranking.negatives.below(steps),
        overlap=overlap,
        positives=positives,
        negatives=negatives,
    )


def _distinct(values: Num[np.ndarray, " n"]) -> Int[np.ndarray, " distinct"]:
    """Where each distinct value of rising `values` comes first, from the highest down."""
    changes = np.flatnonzero(values[1:] > values[:-1]) + 1
    return np.concatenate(([0], changes))[: len(values)][::-1]
