"""`detector eval --references --together`: what photos add to words, over seeded draws of references."""

import json
import shutil

import pandas as pd
import pytest
from typer.testing import CliRunner

from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector.cli.app import app
from detector.evaluate.errors import EvaluationError
from detector.model.image_tower import ImageTower
from detector.weights.checkpoint import save_checkpoint
from tests.support.clip import tiny_filo
from tests.support.dataset import make_dataset

ROWS = {
    "1 reference", "gear@1 + 1 reference", "3 references", "gear@1 + 3 references", "together", "gear@1 + together",
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("eval")
    make_dataset(root / "data", good=4, bad=2, train=5)
    anomalies = (Anomaly(id="a", text="broken tooth"),)
    Store(root / "library").save(DescriptionFile(category="gear", object_name="gear", anomalies=anomalies))
    save_checkpoint(tiny_filo(), root / "tiny.safetensors", whole=True)
    return root


def invoke(root, out, *more, data="data"):
    words = ["eval", "--data", root / data, "--descriptions", "gear@1", "--descriptions-dir", root / "library",
             "--checkpoint", root / "tiny.safetensors", "--cache-dir", root / "cache", "--draws", "5",
             "--device", "cpu", "--out", root / out, *more]  # fmt: skip
    done = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(done.exception, EvaluationError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def rows(root, out, *more):
    return json.loads(invoke(root, out, *more, "--format", "json").stdout)["context"]["gear"]


def test_every_row_has_a_mean_and_a_spread_over_draws(root):
    variants = rows(root, "a", "--references", "1", "--references", "3", "--together", "--reference-draws", "3")
    assert set(variants) == ROWS
    for name, row in variants.items():
        assert 0 <= row["image_auroc"] <= 1
        assert 0 <= row["pixel_ap"] <= 1
        assert row["draws"] == (1 if "together" in name else 3)
        assert (row["image_auroc_spread"] is None) == ("together" in name)
    assert variants["3 references"]["pixel_auroc"] > 0.6, "dark patches that no good photo has"
    again = rows(root, "b", "--references", "3", "--reference-draws", "3")
    assert again["3 references"] == variants["3 references"], "the same draws, whatever else is asked for"
    other = rows(root, "c", "--references", "3", "--reference-draws", "3", "--seed", "1")
    assert other["3 references"] != variants["3 references"]


def test_other_references_cost_no_image_pass(root, monkeypatch):
    rows(root, "d", "--references", "5", "--together", "--reference-draws", "1")
    passes = []
    for name in ("forward", "tokens_at"):
        original = getattr(ImageTower, name)
        monkeypatch.setattr(
            ImageTower, name, lambda self, *a, _original=original, **k: passes.append(1) or _original(self, *a, **k)
        )
    rows(root, "e", "--references", "2", "--reference-draws", "4")
    assert not passes
    shutil.rmtree(root / "cache")
    rows(root, "f", "--references", "2", "--reference-draws", "1")
    assert passes


def test_context_rows_stand_in_every_file_with_intervals(root):
    invoke(root, "h", "--references", "3", "--references", "1", "--together", "--reference-draws", "2")
    invoke(root, "i", "--references", "3", "--reference-draws", "2")
    document = json.loads((root / "h" / "results.json").read_text())
    table = pd.read_csv(root / "h" / "results.csv").query("category == 'gear'").set_index("variant")
    page = (root / "h" / "report.html").read_text()
    for name, row in document["context"]["gear"].items():
        assert f"<td>{name}</td>" in page
        for metric in ("image_auroc", "pixel_ap", "aupro"):
            assert table.loc[name, metric] == pytest.approx(row[metric])
            low, high = row[f"{metric}_interval"]
            assert low <= row[metric] + 0.05, "a mean over draws lies in its interval, but for few images"
            assert row[metric] - 0.05 <= high
            first = document["categories"]["gear"]["variants"]["gear@1"][metric]
            assert row[f"{metric}_difference"] == pytest.approx(row[metric] - first)
        assert (row["image_auroc_spread"] is None) == ("together" in name)
    assert "means over 2 draws" in page
    compared = CliRunner().invoke(app, ["eval", "--compare", str(root / "h"), str(root / "i"), "--format", "json"])
    found = {each["variant"]: each for each in json.loads(compared.stdout)["differences"]}
    assert {"gear@1", "3 references", "gear@1 + 3 references"} < set(found)
    assert not {"together", "1 reference"} & set(found)
    same = found["gear@1 + 3 references"]
    assert (same["image_auroc"], same["image_auroc_interval"], same["paired"]) == (0, [0, 0], True)


def test_the_shard_that_finishes_adds_the_rows(root):
    words = ["--references", "2", "--together", "--reference-draws", "2"]
    whole = rows(root, "j", *words)
    assert "no results yet" in invoke(root, "k", *words, "--shard", "1/2").stderr
    assert not (root / "k" / "results.json").exists()
    assert rows(root, "k", *words, "--shard", "2/2") == whole


def test_photos_that_cannot_be_read_are_no_references_and_not_compared(root, tmp_path):
    shutil.copytree(root / "data", tmp_path / "data")
    test, *_ = sorted((tmp_path / "data" / "gear" / "test" / "good").iterdir())
    train, *_ = sorted((tmp_path / "data" / "gear" / "train" / "good").iterdir())
    for path in (test, train):
        path.write_bytes(b"no picture")
    words = ["eval", "--data", tmp_path / "data", "--descriptions", "gear@1", "--descriptions-dir", root / "library",
             "--checkpoint", root / "tiny.safetensors", "--draws", "5", "--no-cache", "--device", "cpu",
             "--out", tmp_path / "out", "--format", "json", "--reference-draws", "2"]  # fmt: skip
    done = CliRunner().invoke(app, [str(word) for word in [*words, "--references", "4", "--together"]])
    assert done.exit_code == 1
    assert set(json.loads(done.stdout)["context"]["gear"]) == {
        "4 references", "gear@1 + 4 references", "together", "gear@1 + together",
    }  # fmt: skip
    done = CliRunner().invoke(app, [str(word) for word in [*words, "--references", "5"]])
    assert isinstance(done.exception, EvaluationError)
    assert "only 4 different good training photos can be read" in str(done.exception)


def test_the_table_shows_words_photos_and_both(root):
    said = invoke(root, "g", "--references", "2", "--together", "--reference-draws", "2").stdout
    table = said[said.index("with other photos") :]
    for name in ("gear@1", "2 references", "gear@1 + 2", "together", "±"):
        assert name in table
    assert "context" in json.loads((root / "g" / "results.json").read_text())


def test_what_the_data_cannot_give_is_refused_before_anything_is_scored(root, tmp_path):
    with pytest.raises(EvaluationError, match=r"--references 9: gear has 5 good training photos.*--references 5"):
        invoke(root, "x", "--references", "9")
    shutil.copytree(root / "data", tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "gear" / "train")
    with pytest.raises(EvaluationError, match="gear has no good training photos"):
        invoke(root, "x", "--references", "1", data=tmp_path / "data")
    with pytest.raises(EvaluationError, match=r"--together with --tile 32; expected .*compared whole.*leave out"):
        invoke(root, "x", "--together", "--tile", "32")
    assert not (root / "x").exists()
