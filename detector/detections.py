"""Detections as plain rows: verdicts, JSON, CSV, and the file a stopped run is resumed from.

DetectorError
+-- ThresholdError      a threshold that is no number and names no run
"""

import csv
import hashlib
import io
import json
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

from descriptions.files import atomic_write
from detector.detect import Detection, Failure, Verdict
from detector.errors import DetectorError, OutputError, cannot_write
from detector.run import RECORD, read_run

AUTO_IMAGES, AUTO_WIDTH = 8, 3.0
"""`--threshold auto` needs so many images, and calls abnormal what lies so many robust deviations above the median."""


class ThresholdError(DetectorError):
    """A threshold that is no number and names no run."""


class Row(TypedDict):
    """One image of the JSON document."""

    path: str
    score: float
    verdict: Verdict | None
    region: str | None
    boxes: list[dict[str, Any]]
    descriptions: list[dict[str, Any]]
    heatmap: str | None


def to_row(found: Detection, heatmap: str | None = None) -> Row:
    """Plain values, without a verdict."""
    names = ("x0", "y0", "x1", "y1", "phrase", "score")
    return Row(
        path=found.path,
        score=round(found.score, 6),
        verdict=None,
        region=found.region,
        boxes=[
            {
                name: round(value, 5) if isinstance(value, float) else value
                for name, value in zip(names, box, strict=True)
            }
            for box in found.boxes
        ],
        descriptions=[{**each._asdict(), "similarity": round(each.similarity, 5)} for each in found.descriptions],
        heatmap=heatmap,
    )


def resolve_threshold(text: str, scores: Sequence[float], category: str) -> float | None:
    """The score from which an image counts as anomalous.

    Args:
        text: `auto`, a number, or `from-eval:RUN`, the folder a `detector eval` left.
        scores: of this run. `auto` takes their median plus three robust deviations, which supposes that most images
            are good; with fewer than eight images it gives none.
        category: whose threshold is read from an evaluation.

    Raises:
        ThresholdError: none of these, or the run holds no threshold for the category.
    """
    if text == "auto":
        if len(scores) < AUTO_IMAGES:
            return None
        median = statistics.median(scores)
        return median + AUTO_WIDTH * 1.4826 * statistics.median(abs(score - median) for score in scores)
    if text.startswith("from-eval:"):
        return _from_eval(Path(text.removeprefix("from-eval:")), category.partition("@")[0])
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ThresholdError(f"threshold {text!r}", expected="auto, a number, or from-eval:RUN")
    return value


def _from_eval(run: Path, category: str) -> float:
    record = read_run(run)
    if record is None:
        raise ThresholdError(f"no run in {run}", expected="the folder of a `detector eval`")
    thresholds = record.get("thresholds")
    if not isinstance(thresholds, dict) or not isinstance(thresholds.get(category), int | float):
        known = ", ".join(thresholds) if isinstance(thresholds, dict) and thresholds else "none"
        raise ThresholdError(
            f"{run / RECORD} holds no threshold for {category}",
            expected="the folder of a `detector eval` of this category",
            hint=f"it holds: {known}",
        )
    return float(thresholds[category])


def judged(rows: Sequence[Row], threshold: float | None) -> list[Row]:
    """Rows with their verdicts; none without a threshold."""
    if threshold is None:
        return [Row(**{**row, "verdict": None}) for row in rows]
    return [Row(**{**row, "verdict": "anomalous" if row["score"] >= threshold else "good"}) for row in rows]


def to_document(rows: Sequence[Row], failed: Sequence[Failure], **about: Any) -> dict[str, Any]:
    """The JSON document scripts rely on (`images`, `failed`), and what it was made with."""
    return {"images": list(rows), "failed": [each._asdict() for each in failed], **about}


def to_csv(rows: Sequence[Row]) -> str:
    """One line an image; the description is the nearest one."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["path", "score", "verdict", "region", "boxes", "description", "similarity", "heatmap"])
    for row in rows:
        top = row["descriptions"][0] if row["descriptions"] else {"text": "", "similarity": ""}
        place = (row["verdict"] or "", row["region"] or "", len(row["boxes"]))
        writer.writerow([row["path"], row["score"], *place, top["text"], top["similarity"], row["heatmap"] or ""])
    return stream.getvalue()


class Journal:
    """`detections.jsonl`: a line as soon as an image is done, so that nothing is lost when a run is stopped."""

    def __init__(self, folder: Path, key: dict[str, Any], *, resume: bool) -> None:
        self.path = folder / "detections.jsonl"
        self.key = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        self.rows: dict[str, Row] = {}
        try:
            if resume and self.path.is_file():
                self.rows = self._read()
            lines = [json.dumps({"key": self.key}), *(json.dumps(row) for row in self.rows.values())]
            atomic_write(self.path, "\n".join(lines) + "\n")
        except OSError as error:
            raise cannot_write(folder, error) from error

    def add(self, row: Row) -> None:
        """Keep one finished image.

        Raises:
            OutputError: the disk is full, or the folder went away.
        """
        self.rows[row["path"]] = row
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
        except OSError as error:
            raise cannot_write(self.path.parent, error) from error

    def _read(self) -> dict[str, Row]:
        lines = self.path.read_text(encoding="utf-8").splitlines()
        try:
            header = json.loads(lines[0])
            whole = [json.loads(line) for line in lines[1:] if line.endswith("}")]  # the last may be cut short
        except (ValueError, IndexError):
            header, whole = {}, []
        if header.get("key") != self.key:
            raise OutputError(
                f"{self.path} was made with other settings",
                expected="the same model, descriptions and options",
                hint="leave out --resume, or name another --out",
            )
        return {row["path"]: row for row in whole}
