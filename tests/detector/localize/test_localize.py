"""Boxes, regions, captions, the clean acceptance rules and the cache."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detector.localize.base import NoLocalizer
from detector.localize.boxes import NOWHERE, Box, Localisation
from detector.localize.cache import CachedLocalizer
from detector.localize.dino.caption import GENERAL_WORDS, MAX_TOKENS, create_caption, normalised
from detector.localize.dino.select import Thresholds, select_boxes
from detector.localize.regions import REGIONS, region_at, released_region_at

unit = st.floats(0, 1)


def words(text: str) -> int:
    return len(text.split())


@given(unit, unit)
def test_regions_tile_the_image(x: float, y: float):
    row, column = divmod(REGIONS.index(region_at(x, y)), 3)
    assert column / 3 <= x + 1e-12
    assert x <= (column + 1) / 3 + 1e-12
    assert row / 3 <= y + 1e-12
    assert y <= (row + 1) / 3 + 1e-12


@given(st.floats(-2, 3), st.floats(-2, 3))
def test_every_point_has_a_region(x: float, y: float):
    assert region_at(x, y) in REGIONS


@given(st.integers(0, 517), st.integers(0, 517))
def test_both_tables_agree_on_pixel_centers_away_from_the_seams(x: int, y: int):
    if x not in (172, 345) and y not in (172, 345):
        assert released_region_at(x, y) == region_at((x + 0.5) / 518, (y + 0.5) / 518)


def test_box_geometry():
    box = Box.from_center(0.1, 0.5, 0.4, 0.2)
    assert box.center == pytest.approx((0.1, 0.5))
    assert box.area == pytest.approx(0.08)
    assert box.clipped()[:4] == pytest.approx((0.0, 0.4, 0.3, 0.6))
    assert Box(0.5, 0.5, 0.4, 0.9).area == 0


def test_caption_is_normalised_and_free_of_repeats():
    caption = create_caption(["Rust  Stains", "rust stains", "is it v1.2?", "  "], words)
    assert caption.entries == (*GENERAL_WORDS, "rust stains", "is it v1 2")
    assert caption.text.endswith("contamination . rust stains . is it v1 2.")
    assert caption.spans[0] == range(1, 2)
    assert caption.spans[5] == range(11, 13)


def test_caption_never_cuts_an_entry():
    long = " ".join(["scratch"] * 250)
    caption = create_caption([long, "dent"], words)
    assert caption.dropped == (long,)
    assert caption.entries[-1] == "dent"
    assert caption.spans[-1].stop + 2 <= MAX_TOKENS


def grounded(scores: dict[int, float], queries: int = 1):
    """Logits with the given token probabilities in every query."""
    logits = np.full((queries, MAX_TOKENS), -np.inf, dtype=np.float32)
    for token, score in scores.items():
        logits[:, token] = np.log(score / (1 - score))
    return logits


def test_a_box_is_named_by_the_entry_that_fired_most():
    caption = create_caption(["Bent Pin"], words)
    bent, pin = caption.spans[-1]
    box = np.array([[0.9, 0.1, 0.1, 0.1]], dtype=np.float32)
    boxes = select_boxes(grounded({1: 0.3, bent: 0.4, pin: 0.8}), box, caption)
    assert boxes.boxes[0].phrase == "bent pin"
    assert boxes.boxes[0].score == pytest.approx(0.8)
    assert boxes.region == "top right"


def test_unsure_and_large_boxes_do_not_count():
    caption = create_caption([], words)
    boxes = np.array([[0.5, 0.5, 0.9, 0.9], [0.5, 0.5, 0.1, 0.1]], dtype=np.float32)
    logits = grounded({1: 0.9}, 2)
    logits[1] = grounded({1: 0.2})
    assert select_boxes(logits, boxes, caption) == NOWHERE


def test_best_first_and_bounded():
    caption = create_caption([], words)
    boxes = np.tile(np.array([[0.5, 0.5, 0.1, 0.1]], dtype=np.float32), (5, 1))
    logits = np.concatenate([grounded({1: score}) for score in (0.3, 0.9, 0.5, 0.7, 0.4)])
    selected = select_boxes(logits, boxes, caption, Thresholds(boxes=3))
    assert [round(box.score, 2) for box in selected.boxes] == [0.9, 0.7, 0.5]


def test_no_caption_no_boxes():
    from detector.localize.dino.caption import Caption

    assert select_boxes(np.zeros((1, 4)), np.zeros((1, 4)), Caption("", (), (), ())) == NOWHERE


class Counting:
    """Marks every image's top left pixel as a box score."""

    fingerprint = "counting 1"

    def __init__(self):
        self.asked = 0

    def locate(self, images, _descriptions):
        self.asked += len(images)
        return [
            Localisation((Box(0, 0, 0.5, 0.5, "x", image.getpixel((0, 0))[0] / 255),), "top left") for image in images
        ]


def shade(value: int) -> Image.Image:
    return Image.new("RGB", (4, 4), (value, 0, 0))


def test_cache_asks_once_and_keeps_the_order(tmp_path):
    inner = Counting()
    cached = CachedLocalizer(inner, tmp_path)
    cached.locate([shade(51)], ["dent"])
    answers = cached.locate([shade(102), shade(51), shade(153)], ["dent"])
    assert [answer.boxes[0].score for answer in answers] == pytest.approx([0.4, 0.2, 0.6])
    assert inner.asked == 3
    cached.locate([shade(51)], ["other words"])
    assert inner.asked == 4
    assert cached.fingerprint == inner.fingerprint


@pytest.mark.parametrize("damage", ["", "{", '{"region": "nowhere", "boxes": []}', '{"boxes": [[1]], "region": null}'])
def test_a_damaged_cache_entry_counts_as_absent(tmp_path, damage: str):
    inner = Counting()
    cached = CachedLocalizer(inner, tmp_path)
    (first,) = cached.locate([shade(51)], [])
    (path,) = tmp_path.rglob("*.json")
    path.write_text(damage)
    assert cached.locate([shade(51)], []) == [first]
    assert inner.asked == 2


def test_a_cache_that_cannot_be_written_still_answers(tmp_path):
    (tmp_path / "file").write_text("")
    cached = CachedLocalizer(Counting(), tmp_path / "file")
    assert cached.locate([shade(51)], ["dent"])[0].region == "top left"


def test_none_looks_nowhere():
    assert NoLocalizer().locate([shade(1), shade(2)], ["dent"]) == [NOWHERE, NOWHERE]


def test_normalised():
    assert normalised("  Bent.Pin?  ") == "bent pin"
