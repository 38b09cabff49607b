"""What people call from Python: phrases, verdicts, pictures, and one clear line for wrong use."""

import inspect
import json
from typing import Any, get_type_hints

import numpy as np
import pytest
from PIL import Image

from descriptions import Store
from detector import Detection, Detector, DetectorError, Failure, Threshold
from detector.errors import OutputError
from detector.images.load import ImageError
from detector.scoring.predictor import Options, Predictor
from detector.scoring.prompts import PromptTooLongError
from detector.scoring.threshold import ThresholdError
from detector.weights.registry import PresetError
from tests.support.detecting import command, make_workplace, run


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_workplace(tmp_path_factory.mktemp("home"), photos=5)


@pytest.fixture(scope="module")
def detector(home) -> Detector:
    return Detector.from_checkpoint(home / "tiny.safetensors", store=Store(home / "library"), device="cpu")


@pytest.fixture(scope="module")
def photos(home):
    return sorted((home / "photos").iterdir())


@pytest.fixture(scope="module")
def results(detector, photos) -> list[Detection]:
    return list(detector.predict(photos, "gear"))


def test_scores_are_those_of_the_results(detector, photos, results):
    scores = detector.score(photos, "gear@1")
    assert (scores.shape, scores.dtype) == ((5,), np.float64)
    assert scores.tolist() == [each.score for each in results]
    assert len(set(scores.tolist())) == 5


def test_a_description_may_be_a_reference_a_file_or_phrases(detector, photos, results):
    file = detector.store.load("gear")
    assert [each.score for each in detector.predict(photos, file)] == [each.score for each in results]
    (tried,) = detector.predict(photos[:1], list(file.enabled_texts), object_name="gear")
    assert tried.score == results[0].score
    assert [(each.text, each.similarity) for each in tried.matches] == [
        (each.text, each.similarity) for each in results[0].matches
    ]
    (other,) = detector.predict(photos[:1], ("thin crack", "dent"), object_name="Überwurf nut")
    assert {each.text for each in other.matches} == {"thin crack", "dent"}
    assert other.score != results[0].score


def test_verdicts_need_a_threshold(detector, photos, results):
    assert {(each.is_anomalous, each.verdict) for each in results} == {(None, None)}
    middle = sorted(each.score for each in results)[2]
    judging = detector.with_threshold(Threshold.given(middle))
    judged = list(judging.predict(photos, "gear"))
    assert [each.is_anomalous for each in judged] == [each.score >= middle for each in results]
    assert sum(each.is_anomalous for each in judged) == 3
    assert detector.threshold is None, "with_threshold changes a copy"
    assert judging.model is detector.model
    assert judging.with_threshold(None).threshold is None
    assert judging.with_threshold(0.25).threshold == Threshold.given(0.25)


def test_a_threshold_judges_by_the_words_it_is_first_asked_with(detector, photos):
    judging = detector.with_threshold(0.5)
    (first,) = judging.predict(photos[:1], "gear")
    (again,) = judging.predict(photos[:1], list(detector.store.load("gear").enabled_texts), object_name="gear")
    assert (again.threshold, again.score) == (first.threshold, first.score), "the same words under another name"
    with pytest.raises(
        ThresholdError, match=r"threshold 0\.5 judges by gear@1 \(.*, not by gear@1 \('dent'\); expec"
    ) as e:
        judging.predict(photos[:1], ["dent"], object_name="gear")
    assert "with_threshold" in str(e.value)
    assert "\n" not in str(e.value)
    assert judging.score(photos[:1], ["dent"], object_name="gear").shape == (1,), "scores need no threshold"
    (other,) = judging.with_threshold(0.6).predict(photos[:1], ["dent"], object_name="gear")
    assert other.threshold == Threshold.given(0.6)
    (unjudged,) = judging.with_threshold(None).predict(photos[:1], ["dent"], object_name="gear")
    assert unjudged.verdict is None


def test_a_bad_photo_stops_predict_and_is_a_value_of_stream(detector, photos, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"junk")
    given = [photos[0], bad, photos[1]]
    coming = detector.predict(given, "gear")
    assert next(coming).path == str(photos[0])
    with pytest.raises(ImageError, match=r"bad\.png"):
        next(coming)
    kinds = [type(each) for each in detector.stream(given, "gear")]
    assert kinds == [Detection, Failure, Detection]


@pytest.mark.parametrize("threshold", [None, "9", "-9"])
def test_plots_are_the_pictures_of_the_command(home, photos, detector, tmp_path, threshold):
    out = tmp_path / "run"
    asked = ["--out", str(out), "--format", "json", *(["--threshold", threshold] if threshold else [])]
    rows = json.loads(run(command(home, *asked)).stdout)["images"]
    judging = detector.with_threshold(float(threshold) if threshold else None)
    results = list(judging.predict(photos, "gear"))
    for row, result in zip(rows, results, strict=True):
        with Image.open(out / row["heatmap"]) as drawn:
            ours, theirs = (
                np.asarray(each.convert("RGB"), dtype=float) for each in (result.plot(among=results), drawn)
            )
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).mean() < 0.5, "but for the 16 bits that maps are kept with"
    marked, plain = (
        np.asarray(next(judging.with_threshold(value).predict(photos, "gear")).plot(), float) for value in (-9, 9)
    )
    assert np.abs(marked - plain).mean() > 0.5, "a verdict shows, so the test can fail"


