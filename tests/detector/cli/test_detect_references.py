"""`detector detect --references`: good photos give the scale, and a threshold that keeps a promise."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from detector.context.calibration import FalseAlarmError
from detector.detect.references import HALF, squashed
from detector.errors import DetectorError
from detector.runs.detect_request import parse_rate
from tests.support.detecting import command, make_workplace, run


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    place = make_workplace(tmp_path_factory.mktemp("home"))
    rng = np.random.default_rng(0)
    for folder, count in (("good", 6), ("judged", 3)):
        (place / folder).mkdir()
        for index in range(count):
            plain = 128 + rng.normal(0, 6, (64, 64, 3))
            Image.fromarray(plain.clip(0, 255).astype(np.uint8)).save(place / folder / f"{folder}{index}.png")
    broken = 128 + rng.normal(0, 6, (64, 64, 3))
    broken[20:44, 20:44] = rng.uniform(0, 255, (24, 24, 3))
    Image.fromarray(broken.clip(0, 255).astype(np.uint8)).save(place / "judged" / "broken.png")
    return place


def document(home, *more, photos="judged"):
    done = run(command(home, "--format", "json", "--references", str(home / "good"), *more, photos=photos))
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout), done.stderr


def test_what_good_photos_never_show_scores_highest(home):
    found, _ = document(home)
    scores = {image["path"].rsplit("/", 1)[-1]: image["score"] for image in found["images"]}
    assert max(scores, key=scores.get) == "broken.png"
    assert found["threshold"] is None, "a verdict is given only where it was asked for"


def test_the_threshold_comes_from_the_references_and_says_what_it_promises(home):
    found, said = document(home, "--false-alarms", "20%")
    assert found["threshold_from"]["how"] == "references"
    assert found["threshold_from"]["n"] == 6
    assert "at most 1 in 7 good photos" in found["threshold_from"]["promises"]
    assert "from 6 good photos alone" in said
    verdicts = {image["path"].rsplit("/", 1)[-1]: image["verdict"] for image in found["images"]}
    assert verdicts["broken.png"] == "anomalous"
    assert all(not image["boxes"] for image in found["images"] if image["verdict"] == "good")


def test_a_reference_is_not_compared_with_itself(home, tmp_path):
    shutil.copy(home / "good" / "good0.png", tmp_path / "again.png")
    found, said = document(home, photos=str(tmp_path / "again.png"))
    assert "1 of 1 photos are references themselves" in said
    assert found["images"][0]["note"] == "is a reference itself: compared with the others only"
    assert found["images"][0]["score"] > 0, "at distance 0 to itself it would score below the mean of good photos"


def test_kept_references_are_read_as_the_photos_they_were_built_from(home, tmp_path):
    model = ["--checkpoint", str(home / "tiny.safetensors"), "--device", "cpu"]
    kept = tmp_path / "gear.refs.safetensors"
    run(["references", "build", str(home / "good"), "--category", "gear", "--out", str(kept), *model])
    photos, _ = document(home)
    again = json.loads(run(command(home, "--format", "json", "--references", str(kept), photos="judged")).stdout)
    assert [image["score"] for image in again["images"]] == pytest.approx(
        [image["score"] for image in photos["images"]], rel=0.02
    )
    with pytest.raises(DetectorError, match="with other --references; expected one file of references, or photos"):
        run(command(home, "--references", str(kept), "--references", str(home / "good"), photos="judged"))


def test_references_that_moved_or_changed_are_refused(home, tmp_path):
    shutil.copytree(home / "good", tmp_path / "good")
    model = ["--checkpoint", str(home / "tiny.safetensors"), "--device", "cpu"]
    kept = tmp_path / "gear.refs.safetensors"
    run(["references", "build", str(tmp_path / "good"), "--category", "gear", "--out", str(kept), *model])
    shutil.copy(home / "judged" / "broken.png", tmp_path / "good" / "good1.png")
    with pytest.raises(DetectorError, match=r"good1\.png is another photo than when the references were built; put"):
        run(command(home, "--references", str(kept), photos="judged"))
    (tmp_path / "good" / "good1.png").unlink()
    with pytest.raises(DetectorError, match=r"the reference .*good1\.png cannot be read: no file.*references remove"):
        run(command(home, "--references", str(kept), photos="judged"))


def test_the_score_of_the_words_alone_may_stay(home):
    words = run(command(home, "--format", "json", photos="judged"))
    plain = [image["score"] for image in json.loads(words.stdout)["images"]]
    found, _ = document(home, "--image-score", "filo", "--false-alarms", "20%")
    assert [image["score"] for image in found["images"]] == plain
    good = run(command(home, "--format", "json", photos="good"))
    highest = max(image["score"] for image in json.loads(good.stdout)["images"])
    assert found["threshold"] == pytest.approx(highest, abs=1e-5), "from what the references score by words alone"
    assert all("deviations" in entry for image in found["images"] for entry in image["descriptions"])
    together, _ = document(home, "--image-score", "filo", "--together", "--false-alarms", "20%")
    assert [image["score"] for image in together["images"]] == plain


def test_a_promise_that_so_few_photos_cannot_keep_is_refused(home):
    with pytest.raises(FalseAlarmError, match="expected at least 19"):
        run(command(home, "--references", str(home / "good"), "--false-alarms", "5%", photos="judged"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--false-alarms", "5%"), "--false-alarms without --references"),
        (("--references", "good", "--false-alarms", "5%", "--threshold", "1"), "both --false-alarms and --threshold"),
        (("--references", "good", "--false-alarms", "often"), "--false-alarms often; expected a share of good photos"),
        (("--references", "good", "--tile", "64"), "--references with --tile"),
        (("--image-score", "filo"), "--image-score filo without --references or --together"),
        (("--image-score", "context"), "--image-score context without --references or --together"),
        (("--references", "nowhere"), "no usable reference photo: "),
    ],
)
def test_refusals(home, options, said):
    words = [str(home / word) if word in ("good", "nowhere") else word for word in options]
    with pytest.raises(DetectorError, match=said):
        run(command(home, *words, photos="judged"))


def test_rates():
    assert (parse_rate("5%"), parse_rate("0.05")) == (0.05, 0.05)
    for text in ("0", "100%", "nan", "-1%", "x"):
        with pytest.raises(DetectorError, match="a share of good photos"):
            parse_rate(text)


def test_a_map_shows_the_same_colour_for_the_same_deviation():
    values = squashed(np.array([[-3.0, 0.0, HALF, 1e6]]))
    assert values[0, :2].tolist() == [0, 0]
    assert values[0, 2] == pytest.approx(0.5)
    assert values[0, 3] < 1 or values[0, 3] == pytest.approx(1)
    assert (np.diff(values[0, 1:]) > 0).all()
