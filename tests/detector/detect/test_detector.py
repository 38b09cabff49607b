"""The Python API: values of every kind in, detections out, in order, with bounded memory."""

import numpy as np
import pytest
import torch
from PIL import Image

from descriptions.common.errors import ForgeError, UnknownCategoryError, UnknownVersionError
from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector.detect.detection import Detection, Failure
from detector.detect.detector import Detector
from detector.images.tiling import Blend, Window
from detector.scoring import predictor
from detector.scoring.predict import ScoringSettings
from tests.support.clip import tiny_filo


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    store = Store(tmp_path_factory.mktemp("library"))
    anomalies = (Anomaly(id="tooth", text="broken tooth"), Anomaly(id="off", text="rust", enabled=False))
    store.save(DescriptionFile(category="gear", object_name="gear", anomalies=anomalies))
    return store


@pytest.fixture(scope="module")
def model():
    return tiny_filo()


@pytest.fixture(scope="module")
def detector(model, store) -> Detector:
    return Detector(model, store=store, device="cpu")


def photo(seed: int, size: tuple[int, int] = (40, 30)) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


def test_every_kind_of_value(detector: Detector, tmp_path):
    image = photo(0)
    image.save(tmp_path / "x.png")
    array = np.array(image)
    values = [tmp_path / "x.png", str(tmp_path / "x.png"), image, array, torch.from_numpy(array).permute(2, 0, 1)]
    results = list(detector.predict(values, "gear"))
    assert len({round(one.score, 6) for one in results}) == 1
    assert results[0].path == str(tmp_path / "x.png")
    assert [each.id for each in results[0].matches] == ["tooth"]
    assert results[0].map.shape == (56, 56)
    assert next(iter(detector.predict([image], "gear@1"))).score == pytest.approx(results[0].score, abs=1e-6)


def test_order_and_batch_size_do_not_matter(model, store):
    images = [photo(seed) for seed in range(7)]
    by_size = [
        [one.score for one in Detector(model, store=store, device="cpu", batch_size=size).predict(images, "gear")]
        for size in (1, 3, 16)
    ]
    assert by_size[0] == by_size[1] == by_size[2]


def test_ninety_of_a_hundred(detector: Detector, tmp_path):
    paths = []
    for number in range(100):
        path = tmp_path / f"{number:03}.png"
        path.write_bytes(b"junk") if number % 10 == 3 else photo(number, (8, 8)).save(path)
        paths.append(path)
    results = list(detector.stream(paths, "gear"))
    assert [one.path for one in results] == [str(path) for path in paths]
    assert sum(isinstance(one, Failure) for one in results) == 10
    assert sum(isinstance(one, Detection) for one in results) == 90


def test_reading_ahead_is_bounded(model, store):
    detector = Detector(model, store=store, device="cpu", batch_size=2)
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield photo(1, (8, 8))

    stream = detector.stream(endless(), "gear")
    for _ in range(5):
        next(stream)
    stream.close()
    assert len(taken) <= 5 + 2 * 2 + 2


def test_tiles(model, store):
    detector = Detector(model, store=store, device="cpu", tile=56)
    (found,) = detector.predict([photo(5, (150, 100))], "gear")
    assert found.map.shape == (100, 150)
    assert found.region is not None
    assert all(0 <= value <= 1.001 for value in found.boxes[0][:4])
    windows = [photo(5, (150, 100)).crop((x, y, x + 56, y + 56)) for x, y in ((0, 0), (94, 44))]
    corners = list(Detector(model, store=store, device="cpu").predict(windows, "gear"))
    assert found.score >= max(one.score for one in corners) - 1e-5
    small = photo(6, (50, 50))
    assert next(iter(detector.predict([small], "gear"))).map.shape == (56, 56)


def test_prompts_are_made_once(detector: Detector, store):
    description = store.load("gear")
    assert detector.prompts(description) is detector.prompts(description.revised(status="reviewed"))


def test_versions_with_equal_texts_keep_their_own_ids(detector: Detector, store):
    description = store.load("gear")
    other = description.revised(anomalies=(Anomaly(id="bite", text="broken tooth"),))
    assert other.content_hash == description.content_hash
    assert [detector.prompts(file).anomalies[0].id for file in (description, other)] == ["tooth", "bite"]


def test_the_map_of_a_large_image_is_made_at_the_size_it_is_handed_out_in(model, store, monkeypatch):
    monkeypatch.setattr(predictor, "MAX_MAP", 60)
    detector = Detector(model, store=store, device="cpu", tile=56)
    anomaly_map = next(iter(detector.predict([photo(5, (150, 100))], "gear"))).map
    assert anomaly_map.shape == (40, 60)
    assert 0 <= anomaly_map.min() <= anomaly_map.max() <= 1


def test_a_step_stays_a_step_in_the_blended_map():
    blend = Blend((150, 100), 60)
    blend.add(Window(0, 0, 75, 100), [np.zeros((4, 4), np.float32)])
    blend.add(Window(75, 0, 150, 100), [np.ones((4, 4), np.float32)])
    (anomaly_map,) = blend.maps()
    assert np.array_equal(anomaly_map, np.repeat([[0.0] * 30 + [1.0] * 30], 40, axis=0))


def test_what_is_not_there(detector: Detector, model, store, tmp_path):
    with pytest.raises(UnknownCategoryError, match="did you mean gear"):
        list(detector.predict([photo(0)], "gaer"))
    with pytest.raises(UnknownVersionError):
        list(detector.predict([photo(0)], "gear@7"))
    with pytest.raises(ForgeError, match="no file"):
        list(detector.predict([tmp_path / "none.png"], "gear"))
    with pytest.raises(ForgeError, match="--dino-weights"):
        Detector(model, store=store, settings=ScoringSettings(localizer="grounding-dino"), device="cpu")


def test_a_localizer_is_asked_with_the_enabled_texts(model, store):
    from detector.localize.boxes import Box, Localisation

    class Fixed:
        fingerprint = "fixed"

        def locate(self, images, descriptions):
            assert list(descriptions) == ["broken tooth"]
            return [Localisation((Box(0.7, 0.7, 0.9, 0.9, "broken tooth", 0.8),), "bottom right")] * len(images)

    settings = ScoringSettings(localizer="grounding-dino")
    detector = Detector(model, store=store, settings=settings, localizer=Fixed(), device="cpu")
    (found,) = detector.predict([photo(0)], "gear")
    assert (found.region, found.boxes[0].phrase) == ("bottom right", "broken tooth")
