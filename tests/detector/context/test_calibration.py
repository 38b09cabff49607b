"""What references can promise, and what they cannot."""

import numpy as np
import pytest

from detector.context.calibration import (
    FalseAlarmError,
    Scale,
    fine_and_coarse,
    odd_ones,
    p_value,
    photo_score,
    promise,
    smallest_rate,
    threshold,
    top_mean,
    uncalibrated_guess,
)


def test_p_values_count_the_photo_itself():
    good = [1.0, 2.0, 3.0, 4.0]
    assert [p_value(score, good) for score in (0.5, 4.0, 4.1)] == [1.0, 0.4, 0.2]
    assert smallest_rate(4) == 0.2


@pytest.mark.parametrize(("photos", "rate"), [(19, 0.05), (99, 0.01), (8, 1 / 9), (1, 0.5)])
def test_the_least_number_of_photos_for_a_rate(photos, rate):
    good = [float(value) for value in range(photos)]
    assert threshold(good, rate) == photos - 1
    with pytest.raises(FalseAlarmError, match=f"expected at least {photos} for that rate.*add 1 photos|add good"):
        threshold(good[:-1], rate)


def test_eight_photos_promise_one_in_nine_and_say_so():
    with pytest.raises(FalseAlarmError, match=r"0.05 false alarms from 8 good photos.*at least 19.*add 11 photos, "
                                              r"or type --false-alarms 11.2%"):  # fmt: skip
        threshold([1.0] * 8, 0.05)
    assert threshold([1.0] * 8, 0.112) == 1
    assert "at most 1 in 9 good photos" in promise([1.0] * 8, 0.12)
    assert "11.1%" in promise([1.0] * 8, 0.12)


@pytest.mark.parametrize("rate", [0, 1, -0.1, 5, float("nan")])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(FalseAlarmError, match="more than 0 % and less than 100 %"):
        threshold([1.0] * 30, rate)


@pytest.mark.parametrize("photos", [9, 19, 40])
@pytest.mark.parametrize("rate", [0.1, 0.25])
def test_thresholds_keep_their_promise_on_photos_never_used(photos, rate):
    draws = np.random.default_rng(0).gumbel(size=(4000, photos + 1))
    alarms = [row[-1] > threshold(row[:-1].tolist(), rate) for row in draws]
    exact = np.floor(rate * (photos + 1)) / (photos + 1)
    assert abs(np.mean(alarms) - exact) < 0.02
    p = [p_value(row[-1], row[:-1].tolist()) <= rate for row in draws]
    assert p == alarms


def test_the_score_is_the_mean_of_the_highest_hundredth():
    values = np.arange(400.0).reshape(20, 20)
    assert top_mean(values) == np.mean([396, 397, 398, 399])
    assert top_mean(np.array([1.0, 7.0])) == 7


def test_a_photo_scores_at_two_scales_as_multiples_of_good():
    flat = np.full(400, 2.0)
    assert fine_and_coarse(flat, (20, 20)) == pytest.approx((2, 2))
    assert photo_score(flat, (20, 20), (1, 4)) == pytest.approx((2 + 0.5) / 2)
    point, area = flat.copy(), flat.copy()
    point[210] = 8
    area.reshape(20, 20)[6:12, 6:12] = 4
    assert fine_and_coarse(point, (20, 20))[0] > fine_and_coarse(area, (20, 20))[0]
    assert fine_and_coarse(point, (20, 20))[1] < fine_and_coarse(area, (20, 20))[1]


def test_a_scale_gives_deviations_and_survives_equal_values():
    scale = Scale.of(np.array([[1.0, 3.0]]))
    assert scale == (2.0, 1.0)
    assert scale.deviations(np.array([4.0])).tolist() == [2.0]
    assert np.isfinite(Scale.of(np.ones(5)).deviations(np.array([2.0]))).all()


def test_the_odd_one_is_named_and_nearly_equal_ones_are_not():
    good = [1.0, 1.1, 0.9, 1.05, 0.95, 1.0]
    assert odd_ones(good) == []
    assert [index for index, _ in odd_ones([*good[:3], 3.0, *good[3:]])] == [3]
    assert odd_ones([1.0, 1.0, 1.0, 1.001]) == []
    assert odd_ones([1.0, 9.0]) == []


def test_the_guess_is_mean_and_three_deviations():
    assert uncalibrated_guess([1.0, 3.0]) == 5
