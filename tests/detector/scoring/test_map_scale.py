"""One scale for all pictures of a run, what good patches reach, and raw maps as files."""

import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from detector.detect.detection import with_boxes_that_count
from detector.detect.results import judged
from detector.localize.boxes import Box
from detector.report.map_files import WHITE, MapFiles, to_npy, to_tiff
from detector.scoring.map_scale import MapSummary, run_scale, summarise
from detector.scoring.threshold import Threshold
from tests.support.detecting import command, make_workplace, row_of, run


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_workplace(tmp_path_factory.mktemp("home"))


def maps_of(*peaks: float) -> list[MapSummary]:
    return [MapSummary(0.1, peak, (peak,)) for peak in peaks]


def test_a_summary_is_what_the_map_says():
    anomaly_map = np.full((10, 20), 0.1, np.float32)
    anomaly_map[2, 15], anomaly_map[9, 0] = 0.9, 0.4
    boxes = (Box(0.7, 0.1, 0.8, 0.4), Box(0.0, 0.9, 0.1, 1.2), Box(0.3, 0.3, 0.5, 0.5), Box(0.76, 0.25, 0.76, 0.25))
    assert summarise(anomaly_map, boxes) == MapSummary(0.1, 0.9, (0.9, 0.4, 0.1, 0.9))


def test_good_images_set_the_level():
    scale = run_scale(maps_of(0.3, 0.5, 0.8), ["good", "good", "anomalous"])
    assert (scale.level, scale.known) == (0.5, True)
    assert "any of the 2 images called good" in scale.basis
    assert (scale.low, scale.high) == pytest.approx((0.1, 0.9))
    assert [scale.shows("anomalous", peak) for peak in (0.5, 0.51)] == [False, True]
    assert not scale.shows("good", 0.99)


def test_of_many_good_images_the_odd_one_does_not_set_the_level():
    scale = run_scale(maps_of(*[0.3] * 19, 0.9), ["good"] * 20)
    assert scale.level == 0.3
    assert "95% of the images called good" in scale.basis
    assert run_scale(maps_of(*[0.3] * 18, 0.9), ["good"] * 19).level == 0.9
    rising = run_scale(maps_of(*[number / 100 for number in range(40)]), ["good"] * 40)
    assert rising.level == 0.37, "38 of 40 lie at or below it"


def test_the_one_good_image_is_called_that():
    assert "more than the one image called good reaches" in run_scale(maps_of(0.3, 0.5), ["good", "anomalous"]).basis


def test_without_verdicts_the_bulk_of_the_run_sets_the_level():
    peaks = [0.30, 0.31, 0.32, 0.33, 0.34, 0.35, 0.36, 0.9]
    scale = run_scale(maps_of(*peaks), [None] * 8)
    assert scale.level == pytest.approx(0.335 + 3 * 1.4826 * 0.02), "three robust standard deviations above the median"
    assert "the bulk of these 8 images" in scale.basis
    assert [scale.shows(None, peak) for peak in peaks] == [False] * 7 + [True]
    same = run_scale(maps_of(*[0.4] * 8), [None] * 8)
    assert not any(same.shows(None, 0.4) for _ in range(8))


@pytest.mark.parametrize("verdict", [None, "anomalous"])
def test_where_nothing_is_known_of_good_images_the_scale_is_that_of_every_map(verdict):
    scale = run_scale(maps_of(0.3, 0.5), [verdict] * 2)
    assert (scale.low, scale.high, scale.known) == (0.1, 1.0, False)
    assert scale.shows(verdict, 0.2)
    assert run_scale([], []).high == 1.0


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 1), st.sampled_from(["good", "anomalous", None])),
        min_size=1,
        max_size=30,
    )
)
def test_good_patches_stay_in_the_dark_half(images):
    maps = [MapSummary(min(pair), max(pair), ()) for *pair, _ in images]
    verdicts = [verdict for *_, verdict in images]
    scale = run_scale(maps, verdicts)
    assert scale.high - scale.low >= 0.25 - 1e-9
    assert scale.low <= min(max(each.median for each in maps), scale.high)
    good = sorted(each.peak for each, verdict in zip(maps, verdicts, strict=True) if verdict == "good")
    if good and 2 * scale.level - scale.low <= 1:
        assert scale.level <= (scale.low + scale.high) / 2 + 1e-9
    assert sum(peak > scale.level for peak in good) <= len(good) / 20


