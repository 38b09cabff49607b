"""Phrases taken apart, positions, shapes and product boxes: drawn scenes whose truth is known by construction."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from detector.ground.areas import area_masks, describe_area
from detector.ground.phrases import Phrase, PhraseError
from detector.ground.places import in_words, region_within
from detector.ground.product import WHOLE, product_box
from detector.localize.boxes import Box
from detector.localize.regions import REGIONS
from tests.support.pictures import plate


@pytest.mark.parametrize(
    ("given", "text", "kind", "on", "side"),
    [
        ("scratch on the cap", "scratch", "defect", "cap", None),
        ("a thin crack", "thin crack", "defect", "", None),
        ("the left pin", "pin", "part", "", "left"),
        ("the  Upper Left screw", "screw", "part", "", "top left"),
        ("the dent in the rim", "dent", "defect", "rim", None),
        ("bent lead", "bent lead", "defect", "", None),
        ("top", "top", "defect", "", None),
        ("label", "label", "part", "", None),
    ],
)
def test_a_phrase_is_taken_apart(given, text, kind, on, side):
    assert Phrase.parse(given, ("label",)) == Phrase(given, text, kind, on, side)


@pytest.mark.parametrize("given", ["", "  ", "?!"])
def test_a_phrase_without_words_is_refused(given):
    with pytest.raises(PhraseError, match="has no word"):
        Phrase.parse(given)


def test_a_phrase_reads_as_in_training_and_nothing_generic_stands_beside_it():
    defect = Phrase.parse("scratch on the cap").description("pill box")
    assert (defect.enabled_texts, defect.abnormal, defect.object_name) == (("scratch",), (), "pill box")
    part = Phrase.parse("the {odd} cap").description("pill box")
    assert (part.enabled_texts, part.abnormal, part.normal) == ((), ("odd cap of a {}",), ("{}",))
    with pytest.raises(PhraseError, match="phrase"):
        Phrase.parse("x" * 5000).description("pill box")
    with pytest.raises(PhraseError, match="object_name"):
        Phrase.parse("dent").description("")


@pytest.mark.parametrize("index", range(9))
def test_positions_are_those_of_the_frame_and_not_of_the_photo(index):
    row, column = divmod(index, 3)
    x, y = 0.5 + (column + 0.5) / 12, 0.1 + (row + 0.5) / 6
    frame = Box(0.5, 0.1, 0.75, 0.6)
    assert region_within(Box(x - 0.01, y - 0.01, x + 0.01, y + 0.01), frame) == REGIONS[index]
    assert in_words(REGIONS[index], "cap").endswith(" of the cap")


def line(ends, size=(120, 120), width=6):
    picture = Image.new("F", size, 0.1)
    ImageDraw.Draw(picture).line(ends, fill=0.9, width=width)
    return np.asarray(picture)


@pytest.mark.parametrize(
    ("ends", "direction"),
    [
        (((20, 60), (100, 60)), "horizontal"),
        (((60, 20), (60, 100)), "vertical"),
        (((20, 100), (100, 20)), "rising"),
        (((20, 20), (100, 100)), "falling"),
        (((50, 60), (62, 60)), None),
    ],
)
def test_an_area_has_the_direction_that_one_sees(ends, direction):
    drawn = line(ends, width=10 if direction is None else 6)
    (mask,) = area_masks(drawn)
    area = describe_area(mask, drawn)
    assert area.direction == direction
    assert area.share == pytest.approx((drawn > 0.5).mean())
    assert area.box.score == pytest.approx(0.9)


def test_the_direction_is_that_in_the_photo_whose_map_is_square():
    steep = line(((45, 20), (75, 100)))
    (mask,) = area_masks(steep)
    assert describe_area(mask, steep, aspect=1.0).direction == "vertical"
    assert describe_area(mask, steep, aspect=3.0).direction == "falling"


def test_areas_come_strongest_first_and_a_flat_map_has_none():
    two = np.zeros((60, 60))
    two[5:15, 5:15], two[40:50, 30:50] = 0.7, 0.9
    first, second = area_masks(two)
    assert first[45, 40]
    assert second[10, 10]
    assert area_masks(np.full((60, 60), 0.4)) == []


@pytest.mark.parametrize("size", [(96, 96), (300, 150)])
def test_the_product_is_what_differs_from_its_background(size):
    box = product_box(plate(0, size=size))
    assert box[:4] == pytest.approx((0.18, 0.1, 0.82, 0.82), abs=0.05)


def test_a_product_that_fills_its_photo_has_no_box():
    noise = np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8)
    assert product_box(Image.fromarray(noise)) is WHOLE
    assert product_box(Image.new("RGB", (90, 60), "grey")) is WHOLE
    assert product_box(Image.new("RGB", (5, 60), "grey")) is WHOLE
    speck = Image.new("RGB", (100, 100), "white")
    speck.paste("black", (50, 50, 56, 56))
    assert product_box(speck) is WHOLE
