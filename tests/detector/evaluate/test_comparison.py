"""Evaluation end to end on a tiny real model and tiny real data."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from descriptions.store import Store
from detector.data import open_data
from detector.evaluate.errors import EvaluationError
from detector.evaluate.record_folder import record_path
from detector.evaluate.records import read_counts, unpack_counts
from detector.evaluate.scorer import Scorer
from detector.evaluate.summary import best_threshold, no_better_than_chance, verdict
from detector.evaluate.variants import leak_free, leaks, random_texts
from detector.metrics import image_metrics
from detector.runs.evaluate import evaluate
from detector.runs.record import read_run
from detector.scoring.feature_cache import FeatureCache
from detector.scoring.predict import ScoringSettings
from detector.scoring.predictor import Predictor
from tests.support.clip import tiny_filo
from tests.support.dataset import make_dataset
from tests.support.evaluation import description, numbers, plan


@pytest.fixture(scope="module")
def model():
    return tiny_filo()


@pytest.fixture(scope="module")
def scorer(model):
    return Scorer(Predictor(model, device="cpu"))


@pytest.fixture(scope="module")
def whole(scorer, data, store, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    return out, evaluate(plan(data, store, out), scorer)


def test_versions_and_controls_come_out_with_all_metrics(whole):
    out, evaluation = whole
    (category,) = evaluation.categories
    assert [variant.name for variant in category.variants] == ["gear@1", "gear@2", "generic", "winclip", "random"]
    assert [variant.control for variant in category.variants] == [False, False, True, True, True]
    labels = np.array([sample.defective for sample in category.images])
    for variant in category.variants:
        assert all(value is not None for value in variant.metrics.values.values())
        assert (
            variant.metrics.values["image_auroc"]
            == image_metrics(np.array(variant.scores), labels).values["image_auroc"]
        )
        for name, (low, high) in variant.intervals.items():
            assert 0 <= low <= high <= 1, name
    assert category.variants[0].differences == {}
    delta, interval = category.variants[1].differences["pixel_ap"]
    values = [variant.metrics.values["pixel_ap"] for variant in category.variants]
    assert delta == pytest.approx(values[1] - values[0])
    assert interval is not None
    assert read_run(out)["status"] == "done"
    assert set(read_run(out)["settings"]["hashes"]["gear"]) == {"gear@1", "gear@2", "generic", "winclip", "random"}


def test_leaving_one_out_equals_a_file_without_it(model, data, store, tmp_path):
    """With the position averaged over all regions, the contribution is the difference to a shorter file."""
    plain = Scorer(Predictor(model, ScoringSettings(localizer="none"), device="cpu"))
    full = evaluate(plan(data, store, tmp_path / "full"), plain)
    short = Store(tmp_path / "short")
    short.save(description("gear", "dark round hole"))
    fewer = evaluate(plan(data, short, tmp_path / "fewer", refs=("gear",)), plain)
    first = full.categories[0].variants[0]
    worth = first.contributions[0]
    assert worth.id == "a0"
    expected = first.metrics.values["image_auroc"] - fewer.categories[0].variants[0].metrics.values["image_auroc"]
    assert worth.image_auroc_delta == pytest.approx(expected, abs=1e-9)
    expected = first.metrics.values["pixel_ap"] - fewer.categories[0].variants[0].metrics.values["pixel_ap"]
    assert worth.pixel_ap_delta == pytest.approx(expected, abs=1e-6)


def test_the_cache_changes_no_number_and_spares_the_image_tower(whole, model, data, store, tmp_path):
    cache = FeatureCache(tmp_path / "cache")
    cached = Scorer(Predictor(model, device="cpu", cache=cache))
    assert numbers(evaluate(plan(data, store, tmp_path / "cold"), cached)) == numbers(whole[1])
    assert cache.hits == 0
    assert numbers(evaluate(plan(data, store, tmp_path / "warm"), cached)) == numbers(whole[1])
    assert cache.hits == 8


def test_a_reference_given_twice_counts_once(scorer, data, store, tmp_path):
    evaluation = evaluate(plan(data, store, tmp_path, refs=("gear@1", "gear@v1")), scorer)
    first = evaluation.categories[0].variants[0]
    assert [variant.name for variant in evaluation.categories[0].variants] == ["gear@1", "generic", "winclip", "random"]
    assert [each.id for each in first.contributions] == ["a0", "a1"]


def test_words_for_another_product_are_named(scorer, data, store, tmp_path):
    evaluation = evaluate(plan(data, store, tmp_path, refs=("gear@1", "plate@1")), scorer)
    assert [line for line in evaluation.warnings if "another product" in line] == [
        "plate@1: words for another product; there are some for gear"
    ]


def test_scores_no_better_than_chance_are_named(whole):
    (category,) = whole[1].categories
    first = category.variants[0]

    def doubt(value, low, high):
        metrics = first.metrics._replace(values=first.metrics.values | {"image_auroc": value})
        drawn = first._replace(metrics=metrics, intervals=first.intervals | {"image_auroc": (low, high)})
        return no_better_than_chance(category._replace(variants=(drawn,)))

    assert "image AUROC .430 [.300-.570] is not clearly above .5" in doubt(0.43, 0.3, 0.57)
    assert doubt(0.8, 0.51, 0.9) == ""


def test_the_threshold_lies_between_two_scores(whole):
    (category,) = whole[1].categories
    threshold = best_threshold(category)
    scores = np.array(category.variants[0].scores)
    above, below = scores[scores > threshold].min(), scores[scores < threshold].max()
    assert threshold == pytest.approx((above + below) / 2)
    labels = np.array([sample.defective for sample in category.images])
    caught = (labels & (scores >= threshold)).sum()
    f1 = 2 * caught / (labels.sum() + (scores >= threshold).sum())
    assert f1 == pytest.approx(category.variants[0].metrics.values["image_f1max"])
    tied = category._replace(variants=(category.variants[0]._replace(scores=(-0.1,) * len(scores)),))
    assert best_threshold(tied) == pytest.approx(-0.105)


def test_without_masks_image_metrics_remain(scorer, store, tmp_path):
    root = make_dataset(tmp_path / "data", good=2, bad=1)
    for mask in root.glob("gear/ground_truth/*/*.png"):
        mask.unlink()
    data = open_data(root)
    data = dataclasses.replace(data, samples=tuple(s for s in data.samples if s.defective or s.split == "train"))
    result = evaluate(plan(data, store, tmp_path / "out"), scorer).categories[0].variants[0]
    assert result.metrics.values["pixel_ap"] is None
    assert any("no masks" in note for note in result.metrics.notes)


def test_ablations_change_scores(model, data, store, tmp_path):
    scores = []
    for decoders in ("all", "linear", "conv"):
        variant = Scorer(Predictor(model, device="cpu", decoders=decoders), contributions=False)
        evaluation = evaluate(plan(data, store, tmp_path / decoders, draws=2), variant)
        scores.append(evaluation.categories[0].variants[0].scores)
    assert len(set(scores)) == 3


def test_several_categories_share_the_names_of_their_versions(scorer, store, tmp_path):
    data = open_data(make_dataset(tmp_path / "data", ("gear", "plate"), good=2, bad=1))
    evaluation = evaluate(plan(data, store, tmp_path / "out", refs=("@1", "@latest")), scorer)
    assert [category.category for category in evaluation.categories] == ["gear", "plate"]
    assert [variant.name for variant in evaluation.categories[1].variants][:2] == ["@1", "@latest"]
    with pytest.raises(EvaluationError, match="no description version for 'plate'"):
        evaluate(plan(data, store, tmp_path / "other", refs=("gear@1",)), scorer)


def test_leaks_are_named_and_left_out(scorer, store, data, tmp_path):
    file = store.load("gear@2")
    assert leaks(file, ("Hole", "crack")) == ("a1",)
    assert leak_free(file, ("hole",)).enabled_texts == ("long thin scratch",)
    evaluation = evaluate(plan(data, store, tmp_path, leak_free=True), scorer)
    assert any("gear@2: a1 repeats" in line for line in evaluation.warnings)
    assert [c.id for c in evaluation.categories[0].variants[1].contributions] == ["a0"]
    assert evaluation.categories[0].variants[1].content_hash == file.content_hash, "what prompt-forge finds it by"


def test_leak_free_controls_stand_against_what_is_left(scorer, store, data, tmp_path):
    left = Store(tmp_path / "left")
    left.save(description("gear", "long thin scratch"))
    reduced = evaluate(plan(data, store, tmp_path / "a", refs=("gear@2",), leak_free=True), scorer)
    short = evaluate(plan(data, left, tmp_path / "b", refs=("gear@1",)), scorer)
    scores = [{v.name: v.scores for v in evaluation.categories[0].variants} for evaluation in (reduced, short)]
    assert scores[0]["random"] == scores[1]["random"]


def test_no_test_images(scorer, store, data, tmp_path):
    training = dataclasses.replace(data, samples=data.select(split="train"))
    with pytest.raises(EvaluationError, match="no test images"):
        evaluate(plan(training, store, tmp_path), scorer)


def test_random_texts_keep_number_and_length():
    texts = ("broken tooth", "dark round hole")
    assert [len(text.split()) for text in random_texts(texts)] == [2, 3]
    assert random_texts(texts) == random_texts(texts)
    assert random_texts(texts, seed=1) != random_texts(texts)


def test_records_keep_the_histogram(whole):
    counts = read_counts(record_path(whole[0] / "images" / "gear", 7), 0)
    fine, coarse = unpack_counts(counts), unpack_counts(counts, np.arange(2**16) // 256, 256)
    assert fine.negatives.sum() + fine.positives.sum() == 56 * 56
    assert coarse.negatives.sum() == fine.negatives.sum()
    assert coarse.overlaps.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (((0.15, (0.1, 0.2)), (0.0, (-0.1, 0.1))), "helps"),
        (((-0.15, (-0.2, -0.1)), (None, None)), "hurts"),
        (((0.15, (0.1, 0.2)), (-0.15, (-0.2, -0.1))), "no evidence"),
        (((-0.1, (-0.2, 0.0)), (0.3, None)), "no evidence"),
        (((-0.0002, (-0.0003, -0.0001)), (None, None)), "no evidence"),
        (((None, None), (None, None)), "no evidence"),
    ],
)
def test_verdicts(changes, expected):
    assert verdict(*changes) == expected


def test_the_run_record_is_whole(whole):
    record = json.loads((whole[0] / "run.json").read_text())
    assert torch.__version__.startswith(record["versions"]["torch"])
    assert record["started"] <= record["updated"]
