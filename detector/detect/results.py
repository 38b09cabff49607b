"""Detections as plain rows: verdicts, JSON and CSV."""

import csv
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

from detector.console import encodable
from detector.detect.detection import Failure, Row
from detector.scoring.map_scale import MapScale
from detector.scoring.threshold import Threshold


class Results(NamedTuple):
    """A finished run."""

    rows: list[Row]
    """Judged, with the boxes that count."""
    failed: list[Failure]
    threshold: Threshold | None
    """None where no image has a verdict."""
    scale: MapScale
    """Of the maps in all pictures."""
    stopped: bool
    """Whether Ctrl-C ended it."""


def judged(rows: Sequence[Row], threshold: Threshold | None) -> list[Row]:
    """Rows with their verdicts; none without a threshold."""
    return [Row(**{**row, "verdict": threshold.verdict(row["score"]) if threshold else None}) for row in rows]


def to_document(rows: Sequence[Row], failed: Sequence[Failure], **about: Any) -> dict[str, Any]:
    """The JSON document scripts rely on (`images`, `failed`), and what it was made with."""
    return {"images": list(rows), "failed": [each._asdict() for each in failed], **about}


def about_threshold(threshold: Threshold | None) -> dict[str, Any]:
    """The entries of a document that say where verdicts come from: `threshold` and, beside it, `threshold_from`."""
    if threshold is None:
        return {"threshold": None, "threshold_from": None}
    return {"threshold": threshold.value, "threshold_from": threshold.to_dict()}


def to_csv(rows: Sequence[Row], threshold: Threshold | None = None) -> str:
    """One line per image; the description is the nearest one.

    Args:
        rows: judged.
        threshold: behind the verdicts; its origin stands in the last column.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    columns = ("path", "score", "verdict", "region", "boxes", "description", "similarity", "heatmap", "threshold_from")
    writer.writerow(columns)
    for row in rows:
        top = row["descriptions"][0] if row["descriptions"] else {"text": "", "similarity": ""}
        place = (row["verdict"] or "", row["region"] or "", len(row["boxes"]))
        origin = threshold.how if threshold else ""
        writer.writerow(
            [row["path"], row["score"], *place, top["text"], top["similarity"], row["heatmap"] or "", origin]
        )
    return encodable(stream.getvalue())
