"""`detector export` as typed."""

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from descriptions.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector.checkpoint import load_checkpoint, save_checkpoint
from detector.cli import app
from detector.export import ExportError, fixed_text_model
from detector.preprocess import to_pixels
from detector.prompts import build_prompts
from tests.support.clip import tiny_filo, tiny_pixels


@pytest.fixture
def words(tmp_path) -> list[str]:
    """Options that fit a tiny model and one photo."""
    anomalies = (Anomaly(id="tooth", text="broken tooth"),)
    Store(tmp_path / "library").save(DescriptionFile(category="gear", object_name="gear", anomalies=anomalies))
    save_checkpoint(tiny_filo(), tmp_path / "tiny.safetensors", whole=True)
    Image.new("RGB", (60, 50), "gray").save(tmp_path / "good.png")
    words = {
        "--category": "gear@1",
        "--reference": tmp_path / "good.png",
        "--descriptions-dir": tmp_path / "library",
        "--checkpoint": tmp_path / "tiny.safetensors",
    }
    return [str(word) for pair in words.items() for word in pair]


def test_a_program_is_written_and_runs_on_its_own(tmp_path, words):
    out = tmp_path / "gear.pt2"
    done = CliRunner().invoke(app, ["export", str(out), *words])
    assert done.exit_code == 0, done.output
    assert "differs from the model by" in " ".join(done.stdout.split())
    heat, score = torch.export.load(out).module()(tiny_pixels(1))
    assert heat.shape == (1, 56, 56)
    assert 0 <= float(heat.min()) <= float(heat.max()) <= 1
    assert score.shape == (1,)


@pytest.mark.slow
def test_onnx_scores_another_image_as_the_model_with_the_same_text(tmp_path, words):
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    out = tmp_path / "gear.onnx"
    assert CliRunner().invoke(app, ["export", str(out), *words]).exit_code == 0
    model, other = load_checkpoint(tmp_path / "tiny.safetensors").requires_grad_(False), tiny_pixels(1, seed=8)
    reference = to_pixels(Image.open(tmp_path / "good.png"), model.config)[None]
    prompts = build_prompts(Store(tmp_path / "library").load("gear"))
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    heat, score = session.run(None, {"pixels": other.numpy()})
    expected = fixed_text_model(model, prompts, reference)(other)
    assert np.abs(heat - expected[0].numpy()).max() < 1e-4
    assert np.abs(score - expected[1].numpy()).max() < 1e-4


def test_a_name_that_says_no_format(tmp_path, words):
    done = CliRunner().invoke(app, ["export", str(tmp_path / "gear.bin"), *words])
    assert isinstance(done.exception, ExportError)
    assert not (tmp_path / "gear.bin").exists()
