"""Detections as plain rows: verdicts, JSON and CSV."""

import csv
import io
from collections.abc import Sequence
from typing import Any, NamedTuple, NotRequired, TypedDict

from detector.console import encodable
from detector.detect.detector import Detection, Failure
from detector.scoring.map_scale import MapScale, MapSummary
from detector.scoring.predict import Similarity
from detector.scoring.threshold import Threshold, Verdict


class Row(TypedDict):
    """One image of the JSON document."""

    path: str
    score: float
    verdict: Verdict | None
    region: str | None
    boxes: list[dict[str, Any]]
    descriptions: list[dict[str, Any]]
    heatmap: str | None
    """Picture of the map, within `--out`."""
    map: NotRequired[str]
    """Raw map, within `--out`, where one was asked for."""


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


def to_row(detection: Detection, heatmap: str | None = None) -> Row:
    """Plain values, without a verdict."""
    names = ("x0", "y0", "x1", "y1", "phrase", "score")
    return Row(
        path=detection.path,
        score=round(detection.score, 6),
        verdict=None,
        region=detection.region,
        boxes=[
            {
                name: round(value, 5) if isinstance(value, float) else value
                for name, value in zip(names, box, strict=True)
            }
            for box in detection.boxes
        ],
        descriptions=[_described(each) for each in detection.descriptions],
        heatmap=heatmap,
    )


def _described(entry: Similarity) -> dict[str, Any]:
    """A description of a row; `deviations` only where there were good patches to compare with."""
    plain: dict[str, Any] = {"id": entry.id, "text": entry.text, "similarity": round(entry.similarity, 5)}
    return plain if entry.deviations is None else plain | {"deviations": round(entry.deviations, 2)}


def nearness(entry: dict[str, Any]) -> str:
    """How near a description of a row is, for people: its cosine, or in deviations from good where those decided."""
    return f"{entry['deviations']:+.1f} dev." if "deviations" in entry else f"{entry['similarity']:.3f}"


def judged(rows: Sequence[Row], threshold: Threshold | None) -> list[Row]:
    """Rows with their verdicts; none without a threshold."""
    return [Row(**{**row, "verdict": threshold.verdict(row["score"]) if threshold else None}) for row in rows]


def with_boxes_that_count(rows: Sequence[Row], maps: Sequence[MapSummary], scale: MapScale) -> list[Row]:
    """Judged rows with those boxes only that exceed what good images of the run reach.

    Args:
        rows: judged.
        maps: one per row.
        scale: of the run.
    """
    return [
        Row(**{**row, "boxes": [box for box, peak in zip(row["boxes"], each.boxes, strict=True)
                                if scale.shows(row["verdict"], peak)]})
        for row, each in zip(rows, maps, strict=True)
    ]  # fmt: skip


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
