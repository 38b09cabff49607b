"""`detect` and `eval` are one pipeline: the same photo gets the same score from both, to the bit, in every setting."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from detector.data import open_data
from detector.detect.detector import Detector
from detector.evaluate.scorer import Scorer
from detector.evaluate.variants import controls, describe
from detector.images.tiling import windows
from detector.localize.boxes import Box, Localisation
from detector.localize.errors import GroundingWeightsError
from detector.runs.evaluate import evaluate
from detector.scoring.feature_cache import FeatureCache
from detector.scoring.predict import ScoringSettings
from detector.scoring.predictor import Ask, Predictor
from tests.support.clip import tiny_filo
from tests.support.dataset import make_dataset
from tests.support.evaluation import make_store, numbers, plan

SETTINGS = [
    ScoringSettings(localizer=localizer, position=position, image_score=score)
    for localizer, position, score in itertools.product(("none", "self"), (True, False), ("filo", "map", "similarity"))
]
SETTINGS += [ScoringSettings(localizer="grounding-dino", gate=gate) for gate in ("none", "soft", "hard")]
SETTINGS += [ScoringSettings(smoothing=sigma) for sigma in (0, 1.5)]
HOW = [{"tile": 40}, {"max_size": 50}, {"tile": 40, "max_size": 60}, {"precision": "bf16"}]
"""Photos of the made-up data set are 70 pixels square."""
CASES = [(settings, {}) for settings in SETTINGS]
CASES += [(ScoringSettings(localizer=name), how) for name in ("none", "self", "grounding-dino") for how in HOW]


class Corner:
    """A localizer that always answers with one box."""

    fingerprint = "corner"

    def locate(self, images, _descriptions):
        return [Localisation((Box(0.1, 0.1, 0.4, 0.4, "hole", 0.9),), "top left") for _ in images]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = make_dataset(tmp_path_factory.mktemp("data"), ("gear",), good=1, bad=1, size=70)
    return open_data(root, ["gear"])


@pytest.fixture(scope="module")
def models():
    """One per precision, since a model that was rounded stays rounded."""
    return {"fp32": tiny_filo(), "bf16": tiny_filo()}


def options(settings, how):
    localizer = Corner() if settings.localizer == "grounding-dino" else None
    return {"settings": settings, "localizer": localizer, "device": "cpu", **how}


@pytest.mark.parametrize(("settings", "how"), CASES, ids=str)
def test_detect_and_eval_give_equal_bits(models, store, data, tmp_path, settings, how):
    model, given = models[how.get("precision", "fp32")], options(settings, how)
    samples = data.select(split="test")
    detector = Detector(model, store=store, batch_size=3, **given)
    file = store.load("gear@1")
    variants = [describe("gear@1", file, 12), *controls(file, 12)[:2]]
    scorer = Scorer(Predictor(model, cache=FeatureCache(tmp_path), **given), contributions=True)
    rows = [[scorer.score(sample, variants).scores for sample in samples] for _ in ("cold", "warm")]
    assert np.array_equal(*rows), "the cache changes no number"
    results = list(detector.predict([sample.image for sample in samples], "gear@1"))
    assert [one.score for one in results] == [row[0] for row in rows[0]]
    pictures = [detector.predictor.load(sample.image) for sample in samples]
    asked = detector.predictor.predict(pictures, [Ask(variant.prompts) for variant in variants])
    for row, predictions in zip(rows[0], asked, strict=True):
        assert [one.score for one in predictions] == list(row[: len(variants)]), "controls too"
    assert len({score for row in rows[0] for score in row}) > len(samples), "words matter, so the test can fail"


def test_bits_do_not_depend_on_company(models, store):
    file = store.load("gear@1")
    prompts = describe("gear@1", file, 12).prompts
    noise = np.random.default_rng(0)
    pictures = [Image.fromarray(noise.integers(0, 255, (60, 80, 3), dtype=np.uint8)) for _ in range(5)]
    predictor = Predictor(models["fp32"], device="cpu", batch_size=4)
    together = [one for (one,) in predictor.predict(pictures, [Ask(prompts)])]
    alone = [Predictor(models["fp32"], device="cpu").predict([each], [Ask(prompts)])[0][0] for each in pictures]
    for one, other in zip(together, alone, strict=True):
        assert one.score == other.score
        assert torch.equal(one.anomaly_map, other.anomaly_map)
        assert one[2:] == other[2:]


def test_leaving_one_out_of_a_cut_picture_equals_fewer_words(models, store):
    settings = ScoringSettings(localizer="none")
    prompts = describe("gear@1", store.load("gear@1"), 12).prompts
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 255, (90, 120, 3), dtype=np.uint8))
    predictor = Predictor(models["fp32"], settings, device="cpu", tile=56)
    (found,) = predictor.predict([picture], [Ask(prompts, leave_one_out=True)])
    from detector.scoring.prompts import without

    fewer = predictor.predict([picture], [Ask(without(prompts, index)) for index in range(2)])[0]
    assert len(found) == 3
    for one, other in zip(found[1:], fewer, strict=True):
        assert one.score == other.score
        assert torch.equal(one.anomaly_map, other.anomaly_map)


def test_a_box_found_in_a_window_is_given_in_units_of_the_whole_picture(models, store):
    prompts = describe("gear@1", store.load("gear@1"), 12).prompts
    pixels = np.random.default_rng(1).integers(0, 255, (60, 100, 3), dtype=np.uint8)
    given = options(ScoringSettings(localizer="grounding-dino"), {"tile": 40})
    ((one,),) = Predictor(models["fp32"], **given).predict([Image.fromarray(pixels)], [Ask(prompts)])
    (box,) = one.boxes
    corners = {(window.left, window.top) for window in windows(100, 60, 40)}
    assert len(corners) > 1
    left, top = round(100 * box.x0 - 0.1 * 40, 6), round(60 * box.y0 - 0.1 * 40, 6)
    assert (left, top) in corners
    assert (100 * (box.x1 - box.x0), 60 * (box.y1 - box.y0)) == pytest.approx((12, 12)), "0.3 of a window of 40 pixels"
    assert (box.phrase, box.score) == ("hole", 0.9)


def test_an_evaluation_of_windows_counts_at_the_size_of_the_model(models, store, data, tmp_path):
    cut = Scorer(Predictor(models["fp32"], device="cpu", tile=40))
    whole = Scorer(Predictor(models["fp32"], device="cpu"))
    results = [evaluate(plan(data, store, tmp_path / name), each) for name, each in (("a", cut), ("b", whole))]
    assert numbers(results[0]) != numbers(results[1])
    pixels = [result.categories[0].variants[0].metrics.values["aupro"] for result in results]
    assert all(0 <= value <= 1 for value in pixels)


def test_other_windows_or_sizes_are_another_evaluation(models, store, data, tmp_path):
    from detector.evaluate.errors import EvaluationError

    evaluate(plan(data, store, tmp_path), Scorer(Predictor(models["fp32"], device="cpu")))
    for how in ({"tile": 40}, {"max_size": 50}):
        with pytest.raises(EvaluationError, match="another model"):
            evaluate(plan(data, store, tmp_path), Scorer(Predictor(models["fp32"], device="cpu", **how)))


def test_a_shrunk_photo_keeps_its_mask(models, store, data, tmp_path):
    evaluation = evaluate(plan(data, store, tmp_path), Scorer(Predictor(models["fp32"], device="cpu", max_size=50)))
    assert not evaluation.failures
    assert evaluation.categories[0].variants[0].metrics.values["aupro"] is not None


def test_grounding_dino_needs_a_localizer(models):
    with pytest.raises(GroundingWeightsError, match="--dino-weights"):
        Predictor(models["fp32"], ScoringSettings(localizer="grounding-dino"), device="cpu")
