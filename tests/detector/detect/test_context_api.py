"""From Python: photos beside good ones and among each other, as the command scores them."""

import json

import numpy as np
import pytest
from PIL import Image

from descriptions import Store
from detector import Bank, Detector, DetectorError, Failure
from detector.context.bank import BankError
from detector.context.calibration import FalseAlarmError
from detector.context.distances import FewPhotosError
from detector.context.storage import load_bank, save_bank
from detector.detect.asked import AskError
from detector.detect.references import FOREIGN_NOTE
from detector.images.load import ImageError
from tests.support.detecting import command, make_workplace, run


def plain(seed, level=128, *, broken=False):
    rng = np.random.default_rng(seed)
    values = level + rng.normal(0, 6, (64, 64, 3))
    if broken:
        values[20:44, 20:44] = rng.uniform(0, 255, (24, 24, 3))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    place = make_workplace(tmp_path_factory.mktemp("home"), photos=1)
    for folder, seeds in (("good", range(6)), ("run", range(10, 19))):
        (place / folder).mkdir()
        for seed in seeds:
            plain(seed).save(place / folder / f"{seed}.png")
    plain(99, broken=True).save(place / "run" / "broken.png")
    return place


@pytest.fixture(scope="module")
def detector(home) -> Detector:
    return Detector.from_checkpoint(home / "tiny.safetensors", store=Store(home / "library"), device="cpu")


@pytest.fixture(scope="module")
def photos(home):
    return sorted((home / "run").iterdir())


@pytest.fixture(scope="module")
def bank(home, detector) -> Bank:
    return Bank.from_images(detector, sorted((home / "good").iterdir()))


def of_command(home, *more):
    done = run(command(home, "--format", "json", *more, photos="run"))
    return {image["path"].rsplit("/", 1)[-1]: image for image in json.loads(done.stdout)["images"]}


def of_python(results):
    return {each.path.rsplit("/", 1)[-1]: each for each in results}


@pytest.mark.parametrize("together", [False, True])
def test_results_are_those_of_the_command(home, detector, bank, photos, together):
    told = ["--together"] if together else []
    expected = of_command(home, "--references", str(home / "good"), "--false-alarms", "20%", *told)
    judge = detector.with_references(bank)
    results = of_python(judge.predict(photos, "gear", together=together, false_alarms=0.2))
    assert list(results) == list(expected)
    for name, row in expected.items():
        assert results[name].score == pytest.approx(row["score"], abs=1e-6)
        assert results[name].verdict == row["verdict"]
        assert [each.id for each in results[name].matches] == [each["id"] for each in row["descriptions"]]
    assert results["broken.png"].is_anomalous
    assert "at most 1 in 7 good photos" in results["broken.png"].threshold.promises


def test_photos_among_each_other_need_no_references_and_no_files(home, detector, photos):
    expected = of_command(home, "--together")
    values = [np.asarray(Image.open(path)) for path in photos]
    scores = detector.score(values, "gear", together=True)
    assert scores == pytest.approx([row["score"] for row in expected.values()], abs=1e-6)
    assert all(each.verdict is None for each in detector.predict(photos, "gear", together=True))


def test_the_constructor_takes_references_and_a_copy_leaves_them_out(detector, bank, photos):
    made = Detector(detector.model, store=detector.store, device="cpu", references=bank)
    assert made.score(photos, "gear").tolist() == detector.with_references(bank).score(photos, "gear").tolist()
    assert made.with_references(None).score(photos, "gear").tolist() == detector.score(photos, "gear").tolist()
    assert detector.references is None
    judged = made.with_threshold(3.5)
    assert [each.is_anomalous for each in judged.predict(photos, "gear")] == [
        each.score >= 3.5 for each in made.predict(photos, "gear")
    ]


def test_references_may_be_pictures_and_kept(home, detector, bank, photos, tmp_path):
    pictures = [Image.open(path) for path in sorted((home / "good").iterdir())]
    unnamed = Bank.from_images(detector, pictures)
    scores = detector.with_references(bank).score(photos, "gear").tolist()
    assert detector.with_references(unnamed).score(photos, "gear").tolist() == scores
    assert detector.with_references(unnamed.add(detector, [plain(50)]).remove(["photo 7"])).score(
        photos, "gear"
    ).tolist() == pytest.approx(scores)
    save_bank(bank, tmp_path / "gear.refs.safetensors")
    kept = load_bank(tmp_path / "gear.refs.safetensors")
    assert detector.with_references(kept).score(photos, "gear").tolist() == pytest.approx(scores)


