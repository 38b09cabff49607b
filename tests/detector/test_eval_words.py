"""Phrases are read once an image, and give the same bits whatever was read beside them or kept from before."""

import dataclasses

import pytest
import torch

from descriptions.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector.cache import FeatureCache, image_fingerprint
from detector.data import open_data
from detector.evaluate.passes import Scorer
from detector.evaluate.run import Plan, evaluate
from detector.evaluate.words import Words
from detector.prompts import build_prompts
from detector.scoring import encode
from tests.support.clip import tiny_filo, tiny_pixels
from tests.support.dataset import make_dataset


def file(*texts):
    entries = tuple(Anomaly(id=f"a{index}", text=text) for index, text in enumerate(texts))
    return DescriptionFile(category="gear", object_name="gear", anomalies=entries)


@pytest.fixture(scope="module")
def model():
    return tiny_filo()


@pytest.fixture(scope="module")
def embedding(model):
    with torch.inference_mode():
        return encode(model, tiny_pixels(1)).embedding


@pytest.mark.parametrize("at", [(), (4,)])
@torch.inference_mode()
def test_features_are_those_of_the_model(model, embedding, at):
    prompts = build_prompts(file("dark hole", "long scratch"))
    ours, theirs = Words(model, embedding).features(prompts, at), model.encode_text(embedding, [prompts], [at])
    for found, expected in zip((*ours[:2], *ours.states), (*theirs[:2], *theirs.states), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@torch.inference_mode()
def test_a_phrase_gives_the_same_bits_in_any_company(model, embedding):
    first, second = build_prompts(file("dark hole", "long scratch")), build_prompts(file("bent tooth", "dark hole"))
    alone, shared = Words(model, embedding), Words(model, embedding)
    shared.rows(first)
    assert torch.equal(shared.rows(second)[1], alone.rows(second)[1])
    kept = Words(model, embedding, alone.kept)
    assert torch.equal(kept.rows(second)[1], alone.rows(second)[1])
    assert (kept.fresh, alone.fresh) == (0, 1 + len(second.abnormal))
    kept.rows(first)
    assert kept.fresh == 1, "only the long scratch is new"


def numbers(found):
    return [[(v.scores, v.metrics.values, v.contributions) for v in c.variants] for c in found.categories]


def test_a_changed_file_reads_the_changed_phrase_only_and_equals_an_uncached_run(model, tmp_path):
    store = Store(tmp_path / "library")
    for second in ("long scratch", "bent tooth"):
        store.save(file("dark hole", second))
    data = open_data(make_dataset(tmp_path / "data", good=2, bad=1))
    bare = Scorer(model, image_fingerprint(model))
    cached = dataclasses.replace(bare, cache=FeatureCache(tmp_path / "cache"))

    def run(scorer, ref, out):
        return evaluate(Plan(data, store, (ref,), tmp_path / out, draws=4), scorer)

    run(cached, "gear@1", "first")
    read, tower = [], model.text_tower.forward
    model.text_tower.forward = lambda trees, contexts: read.append(len(trees)) or tower(trees, contexts)
    try:
        warm = run(cached, "gear@2", "second")
    finally:
        del model.text_tower.forward
    assert read == [1] * 4, "one new phrase in each of four images"
    assert numbers(warm) == numbers(run(bare, "gear@2", "bare"))
