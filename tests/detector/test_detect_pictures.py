"""Tiling and pictures: pure functions on arrays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from detector.localize.boxes import Box
from detector.render import CAPTION, PANEL, STRIP, colours, contour, picture, stretched
from detector.tiling import Blend, windows


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
    tiled = blended(image, 256, lambda cuts, where: [np.full((4, 4), float(w.left > 0), np.float32) for w in where])
    assert np.abs(np.diff(tiled[128])).max() < 0.1


def test_colours_rise_in_brightness():
    ramp = colours(np.linspace(0, 1, 64, dtype=np.float32)[None])
    luminance = ramp[0] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(luminance) > -1).all()
    assert colours(np.full((1, 1), np.nan)).shape == (1, 1, 3)


def test_stretched_and_contour():
    assert stretched(np.array([[0.2, 0.6]]), 0.2, 0.6).tolist() == [[0.0, 1.0]]
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True
    edge = contour(mask)
    assert edge[5, 5]
    assert not edge[10, 10]
    assert not edge[4, 4]


@pytest.mark.parametrize("size", [(600, 300), (200, 800), (1, 1), (3, 900)])
def test_pictures_keep_the_aspect(size):
    heat = np.zeros((32, 32), np.float32)
    heat[:8, :8] = 1
    sheet = picture(Image.new("RGB", size), heat, title="x" * 400, boxes=(Box(-0.2, 0.1, 0.3, 0.4, "dent", 0.5),))
    panel = sheet.height - STRIP - CAPTION - 16
    assert panel == max(round(size[1] * PANEL / max(size)), 1)


def test_the_map_lies_where_the_image_shows_it():
    """A bright square and its heat fall on the same pixels of both panels."""
    pixels = np.zeros((200, 400, 3), np.uint8)
    pixels[150:190, 300:340] = 255
    heat = np.zeros((50, 50), np.float32)
    heat[38:47, 38:42] = 1
    sheet = np.asarray(picture(Image.fromarray(pixels), heat, title="t"))
    width, height = PANEL, PANEL // 2
    left = sheet[STRIP + 8 : STRIP + 8 + height, 8 : 8 + width]
    right = sheet[STRIP + 8 : STRIP + 8 + height, 16 + width : 16 + 2 * width]
    bright = np.argwhere(left.min(-1) > 200).mean(0)
    hot = np.argwhere(right.sum(-1) > 500).mean(0)
    assert np.abs(bright - hot).max() < 6


def test_the_scale_has_the_colours_of_the_map():
    sheet = np.asarray(
        picture(Image.new("RGB", (300, 300)), np.zeros((8, 8), np.float32), title="t", limits=(0.2, 0.7))
    )
    scale = sheet[STRIP + 8 : STRIP + 8 + PANEL, 24 + 2 * PANEL]
    ends = colours(np.array([[1.0, 0.0]], dtype=np.float32))[0]
    assert np.array_equal(scale[[0, -1]], ends)


@pytest.mark.parametrize("box", [Box(0.9, 0.0, 1.0, 0.1, "a long phrase", 0.4), Box(0.0, 0.9, 0.1, 1.2, "b", 0.4)])
def test_labels_of_boxes_stay_on_the_panel(box):
    image = Image.new("RGB", (200, 200), "white")
    marked = np.asarray(picture(image, np.zeros((8, 8), np.float32), title="", level=1.0, boxes=(box,)))
    panel = marked[STRIP + 8 : STRIP + 8 + PANEL, 8 : 8 + PANEL]
    dark = (panel < 60).all(-1)
    assert dark.sum() > 16 * 20
    outside = marked.copy()
    outside[STRIP + 8 : STRIP + 8 + PANEL, 8 : 8 + PANEL] = 255
    plain = np.asarray(
        picture(image, np.zeros((8, 8), np.float32), title="", level=1.0, boxes=(Box(0.5, 0.5, 0.5, 0.5),))
    )
    plain = plain.copy()
    plain[STRIP + 8 : STRIP + 8 + PANEL, 8 : 8 + PANEL] = 255
    assert np.array_equal(outside, plain)
