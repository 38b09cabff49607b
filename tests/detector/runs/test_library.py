"""`detector.evaluate` and `detector.train`: the numbers and files of the commands, from Python."""

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from descriptions import Store
from detector import Detector, DetectorError, TrainConfig, evaluate, train
from detector.cli.app import app
from detector.evaluate.errors import EvaluationError
from detector.runs.library import EvaluationResult
from detector.scoring.threshold import Threshold, ThresholdError
from detector.weights.checkpoint import TRAINED, save_checkpoint
from tests.support.clip import tiny_filo
from tests.support.dataset import make_dataset
from tests.support.evaluation import make_store


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    make_store(folder / "library")
    make_dataset(folder / "data", ("gear", "plate"), good=3, bad=1)
    save_checkpoint(tiny_filo(), folder / "tiny.safetensors", whole=True)
    return folder


@pytest.fixture(scope="module")
def detector(home) -> Detector:
    return Detector.from_checkpoint(home / "tiny.safetensors", store=Store(home / "library"), device="cpu")


def test_the_table_is_that_of_the_command(home, detector, tmp_path):
    told: list[int] = []
    result = evaluate(home / "data", ["@1", "@2"], detector, draws=20, seed=3, tick=lambda: told.append(1))
    words = ["eval", "--data", str(home / "data"), "--descriptions", "@1", "--descriptions", "@2", "--draws", "20"]
    words += ["--seed", "3", "--descriptions-dir", str(home / "library"), "--device", "cpu", "--no-cache"]
    words += ["--checkpoint", str(home / "tiny.safetensors"), "--out", str(tmp_path / "run")]
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    table, theirs = result.to_frame(), pd.read_csv(tmp_path / "run" / "results.csv")
    assert (table["control"] == True).equals(theirs["control"] == True)  # noqa: E712 - missing in the means
    both = [each.drop(columns="control") for each in (table, theirs)]
    pd.testing.assert_frame_equal(*both, check_dtype=False, atol=1e-12)
    assert list(table[["category", "variant"]].iloc[0]) == ["gear", "@1"]
    assert {"image_auroc", "image_auroc_low", "image_auroc_high"} <= set(table)
    assert json.loads(json.dumps(result.to_dict())) == json.loads((tmp_path / "run" / "results.json").read_text())
    assert len(told) == 10
    assert "<table" in result._repr_html_()


def test_other_photos_give_the_rows_of_the_command(home, detector, tmp_path):
    make_dataset(tmp_path / "data", ("gear", "plate"), good=2, bad=1, train=2)
    result = evaluate(
        tmp_path / "data", ["@1"], detector, contributions=False, draws=5, references=[2], together=True,
        reference_draws=2,
    )  # fmt: skip
    words = ["eval", "--data", tmp_path / "data", "--descriptions", "@1", "--draws", "5", "--no-contributions",
             "--references", "2", "--together", "--reference-draws", "2", "--descriptions-dir", home / "library",
             "--device", "cpu", "--no-cache", "--checkpoint", home / "tiny.safetensors"]  # fmt: skip
    words += ["--out", tmp_path / "run"]
    assert CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False).exit_code == 0
    document = json.loads((tmp_path / "run" / "results.json").read_text())
    assert json.loads(json.dumps(result.to_dict())) == document
    names = ["2 references", "@1 + 2 references", "together", "@1 + together"]
    assert list(document["context"]["plate"]) == names
    assert set(names) < set(document["mean"])
    means = [document["context"][each]["2 references"]["image_auroc"] for each in ("gear", "plate")]
    assert document["mean"]["2 references"]["image_auroc"] == pytest.approx(sum(means) / 2)
    with pytest.raises(EvaluationError, match="--references 3: gear has 2 good training photos"):
        evaluate(tmp_path / "data", ["@1"], detector, references=[3])


def test_an_evaluation_says_what_failed_and_what_to_doubt(detector, tmp_path):
    data = make_dataset(tmp_path / "data", ("gear",), good=3, bad=1)
    (data / "gear" / "test" / "good" / "001.png").write_bytes(b"junk")
    result = evaluate(data, "gear@2", detector, contributions=False, draws=20)
    assert [Path(each.path).name for each in result.failed] == ["001.png"]
    assert any("repeats the name of a defect" in line for line in result.warnings)
    with pytest.raises(EvaluationError, match="no category 'gaer'; expected gear; did you mean gear"):
        result.threshold("gaer")


@pytest.mark.parametrize(("low", "high"), [(0.2, 0.9), (0.6, 0.9)])
def test_a_threshold_needs_scores_that_tell_good_from_bad(home, detector, low, high):
    result = evaluate(home / "data", (), detector, categories=["gear"], contributions=False, draws=2)
    (gear,) = result.evaluation.categories
    first = gear.variants[0]
    first = first._replace(intervals=first.intervals | {"image_auroc": (low, high)})
    gear = gear._replace(variants=(first, *gear.variants[1:]))
    result = EvaluationResult(result.evaluation._replace(categories=(gear,)))
    if low < 0.5:
        with pytest.raises(ThresholdError, match="no threshold for gear: gear: image AUROC"):
            result.threshold("gear")
        assert any("not clearly above" in line for line in result.warnings)
        assert list(result.warnings) == result.to_dict()["warnings"]
        return
    assert result.threshold("gear") == Threshold.best_f1(first.scores, [each.defective for each in gear.images])
    assert not any("not clearly above" in line for line in result.warnings)


@pytest.mark.usefixtures("home")
def test_folders_of_another_name(detector, tmp_path):
    data = make_dataset(tmp_path / "data", ("cog",), good=1, bad=1)
    result = evaluate(data, (), detector, names={"cog": "gear@1"}, contributions=False, draws=2)
    assert result.to_frame()["category"].iloc[0] == "cog"


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"draws": 1}, "draws=1; expected at least 2"),
        ({"categories": "gear"}, "categories is the text 'gear'; expected a list of texts; write ['gear']"),
    ],
)
def test_wrong_use_of_evaluate_gets_one_line(home, detector, wrong, line):
    with pytest.raises(DetectorError) as refusal:
        evaluate(home / "data", (), detector, **wrong)
    assert str(refusal.value) == line


def test_a_training_run(home, tmp_path):
    config = TrainConfig(main_epochs=1, adapter_epochs=0, batch_size=4, validate_every=0)
    path = train(
        str(home / "data"), str(tmp_path / "run"), split="test", config=config, categories=["gear"], device="cpu",
        store=Store(home / "library"), checkpoint=home / "tiny.safetensors",
    )  # fmt: skip
    assert path == tmp_path / "run" / TRAINED
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert list(record["settings"]["descriptions"]) == ["gear@2"]
    detector = Detector.from_checkpoint(path, store=Store(home / "library"), device="cpu")
    result = evaluate(home / "data", (), detector, categories=["gear"], contributions=False, draws=2)
    assert any("trained on" in line for line in result.warnings)
    with pytest.raises(DetectorError, match=r"descriptions is the text 'gear@1'"):
        train(home / "data", tmp_path / "other", split="test", descriptions="gear@1")
