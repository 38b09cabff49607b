"""Words that a model was never taught are named, once, phrase by phrase."""

import json

import pytest

from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector.scoring.vocabulary import known_tokens, unread_note, unread_words
from detector.weights.registry import load_preset
from tests.support.clip import tiny_filo
from tests.support.dataset import make_dataset
from tests.support.detecting import make_workplace, run


@pytest.fixture(scope="module")
def mini():
    return load_preset("mini")


def test_the_file_and_the_loaded_model_know_the_same_tokens(mini):
    known = known_tokens(mini)
    assert known is not None
    assert known == known_tokens("mini")
    assert 500 < len(known) < 5000


def test_models_that_know_every_token():
    assert known_tokens("vitl") is known_tokens(tiny_filo()) is None
    assert unread_words("vitl", ["oxidized lead"]) == {}


def test_unread_words_by_phrase(mini):
    texts = ["thin crack", "dull oxidized lead", "thin crack", "oxidized molded case"]
    unread = unread_words(mini, texts)
    assert unread == {"dull oxidized lead": ["oxidized"], "oxidized molded case": ["oxidized", "molded", "case"]}
    assert unread_words("mini", texts) == unread


def test_the_note_looks_at_everything_that_is_read(mini):
    anomalies = (
        Anomaly(id="a", text="oxidized lead"),
        Anomaly(id="b", text="molded case", enabled=False),
        Anomaly(id="c", text="thin crack"),
    )
    file = DescriptionFile(
        category="x", object_name="zyzzyva", anomalies=anomalies, normal=("flawless {}",), abnormal=()
    )
    note = unread_note(mini, file)
    assert note.startswith("x@1: the model does not know all words of ")
    assert "zyzzyva in 'zyzzyva'" in note
    assert "oxidized in 'oxidized lead'" in note
    assert "molded" not in note
    assert "thin" not in note
    assert "\n" not in note
    readable = file.model_copy(update={"object_name": "capsule", "anomalies": anomalies[2:]})
    assert unread_note(tiny_filo(), file) == ""
    assert "crack" not in unread_note(mini, readable)


def test_detect_and_eval_say_it_once_and_not_per_photo(tmp_path):
    home = make_workplace(tmp_path, photos=3)
    anomalies = (Anomaly(id="a", text="oxidized lead"),)
    Store(home / "library").save(DescriptionFile(category="part", object_name="part", anomalies=anomalies))
    library = ["--descriptions-dir", str(home / "library"), "--device", "cpu"]
    shown = run(["detect", str(home / "photos"), "--category", "part", *library]).stderr
    assert shown.count("oxidized in 'oxidized lead'") == 1
    data = make_dataset(tmp_path / "data", ("part",), good=2, bad=1)
    out = ["--out", str(tmp_path / "eval"), "--draws", "2", "--no-cache", "--no-contributions"]
    shown = run(["eval", "--data", str(data), *library, *out]).stderr
    assert shown.count("oxidized in 'oxidized lead'") == 1
    assert any("oxidized" in line for line in json.loads((tmp_path / "eval/results.json").read_text())["warnings"])
