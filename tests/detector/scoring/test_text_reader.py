"""Phrases are read once an image, and give the same bits whatever was read beside them or kept from before."""

import pytest
import torch

from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector.data import open_data
from detector.evaluate.comparison import Plan
from detector.evaluate.scorer import Scorer
from detector.runs.evaluate import evaluate
from detector.scoring import text_reader
from detector.scoring.feature_cache import FeatureCache
from detector.scoring.predict import encode
from detector.scoring.predictor import Predictor
from detector.scoring.prompts import create_prompts
from detector.scoring.text_reader import TextReader
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
    prompts = create_prompts(file("dark hole", "long scratch"))
    ours, theirs = TextReader(model, embedding).features(prompts, [at]), model.encode_text(embedding, [prompts], [at])
    for found, expected in zip((*ours[:2], *ours.states), (*theirs[:2], *theirs.states), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@torch.inference_mode()
def test_a_phrase_gives_the_same_bits_in_any_company(model, embedding):
    first, second = create_prompts(file("dark hole", "long scratch")), create_prompts(file("bent tooth", "dark hole"))
    alone, shared = TextReader(model, embedding), TextReader(model, embedding)
    shared.rows(first)
    assert torch.equal(shared.rows(second)[0][1], alone.rows(second)[0][1])
    assert alone.images[0].fresh == 1 + len(second.abnormal)
    alone.rows(first)
    assert alone.images[0].fresh == 2 + len(second.abnormal), "only the long scratch is new"


@torch.inference_mode()
def test_images_that_shift_no_context_share_what_was_read(model):
    still = tiny_filo()
    for learner in (still.normal_prompt_learner, still.abnormal_prompt_learner):
        torch.nn.init.zeros_(learner.meta_net.linear2.weight)
    prompts, embeddings = create_prompts(file("dark hole")), encode(still, tiny_pixels(3)).embedding
    reader = TextReader(still, embeddings[:2])
    assert reader.images[0] is reader.images[1]
    reader.rows(prompts)
    later = TextReader(still, embeddings[2:], before=reader)
    later.rows(prompts)
    assert later.images[0].fresh == 1 + len(prompts.abnormal), "the batch before has read all of it"
    moved = TextReader(model, encode(model, tiny_pixels(3)).embedding)
    assert len({id(text) for text in moved.images}) == 3


@torch.inference_mode()
def test_a_state_that_is_written_twice_counts_twice(model, embedding):
    prompts = create_prompts(file("dark hole", "dark hole"))
    ours, theirs = TextReader(model, embedding).features(prompts), model.encode_text(embedding, [prompts])
    torch.testing.assert_close(ours.abnormal, theirs.abnormal, rtol=0, atol=1e-6)
    assert len(ours.states[0]) == len(prompts.abnormal)


@torch.inference_mode()
def test_a_reader_that_has_read_much_forgets(model, embedding, monkeypatch):
    monkeypatch.setattr(text_reader, "MAX_UNITS", 3)
    reader = TextReader(model, embedding)
    reader.rows(create_prompts(file("dark hole", "long scratch")))
    second = create_prompts(file("bent tooth"))
    reader.rows(second)
    assert len(reader.images[0].rows) == 1 + len(second.abnormal)


def numbers(found):
    return [[(v.scores, v.metrics.values, v.contributions) for v in c.variants] for c in found.categories]


def test_a_changed_file_reads_the_changed_phrase_only_and_equals_an_uncached_run(model, tmp_path):
    store = Store(tmp_path / "library")
    for second in ("long scratch", "bent tooth"):
        store.save(file("dark hole", second))
    data = open_data(make_dataset(tmp_path / "data", good=2, bad=1))
    bare = Scorer(Predictor(model, device="cpu"))
    cached = Scorer(Predictor(model, device="cpu", cache=FeatureCache(tmp_path / "cache")))

    def run(scorer, ref, out):
        return evaluate(Plan(data, store, (ref,), tmp_path / out, draws=4), scorer)

    run(cached, "gear@1", "first")
    cached = Scorer(Predictor(model, device="cpu", cache=FeatureCache(tmp_path / "cache")))
    read, tower = [], model.text_tower.forward
    model.text_tower.forward = lambda trees, contexts: read.append(len(trees)) or tower(trees, contexts)
    try:
        warm = run(cached, "gear@2", "second")
    finally:
        del model.text_tower.forward
    assert read == [1] * 4, "one new phrase in each of four images"
    assert numbers(warm) == numbers(run(bare, "gear@2", "bare"))
