"""Memory does not grow with the number of images."""

import resource

import numpy as np
import pytest

from descriptions.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector.detect import Detector
from tests.support.clip import tiny_filo


@pytest.mark.slow
def test_a_thousand_images(tmp_path):
    store = Store(tmp_path)
    store.save(DescriptionFile(category="gear", object_name="gear", anomalies=(Anomaly(id="t", text="broken tooth"),)))
    detector = Detector(tiny_filo(), store=store, device="cpu", batch_size=16)
    images = (np.full((64, 64, 3), number % 256, np.uint8) for number in range(1000))
    peaks = []
    for number, _ in enumerate(detector.stream(images, "gear")):
        if number in (199, 999):
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    assert peaks[1] < peaks[0] + 20, f"peak memory in MiB after 200 and 1000 images: {peaks}"
