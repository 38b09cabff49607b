"""An exported file scores as `detect` does, or nothing is left behind."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from descriptions.common.extras import MissingExtraError
from descriptions.format.schema import Anomaly, DescriptionFile
from detector.errors import OutputError
from detector.export import archive as export
from detector.export.archive import ExportError, check_pictures, describe_export, export_model, form_of, graph_model
from detector.export.graph import FixedText, ReadingText
from detector.localize.regions import REGIONS
from detector.runs import doctor
from detector.scoring.predict import ScoringSettings
from detector.scoring.predictor import Ask, Predictor
from tests.support.clip import tiny_filo, tiny_prompts, traced_filo

PROMPTS = tiny_prompts()
FILE = DescriptionFile(category="gear", object_name="gear", anomalies=(Anomaly(id="d0", text="broken tooth"),))
PICTURE = check_pictures()[0][0]


@pytest.fixture(scope="module")
def model():
    return tiny_filo().requires_grad_(False)


def still_filo():
    """A model whose context no picture moves, as that of `mini`."""
    model = traced_filo().requires_grad_(False)
    for learner in (model.normal_prompt_learner, model.abnormal_prompt_learner):
        torch.nn.init.zeros_(learner.meta_net.linear2.weight)
    return model


def rows_of(pictures):
    return torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures]))


@pytest.mark.parametrize(
    "settings",
    [
        ScoringSettings(),
        ScoringSettings(localizer="none"),
        ScoringSettings(position=False),
        ScoringSettings(smoothing=2, image_score="map"),
        ScoringSettings(smoothing=0, image_score="similarity"),
    ],
    ids=lambda each: f"{each.localizer}-{each.position}-{each.smoothing}-{each.image_score}",
)
@pytest.mark.parametrize("variant", ["filo", "released"])
def test_the_traced_module_is_detect_in_every_setting(settings, variant):
    model = tiny_filo(variant=variant).requires_grad_(False)
    graph = graph_model(model, PROMPTS, settings)
    predictor = Predictor(model, settings, device="cpu")
    for pictures in check_pictures():
        with torch.no_grad():
            score, anomaly_map, similarity, region = graph(rows_of(pictures))
        for index, (one,) in enumerate(predictor.predict(pictures, [Ask(PROMPTS)])):
            near = {each.id: each.similarity for each in one.matches}
            assert float(score[index]) == pytest.approx(one.score, abs=1e-4)
            torch.testing.assert_close(anomaly_map[index], one.anomaly_map, rtol=0, atol=1e-3)
            assert similarity[index].tolist() == pytest.approx([near[e.id] for e in PROMPTS.anomalies], abs=1e-4)
            assert (REGIONS[region[index]] if region[index] >= 0 else None) == one.region


@pytest.mark.slow
def test_onnx_scores_pictures_of_any_size_and_number_as_detect(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    model, path = traced_filo().requires_grad_(False), tmp_path / "m.onnx"
    graph = graph_model(model, PROMPTS, ScoringSettings())
    assert isinstance(graph.text, ReadingText), "every picture moves the context, so the text tower is in the file"
    written = export_model(graph, PROMPTS, path, "onnx", describe_export(graph, FILE, threshold=0.5))
    assert written.difference < 1e-4
    assert [each.name for each in tmp_path.iterdir()] == ["m.onnx"]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", "height", "width", 3]
    assert [each.name for each in session.get_outputs()] == ["score", "map", "similarity", "region"]
    said = session.get_modelmeta().custom_metadata_map
    assert (said["category"], said["description"], said["image_size"], said["threshold"]) == (
        "gear", "gear@1", "56", "0.5",
    )  # fmt: skip
    predictor = Predictor(model, ScoringSettings(), device="cpu")
    for count, height, width in ((3, 40, 30), (1, 200, 90), (2, 56, 56), (1, 1, 1)):
        values = np.random.default_rng(count).integers(60, 120, (count, height, width, 3), dtype=np.uint8)
        values[:, : height // 3, : width // 3] //= 2
        score, anomaly_map, _, region = session.run(None, {"image": values})
        expected = predictor.predict([Image.fromarray(each) for each in values], [Ask(PROMPTS)])
        for index, (one,) in enumerate(expected):
            assert score[index] == pytest.approx(one.score, abs=1e-3)
            assert np.abs(anomaly_map[index] - one.anomaly_map.numpy()).max() < 1e-2
            assert REGIONS[region[index]] == one.region


@pytest.mark.slow
def test_a_program_scores_as_detect_and_says_what_it_is(tmp_path):
    model, path = still_filo(), tmp_path / "m.pt2"
    graph = graph_model(model, PROMPTS, ScoringSettings(localizer="none"))
    assert isinstance(graph.text, FixedText), "no picture moves the context, so the text tower is left out"
    export_model(graph, PROMPTS, path, "torch", describe_export(graph, FILE))
    said = {export.METADATA: ""}
    program = torch.export.load(path, extra_files=said).module()
    score, *_ = program(rows_of(check_pictures()[1]))
    predictor = Predictor(model, ScoringSettings(localizer="none"), device="cpu")
    assert float(score) == pytest.approx(predictor.predict(check_pictures()[1], [Ask(PROMPTS)])[0][0].score, abs=1e-4)
    assert json.loads(said[export.METADATA])["text"] == "the same for every picture"


def test_a_reference_freezes_its_own_text(model):
    graph = graph_model(model, PROMPTS, ScoringSettings(), PICTURE)
    assert isinstance(graph.text, FixedText)
    with torch.no_grad():
        score, *_ = graph(rows_of([PICTURE]))
    (one,) = Predictor(model, ScoringSettings(), device="cpu").predict([PICTURE], [Ask(PROMPTS)])[0]
    assert float(score) == pytest.approx(one.score, abs=1e-4)
    said = describe_export(graph, FILE, reference=Path("good.png"))
    assert said["text"] == "frozen at that of good.png: scores of other pictures differ from detect's"


def test_a_file_says_where_its_numbers_come_from():
    graph = graph_model(still_filo(), PROMPTS, ScoringSettings(localizer="none"))
    said = describe_export(graph, FILE, checkpoint=Path("folder/own.safetensors"))
    assert said["same_as"] == "detector detect --category gear@1 --localizer none --precision fp32"
    assert "Grounding DINO" in said["not_included"]
    assert said["model"] == "checkpoint own.safetensors"
    assert "terms of their checkpoint" in said["licence"]
    assert json.loads(said["scoring"])["localizer"] == "none"
    assert json.loads(said["descriptions"]) == [{"id": "d0", "text": "broken tooth"}]
    assert len(said["description_hash"]) == len(said["model_hash"]) == 64
    assert "threshold" not in said
    assert "research and demonstration" in describe_export(graph, FILE)["licence"]


def test_grounding_dino_is_refused(model):
    with pytest.raises(ExportError, match="expected --localizer self or none"):
        graph_model(model, PROMPTS, ScoringSettings(localizer="grounding-dino"))


def wrong(graph, path, _metadata):
    path.touch()
    return lambda image: [value.numpy() + 1 for value in graph(torch.from_numpy(image))]


def right(graph, _path, _metadata):
    return lambda image: [value.numpy() for value in graph(torch.from_numpy(image))]


def test_an_export_that_differs_is_refused(model, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_to_program", wrong)
    with pytest.raises(ExportError, match="differs from detect by 1"):
        export_model(graph_model(model, PROMPTS, ScoringSettings()), PROMPTS, tmp_path / "m", "torch")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file/m.pt2", "folder"])
def test_an_export_that_cannot_be_written_is_one_line(model, tmp_path, monkeypatch, name: str):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(export, "_to_program", right)
    with pytest.raises(OutputError, match="name another file") as caught:
        export_model(graph_model(model, PROMPTS, ScoringSettings()), PROMPTS, tmp_path / name, "torch")
    assert "\n" not in str(caught.value)


def test_the_name_of_the_file_says_which_format():
    assert (form_of(Path("a.onnx")), form_of(Path("b.pt2"))) == ("onnx", "torch")
    with pytest.raises(ExportError, match=r"expected \.onnx or \.pt2"):
        form_of(Path("model.pth"))


def test_only_a_model_that_is_not_folded_is_copied(model):
    folded = tiny_filo().requires_grad_(False)
    assert graph_model(model, PROMPTS, ScoringSettings()).model is not model
    assert not model.decoder_cov.folded
    folded.decoder_cov.fold()
    assert graph_model(folded, PROMPTS, ScoringSettings()).model is folded


@pytest.mark.parametrize("module", ["onnx", "onnxruntime", "onnxscript"])
def test_doctor_and_export_agree_on_what_is_missing(model, tmp_path, monkeypatch, module: str):
    monkeypatch.setitem(sys.modules, module, None)
    (line,) = (each for each in doctor.checks(tmp_path) if each.subject == "detector export")
    assert (line.state, line.found, line.hint) == ("optional", f"needs {module}", "pip install 'filo-forge[onnx]'")
    with pytest.raises(
        MissingExtraError, match=f"needs {module}, which is not installed; type: pip install 'filo-forge\\[onnx\\]'"
    ):
        export_model(graph_model(model, PROMPTS, ScoringSettings()), PROMPTS, tmp_path / "m", "onnx")
    assert list(tmp_path.iterdir()) == []
