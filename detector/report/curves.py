"""Curves of an evaluation, with what the bootstrap leaves open."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.evaluate.bootstrap import LEVEL, draw_images
from detector.evaluate.records import gather
from detector.evaluate.summary import CategoryResult
from detector.metrics.pixels import rank_histogram
from detector.metrics.ranking import Curve, rank_labels, trace
from detector.metrics.values import Line
from detector.report.charts import Band

DRAWS = 200
"""Draws of the bootstrap behind a band."""
_GRID = np.linspace(0, 1, 101)

MakeLine = Callable[[Curve], Line]


def image_bands(result: CategoryResult, make_line: MakeLine, *, rising: bool) -> list[Band]:
    """A curve of the image scores per variant, bands for those that are no controls; empty where none exist.

    Args:
        result: of a category.
        make_line: `roc_line` or `pr_line`.
        rising: whether y rises with x, as in a ROC curve; otherwise the curve is a staircase of precision.
    """
    labels = np.array([sample.defective for sample in result.images], dtype=bool)
    if labels.all() or not labels.any():
        return []
    draws = draw_images(labels, DRAWS)
    bands = []
    for variant in result.variants:
        scores = np.array(variant.scores)
        line = make_line(trace(rank_labels(scores, labels)))
        if variant.control:
            bands.append(Band(line, None, None, None))
            continue
        drawn = [_sampled(scores[taken], labels[taken], make_line, rising) for taken in map(_taken, draws)]
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        bands.append(Band(line, _GRID, low, high))
    return bands


def pixel_bands(paths: Sequence[Path], variants: int, make_line: MakeLine) -> list[Band]:
    """A curve of the pixels per variant, without bands; empty where no mask exists.

    Args:
        paths: records of the images.
        variants: number of them.
        make_line: `pr_line` or `pro_line`.
    """
    pooled = [gather(paths, index) for index in range(variants)]
    curves = [trace(rank_histogram(each)) for each in pooled if each is not None and each.positives.any()]
    return [Band(make_line(curve), None, None, None) for curve in curves]


def _taken(times: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(times)), times)


def _sampled(
    scores: NDArray[np.float64], labels: NDArray[np.bool_], make_line: MakeLine, rising: bool
) -> NDArray[np.float64]:
    """Heights of one draw's curve on the grid."""
    line = make_line(trace(rank_labels(scores, labels)))
    if rising:
        return np.asarray(np.interp(_GRID, line.x, line.y), dtype=np.float64)
    reaching = np.minimum(np.searchsorted(line.x, _GRID), len(line.y) - 1)
    return np.asarray(line.y[reaching], dtype=np.float64)  # precision of the step that reaches each recall
