"""Metrics of anomaly detection, exact, from one sort of the scores of a category.

`image_metrics` and `pixel_metrics` answer with every metric at once. A metric that does not exist for the data (only
good images, no masks, a constant map) is None and `notes` says why. Sources: Bergmann et al., *The MVTec Anomaly
Detection Dataset* (AUPRO); the definitions of scikit-learn for the others.
"""

from detector.metrics.compute import Metrics, image_metrics, pixel_metrics, pixel_metrics_binned
from detector.metrics.pixels import BINS, EXACT_PIXELS, Histogram, count_pixels

__all__ = [
    "BINS",
    "EXACT_PIXELS",
    "Histogram",
    "Metrics",
    "count_pixels",
    "image_metrics",
    "pixel_metrics",
    "pixel_metrics_binned",
]
