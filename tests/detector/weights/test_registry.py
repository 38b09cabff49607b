"""Presets by name, with and without weights."""

import pytest

from detector.errors import DetectorError
from detector.weights.registry import PresetError, list_presets, load_model, preset_config, resolve_preset


def test_presets():
    assert list_presets()[0] == "mini"
    with pytest.raises(PresetError, match="did you mean vitl"):
        resolve_preset("vit1")
    assert resolve_preset("vitl").name == "vitl"


def test_a_preset_without_weights(tmp_path, monkeypatch):
    from detector.weights import registry as presets

    (tmp_path / "mini").mkdir()
    monkeypatch.setattr(presets, "FOLDER", tmp_path)
    with pytest.raises(PresetError, match="not installed"):
        presets.load_preset()


def test_a_preset_with_weights_takes_no_others():
    with pytest.raises(PresetError, match="has its own CLIP weights"):
        load_model("mini", None, "openai")


def test_preset_and_checkpoint_exclude_each_other(tmp_path):
    with pytest.raises(DetectorError, match="both --preset and --checkpoint"):
        load_model("mini", tmp_path / "x")


def test_configuration_of_a_preset():
    assert preset_config("vitl").backbone == "ViT-L-14-336"
