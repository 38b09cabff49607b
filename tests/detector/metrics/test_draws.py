"""The metrics of many draws at once, held to those of one draw at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.evaluate.bootstrap import draw_images, group_bins, over_images, over_pixels
from detector.metrics import Histogram, count_pixels, image_metrics, pixel_metrics, pixel_metrics_binned
from detector.metrics.compute import IMAGE_METRICS, PIXEL_METRICS
from detector.metrics.draws import Weightings, metrics_of_draws

BINS = 64


def added(histograms, times=None):
    """The histogram of all pictures, each counted as often as it was drawn."""
    times = np.ones(len(histograms)) if times is None else times
    return Histogram(
        *(sum(n * side for n, side in zip(times, sides, strict=True)) for sides in zip(*histograms, strict=True))
    )


@given(seed=st.integers(0, 2**32 - 1), levels=st.integers(1, 12), images=st.integers(1, 9))
def test_image_metrics_of_every_draw_are_those_of_the_drawn_images(seed, levels, images):
    rng = np.random.default_rng(seed)
    scores, labels = rng.integers(0, levels, images) / levels, rng.random(images) < 0.5
    draws = draw_images(labels, 5, seed)
    values = over_images(scores, labels, draws, IMAGE_METRICS)
    for row, times in zip(values, draws, strict=True):
        resampled = np.repeat(np.arange(images), times)
        expected = image_metrics(scores[resampled], labels[resampled]).values
        for name, value in zip(IMAGE_METRICS, row, strict=True):
            assert value == pytest.approx(np.nan if expected[name] is None else expected[name], nan_ok=True, abs=1e-12)


@given(seed=st.integers(0, 2**32 - 1), width=st.floats(0.01, 1), defective=st.integers(0, 3), good=st.integers(0, 3))
def test_pixel_metrics_of_every_draw_are_those_of_the_added_histograms(seed, width, defective, good):
    rng = np.random.default_rng(seed)
    counted = []
    for number in range(defective + good):
        mask = np.zeros((9, 9), bool)
        if number < defective:
            mask[1:3, 2:5] = mask[6:8, 6:9] = True
        anomaly_map = np.clip(rng.normal(0.4 + 0.1 * mask, width / 4), 0, 1).astype(np.float32)
        counted.append(count_pixels(anomaly_map, mask, BINS))
    draws = rng.integers(0, 3, (6, len(counted)))
    draws[:, :1] += 1
    if not counted:
        return
    groups = group_bins(added(counted))
    grouped = [Histogram(*(np.bincount(groups.of, side, len(groups.at)) for side in one)) for one in counted]
    values = over_pixels(grouped, groups, draws, PIXEL_METRICS)
    assert values is not None
    for row, times in zip(values, draws, strict=True):
        expected = pixel_metrics_binned(added(counted, times)).values
        for name, value in zip(PIXEL_METRICS, row, strict=True):
            assert value == pytest.approx(np.nan if expected[name] is None else expected[name], nan_ok=True, abs=1e-9)


def test_more_draws_than_are_worked_on_at_once_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    weightings = Weightings(np.arange(50.0), *rng.integers(0, 4, (3, 40, 50)).astype(float))
    whole = metrics_of_draws(weightings, PIXEL_METRICS)
    monkeypatch.setattr("detector.metrics.draws.CELLS", 150)
    assert np.array_equal(metrics_of_draws(weightings, PIXEL_METRICS), whole)


def test_no_score_at_all_gives_no_metric():
    nothing = Weightings(np.zeros(0), *np.zeros((3, 4, 0)))
    assert np.isnan(metrics_of_draws(nothing, PIXEL_METRICS)).all()


@given(seed=st.integers(0, 2**32 - 1), low=st.integers(0, 3), high=st.integers(0, 3))
def test_scores_without_weight_in_a_draw_change_nothing(seed, low, high):
    """Thresholds of `aupro_legacy` are spread over the scores that were drawn, not over all there are."""
    rng = np.random.default_rng(seed)
    inside = rng.integers(0, 3, (3, 2, 6)).astype(float)
    inside[:, :, 0] += 1
    padded = np.pad(inside, ((0, 0), (0, 0), (low, high)))
    scores = np.sort(rng.random(padded.shape[-1]))
    expected = metrics_of_draws(Weightings(scores[low : low + 6], *inside), PIXEL_METRICS)
    values = metrics_of_draws(Weightings(scores, *padded), PIXEL_METRICS)
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=4))
def test_legacy_aupro_of_a_few_levels_is_that_of_the_pixels(levels):
    """With few levels there may be no rate below the limit, one, or two equal ones: then the metric does not exist."""
    assert_legacy_is_that_of_pixels(np.arange(len(levels)) / 4, *np.array(levels).T)


def test_legacy_aupro_needs_two_thresholds():
    """Of 200 thresholds, 0.005 apart, the last two have rates of 0.2 and 0.1, and all others of 1."""
    scores = np.array([0, 0.9875, 0.9925, 0.9975, 1])
    assert_legacy_is_that_of_pixels(scores, np.array([0, 8, 1, 1, 0]), np.array([1, 0, 0, 0, 1]), exists=True)
    assert_legacy_is_that_of_pixels(scores, np.array([0, 1, 8, 1, 0]), np.array([1, 0, 0, 0, 1]), exists=False)


def assert_legacy_is_that_of_pixels(scores, negatives, positives, *, exists=None):
    """Compare one draw with the pixels that it stands for, all defective ones in one region."""
    weights = Weightings(scores, *(side[None].astype(float) for side in (negatives, positives, positives)))
    ((value,),) = metrics_of_draws(weights, ("aupro_legacy",))
    flat = np.concatenate([np.repeat(scores, negatives), np.repeat(scores, positives)])
    mask = np.arange(len(flat)) >= negatives.sum()
    expected = pixel_metrics([flat[None]], [mask[None]]).values["aupro_legacy"] if len(flat) else None
    assert value == pytest.approx(np.nan if expected is None else expected, nan_ok=True, abs=1e-9)
    assert exists is None or exists == (expected is not None)
