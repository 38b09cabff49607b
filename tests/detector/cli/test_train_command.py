import json

import pytest
from typer.testing import CliRunner

from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector.cli.app import app
from detector.runs.train import create_starting_model
from detector.settings import ModelChoice
from detector.train.errors import TrainError
from detector.weights.checkpoint import load_checkpoint, save_checkpoint
from tests.support.clip import tiny_filo
from tests.support.dataset import make_dataset


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    root = tmp_path_factory.mktemp("work")
    make_dataset(root / "data", ("cloth",))
    entries = (Anomaly(id="a", text="torn thread"),)
    Store(root / "library").save(DescriptionFile(category="cloth", object_name="cloth", anomalies=entries))
    save_checkpoint(tiny_filo(), root / "start.safetensors", whole=True)
    return root


def arguments(workplace, out, *more):
    fixed = {
        "--data": workplace / "data",
        "--out": out,
        "--descriptions-dir": workplace / "library",
        "--checkpoint": workplace / "start.safetensors",
        "--device": "cpu",
    }
    short = ["--set", "main_epochs=1", "--set", "adapter_epochs=1", "--set", "batch_size=4"]
    return ["train", *(str(part) for pair in fixed.items() for part in pair), *short, *more]


def test_a_run_from_the_command_line(workplace, tmp_path):
    result = CliRunner().invoke(
        app, arguments(workplace, tmp_path, "--split", "test", "--tensorboard"), catch_exceptions=False
    )
    assert result.exit_code == 0
    assert result.stdout.strip() == str(tmp_path / "model.safetensors")
    assert "adapter epoch 1" in result.stderr
    assert list((tmp_path / "tensorboard").glob("events.*"))
    assert load_checkpoint(tmp_path / "model.safetensors").config.image_size == 56
    assert json.loads((tmp_path / "run.json").read_text())["settings"]["descriptions"].keys() == {"cloth@1"}


def test_the_split_must_be_named(workplace, tmp_path):
    result = CliRunner().invoke(app, arguments(workplace, tmp_path))
    assert result.exit_code == 2
    assert "--split" in result.stderr


def test_a_checkpoint_of_the_other_variant_is_refused(workplace):
    with pytest.raises(TrainError, match="of variant filo; expected released; choose the other --recipe"):
        create_starting_model(ModelChoice(checkpoint=workplace / "start.safetensors"), "released")
