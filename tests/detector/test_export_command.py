"""`detector export` as typed."""

import torch
from PIL import Image
from typer.testing import CliRunner

from descriptions.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector.checkpoint import save_checkpoint
from detector.cli import app
from tests.support.clip import tiny_filo, tiny_pixels


def test_a_program_is_written_and_runs_on_its_own(tmp_path):
    anomalies = (Anomaly(id="tooth", text="broken tooth"),)
    Store(tmp_path / "library").save(DescriptionFile(category="gear", object_name="gear", anomalies=anomalies))
    save_checkpoint(tiny_filo(), tmp_path / "tiny.safetensors", whole=True)
    Image.new("RGB", (60, 50), "gray").save(tmp_path / "good.png")
    words = {
        "--category": "gear@1",
        "--reference": tmp_path / "good.png",
        "--descriptions-dir": tmp_path / "library",
        "--checkpoint": tmp_path / "tiny.safetensors",
        "--format": "torch",
    }
    out = tmp_path / "gear.pt2"
    done = CliRunner().invoke(app, ["export", str(out), *(str(word) for pair in words.items() for word in pair)])
    assert done.exit_code == 0, done.output
    assert "differs from the model by" in " ".join(done.stdout.split())
    heat, score = torch.export.load(out).module()(tiny_pixels(1))
    assert heat.shape == (1, 56, 56)
    assert 0 <= float(heat.min()) <= float(heat.max()) <= 1
    assert score.shape == (1,)