def test_plain_values_are_the_rows_of_the_command(home, results):
    rows = json.loads(run(command(home, "--format", "json")).stdout)["images"]
    ours = json.loads(json.dumps([each.to_dict() for each in results]))
    fields = ("path", "score", "verdict", "region", "descriptions", "heatmap")
    assert [[one[name] for name in fields] for one in ours] == [[one[name] for name in fields] for one in rows]
    assert [len(one["boxes"]) for one in ours] == [len(each.boxes) for each in results]


def test_a_result_is_saved_whole_or_not_at_all(results, tmp_path):
    saved = results[0].save(tmp_path / "new" / "found.png")
    with Image.open(saved) as picture:
        assert np.array_equal(np.asarray(picture), np.asarray(results[0].plot()))
    with Image.open(results[0].save(str(tmp_path / "found.JPG"))) as picture:
        assert picture.format == "JPEG"
    with pytest.raises(DetectorError, match=r"no format of pictures has the ending '\.txt'; expected \.png or \.jpg"):
        results[0].save(tmp_path / "found.txt")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        results[0].save(tmp_path / "file" / "found.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "found.JPG", "new"]


def test_a_notebook_shows_a_picture_and_escapes_words(results):
    shown = results[0]._replace(path="<script>.png")._repr_html_()
    assert "data:image/png;base64,iVBOR" in shown
    assert "rust &lt;b&gt;stains&lt;/b&gt;" in shown
    assert "<script>" not in shown
    assert repr(results[0]).startswith(f"Detection({results[0].path!r}, score {results[0].score:.4f}, nearest ")


ONE = Image.new("RGB", (8, 8))
WRONG: list[tuple[Any, Any, dict[str, Any], str]] = [
    ("a.png", "gear", {}, "photos is the single path 'a.png'; expected a list; write ['a.png']"),
    (ONE, "gear", {}, "photos is a single Image; expected a list; write [photo]"),
    (np.zeros((8, 8, 3)), "gear", {}, "photos is a single ndarray; expected a list; write [photo]"),
    (7, "gear", {}, "photos is 7; expected a list of paths, PIL images, arrays or tensors"),
    ([], "gear", {}, "no photos; expected at least one path, PIL image, array or tensor"),
    ([ONE], [], {"object_name": "gear"}, "no phrases; expected at least one, such as ['thin crack']"),
    ([ONE], ["dent"], {}, "phrases ['dent'] without object_name; add the product, such as object_name='capsule'"),
    ([ONE], ["dent", " "], {"object_name": "gear"}, "phrase ' ': the text is empty"),
    ([ONE], ["dent", "x" * 201], {"object_name": "gear"},
     f"phrase {'x' * 201!r}; expected String should have at most 200 characters"),
    ([ONE], 3, {}, "what is 3; expected a reference such as 'capsule', a DescriptionFile, or a list of texts"),
    ([ONE], "dent", {"object_name": "gear"}, "object_name 'gear' with the description dent, which names its own; "
     "leave object_name out, or write ['dent'] for a phrase"),
]  # fmt: skip


@pytest.mark.parametrize(("photos", "what", "more", "line"), WRONG, ids=[line[:40] for *_, line in WRONG])
@pytest.mark.parametrize("call", ["predict", "score"])
def test_wrong_use_gets_one_line_at_once(detector, photos, what, more, line, call):
    with pytest.raises(DetectorError) as refusal:
        getattr(detector, call)(photos, what, **more)
    assert str(refusal.value) == line


def test_a_phrase_that_clip_would_cut_is_refused_before_a_photo_is_opened(detector):
    with pytest.raises(PromptTooLongError):
        detector.predict(["none.png"], ["x-" * 99], object_name="gear")


def test_what_a_detector_cannot_be():
    with pytest.raises(PresetError, match="preset 'mimi'; expected one of: mini, vitl; did you mean mini"):
        Detector.from_pretrained("mimi")


@pytest.mark.parametrize("wrong", ["0.5", float("nan"), True, [0.5]])
def test_what_a_threshold_cannot_be(detector, wrong):
    with pytest.raises(ThresholdError, match="expected a finite number, or a Threshold"):
        detector.with_threshold(wrong)


def test_a_quantile_says_what_it_promises():
    scores = np.arange(1, 101) / 100
    threshold = Threshold.quantile(scores, 0.95)
    assert [score < threshold.value for score in (0.95, 0.96)] == [True, False]
    assert (threshold.how, threshold.n) == ("quantile", 100)
    assert threshold.promises == "that at least 0.95 of these 100 photos lie below it"
    few = Threshold.quantile([0.2, 0.3, 0.1], 0.99)
    assert few.verdict(0.3) == "good"
    assert few.promises.endswith("and of good photos to come little: that takes 99 of them")
    assert not few.guessed
    for wrong, said in [(([], 0.9), "no scores"), (([float("inf")], 0.9), "nan or inf"), (([0.1], 1), "share 1")]:
        with pytest.raises(ThresholdError, match=said):
            Threshold.quantile(*wrong)


def test_options_are_those_of_the_predictor():
    own = set(inspect.signature(Predictor).parameters) - {"model"}
    assert set(get_type_hints(Options)) == own
