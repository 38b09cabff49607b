"""One scale for all anomaly maps of a run, and the map value that good patches of the run reach."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from detector.localize.boxes import Box
from detector.scoring.threshold import GUESS_IMAGES, GUESS_WIDTH, Verdict

SPAN = 0.25
"""Map values that a scale spans at least: a narrower one would show noise in every colour."""
TRUSTED = 0.95
"""Share of the good images whose highest patch lies at or below the level."""
MANY = 20
"""Good images from which on the level leaves the highest of them above it."""


class MapSummary(NamedTuple):
    """What the scale of a run needs to know of one map."""

    median: float
    peak: float
    """Highest value."""
    boxes: tuple[float, ...]
    """Highest value inside each box."""


class MapScale(NamedTuple):
    """How the maps of one run are shown."""

    low: float
    """Map value of the darkest colour: the median patch of the median image."""
    high: float
    """Map value of the brightest colour."""
    level: float
    """Map value above which a patch is worth a line or a box."""
    basis: str
    """What the level stands for, for people."""
    known: bool
    """Whether the images of the run say what good patches reach; otherwise the level is the middle of the scale."""

    def shows(self, verdict: Verdict | None, peak: float) -> bool:
        """Whether a box is shown: never on an image called good, and only where the map exceeds what good ones reach.

        Args:
            verdict: of the image.
            peak: highest map value inside the box.
        """
        return verdict != "good" and (not self.known or peak > self.level)

    def describe(self) -> str:
        """Both ends of the colours and the level, for a report."""
        return (
            f"{self.low:.2f} to {self.high:.2f} in every picture; lines and boxes above {self.level:.2f} ({self.basis})"
        )


def summarise(anomaly_map: Float[np.ndarray, "height width"], boxes: Sequence[Box]) -> MapSummary:
    """The summary of one map.

    Args:
        anomaly_map: in [0, 1].
        boxes: in unit coordinates.
    """
    values = anomaly_map.astype(np.float32)
    return MapSummary(
        round(float(np.median(values)), 6),
        round(float(values.max()), 6),
        tuple(round(_highest(values, box), 6) for box in boxes),
    )


def _highest(values: Float[np.ndarray, "height width"], box: Box) -> float:
    height, width = values.shape
    x0, y0, x1, y1 = box.clipped()[:4]
    left, top = min(int(x0 * width), width - 1), min(int(y0 * height), height - 1)
    return float(
        values[top : max(int(np.ceil(y1 * height)), top + 1), left : max(int(np.ceil(x1 * width)), left + 1)].max()
    )


def run_scale(summaries: Sequence[MapSummary], verdicts: Sequence[Verdict | None]) -> MapScale:
    """The scale of a run, which is the same in all its pictures.

    The level comes from the images that are called good: the highest patch of 19 in 20 of them lies at or below it (of
    all of them, where they are fewer than twenty). Without verdicts it comes from the bulk of the run, as a guessed
    threshold does: the median of the highest patches plus three robust standard deviations. Colours reach at least as
    far above the level as the level lies above the darkest colour, so that good patches stay in the dark half.

    Args:
        summaries: one per image.
        verdicts: in the same order.
    """
    low = statistics.median(each.median for each in summaries) if summaries else 0.0
    peaks = [each.peak for each in summaries]
    good = sorted(peak for peak, verdict in zip(peaks, verdicts, strict=True) if verdict == "good")
    top = max(1.0, low + SPAN)
    if good:
        level, basis = _good_level(good)
    elif len(peaks) >= GUESS_IMAGES and all(verdict is None for verdict in verdicts):
        middle = statistics.median(peaks)
        level = middle + GUESS_WIDTH * 1.4826 * statistics.median(abs(peak - middle) for peak in peaks)
        basis = f"more than the bulk of these {len(peaks)} images reaches"
    else:
        basis = "the middle of the scale: too little is known of good images"
        return MapScale(low, top, (low + top) / 2, basis, known=False)
    level = min(level, top)
    return MapScale(low, min(max(*peaks, 2 * level - low, low + SPAN), top), level, basis, known=True)


def _good_level(peaks: Sequence[float]) -> tuple[float, str]:
    """The level that images called good set, and what it stands for; `peaks` rise."""
    if len(peaks) < MANY:
        images = f"any of the {len(peaks)} images" if len(peaks) > 1 else "the one image"
        return peaks[-1], f"more than {images} called good reaches"
    return peaks[math.ceil(TRUSTED * len(peaks)) - 1], f"more than {TRUSTED:.0%} of the images called good reach"
