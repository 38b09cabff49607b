"""The localizer a command builds: none, or Grounding DINO with the acceptance rules of the model's variant."""

from pathlib import Path

import pytest
import torch

from descriptions.store import Store
from detector.detect.detector import Detector
from detector.localize.cache import CachedLocalizer
from detector.localize.dino.localizer import GroundingDino
from detector.localize.errors import GroundingWeightsError
from detector.localize.registry import create_localizer
from detector.runs import detect_request
from detector.runs import evaluate as session
from detector.scoring.predict import ScoringSettings
from detector.weights.checkpoint import save_checkpoint
from tests.support.clip import tiny_filo
from tests.support.gdino import tiny_weights

DINO = ScoringSettings(localizer="grounding-dino")


@pytest.fixture(scope="module")
def dino(golden: Path, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("dino") / "dino.pth"
    torch.save({"model": tiny_weights(golden)}, path)
    return path


@pytest.mark.parametrize("variant", ["filo", "released"])
def test_both_commands_accept_boxes_by_the_rules_of_the_model(golden: Path, dino: Path, tmp_path: Path, variant: str):
    checkpoint = tmp_path / "m.safetensors"
    save_checkpoint(tiny_filo(variant=variant), checkpoint, whole=True)
    words = {"checkpoint": checkpoint, "dino_weights": dino, "dino_text": str(golden / "bert_tiny"), "device": "cpu"}
    asked = detect_request.DetectRequest(paths=(), category="gear", settings=DINO, **words)
    evaluation = session.Request(data=tmp_path, out=tmp_path, scoring=DINO, cache=False, **words)
    built = [
        detect_request.create_detector(asked, Store(tmp_path)).localizer,
        session.create_scorer(evaluation).predictor.localizer,
    ]
    for localizer in built:
        assert isinstance(localizer, CachedLocalizer)
        assert isinstance(localizer.inner, GroundingDino)
        assert localizer.inner.rules == variant
    assert built[0].fingerprint == built[1].fingerprint


def test_boxes_stay_inside_the_cache_folder_of_an_evaluation(golden: Path, dino: Path, tmp_path: Path):
    checkpoint, cache = tmp_path / "m.safetensors", tmp_path / "data" / "features"
    save_checkpoint(tiny_filo(), checkpoint, whole=True)
    asked = session.Request(
        data=tmp_path, out=tmp_path, scoring=DINO, cache_dir=cache, checkpoint=checkpoint, dino_weights=dino,
        dino_text=str(golden / "bert_tiny"), device="cpu",
    )  # fmt: skip
    localizer = session.create_scorer(asked).predictor.localizer
    assert isinstance(localizer, CachedLocalizer)
    assert cache in localizer.folder.parents


def test_no_outside_localizer():
    assert create_localizer("self", "filo", None) is None
    assert create_localizer("none", "released", None) is None


def test_grounding_dino_without_weights(tmp_path: Path):
    with pytest.raises(GroundingWeightsError, match="type --dino-weights FILE"):
        create_localizer("grounding-dino", "filo", None)
    with pytest.raises(GroundingWeightsError, match="type --dino-weights FILE"):
        Detector(tiny_filo(), store=Store(tmp_path), settings=DINO, device="cpu")
