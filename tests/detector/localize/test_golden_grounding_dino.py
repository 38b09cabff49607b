"""Grounding DINO on this stack against stored outputs, alone and in a batch."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from detector.localize.dino.localizer import ground, preprocess
from tests.support.gdino import tiny_model


@pytest.fixture(scope="module")
def model(golden: Path):
    return tiny_model(golden).double()


@pytest.fixture(scope="module")
def stored(golden: Path):
    return load_file(golden / "gdino_tiny.safetensors")


def check(logits, boxes, expected_logits, expected_boxes):
    tokens = expected_logits.shape[-1]
    torch.testing.assert_close(logits[..., :tokens].float(), expected_logits, rtol=0, atol=2e-5)
    assert bool((logits[..., tokens:] == -torch.inf).all())
    torch.testing.assert_close(boxes, expected_boxes, rtol=0, atol=1e-7)


@torch.inference_mode()
def test_golden_alone(golden: Path, model, stored):
    caption = json.loads((golden / "gdino_tiny.json").read_text())["caption"]
    assert model.tokenizer(caption)["input_ids"] == stored["input_ids"][0].tolist()
    logits, boxes = ground(model, stored["image1"][None].double(), caption)
    check(logits, boxes, stored["pred_logits"], stored["pred_boxes"])


@torch.inference_mode()
def test_golden_batch_of_two(golden: Path, model, stored):
    caption = json.loads((golden / "gdino_tiny.json").read_text())["caption"]
    pixels = torch.stack([stored["image1"], stored["image2"]]).double()
    check(*ground(model, pixels, caption), stored["batch_pred_logits"], stored["batch_pred_boxes"])


def test_golden_preprocessing(golden: Path):
    tensors = load_file(golden / "grounding.safetensors")
    for path in sorted((golden / "images").glob("img*.png")):
        with Image.open(path) as image:
            got = preprocess(image, 112)
        torch.testing.assert_close(got, tensors[f"dino_preprocess_112.{path.name}"], rtol=0, atol=1e-6)
