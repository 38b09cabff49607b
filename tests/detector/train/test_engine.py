import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file

from detector.data.errors import TrainingDataError
from detector.train.errors import InterruptedTrainingError, ResumeError
from detector.train.state import load_state, restore
from tests.support.toy_training import CONFIG, Net, Objective, ToySource, toy_trainer

ROOT = Path(__file__).resolve().parents[3]


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def script(*arguments):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "tests/support/toy_training.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    toy_trainer(folder).run()
    return folder


def test_training_lowers_the_loss_and_logs_every_step(finished):
    log = lines(finished)
    assert [entry["step"] for entry in log] == [*range(1, 19), *range(1, 13)]
    assert log[17]["loss"] < 0.8 * log[0]["loss"]
    assert log[0]["loss"] == pytest.approx(sum(log[0]["terms"].values()))
    checked = [entry["validation_loss"] for entry in log if entry["stage"] == "main" and entry["validation_loss"]]
    assert len(checked) == 5
    assert load_state(finished / "last.safetensors").progress.stage == 2
    assert load_state(finished / "best-adapter.safetensors").progress.best == min(
        entry["validation_loss"] for entry in log if entry["stage"] == "adapter" and entry["validation_loss"]
    )


def test_every_held_out_image_counts_the_same(tmp_path):
    """Eight held-out points in batches of four, or of five and three: one loss."""
    steps = []
    for batch in (4, 5):
        trainer = toy_trainer(tmp_path / str(batch))
        trainer.config = trainer.config.model_copy(update={"batch_size": batch})
        steps.append(trainer._validate(trainer.stages[0].objective, done=1, total=1))
    assert steps[0] == pytest.approx(steps[1], rel=1e-6)


def test_a_stage_trains_its_own_parameters_only(finished):
    torch.manual_seed(0)
    fresh = dict(Net().named_parameters())
    after = load_state(finished / "last.safetensors").parameters
    assert not torch.equal(after["model.first.weight"], fresh["first.weight"])
    assert not torch.equal(after["model.second.weight"], fresh["second.weight"])
    assert set(after) == {"model.first.weight", "model.first.bias", "model.second.weight"}


@pytest.mark.parametrize("seed", [1, 2])
def test_five_kills_and_resumes_give_the_same_bytes(tmp_path, finished, seed):
    kills = [random.Random(seed).randint(0 if i else 4, 8) for i in range(5)]
    *killed, last = script("kill", tmp_path, *kills).split()
    assert (killed, last) == (["9"] * 5, "0")
    assert (tmp_path / "last.safetensors").read_bytes() == (finished / "last.safetensors").read_bytes()
    for best in ("best-main.safetensors", "best-adapter.safetensors"):
        assert (tmp_path / best).read_bytes() == (finished / best).read_bytes()
    stable = ("stage", "step", "loss", "terms", "rate", "validation_loss")
    assert [[entry[key] for key in stable] for entry in lines(tmp_path)] == [
        [entry[key] for key in stable] for entry in lines(finished)
    ]


@pytest.mark.slow
def test_two_processes_equal_one_with_twice_the_batch(tmp_path):
    for processes in (1, 2):
        script("share", tmp_path / str(processes), processes)
    one, two = (load_file(tmp_path / name / "last.safetensors") for name in "12")
    for name, value in one.items():
        if name.startswith("parameter."):
            torch.testing.assert_close(two[name], value, rtol=1e-5, atol=1e-6)


def test_best_weights_are_each_stage_at_its_best(tmp_path):
    trainer = toy_trainer(tmp_path)
    assert not trainer.load_best()
    trainer.run()
    assert trainer.load_best()
    main, adapter = (load_state(tmp_path / f"best-{stage}.safetensors").parameters for stage in ("main", "adapter"))
    own = dict(trainer.stages[0].objective.named_parameters())
    assert torch.equal(own["model.first.weight"], main["model.first.weight"])
    assert torch.equal(own["model.second.weight"], adapter["model.second.weight"])


def test_a_folder_with_a_run_is_not_overwritten(finished):
    with pytest.raises(ResumeError, match="holds a run already; add --resume"):
        toy_trainer(finished).run()


