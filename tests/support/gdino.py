"""A tiny Grounding DINO with the weights that the golden outputs were made with."""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from detector.localize.dino.model import GroundingDinoConfig, TextParts, create_grounding_dino, load_text_parts
from detector.localize.dino.weights import load_weights


def tiny_weights(golden: Path) -> dict[str, Tensor]:
    """Drawn in list order from one numpy stream, as the recipe says."""
    stream = np.random.RandomState(1234)
    state: dict[str, Tensor] = {}
    for entry in json.loads((golden / "gdino_tiny.json").read_text())["weights"]:
        if "same_as" in entry:
            state[entry["name"]] = state[entry["same_as"]]
            continue
        value = entry["offset"] + entry["scale"] * stream.standard_normal(entry["shape"])
        state[entry["name"]] = torch.from_numpy(np.asarray(value, dtype=np.float32))
    return state


def tiny_config(golden: Path) -> GroundingDinoConfig:
    sizes = json.loads((golden / "gdino_tiny.json").read_text())["config"]
    names = ("enc_layers", "dec_layers", "dim_feedforward", "num_queries", "nheads")
    return GroundingDinoConfig(**sizes["swin"], **{name: sizes[name] for name in names})


def tiny_text(golden: Path) -> TextParts:
    return load_text_parts(golden / "bert_tiny")


def tiny_model(golden: Path) -> nn.Module:
    model = create_grounding_dino(tiny_config(golden), tiny_text(golden))
    load_weights(model, tiny_weights(golden), "the recipe")
    return model
