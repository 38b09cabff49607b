"""Connected areas of an anomaly map, with their size, shape and direction."""

import math
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from detector.localize.boxes import Box

Direction = Literal["horizontal", "vertical", "rising", "falling"]
"""Of a long area as one sees it; `rising` goes up to the right."""
MOST = 5
"""Areas that are told at most, the strongest first."""
LONG = 2.0
"""Ratio of the axes of an area from which it is called long and has a direction."""
_SMALLEST = 0.0005
"""Share of the map below which an area is noise of the enlargement."""


class Area(NamedTuple):
    """One connected part of a map."""

    box: Box
    """In unit coordinates, with its highest value as score."""
    share: float
    """Of the photo that it covers."""
    elongation: float
    """Ratio of its long to its short axis, by second moments; 1 is round."""
    direction: Direction | None
    """Where it is long; None for a compact area."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain = {"share": round(self.share, 5), "elongation": round(self.elongation, 2), "direction": self.direction}
        return plain_box(self.box) | plain


def area_masks(anomaly_map: Float[np.ndarray, "height width"]) -> list[Bool[np.ndarray, "height width"]]:
    """Connected areas above the middle between the median and the highest value, strongest first.

    The level is the one of the localizer `self`, with the median for the mean. A flat map has no area.
    """
    values = np.asarray(anomaly_map, np.float64)
    top, middle = float(values.max()), float(np.median(values))
    if not top > middle:
        return []
    labels, count = ndimage.label(values >= (top + middle) / 2)
    numbers = np.arange(1, count + 1)
    sizes = ndimage.sum_labels(np.ones_like(values), labels, numbers)
    peaks = ndimage.maximum(values, labels, numbers)
    order = [index for index in np.argsort(-peaks, kind="stable") if sizes[index] >= _SMALLEST * values.size]
    return [labels == numbers[index] for index in order[:MOST]] or [labels == numbers[int(np.argmax(peaks))]]


def describe_area(
    mask: Bool[np.ndarray, "height width"],
    anomaly_map: Float[np.ndarray, "height width"],
    aspect: float = 1.0,
    phrase: str = "",
) -> Area:
    """Where an area lies and how it is shaped.

    Args:
        mask: its pixels.
        anomaly_map: that it is a part of.
        aspect: width of the photo by its height, since a map is square whatever the photo is.
        phrase: what its box is labelled with.
    """
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    box = Box(
        float(columns.min()) / width, float(rows.min()) / height,
        float(columns.max() + 1) / width, float(rows.max() + 1) / height,
        phrase, float(anomaly_map[mask].max()),
    )  # fmt: skip
    elongation, angle = _axes(columns / width * aspect, rows / height, 1 / max(height, width))
    return Area(box, float(mask.mean()), elongation, _direction(angle) if elongation >= LONG else None)


def _axes(x: Float[np.ndarray, " pixels"], y: Float[np.ndarray, " pixels"], pixel: float) -> tuple[float, float]:
    """Ratio of the axes, and the angle of the long one in degrees from 0 to 180, counter-clockwise as one sees it."""
    points = np.stack([x, -y])
    spread = np.cov(points, bias=True) + np.eye(2) * pixel**2 / 12  # a pixel is a square, no point
    values, vectors = np.linalg.eigh(spread)
    long = vectors[:, 1]
    return math.sqrt(values[1] / max(values[0], 1e-12)), math.degrees(math.atan2(long[1], long[0])) % 180


def _direction(angle: float) -> Direction:
    sectors: tuple[Direction, ...] = ("horizontal", "rising", "vertical", "falling")
    return sectors[round(angle / 45) % 4]


def plain_box(box: Box) -> dict[str, Any]:
    """A box for JSON."""
    return {name: round(value, 5) if isinstance(value, float) else value for name, value in box._asdict().items()}
