"""Memory does not grow with the number of images, nor beyond a picture's own size when it is cut into windows."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector.detect.detector import Detector
from tests.support.clip import tiny_filo

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc"),
]


def resident() -> float:
    """Memory of this process now, in MiB; the peak would be that of whichever test ran before."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


@pytest.fixture
def store(tmp_path) -> Store:
    store = Store(tmp_path)
    store.save(DescriptionFile(category="gear", object_name="gear", anomalies=(Anomaly(id="t", text="broken tooth"),)))
    return store


def test_many_images(store):
    detector = Detector(tiny_filo(), store=store, device="cpu", batch_size=16)
    images = (np.full((64, 64, 3), number % 256, np.uint8) for number in range(240))
    curve = [resident() for number, _ in enumerate(detector.stream(images, "gear"), 1) if number % 24 == 0]
    assert max(curve[2:]) < curve[1] + 20, f"MiB after every 24 images: {curve}"


def test_windows_of_a_large_image_are_not_all_there_at_once(store):
    """48 windows are scored; what stays is the image and its map, and the map that is handed out is at most 2048."""
    detector = Detector(tiny_filo(), store=store, device="cpu", tile=640)
    large = Image.fromarray(np.random.default_rng(0).integers(0, 255, (3000, 4000, 3), dtype=np.uint8))
    list(detector.predict([large.resize((800, 600))], "gear"))
    seen = [resident()]
    predict = detector.predictor._predict

    def watched(images, *rest):
        seen.append(resident())
        return predict(images, *rest)

    detector.predictor._predict = watched  # type: ignore[method-assign]
    (found,) = detector.predict([large], "gear")
    assert max(found.map.shape) == 2048
    assert len(seen) > 48 / detector.batch_size
    assert max(seen) - seen[0] < 250, f"MiB before and during the windows: {seen}"
