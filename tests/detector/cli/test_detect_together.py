"""`detector detect --together`: photos of one run among each other."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from detector.context.distances import FewPhotosError
from detector.context.tokens import ContextReader
from detector.errors import DetectorError, OutputError
from tests.support.detecting import command, make_workplace, run


def photo(path, rng, *, broken=False, level=128):
    values = level + rng.normal(0, 6, (64, 64, 3))
    if broken:
        values[20:44, 20:44] = rng.uniform(0, 255, (24, 24, 3))
    Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    place = make_workplace(tmp_path_factory.mktemp("home"), photos=1)
    rng = np.random.default_rng(0)
    for folder, count in (("good", 6), ("run", 9)):
        (place / folder).mkdir()
        for index in range(count):
            photo(place / folder / f"{folder}{index}.png", rng)
    photo(place / "run" / "broken.png", rng, broken=True)
    return place


def document(home, *more, photos="run"):
    done = run(command(home, "--format", "json", "--together", *more, photos=photos))
    assert done.exit_code == 0, done.output
    results = json.loads(done.stdout)
    return results, {image["path"].rsplit("/", 1)[-1]: image["score"] for image in results["images"]}, done.stderr


def test_what_the_others_do_not_show_scores_highest(home):
    found, scores, said = document(home)
    assert max(scores, key=scores.get) == "broken.png"
    assert scores["broken.png"] > 2 * sorted(scores.values())[-2]
    assert found["threshold"] is None
    assert "a defect that most of them show at the same place looks good" in said
    assert "only" not in said


def test_few_photos_are_said_to_be_few_and_one_is_refused(home, tmp_path):
    for index in range(3):
        shutil.copy(home / "run" / f"run{index}.png", tmp_path / f"{index}.png")
    shutil.copy(tmp_path / "0.png", tmp_path / "copy.png")
    _, scores, said = document(home, photos=str(tmp_path))
    assert "only 3 photos among each other: from 8 on" in said, "a copy is no further photo"
    assert scores["copy.png"] == scores["0.png"] > 0
    with pytest.raises(FewPhotosError, match=r"--together with 1 usable photo; expected at least 2 different ones"):
        run(command(home, "--together", "--out", str(tmp_path / "out"), photos=str(tmp_path / "0.png")))
    assert not (tmp_path / "out").exists()


def test_a_photo_that_cannot_be_read_is_listed_and_the_rest_is_done(home, tmp_path):
    for index in range(3):
        shutil.copy(home / "run" / f"run{index}.png", tmp_path / f"{index}.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    done = run(command(home, "--format", "json", "--together", photos=str(tmp_path)))
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert (len(document["images"]), len(document["failed"])) == (3, 1)


def test_references_join_and_give_the_threshold(home):
    found, scores, _ = document(home, "--references", str(home / "good"), "--false-alarms", "20%")
    assert found["threshold_from"]["how"] == "references"
    verdicts = {image["path"].rsplit("/", 1)[-1]: image["verdict"] for image in found["images"]}
    assert verdicts.pop("broken.png") == "anomalous"
    assert scores["broken.png"] > 2 * found["threshold"]
    assert "good" in verdicts.values()
    alone = document(home)[1]
    assert scores != alone


def test_every_photo_is_read_once(home, monkeypatch):
    read = []
    original = ContextReader._read
    monkeypatch.setattr(ContextReader, "_read", lambda self, picture: read.append(1) or original(self, picture))
    document(home)
    assert len(read) == 10


def test_a_resumed_run_has_the_same_photos(home, tmp_path):
    photos = tmp_path / "photos"
    shutil.copytree(home / "run", photos)
    out = tmp_path / "out"
    _, first, _ = document(home, "--out", str(out), photos=str(photos))
    journal = out / "detections.jsonl"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:4]))
    _, again, _ = document(home, "--out", str(out), "--resume", photos=str(photos))
    assert again == first
    (photos / "run0.png").unlink()
    with pytest.raises(OutputError, match="made with other settings"):
        document(home, "--out", str(out), "--resume", photos=str(photos))


def test_references_of_another_product_are_noticed(home, tmp_path):
    rng = np.random.default_rng(1)
    for index in range(4):
        flat = np.full((64, 64, 3), 20 + index, np.uint8)
        flat[::8] = 240
        flat += rng.integers(0, 3, flat.shape, dtype=np.uint8)
        Image.fromarray(flat).save(tmp_path / f"{index}.png")
    done = run(command(home, "--format", "json", "--references", str(tmp_path), photos="run"))
    assert "10 of 10 photos lie far from all references even where nothing is wrong" in " ".join(done.stderr.split())
    done = run(command(home, "--format", "json", "--references", str(home / "good"), photos="run"))
    assert "lie far" not in done.stderr


def test_references_can_be_turned(home, tmp_path):
    rng = np.random.default_rng(2)
    halves = rng.integers(60, 200, (64, 64, 3), dtype=np.uint8)
    halves[:, :32] = 30
    (tmp_path / "refs").mkdir()
    for index in range(3):
        Image.fromarray(halves + np.uint8(index)).save(tmp_path / "refs" / f"{index}.png")
    Image.fromarray(np.rot90(halves).copy()).save(tmp_path / "turned.png")
    scores = []
    for count in ("1", "4"):
        done = run(command(home, "--format", "json", "--references", str(tmp_path / "refs"), "--rotations", count,
                           photos=str(tmp_path / "turned.png")))  # fmt: skip
        scores.append(json.loads(done.stdout)["images"][0]["score"])
    assert scores[1] < scores[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--together", "--false-alarms", "5%"), "--false-alarms without --references"),
        (("--together", "--tile", "64"), "--together with --tile"),
        (("--rotations", "4"), "--rotations without --references"),
    ],
)
def test_refusals(home, options, said):
    with pytest.raises(DetectorError, match=said):
        run(command(home, *options, photos="run"))


def test_kept_references_have_their_own_turns(home, tmp_path):
    kept = tmp_path / "gear.refs.safetensors"
    model = ["--checkpoint", str(home / "tiny.safetensors"), "--device", "cpu"]
    run(["references", "build", str(home / "good"), "--category", "gear", "--out", str(kept), *model])
    with pytest.raises(DetectorError, match=r"--rotations 4 with .*kept references are turned already"):
        run(command(home, "--references", str(kept), "--rotations", "4", photos="run"))
