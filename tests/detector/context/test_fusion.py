"""One scale for words and context, and names by what is unusual, with values worked out by hand."""

import numpy as np
import pytest

from detector.context.calibration import Scale, top_mean
from detector.context.fusion import (
    PhraseScale,
    fuse,
    name_defect,
    on_grid,
    on_picture,
    phrase_scale,
    set_scale,
    top_patches,
)


def test_maps_are_added_in_deviations_from_good():
    words, context = np.array([0.5, 0.7]), np.array([0.2, 0.8])
    got = fuse(words, context, Scale(0.5, 0.1), Scale(0.2, 0.3), weight=2)
    np.testing.assert_allclose(got, [0, (2 + 2 * 2) / np.sqrt(5)])
    np.testing.assert_allclose(fuse(words, context, Scale(0.5, 0.1), Scale(0.2, 0.3), weight=0), [0, 2])


def test_one_deviation_of_the_sum_is_one_deviation_of_a_good_patch():
    rng = np.random.default_rng(0)
    words, context = rng.normal(3, 0.2, 50_000), rng.normal(1, 5, 50_000)
    assert fuse(words, context, Scale(3, 0.2), Scale(1, 5)).std() == pytest.approx(1, abs=0.02)


def test_the_same_value_means_the_same_in_every_photo():
    scale = Scale(0.1, 0.05)
    one, other = (fuse(np.zeros(3), np.array([0.1, 0.2, top]), Scale(0, 1), scale) for top in (0.2, 0.9))
    assert one[1] == other[1]


def test_the_scale_of_a_set_is_not_moved_by_its_defects():
    good = np.random.default_rng(0).normal(2, 0.5, 20_000)
    mixed = np.concatenate([good, np.full(2_000, 50.0)])
    scale = set_scale(mixed)
    assert scale.mean == pytest.approx(2, abs=0.1)
    assert scale.deviation == pytest.approx(0.5, abs=0.08)
    assert set_scale(np.ones(4)).deviation > 0


def test_maps_go_to_the_grid_and_back():
    heat = np.kron(np.arange(6.0).reshape(2, 3), np.ones((5, 4)))
    np.testing.assert_allclose(on_grid(heat, (2, 3)), np.arange(6))
    peak = np.zeros(49)
    peak[24] = 1
    picture = on_picture(peak, (7, 7), (70, 140))
    assert picture.shape == (70, 140)
    assert np.unravel_index(picture.argmax(), picture.shape)[0] in (34, 35)
    np.testing.assert_allclose(on_picture(np.full(6, 3.0), (2, 3), (20, 30)), 3, rtol=1e-5)
    sharp = on_picture(peak, (7, 7), (392, 392), smoothing=0)
    assert sharp.max() > on_picture(peak, (7, 7), (392, 392), smoothing=30).max()


def test_the_top_patches_are_what_the_score_is_made_of():
    values = np.random.default_rng(0).normal(size=784)
    region = top_patches(values)
    assert region.sum() == 8
    assert values[region].mean() == pytest.approx(top_mean(values))
    assert top_patches(np.zeros(3)).sum() == 1


def test_a_phrase_that_is_near_everything_names_nothing():
    rng = np.random.default_rng(0)
    usual = np.array([0.30, 0.22, 0.21])  # the first phrase is near every patch of this product
    good = usual + rng.normal(0, 0.004, (5, 40, 3))
    photo = usual + rng.normal(0, 0.004, (40, 3))
    region = np.arange(40) >= 36
    photo[region, 2] += 0.02
    scale = phrase_scale(good)
    np.testing.assert_allclose(scale.mean, usual, atol=0.002)
    named = name_defect(photo, region, scale)
    assert named[0].phrase == 2
    assert named[0].deviations > 3 > abs(named[1].deviations)
    assert max(range(3), key=lambda index: photo[region].mean(0)[index]) == 0  # by raw cosine it would be the first
    assert named[0].similarity == pytest.approx(photo[region, 2].mean())


def test_every_phrase_has_its_own_deviation():
    scale = PhraseScale(np.array([0.2, 0.2]), np.array([0.05, 0.01]))
    named = name_defect(np.array([[0.25, 0.23]]), np.array([True]), scale)
    assert [(each.phrase, round(each.deviations, 6)) for each in named] == [(1, 3.0), (0, 1.0)]


def test_a_phrase_that_never_moves_does_not_divide_by_nothing():
    scale = phrase_scale(np.full((2, 3, 1), 0.2))
    assert np.isfinite(name_defect(np.array([[0.3]]), np.array([True]), scale)[0].deviations)
