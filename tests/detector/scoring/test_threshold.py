"""Thresholds: given, guessed, or from an evaluation, with where they come from said wherever they are used."""

import csv
import io
import json
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from descriptions.format.schema import Anomaly, DescriptionFile
from detector.runs.record import read_run
from detector.runs.threshold import other_origin, read_threshold
from detector.scoring.threshold import Threshold, ThresholdError
from tests.support.dataset import make_dataset
from tests.support.detecting import command, make_workplace, run

SCORES = st.lists(st.floats(0, 1).map(lambda value: round(value, 4)), max_size=40)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_workplace(tmp_path_factory.mktemp("home"))


def test_a_guess_lies_in_the_gap_that_parts_a_few_images_from_the_rest():
    rng = random.Random(0)
    good = [rng.gauss(0.4, 0.01) for _ in range(40)]
    threshold = Threshold.guess([*good, 0.9, 0.8])
    assert threshold is not None
    assert threshold.value == pytest.approx((max(good) + 0.8) / 2)
    assert (threshold.how, threshold.n, threshold.guessed) == ("guessed", 42, True)
    assert [threshold.verdict(score) for score in (max(good), 0.8, 0.9)] == ["good", "anomalous", "anomalous"]
    assert "guessed from these 42 images" in threshold.describe()


@pytest.mark.parametrize(
    "scores",
    [
        pytest.param([0.4] * 6 + [0.9], id="seven images"),
        pytest.param([0.5] * 9 + [0.4], id="only a low one stands apart"),
        pytest.param([0.5] * 12, id="all equal"),
        pytest.param([place / 16 for place in range(16)], id="evenly spread"),
        pytest.param([0.4 + place / 100 for place in range(6)] + [0.9 + place / 100 for place in range(6)], id="half"),
    ],
)
def test_without_a_gap_nothing_is_guessed(scores):
    assert Threshold.guess(scores) is None


def test_good_photos_alone_rarely_make_a_list_of_defects():
    """Of a thousand folders of sixteen good photos, the rule of three deviations found defects in every ninth."""
    rng = np.random.default_rng(0)
    folders = rng.normal(0.4, 0.05, (1000, 16)).tolist()
    assert sum(Threshold.guess(scores) is not None for scores in folders) < 10


@settings(deadline=None)
@given(SCORES)
def test_a_guess_calls_fewer_than_half_anomalous_and_stands_off_from_both_sides(scores):
    threshold = Threshold.guess(scores)
    if threshold is None:
        return
    below = [score for score in scores if threshold.verdict(score) == "good"]
    above = [score for score in scores if threshold.verdict(score) == "anomalous"]
    assert 0 < len(above) < len(scores) / 2
    assert min(above) - max(below) > max(below) - min(below)
    shifted = Threshold.guess([2 * score + 1 for score in scores])
    assert shifted is not None
    assert shifted.value == pytest.approx(2 * threshold.value + 1)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=25))
def test_no_other_threshold_has_a_better_f1(images):
    scores, labels = np.array([score for score, _ in images]) / 20, np.array([label for _, label in images])
    threshold = Threshold.best_f1(scores, labels)
    if labels.all() or not labels.any():
        assert threshold is None
        return

    def f1(value: float) -> float:
        called = scores >= value
        return float(2 * (called & labels).sum() / (called.sum() + labels.sum()))

    assert threshold is not None
    assert f1(threshold.value) == pytest.approx(max(f1(value) for value in scores))
    assert np.abs(scores - threshold.value).min() > 1e-3
    assert (threshold.how, threshold.n) == ("evaluation", len(images))


def test_labels_may_be_numbers_and_scores_whole():
    assert Threshold.best_f1([1, 2, 3, 4], [0, 0, 1, 1]) == Threshold.from_evaluation(2.5, 4)


def test_a_threshold_says_where_it_comes_from_and_what_it_promises():
    assert Threshold.given(0.5).describe() == "0.5000, as given"
    assert Threshold.given(0.5).promises == "nothing by itself: it was typed"
    assert Threshold.from_evaluation(0.25, 20).describe() == (
        "0.2500, from an evaluation; "
        "it promises the best F1 on the 20 images of that evaluation, which it was chosen on"
    )
    assert "the best F1 on the images of that evaluation" in Threshold.from_evaluation(0.25).promises


