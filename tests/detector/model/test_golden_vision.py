"""The image side of the released model: preprocessing, position embedding, both streams with their aliasing."""

import re
from pathlib import Path

import pytest
import torch

from detector.images.tensors import to_mask, to_pixels
from detector.model.image_tower import Tap, resize_positions
from detector.weights.factory import create_model
from detector.weights.files import load_strictly
from tests.support.golden import Golden, golden_set


@pytest.fixture
def vectors(golden: Path) -> Golden:
    return golden_set(golden)


def numbers(vectors: Golden, pattern: str) -> list[int]:
    return sorted({int(hit[1]) for name in vectors.tensors("vision") if (hit := re.fullmatch(pattern, name))})


def test_golden_preprocessing(vectors):
    images = numbers(vectors, r"preprocessed\.(\d+)")
    assert images
    for number in images:
        pixels = to_pixels(vectors.image("img", number), vectors.config)
        vectors.check("vision", f"preprocessed.{number}", pixels[None], floor=1e-6)


def test_golden_masks(vectors):
    masks = numbers(vectors, r"mask_bin\.(\d+)")
    assert masks
    for number in masks:
        mask = to_mask(vectors.image("mask", number), vectors.sizes["image_size"])
        assert torch.equal(mask[None, None], vectors.tensors("vision")[f"mask_bin.{number}"])


def test_golden_position_embedding_is_resized_without_antialiasing(vectors):
    tensors = vectors.tensors("vision")
    (source,) = (name for name in tensors if name.startswith("pos_embed.in_"))
    (target,) = (name for name in tensors if name.endswith("_official"))
    side = int(re.search(r"out_(\d+)x", target)[1])
    vectors.check("vision", target, resize_positions(tensors[source], side), floor=1e-6)


def slots(vectors: Golden) -> list[Tap]:
    """Nominal content of the official list: V-V before ordinary at every level, the first level only once."""
    taps = []
    for level in vectors.sizes["features_list"]:
        if level > vectors.sizes["n_single"]:
            taps.append(Tap("vv", level))
        taps.append(Tap("ordinary", level))
    return taps


@pytest.mark.parametrize(("case", "images"), [("img0", [0]), ("batch02", [0, 2])])
@torch.no_grad()
def test_golden_released_streams(vectors, case, images):
    model = vectors.model
    tower = model.image_tower
    pixels = torch.cat([vectors.pixels(number) for number in images])
    final, taps = tower.streams(pixels)
    visual = model.clip.visual
    vectors.check("vision", f"encode_image.{case}.pooled", visual.ln_post(final) @ visual.proj)
    interleaved = iter(tower.linear), iter(tower.conv)
    for index in range(len(tower.linear) + len(tower.conv)):
        tap = next(interleaved[index % 2])
        vectors.check("vision", f"encode_image.{case}.patch_tokens.{index}", taps[tap])
    features = model.encode_image(pixels)
    assert torch.equal(features.linear_tokens[-1], taps[tower.linear[-1]][:, 1:])
    expected = vectors.tensors("vision")[f"encode_image.{case}.pooled"][:, 0]
    torch.testing.assert_close(features.embedding, expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_golden_filo_streams_are_the_values_without_aliasing(vectors):
    config = vectors.config.model_copy(update={"variant": "filo", "quick_gelu": False})
    model = create_model(config)
    load_strictly(model, vectors.weights(), "golden weights")
    _, taps = model.image_tower.streams(vectors.pixels(0))
    checked = 0
    for index, tap in enumerate(slots(vectors)):
        vectors.check("vision", f"encode_image.img0.unaliased.{index}", taps[tap])
        checked += 1
    assert checked == len(model.image_tower.linear) + len(model.image_tower.conv)
