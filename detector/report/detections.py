"""The page of a detection run: every image with its map, to sort, filter and enlarge."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detector.detect import Failure
from detector.detections import Row
from detector.report.page import write_page

MOST = 20_000
"""Images on the page; tables beside it hold all of them."""
WIDTH = 1000
"""Of the strip of scores, in its own units."""


def write_html(path: Path, rows: Sequence[Row], failed: Sequence[Failure], about: dict[str, Any]) -> None:
    """Write the page; pictures are named relative to it, so that the folder can be moved as a whole.

    Args:
        path: target.
        rows: with verdicts.
        failed: listed before the images.
        about: facts shown at the top; `title` is the heading, `threshold` a number or None.
    """
    ordered = sorted(rows, key=lambda row: -row["score"])
    facts = {name.replace("_", " "): value for name, value in about.items() if name != "title" and value is not None}
    values = {
        "title": about.get("title", "Detections"),
        "facts": facts,
        "failed": failed,
        "images": [_image(row) for row in ordered[:MOST]],
        "hidden": max(len(ordered) - MOST, 0),
        "counts": {
            verdict: sum(row["verdict"] == verdict for row in rows) for verdict in ("anomalous", "good")
        },
        "total": len(rows),
        "strip": _strip([(row["score"], row["verdict"]) for row in rows], about.get("threshold")),
    }  # fmt: skip
    write_page(path, "detections.html.j2", values)


def _image(row: Row) -> dict[str, Any]:
    path = Path(row["path"])
    return {
        "name": path.name,
        "folder": str(path.parent),
        "path": row["path"],
        "score": row["score"],
        "verdict": row["verdict"] or "",
        "region": row["region"] or "",
        "picture": row["heatmap"] or "",
        "matches": row["descriptions"][:3],
        "nearest": row["descriptions"][0]["text"] if row["descriptions"] else "",
    }


def _strip(scores: Sequence[tuple[float, str | None]], threshold: float | None) -> dict[str, Any] | None:
    """Every score as a tick on one line, with the threshold: how clearly do good and anomalous images part?"""
    if len(scores) < 2:
        return None
    known = [score for score, _ in scores] + ([] if threshold is None else [threshold])
    low, span = min(known), max(max(known) - min(known), 1e-9)

    def place(score: float) -> float:
        return round(10 + (WIDTH - 20) * (score - low) / span, 1)

    return {
        "ticks": [(place(score), verdict or "") for score, verdict in scores],
        "threshold": None if threshold is None else (place(threshold), threshold),
        "low": low,
        "high": low + span,
        "width": WIDTH,
    }
