"""All metrics of one category in one call, with the degenerate cases named."""

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Num

from detector.errors import DetectorError
from detector.metrics import values
from detector.metrics.bounds import binning_error
from detector.metrics.pixels import (
    EXACT_PIXELS,
    Histogram,
    add,
    count_pixels,
    create_histogram,
    rank_histogram,
    rank_pixels,
)
from detector.metrics.ranking import Ranking, rank_labels, trace

IMAGE_METRICS = ("image_auroc", "image_ap", "image_f1max")
PIXEL_METRICS = ("pixel_auroc", "pixel_ap", "pixel_f1max", "aupro", "aupro_legacy")
METRICS = IMAGE_METRICS + PIXEL_METRICS
"""Names of all metrics, as in JSON and CSV (fractions, not percent)."""


class UnusableScoresError(DetectorError):
    """Scores that no metric can be computed from: not a number, or of another shape than the labels."""


class Metrics(NamedTuple):
    """Metrics by name; None where the data admit none, with the reason in `notes`."""

    values: dict[str, float | None]
    notes: tuple[str, ...] = ()
    error: dict[str, float] = {}  # noqa: RUF012 - never mutated; a NamedTuple has no default factory
    """Largest possible difference to the exact value, by metric; empty where the values are exact."""


def image_metrics(
    scores: Num[np.ndarray, " images"], labels: Num[np.ndarray, " images"] | Bool[np.ndarray, " images"]
) -> Metrics:
    """AUROC, AP and F1-max of one score per image.

    Args:
        scores: higher means more anomalous.
        labels: true (1) for images with a defect.

    Raises:
        UnusableScoresError: a score is not a number.
    """
    _refuse_nan(scores, "image scores")
    ranking = rank_labels(scores, labels.astype(bool))
    if reason := _one_sided(ranking, "good image", "defective image"):
        return Metrics(dict.fromkeys(IMAGE_METRICS), (reason,))
    curve = trace(ranking)
    results = (values.auroc(curve), values.average_precision(curve), values.f1_max(curve))
    return Metrics(dict(zip(IMAGE_METRICS, results, strict=True)), _constant(ranking, "image scores"))


def pixel_metrics(
    maps: Sequence[Float[np.ndarray, "_ _"]],
    masks: Sequence[Bool[np.ndarray, "_ _"]],
    *,
    exact_pixels: int = EXACT_PIXELS,
) -> Metrics:
    """AUROC, AP, F1-max and AUPRO of the pixels of all maps together.

    Args:
        maps: anomaly maps, higher means more anomalous; above `exact_pixels` they must lie in [0, 1].
        masks: true on defects, empty for good images; one per map, of its size.
        exact_pixels: number of pixels up to which the result is exact; beyond it pixels are counted in 2^16 bins and
            `Metrics.error` bounds the difference.

    Raises:
        UnusableScoresError: a map holds NaN, or has another shape than its mask.
    """
    for index, (scores, mask) in enumerate(zip(maps, masks, strict=True)):
        _refuse_nan(scores, f"anomaly map {index}")
        if scores.shape != mask.shape:
            raise UnusableScoresError(
                f"anomaly map {index} has shape {scores.shape}", expected=f"{mask.shape} as its mask"
            )
    if sum(scores.size for scores in maps) <= exact_pixels:
        return _from_ranking(rank_pixels(zip(maps, masks, strict=True)))
    counted = (count_pixels(scores, mask) for scores, mask in zip(maps, masks, strict=True))
    return pixel_metrics_binned(reduce(add, counted, create_histogram()))


def pixel_metrics_binned(histogram: Histogram) -> Metrics:
    """The same from pixels counted in bins, with a bound on what the bins can have changed."""
    ranking = rank_histogram(histogram)
    metrics = _from_ranking(ranking)
    if metrics.values["pixel_auroc"] is None:
        return metrics
    return metrics._replace(error=binning_error(trace(ranking)))


def mean_metrics(categories: Sequence[Metrics]) -> Metrics:
    """The plain mean over categories, of those that have the metric."""
    names = list(dict.fromkeys(name for metrics in categories for name in metrics.values))
    means: dict[str, float | None] = {}
    for name in names:
        present = [value for metrics in categories if (value := metrics.values.get(name)) is not None]
        means[name] = float(np.mean(present)) if present else None
    return Metrics(means)


def _from_ranking(ranking: Ranking) -> Metrics:
    if reason := _one_sided(ranking, "good pixel", "defective pixel (all masks are empty or missing)"):
        return Metrics(dict.fromkeys(PIXEL_METRICS), (reason,))
    curve = trace(ranking)
    results = (
        values.auroc(curve),
        values.average_precision(curve),
        values.f1_max(curve),
        values.aupro(curve),
        values.aupro_legacy(ranking),
    )
    notes = _constant(ranking, "anomaly maps")
    if not notes and results[-1] is None:
        notes = ("aupro_legacy: fewer than two of its 200 thresholds have a false positive rate below 0.3",)
    return Metrics(dict(zip(PIXEL_METRICS, results, strict=True)), notes)


def _one_sided(ranking: Ranking, negative: str, positive: str) -> str:
    """Why ranking metrics do not exist, or the empty string."""
    missing = [name for name, side in ((negative, ranking.negatives), (positive, ranking.positives)) if not side.total]
    return f"no {' and no '.join(missing)}: nothing to rank" if missing else ""


def _constant(ranking: Ranking, what: str) -> tuple[str, ...]:
    low, high = ranking.extent
    return (f"all {what} are {low:g}: the metrics are those of guessing",) if low == high else ()


def _refuse_nan(scores: Num[np.ndarray, "..."], what: str) -> None:
    if np.isnan(np.min(scores, initial=np.inf)):
        raise UnusableScoresError(f"{what} hold NaN", expected="numbers", hint="check the weights of the model")
