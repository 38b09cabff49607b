"""Detections as plain rows: verdicts, JSON and CSV.

DetectorError
+-- ThresholdError      a threshold that is no number and names no run
"""

import csv
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from descriptions.refs import parse_ref, slug
from descriptions.schema import DescriptionFile
from detector.console import encodable
from detector.data.names import parse_names
from detector.detect import Detection, Failure, Verdict
from detector.device import precision_name, resolve_device
from detector.errors import DetectorError
from detector.presets import DEFAULT
from detector.run import RECORD, read_run

AUTO_IMAGES, AUTO_WIDTH = 8, 3.0
"""`--threshold auto` needs so many images, and calls abnormal what lies so many robust deviations above the median."""

FROM_EVAL = "from-eval:"
"""What `--threshold` begins with where it names the folder of an evaluation."""


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
            are good; with fewer than eight images, or where most scores are equal, it gives none.
        category: whose threshold is read from an evaluation.

    Raises:
        ThresholdError: none of these, or the run holds no threshold for the category.
    """
    if text == "auto":
        if len(scores) < AUTO_IMAGES:
            return None
        median = statistics.median(scores)
        spread = statistics.median(abs(score - median) for score in scores)
        return median + AUTO_WIDTH * 1.4826 * spread if spread > 0 else None
    if text.startswith(FROM_EVAL):
        return _from_eval(Path(text.removeprefix(FROM_EVAL)), slug(category.partition("@")[0]))
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


def other_origin(text: str, description: DescriptionFile, request: Mapping[str, Any]) -> str:
    """In what the evaluation behind a threshold differs from this run, in one line; empty where in nothing.

    Args:
        text: as of `resolve_threshold`.
        description: of this run.
        request: `preset`, `checkpoint`, `settings` (of scoring), `device`, `precision`, `tile` and `max_size` of this
            run, as plain JSON.
    """
    run = Path(text.removeprefix(FROM_EVAL))
    asked = (read_run(run) or {}).get("settings") if text.startswith(FROM_EVAL) else None
    if not isinstance(asked, dict) or not {"hashes", "scoring"} <= asked.keys():
        return ""
    here = {"descriptions": description.ref, "model": _model(request), **request["settings"], **_how(request)}
    there = {**here, "model": _model(asked), **asked["scoring"], **{n: asked[n] for n in _how(request) if n in asked}}
    names = {slug(folder): parse_ref(ref).category for folder, ref in parse_names(asked.get("names", ())).items()}
    described = {names.get(slug(name), slug(name)): each for name, each in asked["hashes"].items()}
    hashes: dict[str, str] = described.get(description.category, {})
    version, content = next(iter(hashes.items()), ("", description.content_hash))  # thresholds are of the first one
    if content != description.content_hash:
        there["descriptions"] = f"{version} of content {content[:8]}"
    other = [name for name in here if there[name] != here[name]]
    was, now = (", ".join(f"{name} {side[name]}" for name in other) for side in (there, here))
    return f"the threshold of {run} was found with {was}; this run has {now}" if other else ""


def _model(asked: Mapping[str, Any]) -> str:
    file = asked.get("checkpoint")
    return str(Path(file).resolve()) if file else asked.get("preset") or DEFAULT


def _how(request: Mapping[str, Any]) -> dict[str, Any]:
    """Options beside the scoring that move scores; the ablations of `eval` are none of `detect`."""
    precision = precision_name(request["precision"], resolve_device(request["device"]))
    sizes = {name: request[name] for name in ("tile", "max_size")}
    return {"precision": precision, **sizes, "adapter": True, "decoders": "all"}


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
    return encodable(stream.getvalue())
