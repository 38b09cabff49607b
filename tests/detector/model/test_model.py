"""The model against its definition: shortcuts change nothing, batches mean n images, every backbone works."""

import copy
import json
from typing import Any

import open_clip
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from descriptions.common.errors import ForgeError
from detector.model.config import ModelConfig
from detector.model.prompt_tree import pack
from detector.scoring.prompts import prompt_set
from detector.weights.factory import BackboneError, create_model, resolve
from tests.support import straightforward
from tests.support.clip import TINY, tiny_config, tiny_filo, tiny_pixels, tiny_prompts

words = st.sampled_from(["crack", "deep crack in the cap", "stain", "missing corner", "bent pin near the edge"])


@st.composite
def architectures(draw) -> dict[str, Any]:
    """Arguments of `tiny_filo` for a random small architecture."""
    heads, patch = draw(st.sampled_from([1, 2])), draw(st.sampled_from([14, 16]))
    layers, head_width = draw(st.integers(2, 4)), draw(st.sampled_from([8, 16]))
    vision = {"layers": layers, "width": heads * head_width, "head_width": head_width, "patch_size": patch}
    text = {"context_length": 77, "vocab_size": 49408, "width": 16 * heads, "heads": heads}
    text["layers"] = draw(st.integers(1, 3))
    return {
        "seed": draw(st.integers(0, 99)),
        "architecture": {"embed_dim": draw(st.sampled_from([16, 24])), "vision_cfg": vision, "text_cfg": text},
        "image_size": patch * draw(st.integers(2, 4)),
        "variant": draw(st.sampled_from(["filo", "released"])),
        "feature_levels": tuple(sorted(draw(st.sets(st.integers(1, layers), min_size=1)))),
        "single_path_blocks": draw(st.integers(0, layers - 1)),
        "context_tokens": draw(st.sampled_from([1, 4, 12])),
        "quick_gelu": draw(st.booleans()),
    }


