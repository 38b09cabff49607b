"""A tiny real CLIP, and FiLo around it: about two million weights, seeded, built in a fraction of a second."""

from typing import Any

import torch

from detector.model.config import ModelConfig
from detector.model.filo import FiLo
from detector.scoring.prompts import AnomalyText, PromptSet, prompt_set
from detector.weights.factory import create_model

TINY: dict[str, Any] = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 56, "layers": 4, "width": 32, "head_width": 16, "patch_size": 14},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 40, "heads": 2, "layers": 2},
}


def tiny_config(**changes: Any) -> ModelConfig:
    """Image 56x56, patches of 14, 4 blocks, embedding 24, text width 40; any field can be changed."""
    fields: dict[str, Any] = {
        "backbone": "tiny",
        "architecture": TINY,
        "image_size": 56,
        "feature_levels": (1, 2, 3, 4),
        "single_path_blocks": 1,
    }
    return ModelConfig(**(fields | changes))


def tiny_filo(seed: int = 0, **changes: Any) -> FiLo:
    """A seeded random model; the same seed and changes give the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = create_model(tiny_config(**changes))
        torch.nn.init.normal_(model.adapter.fc[2].weight, std=0.2)
    return model


def traced_filo() -> FiLo:
    """`tiny_filo` with half the blocks and levels: an exporter takes as long as there are operations to trace."""
    architecture = TINY | {"vision_cfg": TINY["vision_cfg"] | {"layers": 2}}
    return tiny_filo(architecture=architecture, feature_levels=(1, 2))


def tiny_prompts(object_name: str = "gear", texts: tuple[str, ...] = ("broken tooth", "rust stains")) -> PromptSet:
    """Two descriptions, two normal and two generic states."""
    descriptions = [AnomalyText(f"d{number}", text) for number, text in enumerate(texts)]
    return prompt_set(object_name, ("{}", "flawless {}"), descriptions, ("damaged {}", "{} with flaw"))


def tiny_pixels(batch: int = 2, size: int = 56, seed: int = 1) -> torch.Tensor:
    """Seeded random pixels, already normalised."""
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(seed))
