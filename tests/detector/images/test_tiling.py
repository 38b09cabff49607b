"""Windows over a large picture, and the map blended from theirs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from detector.images.tiling import Blend, windows


@pytest.mark.parametrize("size", [(4000, 3000), (100, 100), (257, 64), (1, 1)])
def test_windows_cover_the_image_and_stay_inside(size):
    width, height = size
    covered = np.zeros((height, width), bool)
    for window in windows(width, height, 256):
        assert window.left >= 0
        assert window.right <= width
        assert window.right - window.left == min(256, width)
        covered[window.top : window.bottom, window.left : window.right] = True
    assert covered.all()


def brightness(cuts, _):
    return [np.asarray(cut.convert("L"), dtype=np.float32) / 255 for cut in cuts]


def blended(image, side, score):
    """A map of the whole image from the windows', one after the other."""
    blend = Blend(image.size)
    for window in windows(*image.size, side):
        blend.add(window, score([image.crop(window)], [window]))
    return blend.maps()[0]


def test_tiled_equals_untiled_where_the_score_is_local():
    rows, columns = np.mgrid[:3000, :4000]
    field = (np.sin(rows / 150) * np.cos(columns / 200) * 127 + 128).astype(np.uint8)
    tiled = blended(Image.fromarray(field), 512, brightness)
    assert tiled.shape == (3000, 4000)
    assert np.abs(tiled - field / 255).max() < 1e-5


def test_maps_smaller_than_their_window_are_enlarged():
    image = Image.new("L", (300, 200), 51)
    tiled = blended(image, 128, lambda cuts, _: [np.full((7, 7), 0.2, np.float32) for _ in cuts])
    assert np.allclose(tiled, 0.2)


@settings(deadline=None, max_examples=50)
@given(width=st.integers(1, 300), height=st.integers(1, 300), side=st.integers(8, 200), limit=st.integers(1, 400))
def test_a_blended_map_has_no_gap_and_stays_in_range(width, height, side, limit):
    blend = Blend((width, height), limit)
    for window in windows(width, height, side):
        blend.add(window, [np.full((3, 3), 0.5, np.float32), np.ones((3, 3), np.float32)])
    half, one = blend.maps()
    assert half.shape == one.shape
    assert max(one.shape) == min(limit, max(width, height))
    assert np.allclose(half, 0.5)
    assert np.allclose(one, 1)


def test_seams_are_blended():
    """Windows that disagree meet in a slope, not in a step."""
    image = Image.new("L", (448, 256))
    tiled = blended(image, 256, lambda _cuts, where: [np.full((4, 4), float(w.left > 0), np.float32) for w in where])
    assert np.abs(np.diff(tiled[128])).max() < 0.1
