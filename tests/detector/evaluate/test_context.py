"""`detector eval --references --together`: what photos add to words, over seeded draws of references."""

import json
import shutil

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
    with pytest.raises(EvaluationError, match="--references or --together with --shard"):
        invoke(root, "x", "--together", "--shard", "1/2")
    assert not (root / "x").exists()
