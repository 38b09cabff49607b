"""Every metric against scikit-learn and against loops over thresholds and regions, its laws, and its edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.metrics import Metrics, count_pixels, image_metrics, pixel_metrics, pixel_metrics_binned
from detector.metrics.compute import IMAGE_METRICS, PIXEL_METRICS, UnusableScoresError, mean_metrics
from detector.metrics.pixels import BINS, add, create_histogram, fold
from detector.metrics.ranking import rank_labels, rising, trace
from detector.metrics.regions import region_weights
from detector.metrics.values import pr_line, pro_line, roc_line
from tests.support.brute import brute_aupro, legacy_aupro, sklearn_metrics

seeds = st.integers(0, 2**32 - 1)


def draw(seed, levels=None, images=4, height=12, width=15):
    """Random maps and masks with a good image, regions that touch at a corner, and (with `levels`) ties."""
    rng = np.random.default_rng(seed)
    masks = rng.random((images, height, width)) < 0.12
    masks[0] = False
    masks[1, 0, 0] = True
    maps = rng.random((images, height, width)) * 0.6 + masks * rng.random() * 0.4
    if levels:
        maps = np.round(maps * levels) / levels
    return list(maps.astype(np.float32)), list(masks)


@settings(max_examples=40, deadline=None)
@given(seeds, st.sampled_from([np.float32, np.float64]), st.booleans())
def test_sorting_by_bits_is_sorting(seed, kind, signed):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.random(50) - 0.5 * signed, [0.0, 1e-42, 1.0, np.inf, 0.25, 0.25]]).astype(kind)
    assert np.array_equal(rising(values[::-1]), np.sort(values))
    assert len(rising(values[:0])) == 0


@settings(max_examples=30, deadline=None)
@given(seeds, st.sampled_from([None, 3, 40]))
def test_pixel_metrics_agree_with_sklearn_and_brute_force(seed, levels):
    maps, masks = draw(seed, levels)
    ours = pixel_metrics(maps, masks).values
    theirs = sklearn_metrics(np.stack(maps).ravel(), np.stack(masks).ravel(), "pixel")
    theirs["aupro"] = brute_aupro(maps, masks)
    assert {name: ours[name] for name in theirs} == pytest.approx(theirs, rel=0, abs=1e-9)
    if ours["aupro_legacy"] is not None:
        assert ours["aupro_legacy"] == pytest.approx(legacy_aupro(maps, masks), rel=0, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(seeds, st.booleans())
def test_image_metrics_agree_with_sklearn(seed, ties):
    rng = np.random.default_rng(seed)
    labels = np.concatenate(([True, False], rng.random(30) < 0.4))
    scores = rng.integers(0, 5, 32) / 4 if ties else rng.random(32)
    assert image_metrics(scores, labels).values == pytest.approx(
        sklearn_metrics(scores, labels, "image"), rel=0, abs=1e-9
    )


@settings(max_examples=20, deadline=None)
@given(seeds, st.sampled_from([None, 5]))
def test_order_of_images_and_rising_transforms_change_nothing(seed, levels):
    maps, masks = draw(seed, levels)
    exact = pixel_metrics(maps, masks).values
    exact.pop("aupro_legacy")  # its thresholds are evenly spaced scores, so it alone depends on the scale
    shuffled = np.random.default_rng(seed).permutation(len(maps))
    again = pixel_metrics([maps[i] for i in shuffled], [masks[i] for i in shuffled]).values
    stretched = pixel_metrics([np.exp(3 * m.astype(np.float64)) for m in maps], masks).values
    for other in (again, stretched):
        assert {name: other[name] for name in exact} == pytest.approx(exact, rel=0, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_flipping_masks_and_maps_alike_changes_nothing(seed):
    maps, masks = draw(seed)
    flipped = pixel_metrics([m[:, ::-1] for m in maps], [m[:, ::-1] for m in masks]).values
    assert flipped == pytest.approx(pixel_metrics(maps, masks).values, rel=0, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_inverting_the_labels_mirrors_auroc(seed):
    maps, masks = draw(seed)
    inverted = pixel_metrics(maps, [~mask for mask in masks]).values["pixel_auroc"]
    assert inverted == pytest.approx(1 - pixel_metrics(maps, masks).values["pixel_auroc"])


@settings(max_examples=20, deadline=None)
@given(seeds, st.sampled_from([None, 7]))
def test_every_metric_lies_between_zero_and_one(seed, levels):
    values = pixel_metrics(*draw(seed, levels)).values.values()
    assert all(0 <= value <= 1 for value in values if value is not None)


@settings(max_examples=30, deadline=None)
@given(seeds, st.sampled_from([BINS, 256, 16]))
def test_binned_metrics_stay_within_their_stated_error(seed, bins):
    maps, masks = draw(seed)
    exact = pixel_metrics(maps, masks).values
    total = create_histogram(bins)
    for scores, mask in zip(maps, masks, strict=True):
        total = add(total, count_pixels(scores, mask, bins))
    binned = pixel_metrics_binned(total)
    assert set(binned.error) == {"pixel_auroc", "pixel_ap", "pixel_f1max", "aupro"}
    for name, bound in binned.error.items():
        assert abs(binned.values[name] - exact[name]) <= bound + 1e-12, name


def test_too_many_pixels_are_counted_in_bins():
    maps, masks = draw(3)
    binned = pixel_metrics(maps, masks, exact_pixels=10)
    assert binned.error
    assert binned.values == pytest.approx(pixel_metrics(maps, masks).values, abs=1e-4)


def test_folding_a_histogram_equals_counting_in_fewer_bins():
    maps, masks = draw(5)
    for folded, counted in zip(
        fold(count_pixels(maps[1], masks[1], 256), 16), count_pixels(maps[1], masks[1], 16), strict=True
    ):
        assert folded == pytest.approx(counted)


def test_corner_touching_pixels_are_one_region():
    mask = np.array([[1, 0, 0, 1], [0, 1, 0, 0]], dtype=bool)
    weighed = region_weights(mask)
    assert weighed.regions == 2
    assert weighed.weights.tolist() == [0.5, 1.0, 0.5]


def test_perfect_and_inverted_maps():
    mask = np.zeros((6, 6), dtype=bool)
    mask[2:4, 2:4] = True
    perfect = pixel_metrics([mask.astype(np.float32)], [mask]).values
    assert (perfect["pixel_auroc"], perfect["pixel_ap"], perfect["pixel_f1max"], perfect["aupro"]) == (1, 1, 1, 1)
    assert pixel_metrics([1 - mask.astype(np.float32)], [mask]).values["pixel_auroc"] == 0


@pytest.mark.parametrize(
    ("labels", "reason"),
    [([0, 0], "no defective image"), ([1, 1], "no good image"), ([], "no good image and no defective image")],
)
def test_one_sided_labels_are_named(labels, reason):
    metrics = image_metrics(np.linspace(0, 1, len(labels)), np.array(labels, dtype=np.int64))
    assert metrics.values == dict.fromkeys(IMAGE_METRICS)
    assert reason in metrics.notes[0]


def test_empty_masks_are_named():
    maps, masks = draw(1)
    for metrics in (
        pixel_metrics(maps[:1], masks[:1]),
        pixel_metrics([], []),
        pixel_metrics(maps[:1], masks[:1], exact_pixels=0),
    ):
        assert metrics.values == dict.fromkeys(PIXEL_METRICS)
        assert "no defective pixel" in metrics.notes[0]


def test_constant_maps_are_named_and_score_as_guessing():
    _, masks = draw(2)
    metrics = pixel_metrics([np.full_like(mask, 0.5, dtype=np.float32) for mask in masks], masks)
    assert metrics.values["pixel_auroc"] == 0.5
    assert metrics.values["aupro_legacy"] is None
    assert "0.5" in metrics.notes[0]


def test_a_legacy_value_that_does_not_exist_is_named():
    maps = [np.array([[1.0, 1.0, 1.0, 0.0]], dtype=np.float32)]
    metrics = pixel_metrics(maps, [np.array([[True, False, False, False]])])
    assert metrics.values["aupro_legacy"] is None
    assert "aupro_legacy" in metrics.notes[0]


def test_nan_is_refused():
    maps, masks = draw(1)
    maps[2][0, 0] = np.nan
    with pytest.raises(UnusableScoresError, match="anomaly map 2 hold NaN"):
        pixel_metrics(maps, masks)
    with pytest.raises(UnusableScoresError, match="image scores hold NaN"):
        image_metrics(np.array([np.nan, 1.0]), np.array([True, False]))


def test_a_map_of_another_size_than_its_mask_is_refused():
    maps, masks = draw(1)
    with pytest.raises(UnusableScoresError, match=r"shape \(11, 15\).*\(12, 15\)"):
        pixel_metrics([maps[0][1:]], masks[:1])


def test_means_skip_what_a_category_lacks():
    mean = mean_metrics([Metrics({"image_ap": 0.5, "aupro": None}), Metrics({"image_ap": 1.0, "aupro": 0.2})])
    assert mean.values == {"image_ap": 0.75, "aupro": 0.2}
    assert mean_metrics([Metrics({"aupro": None})]).values == {"aupro": None}


def test_curves_start_and_end_where_they_must():
    curve = trace(rank_labels(np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, False, True, False])))
    roc = roc_line(curve)
    assert (roc.x[0], roc.y[0], roc.x[-1], roc.y[-1]) == (0, 0, 1, 1)
    assert pr_line(curve).y.tolist() == [1, 2 / 3]
    with pytest.raises(ValueError, match="without regions"):
        pro_line(curve)


def test_the_stated_error_of_one_bin_is_that_of_its_best_and_worst_order():
    """One defect pixel and three good ones in one bin: its rank is the first at best and the last at worst."""
    scores, mask = np.full((1, 4), 0.5, np.float32), np.array([[True, False, False, False]])
    error = pixel_metrics_binned(count_pixels(scores, mask, 4)).error
    assert error["pixel_auroc"] == pytest.approx(1 / 2)
    assert error["pixel_ap"] == pytest.approx(1 - 1 / 4)
    assert error["pixel_f1max"] == pytest.approx(1 - 2 / 5)
    assert error["aupro"] == pytest.approx(1 / 0.3)
    scores[0, 1] = 0.9  # a good pixel that scores higher, whatever the order within the bin
    error = pixel_metrics_binned(count_pixels(scores, mask, 4)).error
    assert error["pixel_ap"] == pytest.approx(1 / 2 - 1 / 4)


def test_maps_without_a_mask_each_are_refused():
    maps, masks = draw(0)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        pixel_metrics(maps, masks[:-1])
    with pytest.raises(ValueError, match=r"shorter|longer"):
        pixel_metrics(maps[:-1], masks)


def test_notes_say_what_cannot_be_ranked():
    constant, mask = np.full((2, 2), 0.25, np.float32), np.array([[True, False], [False, False]])
    assert pixel_metrics([constant], [mask]).notes == ("all anomaly maps are 0.25: the metrics are those of guessing",)
    assert image_metrics(np.array([0.5, 0.5]), np.array([True, False])).notes == (
        "all image scores are 0.5: the metrics are those of guessing",
    )
    assert pixel_metrics([constant], [~np.zeros_like(mask)]).notes == ("no good pixel: nothing to rank",)
    assert pixel_metrics([constant], [np.zeros_like(mask)]).notes == (
        "no defective pixel (all masks are empty or missing): nothing to rank",
    )