def test_nothing_to_resume_is_said(tmp_path):
    with pytest.raises(ResumeError, match="no training state"):
        toy_trainer(tmp_path).run(resume=True)


def test_another_run_is_not_continued(finished):
    with pytest.raises(ResumeError, match=r"other settings.*\(toy\); expected the same as now \(other\)"):
        toy_trainer(finished, fingerprint="other").run(resume=True)


def test_a_damaged_state_is_refused(tmp_path):
    (tmp_path / "last.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0damaged")
    with pytest.raises(ResumeError, match="damaged or no training state"):
        toy_trainer(tmp_path).run(resume=True)


def test_a_state_of_another_model_names_both_sides(finished):
    state = load_state(finished / "last.safetensors")
    wide = Objective(Net())
    wide.model.first = torch.nn.Linear(6, 9)
    with pytest.raises(ResumeError, match=r"model.first.bias \(5,\); expected the model's, \(9,\)"):
        restore(state, wide, None)


class Failing(ToySource):
    """Raises at a given epoch, as a picture that went bad meanwhile does."""

    def batch(self, positions, epoch):
        if epoch == 2:
            raise TrainingDataError("capsule/003.png is truncated")
        return super().batch(positions, epoch)


def test_a_corrupt_image_in_epoch_three_loses_nothing(tmp_path, finished):
    with pytest.raises(TrainingDataError, match="is truncated"):
        toy_trainer(tmp_path, source=Failing()).run()
    assert load_state(tmp_path / "last.safetensors").progress.step == 12
    toy_trainer(tmp_path).run(resume=True)
    assert (tmp_path / "last.safetensors").read_bytes() == (finished / "last.safetensors").read_bytes()


class Bad(Objective):
    """Fails at its sixth call in the way it is told."""

    calls = 0
    failure = None

    def forward(self, points):
        Bad.calls += 1
        terms = super().forward(points)
        if Bad.calls != 6:
            return terms
        if Bad.failure is None:
            return {"squared": terms["squared"] * float("nan")}
        raise Bad.failure


@pytest.mark.parametrize(
    ("failure", "line", "kept"),
    [
        (None, "stage main, step 6: the loss is nan", 5),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "step 6: out of memory at batch size 4", 3),
        (MemoryError(), "step 6: out of memory at batch size 4", 3),
    ],
)
def test_a_failing_step_keeps_the_last_good_state(tmp_path, monkeypatch, failure, line, kept):
    monkeypatch.setattr(Bad, "calls", 0)
    monkeypatch.setattr(Bad, "failure", failure)
    config = CONFIG.model_copy(update={"validate_every": 0})
    with pytest.raises(InterruptedTrainingError, match=line) as caught:
        toy_trainer(tmp_path, config=config, objective=Bad).run()
    assert caught.value.exit_code == 1
    assert load_state(tmp_path / "last.safetensors").progress.step == kept


def test_other_runtime_errors_are_not_called_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(Bad, "calls", 0)
    monkeypatch.setattr(Bad, "failure", RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        toy_trainer(tmp_path, objective=Bad).run()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_the_log_is_one_line(tmp_path):
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(InterruptedTrainingError, match="could not be written: No space left on device"):
        toy_trainer(tmp_path).run()


def test_a_full_disk_under_the_state_leaves_the_older_one(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    trainer = toy_trainer(tmp_path, listener=lambda r: r.step == 4 and monkeypatch.setattr("os.fsync", full))
    with pytest.raises(InterruptedTrainingError, match=r"could not be written: No space left.*--resume"):
        trainer.run()
    assert load_state(tmp_path / "last.safetensors").progress.step == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best-main.safetensors",
        "last.safetensors",
        "metrics.jsonl",
    ]


def test_fewer_images_than_a_batch_is_refused(tmp_path):
    config = CONFIG.model_copy(update={"batch_size": 64})
    with pytest.raises(TrainingDataError, match="at least one batch of 64"):
        toy_trainer(tmp_path, config=config).run()


def test_bf16_trains_too(tmp_path):
    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    toy_trainer(tmp_path, fabric=fabric).run()
    log = lines(tmp_path)
    assert log[-1]["loss"] < log[0]["loss"]
