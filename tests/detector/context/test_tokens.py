"""Patch tokens for comparing photos: any size, any backbone, and FiLo's own numbers untouched."""

import numpy as np
import pytest
import torch
from PIL import Image

from detector.context.tokens import ContextReader, ContextSizeError, context_tokens
from detector.model.filo import FiLo
from detector.scoring.feature_cache import FeatureCache
from detector.weights.factory import BackboneError
from detector.weights.registry import load_preset
from tests.support.clip import tiny_config, tiny_filo, tiny_pixels


@pytest.fixture(scope="module")
def model() -> FiLo:
    return tiny_filo(embedding_block=2, feature_levels=(1, 2), context_levels=(2, 4))


@torch.no_grad()
@pytest.mark.parametrize("shape", [(56, 56), (84, 84), (42, 70)])
def test_tokens_of_any_size_are_those_of_the_stock_blocks(model, shape):
    pixels = torch.randn(2, 3, *shape, generator=torch.Generator().manual_seed(3))
    visual = model.clip.visual
    grid = tuple(side // 14 for side in shape)
    first, second = context_tokens(model, pixels)
    assert first.shape == second.shape == (2, grid[0] * grid[1], 32)
    positions = visual.positional_embedding
    if grid != (4, 4):
        cells = positions[1:].T.reshape(1, 32, 4, 4)
        cells = torch.nn.functional.interpolate(cells, grid, mode="bicubic", align_corners=False)
        positions = torch.cat([positions[:1], cells.flatten(2)[0].T])
    patches = visual.conv1(pixels).flatten(2).transpose(1, 2)
    x = visual.ln_pre(torch.cat([visual.class_embedding.expand(2, 1, -1), patches], 1) + positions)
    for number, block in enumerate(visual.transformer.resblocks, start=1):
        x = block(x)
        if number in (2, 4):
            unit = x[:, 1:] / x[:, 1:].norm(dim=-1, keepdim=True)
            torch.testing.assert_close(first if number == 2 else second, unit, atol=1e-5, rtol=0)


@torch.no_grad()
def test_later_blocks_change_nothing_of_filo():
    deep = tiny_filo(embedding_block=2, feature_levels=(1, 2), context_levels=(2, 4))
    pixels = tiny_pixels()
    before, beside = deep.encode_image(pixels), context_tokens(deep, pixels)[-1]
    for block in deep.clip.visual.transformer.resblocks[2:]:
        torch.nn.init.normal_(block.mlp.c_fc.weight)
    after = deep.encode_image(pixels)
    assert torch.equal(before.embedding, after.embedding)
    assert all(torch.equal(a, b) for a, b in zip(before.linear_tokens, after.linear_tokens, strict=True))
    assert not torch.equal(context_tokens(deep, pixels)[-1], beside)


def test_a_plain_vit_compares_the_levels_that_filo_reads_at_its_own_size():
    config = tiny_config()
    assert config.levels_of_context == (1, 2, 3, 4)
    assert config.size_of_context == 56


def test_mini_compares_blocks_6_and_9_at_392():
    config = load_preset("mini").config
    assert (config.embedding_block, config.levels_of_context, config.size_of_context) == (6, (6, 9), 392)


@pytest.mark.parametrize(
    "changes", [{"context_levels": (4, 2)}, {"context_levels": ()}, {"embedding_block": 3}, {"feature_levels": (2, 1)}]
)
def test_levels_that_cannot_be_are_refused(changes):
    with pytest.raises(ValueError, match=r"must ascend|must not pass"):
        tiny_config(**changes)


@pytest.mark.parametrize("field", ["context_levels", "embedding_block"])
def test_levels_beyond_the_last_block_are_refused(field):
    with pytest.raises(BackboneError, match=f"{field}.*levels up to 4"):
        tiny_filo(**{field: (2, 9) if field == "context_levels" else 9})


def test_a_size_that_cuts_patches_is_refused(model):
    with pytest.raises(ContextSizeError, match="60 x 56 pixels; expected multiples of 14"):
        context_tokens(model, torch.zeros(1, 3, 56, 60))
    with pytest.raises(ContextSizeError, match="context size 60"):
        ContextReader(model, size=60)


def test_a_photo_is_looked_at_once(model, tmp_path):
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8))
    fresh = ContextReader(model, FeatureCache(tmp_path)).read([photo])[0]
    blind = ContextReader(model, FeatureCache(tmp_path))
    blind.model = None  # type: ignore[assignment]
    with pytest.raises(AttributeError):
        blind.read([photo.rotate(90)])
    kept = ContextReader(model, FeatureCache(tmp_path)).read([photo])[0]
    assert all(torch.equal(a, b) for a, b in zip(fresh, kept, strict=True))
    other = ContextReader(model, FeatureCache(tmp_path), size=84).read([photo])[0]
    assert other[0].shape == (36, 32)
