"""Detections as answers: the JSON document of `detector detect`, pictures, or raw maps."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from descriptions.format.schema import DescriptionFile
from detector.detect.detection import Detection, Failure, Row, with_boxes_that_count
from detector.detect.results import Results, judged, to_document
from detector.runs.detect_output import about
from detector.scoring.map_scale import MapSummary, run_scale, summarise
from detector.scoring.threshold import Threshold


@dataclass
class Scored:
    """What scoring some pictures came to so far, in the order of the request."""

    rows: dict[int, tuple[Row, MapSummary]] = field(default_factory=dict)
    """By the picture's place."""
    failed: dict[int, Failure] = field(default_factory=dict)

    def add(self, place: int, result: Detection | Failure) -> None:
        """Take one result; its picture and map are not kept."""
        if isinstance(result, Failure):
            self.failed[place] = result
        else:
            self.rows[place] = result.to_dict(), summarise(result.map, result.boxes)

    def document(self, description: DescriptionFile, threshold: Threshold | None) -> dict[str, Any]:
        """The document that `detector detect --format json` prints for the same pictures."""
        kept = [self.rows[place] for place in sorted(self.rows)]
        maps = [summary for _, summary in kept]
        rows = judged([row for row, _ in kept], threshold)
        scale = run_scale(maps, [row["verdict"] for row in rows])
        failed = [self.failed[place] for place in sorted(self.failed)]
        results = Results(with_boxes_that_count(rows, maps, scale), failed, threshold, scale, stopped=False)
        return to_document(results.rows, results.failed, **about(description, results))


def pictures(detections: Sequence[Detection]) -> tuple[bytes, str]:
    """The pictures that `detector detect --out` draws, on one scale: one PNG, or a ZIP of several; with its type."""
    drawn = []
    for detection in detections:
        stream = io.BytesIO()
        detection.plot(detections).save(stream, "PNG")
        drawn.append(stream.getvalue())
    return _one_or_zip(drawn, "png", "image/png")


def raw_maps(detections: Sequence[Detection]) -> tuple[bytes, str]:
    """Raw maps as `--maps npy` writes them, float16: one NumPy file, or a ZIP of several; with its type."""
    written = []
    for detection in detections:
        stream = io.BytesIO()
        np.save(stream, detection.map.astype(np.float16), allow_pickle=False)
        written.append(stream.getvalue())
    return _one_or_zip(written, "npy", "application/x-npy")


def _one_or_zip(files: Sequence[bytes], suffix: str, kind: str) -> tuple[bytes, str]:
    if len(files) == 1:
        return files[0], kind
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number, content in enumerate(files):
            archive.writestr(f"{number:04}.{suffix}", content)
    return stream.getvalue(), "application/zip"
