"""Released FiLo checkpoints (`filo_train_on_mvtec.pth`, `filo_train_on_visa.pth`) become models of ours.

They hold `{"filo": state_dict}` with the whole CLIP in it: once under `clip_model`, its text tower again under
`text_encoder`, and in blocks with a V-V path the attention under other names once the model has run.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from detector.model.config import ModelConfig
from detector.model.filo import FiLo
from detector.weights.checkpoint import CheckpointError
from detector.weights.factory import create_empty_model
from detector.weights.files import load_strictly, read_weights

Weights = dict[str, Tensor]

_RENAMED = {
    ".attn.qkv.weight": ".attn.in_proj_weight",
    ".attn.qkv.bias": ".attn.in_proj_bias",
    ".attn.proj.weight": ".attn.out_proj.weight",
    ".attn.proj.bias": ".attn.out_proj.bias",
}
_COPIED_ATTENTION = "clip_model.visual.attn."
"""A second copy of the first V-V block's attention; left out."""


def load_released(path: Path, backbone: str = "ViT-L-14-336") -> FiLo:
    """A `released` model with the weights of a released checkpoint, CLIP included; nothing else is needed.

    Args:
        path: the .pth file.
        backbone: open_clip name or JSON config of the CLIP inside.

    Raises:
        WeightsError: unreadable, damaged, or weights of another backbone.
        CheckpointError: not a FiLo checkpoint.
    """
    stored = read_weights(path)
    return from_released(stored.get("filo", stored), backbone, str(path))


def from_released(state: Mapping[str, Any], backbone: str, source: str) -> FiLo:
    """As `load_released`, from the state dictionary itself."""
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    required = ("clip_model.visual.conv1.weight", "normal_prompt_learner.ctx", "decoder_linear.fc.0.weight")
    if missing := [name for name in required if not isinstance(state.get(name), Tensor)]:
        ours = "clip.visual.conv1.weight" in state
        raise CheckpointError(
            f"{source} holds no {missing[0]}",
            expected="a released FiLo checkpoint with CLIP in it",
            hint="type --checkpoint with this one, it is ours" if ours else "Grounding DINO checkpoints need no import",
        )
    _require_equal_text_towers(state, source)
    model = create_empty_model(_config(state, backbone))
    load_strictly(model, rename(state), source)
    return model


def rename(state: Weights) -> Weights:
    """Released parameter names to ours, duplicates left out."""
    renamed: Weights = {}
    for name, tensor in state.items():
        if name.startswith(("text_encoder.", _COPIED_ATTENTION)):
            continue
        for theirs, ours in _RENAMED.items():
            name = name.replace(theirs, ours)
        head, _, rest = name.partition(".")
        renamed[f"clip.{rest}" if head == "clip_model" else name] = tensor
    return renamed


def _require_equal_text_towers(state: Weights, source: str) -> None:
    for name, tensor in state.items():
        twin = state.get(f"clip_model.{name.removeprefix('text_encoder.')}")
        if name.startswith("text_encoder.") and (twin is None or not torch.equal(tensor, twin)):
            raise CheckpointError(f"{source}: {name} differs from its copy in clip_model", expected="equal text towers")


def _config(state: Weights, backbone: str) -> ModelConfig:
    """Sizes from the shapes; levels are spread evenly over the blocks, as in the release."""
    conv = state["clip_model.visual.conv1.weight"]
    grid = math.isqrt(len(state["clip_model.visual.positional_embedding"]) - 1)
    blocks = 1 + max(_number(name, "clip_model.visual.transformer.resblocks.") for name in state)
    count = 1 + max(_number(name, "decoder_linear.fc.") for name in state)
    levels = tuple(blocks * (index + 1) // count for index in range(count))
    with_vv = sum(name.startswith("clip_model.visual.transformer.") and ".attn.qkv.weight" in name for name in state)
    return ModelConfig(
        backbone=backbone,
        image_size=grid * conv.shape[-1],
        variant="released",
        feature_levels=levels,
        single_path_blocks=blocks - with_vv if with_vv else levels[0],
        context_tokens=len(state["normal_prompt_learner.ctx"]),
    )


def _number(name: str, prefix: str) -> int:
    """The index after `prefix`, -1 where the name does not start with it."""
    return int(name.removeprefix(prefix).split(".")[0]) if name.startswith(prefix) else -1