@settings(max_examples=12, deadline=None)
@given(
    architecture=architectures(),
    texts=st.lists(words, max_size=4, unique=True).map(tuple),
    positions=st.lists(st.integers(0, 8), max_size=3, unique=True).map(tuple),
)
def test_text_equals_the_straightforward_path_with_gradients(architecture, texts, positions):
    model = tiny_filo(**architecture)
    prompts = tiny_prompts(texts=texts)
    embedding = torch.randn(1, model.clip.visual.proj.shape[1])
    learned = [*model.normal_prompt_learner.parameters(), *model.abnormal_prompt_learner.parameters()]

    def gradients(normal, abnormal):
        probe = torch.linspace(-1, 1, normal.shape[-1])
        return torch.autograd.grad(((normal - 2 * abnormal) * probe).sum(), learned)

    fast = model.encode_text(embedding, [prompts], [positions])
    slow = straightforward.encode_text(model, embedding, prompts, positions)
    torch.testing.assert_close(fast.normal[0], slow[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(fast.abnormal[0], slow[1], atol=1e-5, rtol=0)
    fast_gradients = gradients(fast.normal[0], fast.abnormal[0])
    for ours, theirs in zip(fast_gradients, gradients(*slow), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5 * max(1.0, theirs.abs().max().item()), rtol=1e-4)


@settings(max_examples=8, deadline=None)
@given(architecture=architectures())
@torch.no_grad()
def test_image_streams_equal_the_straightforward_path(architecture):
    model = tiny_filo(**architecture)
    pixels = tiny_pixels(2, model.config.image_size)
    final, taps = model.image_tower.streams(pixels)
    x, y = straightforward.image_streams(model, pixels)
    torch.testing.assert_close(final, x, atol=1e-5, rtol=1e-5)
    blocks = len(model.clip.visual.transformer.resblocks)
    for tap, tokens in taps.items():
        if tap.block == blocks and tap.stream == "vv":
            torch.testing.assert_close(tokens, y, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        model.encode_image(pixels).embedding, model.clip.encode_image(pixels), atol=1e-5, rtol=1e-5
    )


def test_summed_kernels_equal_six_convolutions():
    model = tiny_filo()
    tokens = torch.randn(3, 2, 16, 32)
    slow = [straightforward.interaction(model, level, index) for index, level in enumerate(tokens)]
    with_gradients = model.decoder_cov(tuple(tokens))
    with torch.no_grad():
        merged = model.decoder_cov(tuple(tokens))
    for a, b, c in zip(with_gradients, merged, slow, strict=True):
        torch.testing.assert_close(a, c, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(b, c, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("variant", ["filo", "released"])
@torch.no_grad()
def test_a_batch_is_its_images(variant):
    model = tiny_filo(variant=variant)
    pixels = tiny_pixels(3)
    prompts = [tiny_prompts(), tiny_prompts("capsule", ("crack", "leak", "faded imprint")), tiny_prompts("nut", ())]
    positions = [(4,), (), (0, 8)]
    together = model(pixels, prompts, positions)
    for row in range(3):
        alone = model(pixels[row : row + 1], prompts[row : row + 1], positions[row : row + 1])
        for a, b in zip(together.maps, alone.maps, strict=True):
            torch.testing.assert_close(a[row], b[0], atol=1e-4, rtol=0)
        torch.testing.assert_close(together.similarity[row], alone.similarity[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(together.text.states[row], alone.text.states[0], atol=1e-5, rtol=0)
        assert len(together.text.states[row]) == len(prompts[row].abnormal)


def test_meta_nets_that_say_nothing_let_a_batch_share_its_text():
    """As those of the bundled model: one image's worth of text for the whole batch, and the same features."""
    model, ids, read = tiny_filo(), tiny_prompts(), []
    for learner in (model.normal_prompt_learner, model.abnormal_prompt_learner):
        torch.nn.init.zeros_(learner.meta_net.linear2.weight)
        torch.nn.init.zeros_(learner.meta_net.linear2.bias)
    model.text_tower.register_forward_pre_hook(lambda _, inputs: read.append(len(inputs[0])))
    feature = torch.nn.functional.normalize(torch.randn(3, model.clip.visual.proj.shape[1]), dim=-1)
    with torch.no_grad():
        (one,) = model.encode_prompts(feature[:1], [ids])
        shared = model.encode_prompts(feature, [ids])
        model.encode_prompts(feature, [ids], [(0,), (1,), (0,)])
    model.encode_prompts(feature, [ids])
    assert [count // read[0] for count in read] == [1, 1, 3, 3]  # regions that differ and gradients need every image
    for rows in shared:
        assert all(torch.equal(a, b) for a, b in zip(rows, one, strict=True))


@torch.no_grad()
def test_many_descriptions_are_split_into_several_trees():
    model = tiny_filo()
    texts = tuple(f"mark number {number} of {number * 7}" for number in range(60))
    prompts, embedding = tiny_prompts(texts=texts), torch.randn(1, 24)
    fast = model.encode_text(embedding, [prompts])
    slow = straightforward.encode_text(model, embedding, prompts, ())
    assert len(pack(prompts.at(()), model.start_token, model.config.context_tokens)) > 1
    torch.testing.assert_close(fast.abnormal[0], slow[1], atol=1e-5, rtol=0)


def test_only_the_trained_parts_get_gradients():
    model = tiny_filo().train()
    output = model(tiny_pixels(), [tiny_prompts()])
    (torch.stack(output.maps)[:, :, 1].sum() + output.similarity.sum()).backward()
    assert not model.clip.training
    for name, parameter in model.named_parameters():
        assert (parameter.grad is None) == name.startswith("clip."), name


def test_a_fresh_adapter_changes_nothing():
    model = create_model(tiny_config())
    embedding = torch.randn(2, 24)
    assert torch.equal(model.image_feature(embedding), model.image_feature(embedding, adapt=False))


@torch.no_grad()
def test_the_variants_differ_in_tokens_and_scale():
    released = tiny_filo(variant="released")
    filo = tiny_filo()
    filo.load_state_dict(released.state_dict())
    one, other = (model(tiny_pixels(), [tiny_prompts()]) for model in (released, filo))
    torch.testing.assert_close(one.text.abnormal, other.text.abnormal)
    torch.testing.assert_close(one.similarity * 2**0.5, other.similarity)
    assert not torch.allclose(one.maps[0], other.maps[0])


@torch.no_grad()
def test_bf16_stays_close_and_its_maps_are_single_precision():
    model = tiny_filo()
    expected = model(tiny_pixels(), [tiny_prompts()])
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model(tiny_pixels(), [tiny_prompts()])
    low = copy.deepcopy(model).to(torch.bfloat16)(tiny_pixels(), [tiny_prompts()])
    for output in (mixed, low):
        assert output.maps[0].dtype == output.similarity.dtype == torch.float32
        assert (output.similarity - expected.similarity).abs().max() < 0.05


def test_weights_activation_follows_variant_and_backbone():
    assert resolve(tiny_config(variant="released")).quick_gelu is False
    assert resolve(tiny_config(architecture=TINY | {"quick_gelu": True})).quick_gelu is True
    assert resolve(ModelConfig(), "openai").quick_gelu is True
    assert resolve(ModelConfig(variant="released"), "openai").quick_gelu is False
    assert resolve(tiny_config(quick_gelu=True)).architecture["quick_gelu"] is True


def test_backbone_from_a_json_file(tmp_path):
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps({"model_cfg": TINY}))
    model = create_model(tiny_config(backbone=str(path), architecture=None))
    assert model.config.architecture["embed_dim"] == TINY["embed_dim"]


@pytest.mark.parametrize("content", ["[]", '{"embed_dim": 8}', '{"model_cfg": 3}'])
def test_a_json_file_that_is_no_backbone_is_named(tmp_path, content):
    path = tmp_path / "odd.json"
    path.write_text(content)
    with pytest.raises(BackboneError, match=r"odd\.json has no vision_cfg; expected an open_clip JSON config"):
        create_model(tiny_config(backbone=str(path), architecture=None))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"backbone": "ViT-L-14-363", "architecture": None}, "did you mean ViT-L-14-336?"),
        ({"backbone": "nowhere.json", "architecture": None}, "open_clip JSON config"),
        ({"image_size": 57}, "a multiple of it"),
        ({"image_size": 57, "architecture": TINY | {"vision_cfg": {"width": 32}}}, "patches of 16 pixels"),
        ({"feature_levels": (1, 9)}, "levels up to 4"),
        ({"architecture": TINY | {"custom_text": True}}, "a plain CLIP"),
        ({"architecture": TINY | {"vision_cfg": TINY["vision_cfg"] | {"pool_type": "avg"}}}, "embeds by its CLS token"),
        ({"architecture": TINY | {"text_cfg": TINY["text_cfg"] | {"pool_type": "last"}}}, "end-of-text pooling"),
    ],
)
def test_backbones_that_do_not_fit_say_why(changes, words):
    with pytest.raises(BackboneError) as caught:
        create_model(tiny_config(**changes))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_levels_must_ascend():
    with pytest.raises(ValueError, match="must ascend"):
        tiny_config(feature_levels=(2, 1))


def test_every_named_vit_resolves():
    names = [name for name in open_clip.list_models() if name.startswith("ViT-") and name.count("-") == 2]
    plain = [name for name in names if set(open_clip.get_model_config(name)) <= {"embed_dim", "vision_cfg", "text_cfg"}]
    assert {"ViT-B-16", "ViT-B-32", "ViT-L-14"} <= set(plain)
    for name in plain:
        size = open_clip.get_model_config(name)["vision_cfg"].get("patch_size", 16) * 4
        assert resolve(ModelConfig(backbone=name, image_size=size)).architecture["vision_cfg"]["image_size"] == size


def test_prompts_without_any_state_are_refused():
    with pytest.raises(ForgeError, match="no abnormal state"):
        prompt_set("gear", ("{}",), (), ())


def test_folding_changes_no_patch_and_halves_the_decoder():
    model, tokens = tiny_filo(), tuple(torch.randn(3, 2, 16, 32))
    before = model.decoder_cov(tokens)
    weights = sum(parameter.numel() for parameter in model.decoder_cov.parameters())
    model.decoder_cov.fold()
    model.decoder_cov.fold()
    with torch.no_grad():
        folded = model.decoder_cov(tokens)
    for one, other in zip(before, folded, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    assert sum(parameter.numel() for parameter in model.decoder_cov.parameters()) < 0.53 * weights


def test_summed_kernels_follow_their_weights():
    model, tokens = tiny_filo(), torch.randn(1, 16, 32)
    with torch.no_grad():
        before = model.decoder_cov((tokens,))[0]
        model.decoder_cov.fc_33[0].weight.mul_(3)
        after = model.decoder_cov((tokens,))[0]
        low = model.to(torch.bfloat16).decoder_cov((tokens.bfloat16(),))[0]
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after, straightforward.interaction(model.float(), tokens, 0), atol=0.02, rtol=0.02)
    assert low.dtype == torch.bfloat16


def test_a_model_built_in_inference_mode_runs():
    with torch.inference_mode():
        model = tiny_filo()
        first, second = (model(tiny_pixels(), [tiny_prompts()]).maps[-1] for _ in range(2))
    assert torch.equal(first, second)