def test_rows_keep_the_boxes_that_count():
    boxes = [{"x0": 0.0, "y0": 0.0, "x1": 0.5, "y1": 0.5}, {"x0": 0.5, "y0": 0.5, "x1": 1.0, "y1": 1.0}]
    rows = [row_of("good", 0.2, boxes=boxes), row_of("bad", 0.8, boxes=boxes)]
    maps = [MapSummary(0.1, 0.4, (0.4, 0.2)), MapSummary(0.1, 0.9, (0.3, 0.9))]
    rows = judged(rows, Threshold.given(0.5))
    shown = with_boxes_that_count(rows, maps, run_scale(maps, [row["verdict"] for row in rows]))
    assert [row["boxes"] for row in shown] == [[], boxes[1:]]


def test_no_box_on_a_photo_that_is_called_good(home):
    rows = json.loads(run(command(home, "--threshold", "9", "--format", "json")).stdout)["images"]
    assert all(row["boxes"] == [] for row in rows)
    middle = sorted(row["score"] for row in rows)[6]
    document = json.loads(run(command(home, "--threshold", str(middle), "--format", "json")).stdout)
    assert document["map_scale"]["level"] > document["map_scale"]["low"]
    assert all(row["boxes"] == [] for row in document["images"] if row["verdict"] == "good")


def test_all_pictures_of_a_run_have_one_scale(home, tmp_path):
    out = tmp_path / "run"
    document = json.loads(run(command(home, "--out", str(out), "--threshold", "9", "--format", "json")).stdout)
    scales = set()
    for row in document["images"]:
        with Image.open(out / row["heatmap"]) as image:
            sheet = np.asarray(image.convert("RGB"))
        scales.add(sheet[60:-28, -72:].tobytes())
    assert len(scales) == 1


@pytest.mark.parametrize("shape", [(3, 3), (64, 48), (700, 900)])
def test_the_map_that_pictures_are_drawn_from_is_the_map(tmp_path, shape):
    anomaly_map = np.random.default_rng(0).random(shape, dtype=np.float32)
    files = MapFiles(tmp_path)
    assert not files.has("a/b.png")
    files.keep("a/b.png", anomaly_map)
    assert files.has("a/b.png")
    kept = files.load("a/b.png")
    assert max(kept.shape) == min(max(shape), 448)
    if kept.shape == shape:
        assert np.abs(kept - anomaly_map).max() <= 0.5 / WHITE + 1e-7


def test_raw_maps_are_read_elsewhere():
    anomaly_map = np.random.default_rng(0).random((30, 20), dtype=np.float32)
    loaded = np.load(io.BytesIO(to_npy(anomaly_map)))
    assert loaded.dtype == np.float16
    assert np.abs(loaded - anomaly_map).max() < 1e-3
    with Image.open(io.BytesIO(to_tiff(anomaly_map))) as image:
        assert image.mode == "I;16"
        assert np.abs(np.asarray(image) / WHITE - anomaly_map).max() <= 0.5 / WHITE + 1e-7


@pytest.mark.parametrize("form", ["npy", "tiff"])
def test_raw_maps_on_request(home, tmp_path, form):
    out = tmp_path / "run"
    words = command(home, "--out", str(out), "--maps", form, "--format", "json", photos="photos/00.png")
    (row,) = json.loads(run(words).stdout)["images"]
    assert row["map"].endswith(f".{form}")
    assert (out / row["map"]).is_file()
    assert json.loads((out / "results.json").read_text())["images"][0]["map"] == row["map"]
    plain = tmp_path / "plain"
    run(command(home, "--out", str(plain), photos="photos/00.png"))
    assert not [*plain.rglob("*.npy"), *plain.rglob("*.tiff")]
