"""Detection over a Ray data set: the same rows as in one process."""

import numpy as np
import pytest
from PIL import Image

from descriptions.common.errors import UnknownCategoryError
from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector.detect.detector import Detector
from detector.errors import DetectorError
from detector.runs.detect_request import DetectRequest
from detector.runs.ray import COLUMNS, DetectBatch, detect_dataset
from detector.scoring.threshold import ThresholdError
from detector.weights.checkpoint import save_checkpoint
from tests.support.clip import tiny_filo


@pytest.fixture
def photos(tmp_path) -> list[str]:
    """Five good files and, third, a bad one."""
    paths = [tmp_path / f"{number}.png" for number in range(6)]
    for number, path in enumerate(paths):
        values = np.random.default_rng(number).integers(0, 255, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(values).save(path)
    paths[2].write_bytes(b"junk")
    return [str(path) for path in paths]


@pytest.fixture
def request_(tmp_path) -> DetectRequest:
    anomalies = (Anomaly(id="tooth", text="broken tooth"),)
    Store(tmp_path / "library").save(DescriptionFile(category="gear", object_name="gear", anomalies=anomalies))
    save_checkpoint(tiny_filo(), tmp_path / "tiny.safetensors", whole=True)
    return DetectRequest(
        paths=(),
        category="gear",
        descriptions_dir=tmp_path / "library",
        checkpoint=tmp_path / "tiny.safetensors",
        device="cpu",
        threshold="0",
    )


def scores(request: DetectRequest, photos: list[str]) -> list[float]:
    """Of the good photos, in one process."""
    detector = Detector(tiny_filo(), store=Store(request.descriptions_dir), device="cpu")
    return [one.score for one in detector.predict([path for path in photos if not path.endswith("2.png")], "gear")]


def test_a_worker_gives_a_row_for_every_path(request_, photos):
    rows = DetectBatch(request_)({"path": np.array(photos)})
    assert tuple(rows) == COLUMNS
    assert rows["path"] == photos
    assert "not an image" in rows["error"][2]
    assert [rows[name][2] for name in ("score", "verdict", "region", "description")] == [None] * 4
    usable = [score for score in rows["score"] if score is not None]
    assert usable == pytest.approx(scores(request_, photos), abs=1e-4)
    assert rows["verdict"].count("anomalous") == 5
    assert rows["description"].count("broken tooth") == 5


def test_auto_gives_no_verdict(request_, photos):
    rows = DetectBatch(request_.model_copy(update={"threshold": "auto"}))({"path": np.array(photos)})
    assert rows["verdict"] == [None] * 6


class Columns:
    """A data set as far as it is looked at before anything runs."""

    def columns(self) -> list[str]:
        return ["file"]


@pytest.mark.parametrize(
    ("change", "error"),
    [({"category": "gaer"}, UnknownCategoryError), ({"threshold": "high"}, ThresholdError), ({}, DetectorError)],
)
def test_a_request_that_cannot_work_fails_before_a_worker_starts(request_, change, error):
    with pytest.raises(error):
        detect_dataset(Columns(), request_.model_copy(update=change))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # ray's own
def test_ray_gives_the_rows_of_one_process(request_, photos):
    ray = pytest.importorskip("ray", reason="the extra ray is not installed")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 * 2**20)
    try:
        detected = detect_dataset(ray.data.from_items([{"path": path} for path in photos]), request_).take_all()
    finally:
        ray.shutdown()
    rows = {row["path"]: row for row in detected}
    assert sorted(rows) == photos
    assert "not an image" in rows[photos[2]]["error"]
    good = [rows[path]["score"] for path in photos if path != photos[2]]
    assert good == pytest.approx(scores(request_, photos), abs=1e-4)
