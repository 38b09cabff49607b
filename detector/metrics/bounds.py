"""How far binned metrics can lie from the exact ones, computed from the bins themselves."""

import numpy as np

from detector.metrics.ranking import Curve
from detector.metrics.values import FPR_LIMIT


def binning_error(curve: Curve) -> dict[str, float]:
    """Largest possible difference between each binned pixel metric and its exact value.

    In a bin the true order of the scores is unknown; the bound compares the best order (all positives first) with the
    worst (all negatives first). `aupro` also covers the one segment that the limit cuts. There is no bound for
    `aupro_legacy`, itself an approximation.
    """
    gains = np.diff(curve.hits, prepend=0.0)
    mixed = curve.alarms - curve.alarms_before
    first = curve.hits - gains
    best = curve.hits / (curve.hits + curve.alarms_before)
    worst = (first + 1) / (first + 1 + curve.alarms)
    reached = 2 * curve.hits / (curve.positives + curve.hits + curve.alarms)
    possible = 2 * curve.hits / (curve.positives + curve.hits + curve.alarms_before)
    bounds = {
        "pixel_auroc": float(np.sum(gains * mixed) / (2 * curve.positives * curve.negatives)),
        "pixel_ap": float(np.sum(gains * np.maximum(best - worst, 0.0)) / curve.positives),
        "pixel_f1max": float(np.max(possible) - np.max(reached)),
    }
    if curve.overlap is not None:
        counted = curve.alarms_before / curve.negatives < FPR_LIMIT
        areas = np.diff(curve.overlap, prepend=0.0) * mixed / curve.negatives
        bounds["aupro"] = float(np.sum(areas[counted]) / FPR_LIMIT)
    return bounds
