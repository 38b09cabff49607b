"""The folder of an evaluation: continued, shared, refused to others, and safe under damage."""

import shutil

import numpy as np
import pytest
from PIL import Image

from detector.data import open_data
from detector.evaluate.errors import EvaluationError
from detector.evaluate.record_folder import read_failure, record_path, write_failure
from detector.evaluate.records import read_head
from detector.evaluate.scorer import Scorer
from detector.runs.evaluate import evaluate
from detector.runs.record import read_run
from detector.scoring.predictor import Predictor
from tests.support.clip import tiny_filo
from tests.support.dataset import make_dataset
from tests.support.evaluation import numbers, plan


@pytest.fixture(scope="module")
def scorer():
    model = tiny_filo()
    return Scorer(Predictor(model, device="cpu"))


@pytest.fixture(scope="module")
def whole(scorer, data, store, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    return out, evaluate(plan(data, store, out), scorer)


def test_a_killed_run_resumes_to_the_same_numbers(whole, scorer, data, store, tmp_path):
    def stop_after(count):
        ticks = iter(range(count))

        def tick():
            if next(ticks, None) is None:
                raise KeyboardInterrupt

        return tick

    with pytest.raises(KeyboardInterrupt):
        evaluate(plan(data, store, tmp_path), scorer, tick=stop_after(3))
    assert read_run(tmp_path)["status"] == "interrupted"
    record_path(tmp_path / "images" / "gear", 1).write_bytes(b"half a file")
    assert numbers(evaluate(plan(data, store, tmp_path), scorer)) == numbers(whole[1])


def test_shards_merge_to_the_same_numbers(whole, scorer, data, store, tmp_path):
    first = evaluate(plan(data, store, tmp_path, shard=(1, 3)), scorer)
    assert (first.categories, first.waiting) == ((), 5)
    assert read_run(tmp_path)["status"] == "partial"
    evaluate(plan(data, store, tmp_path, shard=(2, 3)), scorer)
    last = evaluate(plan(data, store, tmp_path, shard=(3, 3)), scorer)
    assert last.waiting == 0
    assert numbers(last) == numbers(whole[1])


def test_another_evaluation_is_not_continued(whole, scorer, data, store):
    out, _ = whole
    with pytest.raises(EvaluationError, match="another --out"):
        evaluate(plan(data, store, out, refs=("gear@2",)), scorer)


def test_a_folder_that_cannot_be_written_is_one_line(scorer, store, data, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EvaluationError, match=r"cannot be written: .*pass --out DIR"):
        evaluate(plan(data, store, tmp_path / "file" / "out"), scorer)


def test_a_bad_image_is_named_and_the_rest_is_done(scorer, store, tmp_path):
    root = make_dataset(tmp_path / "data", good=2, bad=1)
    (root / "gear" / "test" / "good" / "000.png").write_bytes(b"")
    evaluation = evaluate(plan(open_data(root), store, tmp_path / "out"), scorer)
    assert [failure.path.endswith("good/000.png") for failure in evaluation.failures] == [True]
    assert len(evaluation.categories[0].images) == 3
    assert read_run(tmp_path / "out")["status"] == "partial"


def test_a_refused_evaluation_leaves_the_run_as_it_was(scorer, data, store, tmp_path):
    both = open_data(data.root)
    evaluate(plan(both, store, tmp_path, refs=("@1",)), scorer)
    (tmp_path / "images" / "gear").rename(tmp_path / "images" / "away")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    assert read_run(tmp_path)["thresholds"].keys() == {"gear", "plate"}
    with pytest.raises(EvaluationError, match="another --out"):
        evaluate(plan(both, store, tmp_path, refs=("@2",)), scorer)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before


def test_a_run_that_ends_with_an_error_has_failed(scorer, data, store, tmp_path):
    def break_it():
        raise EvaluationError("the disk is gone")

    with pytest.raises(EvaluationError):
        evaluate(plan(data, store, tmp_path), scorer, tick=break_it)
    record = read_run(tmp_path)
    assert (record["status"], record["reason"]) == ("failed", "the disk is gone")


def test_other_pictures_under_the_same_names_are_not_continued(scorer, store, tmp_path):
    first, second = (make_dataset(tmp_path / f"d{seed}", good=2, bad=1, seed=seed) for seed in (0, 1))
    evaluate(plan(open_data(first), store, tmp_path / "out"), scorer)
    with pytest.raises(EvaluationError, match=r"made from another image or mask; .*another --out"):
        evaluate(plan(open_data(second), store, tmp_path / "out"), scorer)
    copy = tmp_path / "copy"
    shutil.copytree(first, copy)
    evaluate(plan(open_data(copy), store, tmp_path / "out"), scorer)
    mask = next(copy.rglob("*_mask.png"))
    Image.new("L", (48, 48), 255).save(mask)
    with pytest.raises(EvaluationError, match="another image or mask"):
        evaluate(plan(open_data(copy), store, tmp_path / "out"), scorer)


def test_shards_that_read_other_pictures_do_not_merge(whole, scorer, store, tmp_path):
    """One that starts together with another can only see it in the end."""
    data = open_data(make_dataset(tmp_path / "data", seed=1, good=4, bad=2))
    theirs, folder = record_path(whole[0] / "images" / "gear", 1), tmp_path / "out" / "images" / "gear"
    with pytest.raises(EvaluationError, match="another image or mask"):
        evaluate(plan(data, store, tmp_path / "out", shard=(1, 8)), scorer, tick=lambda: shutil.copy(theirs, folder))


def test_shards_share_what_they_know_of_bad_images_and_a_later_run_tries_them_again(scorer, store, tmp_path):
    root = make_dataset(tmp_path / "data", good=2, bad=1)
    bad = [root / "gear" / "test" / "good" / f"00{index}.png" for index in (0, 1)]
    sound = [path.read_bytes() for path in bad]
    for path in bad:
        path.write_bytes(b"")
    first = evaluate(plan(open_data(root), store, tmp_path / "out", shard=(1, 2)), scorer)
    last = evaluate(plan(open_data(root), store, tmp_path / "out", shard=(2, 2)), scorer)
    assert [len(first.failures), len(last.failures)] == [1, 2]
    assert (last.waiting, len(last.categories[0].images)) == (0, 2)
    bad[0].write_bytes(sound[0])
    waits = evaluate(plan(open_data(root), store, tmp_path / "out", shard=(1, 2)), scorer)
    retried = evaluate(plan(open_data(root), store, tmp_path / "out", shard=(2, 2)), scorer)
    assert sorted([len(waits.failures), len(retried.failures)]) == [1, 1]
    assert len(retried.categories[0].images) == 3
    assert len(list((tmp_path / "out").rglob("*.failed.json"))) == 1


def test_damaged_records_count_as_absent(whole, scorer, data, store, tmp_path):
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    rng = np.random.default_rng(0)
    content = record_path(tmp_path / "images" / "gear", 0).read_bytes()
    for _ in range(300):
        damaged = bytearray(content)
        for place in rng.integers(len(damaged), size=3):
            damaged[place] = rng.integers(256)
        record_path(tmp_path, 0).write_bytes(damaged)
        head = read_head(record_path(tmp_path, 0))
        assert head is None or len(head.scores) == len(read_head(record_path(whole[0] / "images" / "gear", 0)).scores)
    for index in range(4):  # in the pixels, behind the scores
        path = record_path(tmp_path / "images" / "gear", index)
        damaged = bytearray(path.read_bytes())
        damaged[len(damaged) // 2] ^= 255
        path.write_bytes(damaged)
        assert read_head(path) is None
    record_path(tmp_path / "images" / "gear", 5).write_bytes(b"")
    assert numbers(evaluate(plan(data, store, tmp_path), scorer)) == numbers(whole[1])


def test_a_damaged_note_of_a_failure_counts_as_absent(tmp_path):
    write_failure(tmp_path, 0, "abc", "empty")
    assert read_failure(tmp_path, 0, "abc") == "empty"
    assert read_failure(tmp_path, 0, "other") is None
    next(tmp_path.iterdir()).write_text("[]")
    assert read_failure(tmp_path, 0, "abc") is None
