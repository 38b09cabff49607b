"""From raw Grounding DINO outputs to boxes: which are kept, what they are called, and the region of the best one."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from detector.localize.boxes import Box, Localisation
from detector.localize.dino.caption import Caption
from detector.localize.regions import region_at


class Thresholds(NamedTuple):
    """When a box counts."""

    box: float = 0.25
    """Least probability of a box's best token."""
    area: float = 0.7
    """Boxes that cover at least this share of the image say nothing about where."""
    boxes: int = 10
    """Maximum number of boxes to keep."""


def select_boxes(
    logits: Float[np.ndarray, "queries tokens"],
    boxes: Float[np.ndarray, "queries 4"],
    caption: Caption,
    thresholds: Thresholds = Thresholds(),  # noqa: B008 - immutable
) -> Localisation:
    """Keep the boxes that are sure enough and small enough, best first, each named by the entry that fired most.

    Args:
        logits: raw token logits; columns past the caption may be missing or -inf.
        boxes: center x, center y, width, height in unit coordinates.
        caption: what was asked, with the token range of each entry.
        thresholds: when a box counts.

    Returns:
        The boxes and the region of the best one; no boxes and no region when nothing counts.
    """
    if not caption.spans:
        return Localisation()
    by_entry = np.stack([_sigmoid(logits[:, span.start : span.stop]).max(axis=1) for span in caption.spans], axis=1)
    scores = by_entry.max(axis=1)
    area = boxes[:, 2] * boxes[:, 3]
    rows = np.flatnonzero((scores > thresholds.box) & (area < thresholds.area))
    rows = rows[np.argsort(-scores[rows], kind="stable")][: thresholds.boxes]
    boxes_found = tuple(
        Box.from_center(*map(float, boxes[index]))._replace(
            phrase=caption.entries[int(by_entry[index].argmax())], score=float(scores[index])
        )
        for index in rows
    )
    return Localisation(boxes_found, region_at(*boxes_found[0].center) if boxes_found else None)


def _sigmoid(logits: Float[np.ndarray, "queries tokens"]) -> Float[np.ndarray, "queries tokens"]:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-logits.astype(np.float64)))
