"""Marks of people as the truth of photos: the last one holds, a photo is known by its bytes, and refusals are clear."""

import io
import json
import shutil

import pytest
from typer.testing import CliRunner

from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector.cli.app import app
from detector.data import DataError
from detector.data.marks import load_marks, open_labelled, photo_hash
from detector.runs.measure import MeasureRequest, run_measure
from detector.weights.checkpoint import save_checkpoint
from tests.support.clip import tiny_filo
from tests.support.dataset import make_dataset


def mark(path, label, category="gear", **more):
    photo = {"sha256": photo_hash(path), "path": str(path)}
    return json.dumps({"time": "2026-11-27T10:00:00+00:00", "by": "me", "photo": photo, "category": category} | more
                      | {"label": label})  # fmt: skip


@pytest.fixture
def photos(tmp_path):
    return sorted((make_dataset(tmp_path / "data", good=3, bad=2) / "gear" / "test").rglob("*.png"))


def written(tmp_path, *lines):
    path = tmp_path / "marks.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_last_mark_of_a_photo_holds_and_null_takes_it_back(tmp_path, photos):
    good, hole, taken_back = photos[0], photos[3], photos[4]
    labels = written(
        tmp_path, mark(good, "defective"), mark(good, "good"), mark(hole, "defective"), mark(taken_back, "good"),
        mark(taken_back, None), mark(hole, "wrong", phrase="round hole"), "{cut off",
    )  # fmt: skip
    assert load_marks(labels).photos == {photo_hash(good): "good", photo_hash(hole): "defective"}
    data = open_labelled(None, labels)
    assert {one.image: one.defect for one in data.samples} == {good: "good", hole: "defective"}
    assert data.layout == "marks"
    assert data.problems == ()


def test_marks_overrule_the_folders_of_a_data_set_and_masks_stay_where_both_agree(tmp_path, photos):
    good, hole = photos[0], photos[3]
    labels = written(tmp_path, mark(good, "defective"), mark(hole, "defective"), mark(photos[5], "good"))
    data = open_labelled(tmp_path / "data", labels)
    test = {one.image: one for one in data.select(split="test")}
    assert test[good].defect == "defective"
    assert test[good].mask is None
    assert test[hole].defect == "hole"
    assert test[hole].mask is not None
    assert test[photos[5]].defect == "good"
    assert test[photos[5]].mask is None
    assert len(data.select(split="train")) == 2
    assert data.notes == ("4 photos without a mark are left out",)


def test_a_photo_is_known_by_its_bytes_wherever_it_lies_now(tmp_path, photos):
    labels = written(tmp_path, mark(photos[0], "good"), mark(photos[3], "defective"))
    (tmp_path / "new").mkdir()
    shutil.move(photos[0], tmp_path / "new" / "renamed.png")
    moved = open_labelled(None, labels)
    assert [one.image for one in moved.samples] == [photos[3]]
    assert moved.problems == (f"{photos[0]}: marked, and moved or changed since",)
    assert [one.defect for one in open_labelled(tmp_path / "new", labels, ["gear"]).samples] == ["good"]


def test_what_cannot_be_used_is_one_clear_line(tmp_path, photos):
    with pytest.raises(DataError, match=r"nothing.jsonl: No such file.*detector serve --marks"):
        open_labelled(None, tmp_path / "nothing.jsonl")
    with pytest.raises(DataError, match="marks no photo"):
        open_labelled(None, written(tmp_path, mark(photos[0], None)))
    labels = written(tmp_path, mark(photos[0], "good"))
    with pytest.raises(DataError, match="no photo of 'geer' is marked; expected gear; did you mean gear"):
        open_labelled(None, labels, ["geer"])
    photos[0].write_bytes(b"changed")
    with pytest.raises(DataError, match=r"none of the 1 photos.*name --data"):
        open_labelled(tmp_path / "data", labels)


def test_eval_and_measure_take_the_truth_from_marks(tmp_path, photos):
    anomalies = tuple(Anomaly(id=f"a{at}", text=text) for at, text in enumerate(("broken tooth", "dark hole")))
    Store(tmp_path / "library").save(DescriptionFile(category="gear", object_name="gear", anomalies=anomalies))
    save_checkpoint(tiny_filo(), tmp_path / "tiny.safetensors", whole=True)
    labels = written(tmp_path, *(mark(one, "defective" if at % 2 else "good") for at, one in enumerate(photos[:6])))
    typed = ["eval", "--labels", labels, "--descriptions-dir", tmp_path / "library", "--out", tmp_path / "run",
             "--checkpoint", tmp_path / "tiny.safetensors", "--cache-dir", tmp_path / "cache", "--draws", "20",
             "--no-contributions", "--format", "json"]  # fmt: skip
    done = CliRunner().invoke(app, [str(one) for one in typed])
    assert done.exit_code == 0, done.output
    category = json.loads(done.stdout)["categories"]["gear"]
    assert (category["good"], category["defective"]) == (3, 3)

    words = {"object_name": "gear", "normal": ["{}"], "abnormal": ["damaged {}"],
             "anomalies": [{"id": "a0", "text": "broken tooth"}], "leave_one_out": True}  # fmt: skip
    lines = [json.dumps({"versions": [words]}), json.dumps({"versions": [words | {"object_name": ""}]})]
    out = io.StringIO()
    request = MeasureRequest(
        labels=labels, checkpoint=tmp_path / "tiny.safetensors", cache_dir=tmp_path / "cache", device="cpu"
    )
    run_measure(request, lines, out)
    about, *rest = [json.loads(line) for line in out.getvalue().splitlines()]
    answer, refusal = (line for line in rest if "scored" not in line)
    assert {one["path"]: one["defective"] for one in about["photos"]} == {
        str(one): bool(at % 2) for at, one in enumerate(photos[:6])
    }
    (result,) = answer["results"]
    assert len(result["scores"]) == len(result["without"]["a0"]) == 6
    assert result["nearest"] == ["a0"] * 6
    assert result["scores"] != result["without"]["a0"]
    assert refusal["error"].startswith("versions.0.object_name")
