"""`detector export` as typed."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector.cli.app import app
from detector.data.sample_set import write_sample_set
from detector.detect.detector import Detector
from detector.export.archive import METADATA, ExportError
from detector.localize.regions import REGIONS
from detector.scoring.threshold import ThresholdError
from detector.weights.checkpoint import save_checkpoint
from tests.support.clip import traced_filo
from tests.support.console import ROOT

HOW_TO = ROOT / "docs" / "how-to" / "export.md"
SCORES, MAPS = 1e-5, 1e-3
"""How near the file is to `detect` on photos, as the page says."""


@pytest.fixture
def words(tmp_path) -> list[str]:
    """Options that fit a tiny model and one photo."""
    anomalies = (Anomaly(id="tooth", text="broken tooth"),)
    Store(tmp_path / "library").save(DescriptionFile(category="gear", object_name="gear", anomalies=anomalies))
    save_checkpoint(traced_filo(), tmp_path / "tiny.safetensors", whole=True)
    Image.new("RGB", (60, 50), "gray").save(tmp_path / "good.png")
    words = {
        "--category": "gear@1",
        "--descriptions-dir": tmp_path / "library",
        "--checkpoint": tmp_path / "tiny.safetensors",
    }
    return [str(word) for pair in words.items() for word in pair]


@pytest.fixture(scope="module")
def capsule(tmp_path_factory):
    """The bundled model for capsules as an ONNX file, in a folder with drawn photos."""
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    folder = tmp_path_factory.mktemp("capsule")
    write_sample_set(folder / "drawn")
    done = CliRunner().invoke(app, ["export", str(folder / "capsule.onnx"), "--category", "capsule@1"])
    assert done.exit_code == 0, done.output
    return folder


def differences(folder, photos):
    """Between the file and `detect`: scores, maps, and whether regions are equal, for each photo."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "capsule.onnx"), providers=["CPUExecutionProvider"])
    results = list(Detector.from_pretrained(device="cpu").predict(list(photos), "capsule@1"))
    for one in results:
        score, anomaly_map, similarity, region = session.run(None, {"image": np.asarray(one.image)[None]})
        entries = json.loads(session.get_modelmeta().custom_metadata_map["descriptions"])
        near = {each.id: each.similarity for each in one.matches}
        assert REGIONS[region[0]] == one.region
        assert similarity[0].tolist() == pytest.approx([near[entry["id"]] for entry in entries], abs=1e-4)
        yield abs(float(score[0]) - one.score), float(np.abs(anomaly_map[0] - one.map).max())


@pytest.mark.slow
def test_the_file_gives_the_score_and_the_map_of_detect(capsule):
    photos = sorted((capsule / "drawn").rglob("test/*/*.png"))[::6]
    assert len(photos) >= 4
    for score, anomaly_map in differences(capsule, photos):
        assert score < SCORES
        assert anomaly_map < MAPS


@pytest.mark.slow
def test_the_file_gives_the_score_and_the_map_of_detect_on_real_photos(capsule, real_images):
    photos = sorted(path for path in real_images.rglob("test/*/*") if path.suffix in (".png", ".jpg"))
    for score, anomaly_map in differences(capsule, photos[:: max(len(photos) // 12, 1)]):
        assert score < SCORES
        assert anomaly_map < MAPS


@pytest.mark.slow
def test_the_program_of_the_page_prints_what_detect_prints(capsule, capfd, monkeypatch):
    (program,) = re.findall(r"^```python\n(.*?)^```$", HOW_TO.read_text(), re.MULTILINE | re.DOTALL)
    assert len(program.strip().splitlines()) <= 15
    photo = min((capsule / "drawn").rglob("test/*/*.png"))
    Image.open(photo).save(capsule / "photo.png")
    monkeypatch.chdir(capsule)
    exec(compile(program, str(HOW_TO), "exec"), {})
    printed = capfd.readouterr().out
    (one,) = Detector.from_pretrained(device="cpu").predict(["photo.png"], "capsule@1")
    assert f"score {one.score:.3f}" in printed
    assert one.matches[0].text in printed
    assert str(one.region) in printed


def test_a_program_is_written_and_runs_on_its_own(tmp_path, words):
    out = tmp_path / "gear.pt2"
    done = CliRunner().invoke(app, ["export", str(out), *words, "--threshold", "0.25"])
    assert done.exit_code == 0, done.output
    said = " ".join(done.stdout.split())
    assert "scores as detector detect --category gear@1 --localizer self --precision fp32" in said
    extra = {METADATA: ""}
    photo = torch.randint(0, 255, (1, 50, 60, 3), dtype=torch.uint8)
    score, anomaly_map, similarity, region = torch.export.load(out, extra_files=extra).module()(photo)
    assert (score.shape, anomaly_map.shape, similarity.shape, region.shape) == ((1,), (1, 56, 56), (1, 1), (1,))
    assert json.loads(extra[METADATA])["threshold"] == "0.25"


def test_what_the_file_leaves_out_is_said(tmp_path, words):
    """A reference freezes the text, and Grounding DINO becomes no localizer: one file shows both."""
    out, extra = tmp_path / "gear.pt2", {METADATA: ""}
    left_out = ["--reference", str(tmp_path / "good.png"), "--localizer", "grounding-dino"]
    done = CliRunner().invoke(app, ["export", str(out), *words, *left_out])
    assert done.exit_code == 0, done.output
    warnings = " ".join(done.stderr.split())
    assert "frozen at that of good.png" in warnings
    assert "Grounding DINO cannot be in the file" in warnings
    torch.export.load(out, extra_files=extra)
    metadata = json.loads(extra[METADATA])
    assert json.loads(metadata["scoring"])["localizer"] == "none"
    assert "--localizer none" in metadata["same_as"]


@pytest.mark.parametrize(
    ("threshold", "error", "match"),
    [("auto", ExportError, "needs photos"), ("high", ThresholdError, "threshold 'high'")],
)
def test_a_threshold_that_cannot_be_kept(tmp_path, words, threshold, error, match):
    done = CliRunner().invoke(app, ["export", str(tmp_path / "gear.pt2"), *words, "--threshold", threshold])
    assert isinstance(done.exception, error)
    assert re.search(match, str(done.exception))
    assert not (tmp_path / "gear.pt2").exists()


def test_a_name_that_says_no_format(tmp_path, words):
    done = CliRunner().invoke(app, ["export", str(tmp_path / "gear.bin"), *words])
    assert isinstance(done.exception, ExportError)
    assert not (tmp_path / "gear.bin").exists()
