"""Anomaly maps, scores, boxes and pixels where no golden vector speaks."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detector.images.tensors import to_mask, to_pixels
from detector.scoring.maps import blur, box_mask, gate, image_score, mean_map
from tests.support.clip import tiny_config

unit = st.floats(-0.5, 1.5)


def test_blur_keeps_the_mean_of_a_flat_map_and_spreads_a_point():
    flat = torch.full((1, 5, 5), 0.3)
    torch.testing.assert_close(blur(flat), flat)
    point = torch.zeros(1, 7, 7)
    point[0, 3, 3] = 1.0
    spread = blur(point)[0]
    assert (spread > 0).sum() == 9
    torch.testing.assert_close(spread.sum(), torch.tensor(1.0))


def test_mean_map_is_the_mean_and_stays_in_the_unit_range():
    maps = tuple(torch.rand(3, 2, 8, 8).softmax(1) for _ in range(4))
    anomaly_map = mean_map(maps)
    assert anomaly_map.shape == (3, 8, 8)
    assert 0 <= anomaly_map.min() <= anomaly_map.max() <= 1
    torch.testing.assert_close(anomaly_map, torch.stack([mean_map((level,)) for level in maps]).mean(0))


def test_image_score_is_read_before_gating():
    anomaly_map = torch.zeros(1, 4, 4)
    anomaly_map[0, 0, 0] = 0.8
    gated = gate(anomaly_map, [torch.tensor([[0.5, 0.5, 1.0, 1.0]])])
    similarity = torch.tensor([[0.1, 0.4]])
    assert image_score(similarity, anomaly_map).item() == pytest.approx(0.6)
    assert gated[0, 0, 0] == pytest.approx(0.56)


def test_images_without_boxes_keep_their_map():
    anomaly_map = torch.rand(2, 6, 6)
    gated = gate(anomaly_map, [torch.empty(0, 4), torch.tensor([[0.0, 0.0, 0.5, 0.5]])], outside=0.5)
    assert torch.equal(gated[0], anomaly_map[0])
    assert torch.equal(gated[1, :3, :3], anomaly_map[1, :3, :3])
    assert torch.equal(gated[1, 3:], anomaly_map[1, 3:] * 0.5)


@given(st.lists(st.tuples(unit, unit, unit, unit), max_size=4), st.integers(1, 20), st.integers(1, 20))
def test_masks_cover_every_pixel_centre_inside_a_box(corners, height, width):
    boxes = torch.tensor([(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in corners]).reshape(-1, 4)
    mask = box_mask(boxes, height, width)
    y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij")
    for x0, y0, x1, y1 in boxes.tolist():
        assert mask[(x > x0) & (x < x1) & (y > y0) & (y < y1)].all()
    if not len(boxes):
        assert not mask.any()


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "LA", "CMYK", "I;16", "I"])
def test_every_kind_of_picture_becomes_three_channels(mode):
    grey = np.tile(np.linspace(0, 255, 40, dtype=np.uint8), (30, 1))
    if mode in ("I;16", "I"):
        image = Image.fromarray(grey.astype(np.uint16 if mode == "I;16" else np.int32) * 257)
    else:
        image = Image.fromarray(grey).convert(mode)
    config = tiny_config()
    pixels = to_pixels(image, config)
    assert pixels.shape == (3, 56, 56)
    expected = to_pixels(Image.fromarray(grey), config)
    if mode != "1":
        assert (pixels - expected).abs().max() < 0.2


def test_masks_are_cut_at_one_half():
    mask = Image.fromarray(np.array([[0, 255], [0, 255]], dtype=np.uint8))
    assert to_mask(mask, 4)[:, 0].sum() == 0
    assert to_mask(mask, 4)[:, 3].sum() == 4
