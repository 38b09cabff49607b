"""What `detector eval` says: intervals that hold their value, means, outlines, tables, and comparisons."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

from detector.evaluate.bootstrap import COARSE_BINS, draw_images, group_bins, interval, over_pixels
from detector.evaluate.comparison import Evaluation
from detector.evaluate.records import Record, gather, pack_counts, write_record
from detector.evaluate.results import other_data, to_csv, to_document
from detector.evaluate.shown import in_words
from detector.evaluate.summary import CategoryResult, VariantResult, draw_pixels
from detector.metrics import Histogram, Metrics, pixel_metrics_binned
from detector.metrics.compute import METRICS, PIXEL_METRICS
from detector.metrics.pixels import count_pixels
from detector.report.pictures import OUTLINE, outlined


def write_maps(folder, low, width, images=12):
    """Records of images whose maps have all their values in [low, low + width]."""
    rng = np.random.default_rng(0)
    paths = []
    for index in range(images):
        mask = np.zeros((64, 64), dtype=bool)
        if index % 2:
            mask[10:20, 10:30] = True
        values = np.clip(rng.normal(0.3, 0.1, mask.shape) + 0.3 * mask, 0, 1)
        counts = pack_counts(count_pixels(low + width * values, mask))
        paths.append(folder / f"{index}.npz")
        write_record(paths[-1], Record(np.zeros(1), (counts,), np.zeros(2)), "digest")
    return paths


@pytest.mark.parametrize(("low", "width"), [(0.0, 1.0), (0.5, 0.001), (0.9, 0.01)])
def test_an_interval_holds_its_value_however_close_the_maps_values_lie(tmp_path, low, width):
    paths = write_maps(tmp_path, low, width)
    pooled = gather(paths, 0)
    draws = draw_images(np.arange(len(paths)) % 2 == 1, 200)
    drawn = draw_pixels(paths, 0, pooled, draws, PIXEL_METRICS)
    values = pixel_metrics_binned(pooled).values
    for name in ("pixel_auroc", "pixel_ap", "pixel_f1max", "aupro"):
        below, above = interval(drawn[name])
        assert below <= values[name] <= above, name


def many_bins(seed=0):
    """A histogram with every bin filled, most of it within a thousandth of the range."""
    rng = np.random.default_rng(seed)
    sides = [np.ones(2**16), np.zeros(2**16), np.zeros(2**16)]
    for side, mean in zip(sides, (0.5, 0.5005, 0.5005), strict=True):
        places = (rng.normal(mean, 0.0003, 100_000) * 2**16).astype(int)
        side += np.bincount(places, minlength=2**16)
    return Histogram(*sides)


def test_groups_are_bounded_and_change_hardly_anything():
    pooled = many_bins()
    groups = group_bins(pooled)
    assert len(groups.at) <= COARSE_BINS
    assert (np.diff(groups.of) >= 0).all(), "neighbours stay neighbours"
    assert (groups.of[groups.at] == np.arange(len(groups.at))).all()
    few = Histogram(*(np.bincount(groups.of, side, minlength=len(groups.at)) for side in pooled))
    whole = pixel_metrics_binned(pooled).values
    drawn = over_pixels([few], groups, np.ones((1, 1), int), PIXEL_METRICS)
    values = dict(zip(PIXEL_METRICS, drawn[0], strict=True))
    assert all(abs(values[name] - whole[name]) < 5e-4 for name in ("pixel_auroc", "pixel_ap", "aupro"))
    assert values["aupro_legacy"] == pytest.approx(whole["aupro_legacy"], abs=0.02)


def test_groups_of_no_pixel_at_all():
    groups = group_bins(Histogram(*np.zeros((3, 8))))
    assert len(groups.at) == 0
    drawn = over_pixels([Histogram(*np.zeros((3, 0)))], groups, np.ones((2, 1), int), PIXEL_METRICS)
    assert np.isnan(drawn).all()


@pytest.mark.parametrize("thin", [np.s_[2000, :], np.s_[2000, 1111], np.s_[:, -1]])
def test_a_thin_defect_keeps_its_outline(thin):
    mask = np.zeros((4000, 3000), dtype=bool)
    mask[thin] = True
    drawn = np.asarray(outlined(Image.new("RGB", (128, 170)), mask))
    assert (drawn == OUTLINE).all(axis=-1).any()


def test_an_outline_at_full_size_is_around_the_mask():
    mask = np.zeros((20, 30), dtype=bool)
    mask[8:12, 10:20] = True
    red = (np.asarray(outlined(Image.new("RGB", (30, 20)), mask)) == OUTLINE).all(axis=-1)
    assert red[7, 12]
    assert not red[mask].any()


def result(category, values, data_hash="one"):
    """A category with one version whose metrics are these; the draws of those that exist surround them."""
    metrics = dict.fromkeys(METRICS) | values
    spread_out = np.linspace(-0.01, 0.01, 5)
    draws = {name: np.full(5, np.nan) if value is None else value + spread_out for name, value in metrics.items()}
    ranges = {name: interval(each) for name, each in draws.items()}
    variants = [
        VariantResult(name, False, None, "hash", Metrics(metrics), ranges, {}, (), (), draws) for name in ("@1", "@2")
    ]
    return CategoryResult(category, (), tuple(variants), data_hash)


def document(*categories):
    return to_document(Evaluation(categories, (), (), 0, {"draws": 5, "seed": 0}))


def test_the_mean_has_an_interval_where_a_category_has_no_masks():
    mean = document(result("a", {"pixel_ap": 0.4, "image_ap": 0.2}), result("b", {"image_ap": 0.4}))["mean"]["@2"]
    assert mean["pixel_ap"] == pytest.approx(0.4)
    assert mean["pixel_ap_interval"] == pytest.approx((0.3905, 0.4095))
    assert mean["pixel_ap_difference_interval"] == (0, 0)
    assert mean["image_ap_interval"] == pytest.approx((0.2905, 0.3095))
    assert (mean["aupro"], mean["aupro_interval"]) == (None, None)


def test_no_category_is_a_formula_in_a_spreadsheet():
    rows = list(csv.DictReader(io.StringIO(to_csv(document(result("=1+1", {}), result("gear", {}))))))
    assert [row["category"] for row in rows] == ["'=1+1", "'=1+1", "gear", "gear", "mean", "mean"]
    assert rows[0]["variant"] == "@1", "pandas finds it"


def test_runs_over_other_pictures_are_told_apart():
    first = document(result("a", {}), result("b", {}), result("c", {}))
    second = document(result("a", {}, "two"), result("b", {}))
    assert other_data(first, second) == ["a"]
    del first["categories"]["a"]["data_hash"]
    assert other_data(first, second) == []


def test_a_difference_in_words():
    nothing = (0.1, (-0.1, 0.3))
    changes = [nothing] * len(METRICS)
    assert in_words("gear@1", "gear@2", changes) == "gear@2 against gear@1: no evidence of a difference"
    changes[METRICS.index("image_auroc")] = (0.2, (0.1, 0.3))
    changes[METRICS.index("pixel_ap")] = (-0.2, (-0.3, -0.1))
    assert in_words("gear@1", "gear@2", changes) == "gear@2 against gear@1: better in image AUROC; worse in pixel AP"
