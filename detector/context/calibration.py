"""The scale of a good photo, and thresholds that references alone can promise.

DetectorError
+-- FalseAlarmError     a false-alarm rate that so few good photos cannot promise
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import ndimage

from detector.errors import DetectorError

TOP = 0.01
"""Share of the highest patches that an image score averages (AnomalyDINO, WACV 2025)."""
COARSE = 1.0
"""Standard deviation, in patches, of the blur before the coarse half of a photo's score."""
ODD = 3.0
"""Robust deviations from the other references beyond which one looks odd (after Iglewicz and Hoaglin, 1993)."""


class FalseAlarmError(DetectorError):
    """A false-alarm rate that so few good photos cannot promise."""


class Scale(NamedTuple):
    """Mean and deviation of what good patches say."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: NDArray[np.floating]) -> "Scale":
        """Of all values, whatever their shape; a deviation of nothing counts as tiny, never as zero."""
        return cls(float(values.mean()), max(float(values.std()), 1e-6))

    def deviations(self, values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Values in deviations from good."""
        return (values - self.mean) / self.deviation


def top_mean(patches: Float[np.ndarray, "..."], share: float = TOP) -> float:
    """Mean of the highest share of all patches, at least one: the score of a photo."""
    values = np.asarray(patches).ravel()
    count = max(1, math.ceil(share * values.size))
    return float(np.partition(values, values.size - count)[-count:].mean())


def photo_score(patches: Float[np.ndarray, " patches"], grid: tuple[int, int], good: tuple[float, float]) -> float:
    """The score of a photo at two scales: small defects show in one patch, large ones in many.

    The highest patch, and the mean of the highest 1 % of the map blurred by one patch, each as a multiple of what good
    photos have, averaged: 1 is an ordinary good photo. Neither alone serves both small and large defects (measured in
    `docs/context.md`).

    Args:
        patches: distances, row-major over the grid.
        grid: rows and columns.
        good: mean over good photos of `fine_and_coarse`, one number a scale.
    """
    fine, coarse = fine_and_coarse(patches, grid)
    return (fine / max(good[0], 1e-6) + coarse / max(good[1], 1e-6)) / 2


def fine_and_coarse(patches: Float[np.ndarray, " patches"], grid: tuple[int, int]) -> tuple[float, float]:
    """The highest patch, and the mean of the highest 1 % after a blur of one patch."""
    blurred = ndimage.gaussian_filter(np.asarray(patches, np.float64).reshape(grid), COARSE)
    return float(np.max(patches)), top_mean(blurred)


def p_value(score: float, good: Sequence[float]) -> float:
    """Share of good photos, the one under test counted among them, that score at least as high (conformal p-value).

    Vovk et al., Algorithmic Learning in a Random World. Valid where good photos to come are like those given, in any
    order; the smallest value from n photos is 1/(n + 1).
    """
    return (1 + sum(each >= score for each in good)) / (len(good) + 1)


def smallest_rate(photos: int) -> float:
    """The lowest false-alarm rate that so many good photos can promise: 1/(n + 1)."""
    return 1 / (photos + 1)


def threshold(good: Sequence[float], false_alarms: float) -> float:
    """The score above which at most a share of good photos to come lies: `p_value(score) <= false_alarms`.

    Args:
        good: leave-one-out scores of the references. Each was scored with one reference fewer than a new photo will be,
            so they are slightly high: the safe side.
        false_alarms: in (0, 1).

    Raises:
        FalseAlarmError: a rate outside (0, 1), or lower than 1/(n + 1).
    """
    if not 0 < false_alarms < 1:
        raise FalseAlarmError(f"--false-alarms {false_alarms:.3g}", expected="more than 0 % and less than 100 %")
    rank = math.floor(false_alarms * (len(good) + 1) + 1e-9)
    if rank < 1:
        needed = math.ceil(1 / false_alarms - 1e-9) - 1
        lowest = f"{math.ceil(1000 * smallest_rate(len(good))) / 10:g}%"
        raise FalseAlarmError(
            f"{false_alarms:.3g} false alarms from {len(good)} good photo{'s' * (len(good) != 1)}",
            expected=f"at least {needed} for that rate: from n photos nothing below 1 in n + 1 can be promised",
            hint=f"add {needed - len(good)} photos, or type --false-alarms {lowest}" if good else "add good photos",
        )
    return sorted(good, reverse=True)[rank - 1]


def promise(good: Sequence[float], false_alarms: float) -> str:
    """What a threshold promises, and how coarse it is, in one sentence."""
    rank = math.floor(false_alarms * (len(good) + 1) + 1e-9)
    return (
        f"threshold from {len(good)} good photos, each scored against the others: on average at most {rank} in "
        f"{len(good) + 1} good photos like them ({rank * smallest_rate(len(good)):.1%}) is called anomalous"
    )


def uncalibrated_guess(good: Sequence[float]) -> float:
    """Mean and three deviations of good scores: promises nothing, and is to be shown with the word uncalibrated."""
    return float(np.mean(good) + 3 * np.std(good))


def odd_ones(good: Sequence[float]) -> list[tuple[int, float]]:
    """Which good photos score unlike the others, the oddest first, with robust deviations from their median.

    The deviation is the median absolute one times 1.4826, and at least a fifth of the median, so that nearly equal
    photos are not told apart by nothing. Few photos give a poor idea of the spread: from n, `ODD` is raised by 4 in n.
    Fewer than three name none: either could be the odd one.
    """
    if len(good) < 3:
        return []
    scores = np.asarray(good)
    middle = float(np.median(scores))
    spread = max(1.4826 * float(np.median(np.abs(scores - middle))), 0.2 * abs(middle), 1e-9)
    far = (scores - middle) / spread
    return [(int(index), float(far[index])) for index in np.argsort(-far) if far[index] > ODD * (1 + 4 / len(good))]