def test_references_are_read_as_the_photos_are(home, tmp_path):
    """Of 12 bits in 16, or made smaller: otherwise every good photo would look unlike the references."""
    for seed in range(5):
        grey = np.asarray(plain(seed).convert("L"), np.uint16) * 16
        Image.fromarray(grey).save(tmp_path / f"{seed}.png")
    options = ["--references", str(tmp_path / "[0-3].png"), "--bits", "13", "--max-size", "48"]
    done = run(command(home, "--format", "json", *options, photos=str(tmp_path / "4.png")))
    assert "far from all references" not in done.stderr
    again = run(command(home, "--format", "json", *options, photos=str(tmp_path / "3.png")))
    scores = [json.loads(each.stdout)["images"][0]["score"] for each in (done, again)]
    assert scores[1] > 0.2 * scores[0], "a reference under test is not compared with itself"


def test_notes_say_what_speaks_against_a_score(detector, bank):
    beside = detector.with_references(bank)
    results = list(beside.predict([plain(30), Image.new("RGB", (64, 64), "white")], "gear"))
    assert results[0].notes == ()
    assert "note" not in results[0].to_dict()
    assert results[1].notes[0] == "nearly all white; its score means nothing"
    assert FOREIGN_NOTE in results[1].notes
    assert results[1].to_dict()["note"] == "; ".join(results[1].notes)
    few = detector.predict([plain(1), plain(2)], "gear", together=True)
    assert next(few).notes == ("only 2 photos among each other: from 8 on scores mean something",)


def test_json_of_the_command_holds_the_note(home, tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "black.png")
    plain(5).save(tmp_path / "good.png")
    done = run(command(home, "--format", "json", photos=str(tmp_path)))
    black, good = json.loads(done.stdout)["images"]
    assert black["note"] == "nearly all black; its score means nothing"
    assert "note" not in good
    assert done.stderr.count("nearly all black") == 1


def test_a_photo_that_cannot_be_read_is_a_value_of_the_stream(detector, bank, photos, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    mixed = [photos[0], tmp_path / "bad.png", photos[1]]
    for judge, together in ((detector.with_references(bank), False), (detector, True)):
        results = list(judge.stream(mixed, "gear", together=together))
        assert [isinstance(each, Failure) for each in results] == [False, True, False]
        with pytest.raises(ImageError, match=r"bad\.png"):
            list(judge.predict(mixed, "gear", together=together))


def test_wrong_use_is_one_line_and_at_once(home, detector, bank, photos):
    beside = detector.with_references(bank)
    with pytest.raises(AskError, match=r"false_alarms=0\.05 without references"):
        detector.predict(photos, "gear", false_alarms=0.05)
    with pytest.raises(FalseAlarmError, match=r"0\.05 false alarms from 6 good photos; expected at least 19"):
        beside.predict(photos, "gear", false_alarms=0.05)
    with pytest.raises(FalseAlarmError, match="more than 0 % and less than 100 %"):
        beside.predict(photos, "gear", false_alarms=5)
    with pytest.raises(FewPhotosError, match="1 usable photo"):
        detector.predict(photos[:1], "gear", together=True)
    with pytest.raises(AskError, match="references is a list; expected a Bank"):
        detector.with_references(photos)
    with pytest.raises(BankError, match=r"single path .*write \[photo\]"):
        Bank.from_images(detector, str(photos[0]))
    with pytest.raises(BankError, match=r"photos is \w+; expected a list"):
        bank.add(detector, plain(1))
    with pytest.raises(BankError, match="references of 'plate'; expected references of 'gear'"):
        detector.with_references(Bank.from_images(detector, photos[:2], category="plate")).predict(photos, "gear")
    with pytest.raises(AskError, match="references with tile=32"):
        Detector(detector.model, store=detector.store, device="cpu", references=bank, tile=32)
    with pytest.raises(AskError, match="together with tile=32"):
        Detector(detector.model, store=detector.store, device="cpu", tile=32).predict(photos, "gear", together=True)
    copies = [home / f"copy{seed}.png" for seed in range(2)]
    for seed, path in enumerate(copies):
        plain(seed).save(path)
    gone = detector.with_references(Bank.from_images(detector, copies))
    copies[1].unlink()
    with pytest.raises(DetectorError, match=r"copy1\.png"):
        gone.predict(photos, "gear")