def test_the_threshold_itself_is_anomalous():
    assert Threshold.given(0.5).verdict(0.5) == "anomalous"
    assert Threshold.given(0.5).verdict(math.nextafter(0.5, 0)) == "good"


def test_what_the_option_says(tmp_path):
    assert read_threshold(None, "gear") is read_threshold("auto", "gear") is None
    assert read_threshold("0.25", "gear") == Threshold.given(0.25)
    (tmp_path / "run.json").write_text(json.dumps({"thresholds": {"gear": 0.3}}))
    assert read_threshold(f"from-eval:{tmp_path}", "gear@2") == Threshold.from_evaluation(0.3)
    assert read_threshold(f"from-eval:{tmp_path}", "Gear") == Threshold.from_evaluation(0.3)
    with pytest.raises(ThresholdError, match=r"no threshold for nut; .*; it holds: gear"):
        read_threshold(f"from-eval:{tmp_path}", "nut")
    for record in ("{}", '{"thresholds": {"gear": "high"}}', '{"thresholds": 3}', '{"thresholds": {"gear": NaN}}'):
        (tmp_path / "run.json").write_text(record)
        with pytest.raises(ThresholdError, match="no threshold for gear"):
            read_threshold(f"from-eval:{tmp_path}", "gear")
    with pytest.raises(ThresholdError, match="no run in"):
        read_threshold(f"from-eval:{tmp_path / 'none'}", "gear")


def test_a_threshold_that_its_own_evaluation_called_meaningless_is_refused(tmp_path):
    doubt = "gear: image AUROC 58.0 [30.0, 83.0] is not clearly above 50"
    origin = {"gear": {"images": 20, "no_better_than_chance": doubt}}
    (tmp_path / "run.json").write_text(json.dumps({"thresholds": {"gear": 0.3}, "thresholds_from": origin}))
    with pytest.raises(ThresholdError, match=r"means nothing: gear: image AUROC 58\.0 .*leave --threshold out"):
        read_threshold(f"from-eval:{tmp_path}", "gear")
    origin["gear"]["no_better_than_chance"] = ""
    (tmp_path / "run.json").write_text(json.dumps({"thresholds": {"gear": 0.3}, "thresholds_from": origin}))
    assert read_threshold(f"from-eval:{tmp_path}", "gear") == Threshold.from_evaluation(0.3, 20)


def test_no_threshold_no_verdicts(home, tmp_path):
    result = run(command(home, "--out", str(tmp_path), "--format", "json"))
    document = json.loads(result.stdout)
    assert {row["verdict"] for row in document["images"]} == {None}
    assert document["threshold"] is document["threshold_from"] is None
    assert "no verdicts: type --threshold NUMBER" in run(command(home)).stderr
    assert "no verdicts: type --threshold NUMBER" in (tmp_path / "report.html").read_text()


def some_that_stand_apart(home, tmp_path):
    """Ten copies of one photo, and the one that this model finds most abnormal."""
    rows = json.loads(run(command(home, "--format", "json")).stdout)["images"]
    ordered = sorted(rows, key=lambda row: row["score"])
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, row in enumerate([ordered[0]] * 10 + [ordered[-1]]):
        (photos / f"{number:02}.png").write_bytes((home / row["path"]).read_bytes())
    return photos


def test_a_guess_says_so_wherever_it_is_used(home, tmp_path):
    photos, out = some_that_stand_apart(home, tmp_path), tmp_path / "run"
    words = command(home, "--threshold", "auto", "--out", str(out), photos=str(photos))
    shown = run(words)
    assert "verdict (guessed)" in shown.stdout
    assert "guessed from these 11 images; it promises nothing" in shown.stderr
    document = json.loads((out / "results.json").read_text())
    assert document["threshold_from"]["how"] == "guessed"
    assert document["threshold_from"]["n"] == 11
    assert [row["verdict"] for row in document["images"]] == ["good"] * 10 + ["anomalous"]
    assert "guessed from these 11 images" in (out / "report.html").read_text()
    assert {row["threshold_from"] for row in csv.DictReader(io.StringIO((out / "results.csv").read_text()))} == {
        "guessed"
    }
    assert read_run(out)["threshold_from"]["how"] == "guessed"


