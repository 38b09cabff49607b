"""Pictures of results: colours, scale, lines, boxes and legend, as they come out in pixels."""

import numpy as np
import pytest
from PIL import Image

from detector.detect.overlay import BOX, CAPTION, LINE, PANEL, STRIP, colours, contour, picture, stretched
from detector.localize.boxes import Box


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
    anomaly_map = np.zeros((32, 32), np.float32)
    anomaly_map[:8, :8] = 1
    sheet = picture(
        Image.new("RGB", size), anomaly_map, title="x" * 400, boxes=(Box(-0.2, 0.1, 0.3, 0.4, "dent", 0.5),)
    )
    panel = sheet.height - STRIP - CAPTION - 16
    assert panel == max(round(size[1] * PANEL / max(size)), 1)


def test_the_map_lies_where_the_image_shows_it():
    """A bright square and its anomaly map fall on the same pixels of both panels."""
    pixels = np.zeros((200, 400, 3), np.uint8)
    pixels[150:190, 300:340] = 255
    anomaly_map = np.zeros((50, 50), np.float32)
    anomaly_map[38:47, 38:42] = 1
    sheet = np.asarray(picture(Image.fromarray(pixels), anomaly_map, title="t"))
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


LEFT = (slice(STRIP + 8, STRIP + 8 + PANEL), slice(8, 8 + PANEL))
"""The panel with lines and boxes of a square picture."""


def hot_corner(peak: float = 0.9) -> np.ndarray:
    anomaly_map = np.full((64, 64), 0.1, np.float32)
    anomaly_map[8:24, 8:24] = peak
    return anomaly_map


def of_colour(sheet: Image.Image, colour: tuple[int, int, int]) -> np.ndarray:
    """Where the left panel has a colour, as (row, column) in shares of the panel."""
    return np.argwhere((np.asarray(sheet)[LEFT] == colour).all(-1)) / PANEL


def test_line_and_box_lie_around_what_exceeds_the_level():
    photo, box = Image.new("RGB", (300, 300), (90, 90, 90)), Box(0.1, 0.1, 0.4, 0.4)
    line = of_colour(picture(photo, hot_corner(), title="t", level=0.5), LINE)
    frame = of_colour(picture(photo, hot_corner(), title="t", boxes=(box,), level=0.5), BOX)
    assert line.min(0) == pytest.approx([8 / 64] * 2, abs=0.03)
    assert line.max(0) == pytest.approx([24 / 64] * 2, abs=0.03)
    assert frame.min(0) == pytest.approx([0.1] * 2, abs=0.01)
    assert frame.max(0) == pytest.approx([0.4] * 2, abs=0.01)


@pytest.mark.parametrize("change", [{"marked": False}, {"level": 0.95, "boxes": ()}])
def test_nothing_is_marked_on_a_good_photo_or_below_the_level(change):
    photo = Image.new("RGB", (300, 300), (90, 90, 90))
    options = {"boxes": (Box(0.1, 0.1, 0.4, 0.4),), "level": 0.5, **change}
    panel = np.asarray(picture(photo, hot_corner(), title="t", **options))[LEFT]
    assert (panel == 90).all()


def test_colours_mean_the_same_in_every_picture():
    """Two photos whose maps end at different heights: equal values have equal colours, the lower one stays darker."""
    photo, at = Image.new("RGB", (300, 300), (90, 90, 90)), (STRIP + 8 + PANEL // 4, 16 + PANEL + PANEL // 4)
    weak, strong = (
        np.asarray(picture(photo, hot_corner(peak), title="t", limits=(0.1, 1.0), level=0.5)).astype(int)
        for peak in (0.3, 0.9)
    )
    corner = STRIP + 8 + PANEL - 5, 16 + 2 * PANEL - 5
    assert (weak[corner] == strong[corner]).all()
    assert weak[at].sum() < strong[at].sum() - 100


def test_the_legend_says_what_the_line_is():
    photo = Image.new("RGB", (300, 300))
    sheets = [
        picture(photo, hot_corner(), title="t", level=level, basis="more than good ones reach", marked=marked)
        for level, marked in ((0.5, True), (0.95, True), (0.5, False))
    ]
    legends = [np.asarray(sheet.crop((0, sheet.height - CAPTION - 4, sheet.width, sheet.height))) for sheet in sheets]
    assert len({legend.tobytes() for legend in legends}) == 3
    assert all((legend.min(-1) < 100).any() for legend in legends)
