"""Exports give the eager outputs, or nothing is left behind."""

import sys
from pathlib import Path

import pytest
import torch

from detector import export
from detector.errors import OutputError
from detector.export import ExportError, export_model, fixed_text_model, form_of
from detector.scoring import ScoringSettings, encode, predict
from tests.support.clip import tiny_filo, tiny_pixels, tiny_prompts


@pytest.fixture(scope="module")
def model():
    return tiny_filo().requires_grad_(False)


def test_the_reference_scores_as_without_a_localizer(model):
    pixels = tiny_pixels(1)
    heat, score = fixed_text_model(model, tiny_prompts(), pixels)(pixels)
    (expected,) = predict(model, encode(model, pixels), tiny_prompts(), ScoringSettings(localizer="none"))
    assert float(score) == pytest.approx(expected.score, abs=1e-6)
    torch.testing.assert_close(heat[0], expected.heat)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["onnx", "torch"])
def test_exports_equal_eager(model, tmp_path, form: str):
    pixels = tiny_pixels(1)
    written = export_model(fixed_text_model(model, tiny_prompts(), pixels), pixels, tmp_path / "m", form)
    assert written.difference < 1e-5
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_an_export_that_differs_is_refused(model, tmp_path, monkeypatch):
    pixels = tiny_pixels(1)
    fixed = fixed_text_model(model, tiny_prompts(), pixels)

    def wrong(_, reference, path):
        path.touch()
        return [value + 1 for value in fixed(reference)]

    monkeypatch.setattr(export, "_to_program", wrong)
    with pytest.raises(ExportError, match="differs by 1"):
        export_model(fixed, pixels, tmp_path / "m", "torch")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file/m.pt2", "folder"])
def test_an_export_that_cannot_be_written_is_one_line(model, tmp_path, monkeypatch, name: str):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    pixels = tiny_pixels(1)
    fixed = fixed_text_model(model, tiny_prompts(), pixels)
    monkeypatch.setattr(export, "_to_program", lambda _, reference, path: list(fixed(reference)))
    with pytest.raises(OutputError, match="name another file") as caught:
        export_model(fixed, pixels, tmp_path / name, "torch")
    assert "\n" not in str(caught.value)


def test_the_name_of_the_file_says_which_format():
    assert (form_of(Path("a.onnx")), form_of(Path("b.pt2"))) == ("onnx", "torch")
    with pytest.raises(ExportError, match=r"expected \.onnx or \.pt2"):
        form_of(Path("model.pth"))


def test_only_a_model_that_is_not_folded_is_copied(model):
    pixels, folded = tiny_pixels(1), tiny_filo().requires_grad_(False)
    assert fixed_text_model(model, tiny_prompts(), pixels).model is not model
    assert not model.decoder_cov.folded
    folded.decoder_cov.fold()
    assert fixed_text_model(folded, tiny_prompts(), pixels).model is folded


def test_onnx_not_installed(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    pixels = tiny_pixels(1)
    with pytest.raises(ExportError, match="filo-forge\\[onnx\\]"):
        export_model(fixed_text_model(model, tiny_prompts(), pixels), pixels, tmp_path / "m", "onnx")
