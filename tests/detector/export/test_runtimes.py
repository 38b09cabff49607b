"""Other runtimes give the scores of PyTorch, from a file that no word is part of."""

import json

import numpy as np
import pytest
import torch

from descriptions.common.extras import MissingExtraError
from descriptions.format.schema import Anomaly, DescriptionFile
from descriptions.store import Store
from detector import Detector
from detector.defaults import RuntimeName
from detector.errors import OutputError
from detector.export import runtimes
from detector.export.runtimes import RuntimeChoiceError, create_encoder
from detector.scoring.feature_cache import FeatureCache
from detector.scoring.predict import encode
from tests.support.clip import tiny_filo, tiny_pixels
from tests.support.detecting import command, make_workplace, run

RUNTIMES: tuple[RuntimeName, ...] = ("onnx", "openvino")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("towers")


@pytest.fixture(scope="module")
def model():
    return tiny_filo().requires_grad_(False)


@pytest.mark.parametrize("name", RUNTIMES)
@pytest.mark.parametrize("batch", [1, 3])
def test_features_are_those_of_the_model(name, batch, model, folder):
    encoder = create_encoder(model, name, folder)
    assert encoder is not None
    with torch.inference_mode():
        expected = encode(model, tiny_pixels(batch))
    first = encoder(tiny_pixels(batch))
    encoder(tiny_pixels(batch, seed=5))  # what was given before stays as it is
    assert torch.allclose(first.embedding, expected.embedding, atol=1e-5)
    for ours, theirs in zip(first.patches, expected.patches, strict=True):
        assert ours.shape == theirs.shape
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_one_file_serves_all_words_all_runtimes_and_text_trained_anew(model, folder, monkeypatch):
    create_encoder(model, "onnx", folder)
    kept = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(kept) == 1
    monkeypatch.setattr(runtimes, "_EXPORTERS", ("none",))  # whoever exports now fails
    retrained = tiny_filo()
    torch.nn.init.normal_(retrained.adapter.fc[2].weight)
    torch.nn.init.normal_(retrained.abnormal_prompt_learner.meta_net.linear2.weight)
    for name in RUNTIMES:
        assert create_encoder(retrained.requires_grad_(False), name, folder) is not None
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == kept
    with pytest.raises(KeyError):
        create_encoder(tiny_filo(seed=1), "onnx", folder)


def test_the_preset_scores_real_photos_as_pytorch_does(real_images, folder):
    detector = Detector.from_pretrained("mini", device="cpu", precision="fp32")
    photos = [
        path
        for kind in ("good", "bent_lead", "misplaced")
        for path in sorted((real_images / "mvtec" / "transistor" / "test" / kind).iterdir())[:3]
    ]
    expected = detector.score(photos, "transistor")
    for name in RUNTIMES:
        encoder = create_encoder(detector.model, name, folder)
        scores = Detector(detector.model, device="cpu", precision="fp32", encoder=encoder).score(photos, "transistor")
        assert np.abs(scores - expected).max() <= 1e-3 * expected.std()


def test_features_of_runtimes_are_kept_apart(model, folder, tmp_path):
    cache = FeatureCache(tmp_path)
    photo = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    version = DescriptionFile(category="gear", object_name="gear", anomalies=(Anomaly(id="d0", text="dent"),))
    files = []
    for name in ("torch", *RUNTIMES, "torch"):
        encoder = create_encoder(model, name, folder)
        detector = Detector(model, device="cpu", cache=cache, encoder=encoder, store=Store(tmp_path))
        list(detector.predict([photo], version))
        files.append(sum(path.is_file() for path in tmp_path.rglob("*")))
    assert files[0] < files[1] < files[2] == files[3]


def test_a_runtime_that_differs_is_not_kept(model, tmp_path, monkeypatch):
    monkeypatch.setattr(runtimes, "TOLERANCE", -1.0)
    with pytest.raises(RuntimeChoiceError, match="features of --runtime onnx differ from PyTorch's by"):
        create_encoder(model, "onnx", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_to_is_one_line(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written to"):
        create_encoder(model, "onnx", tmp_path / "file" / "below")


def test_a_runtime_that_is_not_installed_says_what_to_type(model, folder, monkeypatch):
    monkeypatch.setattr("descriptions.common.extras.find_spec", lambda _: None)
    with pytest.raises(
        MissingExtraError, match=r"--runtime openvino needs openvino.*pip install 'filo-forge\[openvino\]'"
    ):
        create_encoder(model, "openvino", folder)


def test_detect_scores_alike_with_each_runtime(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    home = make_workplace(tmp_path, photos=3)
    documents = [json.loads(run(command(home, "--format", "json", "--runtime", name)).stdout) for name in
                 ("torch", *RUNTIMES)]  # fmt: skip
    plain, *others = [[image["score"] for image in document["images"]] for document in documents]
    for scores in others:
        assert scores == pytest.approx(plain, abs=2e-6)
    assert len(list((tmp_path / "cache" / "filo-forge" / "runtimes").iterdir())) == 1
    for option, value, served in (("--precision", "bf16", "fp32"), ("--device", "mps", "cpu")):
        with pytest.raises(
            RuntimeChoiceError, match=f"--runtime onnx with {option} {value}; expected {option} {served}"
        ):
            run([*command(home)[:-2], option, value, "--runtime", "onnx"])
