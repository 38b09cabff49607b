"""The bundled model as it ships: whole, small, better than guessing on painted defects (not yet on real ones)."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from detector.checkpoint import read_info
from detector.maps import heat_map
from detector.metrics import pixel_metrics
from detector.model.config import ModelConfig
from detector.model.filo import FiLo
from detector.preprocess import to_mask, to_pixels
from detector.presets import FOLDER, load_preset
from detector.prompts import Description, prompt_set
from tools.pretrain import paint, samples

MINI = FOLDER / "mini"
NORMAL, GENERIC = ("{}", "flawless {}"), ("damaged {}", "{} with flaw")
LIMIT = 25_000_000
PAINTED_FLOOR = 0.6
"""The early checkpoint reaches 0.649; a trained one must raise this."""
REAL_FLOOR = 0.55


@pytest.fixture(scope="module")
def mini() -> FiLo:
    return load_preset("mini")


def heat(model: FiLo, images: list[Image.Image], subject: str, texts: tuple[str, ...]) -> np.ndarray:
    words = prompt_set(subject, NORMAL, [Description(t, t) for t in texts], GENERIC)
    pixels = torch.stack([to_pixels(image, model.config) for image in images])
    with torch.no_grad():
        return heat_map(model(pixels, [words]).maps).numpy()


def test_the_files_are_small_whole_and_agree() -> None:
    assert sum(file.stat().st_size for file in MINI.iterdir()) < LIMIT
    info = read_info(MINI / "model.safetensors")
    assert info.contents == "whole"
    assert info.config == ModelConfig.model_validate_json((MINI / "config.json").read_text())
    assert not {"magnetic_tile", "transistor"} & set(json.dumps(info.training).replace("/", '"').split('"'))


def test_painted_defects_stand_out(mini: FiLo) -> None:
    rng = np.random.default_rng(11)
    images, masks = [], []
    for kind in ("hole", "contamination", "crack", "scratch", "break") * 3:
        painted, mask = paint.PAINTERS[kind](samples.synthetic(224, rng), rng)
        images.append(Image.fromarray((painted * 255).astype(np.uint8)))
        masks.append(mask > 0.5)
    found = heat(mini, images, "surface", ("small dark hole", "thin dark crack", "foreign particle"))
    auroc = pixel_metrics(list(found), masks).values["pixel_auroc"]
    assert auroc is not None
    assert auroc > PAINTED_FLOOR


@pytest.mark.slow
@pytest.mark.xfail(strict=True, reason="the early checkpoint is no better than guessing on magnetic tiles (0.46)")
def test_real_defects_stand_out(mini: FiLo, real_images: Path) -> None:
    folder = real_images / "magnetic_tile" / "magnetic_tile"
    paths = [p for p in sorted(folder.glob("test/*/*.jpg")) if p.parent.name != "good"][::8]
    masks = [folder / "ground_truth" / p.parent.name / f"{p.stem}_mask.png" for p in paths]
    size = mini.config.image_size
    truth = [to_mask(Image.open(p), size).numpy().astype(bool) for p in masks]
    found = heat(mini, [Image.open(p) for p in paths], "magnetic tile", ("small dark round hole", "thin dark crack"))
    auroc = pixel_metrics(list(found), truth).values["pixel_auroc"]
    assert auroc is not None
    assert auroc > REAL_FLOOR