def test_a_guess_that_cannot_be_made_says_why(home):
    assert "no gap parts the scores of these 12 images" in run(command(home, "--threshold", "auto")).stderr
    few = run(command(home, "--threshold", "auto", "--format", "json", photos="photos/00.png"))
    assert few.exit_code == 0
    assert "needs 8 images to guess from, not 1" in few.stderr


def test_a_gate_that_could_not_judge_does_not_pass(home):
    words = command(home, "--threshold", "auto", "--fail-on", "anomalous", photos="photos/00.png")
    assert run(words).exit_code == 1


def test_the_threshold_of_a_real_evaluation(home, tmp_path):
    data = make_dataset(tmp_path / "data", good=2, bad=1)
    given_ = ["--descriptions-dir", str(home / "library"), "--checkpoint", str(home / "tiny.safetensors")]
    out = ["--out", str(tmp_path / "eval"), "--device", "cpu", "--draws", "2", "--no-cache", "--no-contributions"]
    assert run(["eval", "--data", str(data), "--descriptions", "gear@1", *given_, *out]).exit_code == 0
    record = read_run(tmp_path / "eval")
    origin = record["thresholds_from"]["gear"]
    asked = command(home, "--threshold", f"from-eval:{tmp_path / 'eval'}", "--format", "json")
    if origin["no_better_than_chance"]:
        with pytest.raises(ThresholdError, match="means nothing"):
            run(asked)
        origin["no_better_than_chance"] = ""
        (tmp_path / "eval" / "run.json").write_text(json.dumps(record))
    same = run(asked)
    assert "warning" not in same.stderr
    document = json.loads(same.stdout)
    assert document["threshold"] == record["thresholds"]["gear"]
    assert document["threshold_from"]["how"] == "evaluation"
    assert document["threshold_from"]["n"] == origin["images"]
    assert {row["verdict"] for row in document["images"]} <= {"good", "anomalous"}
    other = run([*asked, "--localizer", "none"]).stderr
    assert "was found with localizer self; this run has localizer none" in other.replace("\n", " ")


def test_a_threshold_of_other_words_or_another_model(tmp_path):
    file = DescriptionFile(category="gear", object_name="gear", version=2, anomalies=(Anomaly(id="x", text="rust"),))
    here = {"preset": None, "checkpoint": None, "settings": {"gate": "soft"}}
    here |= {"device": "cpu", "precision": "fp32", "tile": None, "max_size": 4096}
    there = {**here, "hashes": {"Gear": {"@1": "0123456789", "@2": file.content_hash}}, "scoring": {}, "preset": "vitl"}
    (tmp_path / "run.json").write_text(json.dumps({"settings": there}))
    said = other_origin(f"from-eval:{tmp_path}", file, here)
    assert said.endswith(
        "was found with descriptions @1 of content 01234567, model vitl; this run has descriptions gear@2, model mini"
    )
    there |= {"hashes": {"Gear": {"@2": file.content_hash}}, "preset": "mini"}
    (tmp_path / "run.json").write_text(json.dumps({"settings": there}))
    assert other_origin(f"from-eval:{tmp_path}", file, here) == other_origin("0.5", file, here) == ""


@pytest.mark.parametrize(
    ("option", "value", "was", "now"),
    [
        ("precision", "bf16", "fp32", "bf16"),
        ("tile", 64, "None", "64"),
        ("max_size", 100, "4096", "100"),
    ],
)
def test_a_threshold_found_in_another_way(tmp_path, option, value, was, now):
    file = DescriptionFile(category="gear", object_name="gear", anomalies=(Anomaly(id="x", text="rust"),))
    here = {"preset": None, "checkpoint": None, "settings": {}, "device": "cpu", "precision": "auto"}
    here |= {"tile": None, "max_size": 4096}
    ran = {**here, "precision": "fp32", "adapter": True, "decoders": "all"}
    there = ran | {"hashes": {"gear": {"gear@1": file.content_hash}}, "scoring": {}}
    (tmp_path / "run.json").write_text(json.dumps({"settings": there}))
    assert other_origin(f"from-eval:{tmp_path}", file, here) == ""
    said = other_origin(f"from-eval:{tmp_path}", file, here | {option: value})
    assert said.endswith(f"was found with {option} {was}; this run has {option} {now}")
    (tmp_path / "run.json").write_text(json.dumps({"settings": there | {"adapter": False, "decoders": "conv"}}))
    assert "found with adapter False, decoders conv" in other_origin(f"from-eval:{tmp_path}", file, here)
