"""`detect` on many machines, through Ray Data (extra `ray`).

    import ray
    from detector.runs.ray import detect_dataset
    from detector.runs.detect_request import DetectRequest

    photos = ray.data.from_items([{"path": path} for path in paths])
    found = detect_dataset(photos, DetectRequest(paths=(), category="capsule"), workers=8, gpus=1)
    found.write_parquet("found/")

Every worker builds its own model once; photos, descriptions and weights must be readable where the workers run. A
library that is not at the same place on every machine travels as `descriptions_dir` on a shared disk.
"""

from collections.abc import Mapping
from typing import Any

from descriptions.store import Store
from detector.detect.detection import Failure
from detector.detect.results import judged
from detector.errors import DetectorError
from detector.runs.detect_request import DetectRequest, create_detector
from detector.runs.threshold import read_threshold
from detector.scoring.threshold import Threshold

COLUMNS = ("path", "score", "verdict", "region", "boxes", "description", "similarity", "error")
"""Of the resulting data set; as in the CSV of `detect`, and what was wrong with an image that could not be used."""


class DetectBatch:
    """What a worker does: paths in, one row per image out, bad images included.

    Args:
        request: as of the command; its paths and its output folder are not used.

    Raises:
        ForgeError: the request cannot work.
    """

    def __init__(self, request: DetectRequest) -> None:
        self.category = request.category
        self.threshold = fixed_threshold(request)
        self.detector = create_detector(request, Store.open(request.descriptions_dir))

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Columns of the rows, in the order of `batch["path"]`."""
        rows = [self._row(result) for result in self.detector.stream(map(str, batch["path"]), self.category)]
        return {name: [row[name] for row in rows] for name in COLUMNS}

    def _row(self, result: Any) -> dict[str, Any]:
        if isinstance(result, Failure):
            return dict.fromkeys(COLUMNS) | {"path": result.path, "error": result.error}
        (row,) = judged([result.to_dict()], self.threshold)
        top = row["descriptions"][0] if row["descriptions"] else {"text": None, "similarity": None}
        flat = {name: row[name] for name in ("path", "score", "verdict", "region")}
        more = {
            "boxes": 0 if row["verdict"] == "good" else len(row["boxes"]),
            "description": top["text"],
            "similarity": top["similarity"],
        }
        return dict.fromkeys(COLUMNS) | flat | more


def fixed_threshold(request: DetectRequest) -> Threshold | None:
    """The threshold of every worker; `auto` gives none, since no worker sees all scores.

    Raises:
        ThresholdError: see `read_threshold`.
    """
    return read_threshold(request.threshold, request.category)


def detect_dataset(paths: Any, request: DetectRequest, *, workers: int = 1, gpus: float = 0) -> Any:
    """A Ray data set with the column `path` becomes one with `COLUMNS`, computed where it is read.

    Args:
        paths: `ray.data.Dataset`.
        request: as of the command `detect`.
        workers: processes, each with a model of its own.
        gpus: of each worker; may be a fraction.

    Raises:
        DetectorError: the data set has no column `path`.
        ForgeError: descriptions or a threshold that are not there; found here, before a worker starts.
    """
    Store.open(request.descriptions_dir).load(request.category)
    fixed_threshold(request)
    if "path" not in (names := paths.columns() or []):
        raise DetectorError(f"a data set with the columns {', '.join(names) or 'none'}", expected="a column `path`")
    options: dict[str, Any] = {"num_gpus": gpus} if gpus else {}
    return paths.map_batches(
        DetectBatch, fn_constructor_args=(request,), batch_size=64, batch_format="numpy", concurrency=workers, **options
    )
