"""Reads Grounding DINO checkpoints: the official nested ones, FiLo's flat ones, and safetensors."""

import math
import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from detector.localize.dino.model import GroundingDinoConfig
from detector.localize.errors import GroundingWeightsError

UNUSED = ("label_enc.weight", "bert.embeddings.position_ids")
"""Left in old checkpoints by training code; the model has no place for them."""

_BIAS = "attn.relative_position_bias_table"
_OFFSETS = 4 * 4 * 2
"""Sampling offsets a head has: feature levels, points, and two coordinates."""

DERIVED = ".relative_position_index"
"""Ends the names of buffers that follow from the sizes; a checkpoint may leave them out."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """The state dict in a checkpoint, without wrapper prefixes and unused entries.

    Raises:
        GroundingWeightsError: no such file, not a checkpoint, or none of tensors only.
    """
    if not path.is_file():
        raise GroundingWeightsError(
            f"no Grounding DINO checkpoint at {path}", hint="type --dino-weights FILE, or --localizer self"
        )
    loaded = _load(path)
    state = loaded.get("model", loaded) if isinstance(loaded, dict) else None
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise GroundingWeightsError(f"{path} holds no state dict", expected="tensors by name, flat or under 'model'")
    plain = {name.removeprefix("module."): value for name, value in state.items()}
    return {name: value for name, value in plain.items() if name not in UNUSED}


def _load(path: Path) -> object:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise GroundingWeightsError(
            f"{path} cannot be read ({type(error).__name__})",
            expected="a PyTorch or safetensors checkpoint that holds tensors only",
        ) from error


def infer_config(state: dict[str, Tensor], source: str) -> GroundingDinoConfig:
    """The sizes a checkpoint was made with, read off its shapes: Swin-T, Swin-B, or any other.

    Raises:
        GroundingWeightsError: tensors that every Grounding DINO has are not there.
    """
    stages = range(_count(state, "backbone.0.layers."))
    try:
        tables = [state[f"backbone.0.layers.{stage}.blocks.0.{_BIAS}"].shape for stage in stages]
        return GroundingDinoConfig(
            embed_dim=len(state["backbone.0.patch_embed.proj.weight"]),
            depths=tuple(_count(state, f"backbone.0.layers.{stage}.blocks.") for stage in stages),
            num_heads=tuple(table[1] for table in tables),
            window_size=(math.isqrt(tables[0][0]) + 1) // 2,
            enc_layers=_count(state, "transformer.encoder.layers."),
            dec_layers=_count(state, "transformer.decoder.layers."),
            dim_feedforward=len(state["transformer.decoder.layers.0.linear1.weight"]),
            num_queries=len(state["transformer.tgt_embed.weight"]),
            nheads=len(state["transformer.decoder.layers.0.cross_attn.sampling_offsets.weight"]) // _OFFSETS,
        )
    except (KeyError, IndexError) as error:
        raise GroundingWeightsError(
            f"{source} is no Grounding DINO ({error.args[0]} is missing)", expected="a whole Grounding DINO checkpoint"
        ) from error


def _count(state: dict[str, Tensor], prefix: str) -> int:
    """How many numbered modules follow a prefix."""
    return len({name.removeprefix(prefix).partition(".")[0] for name in state if name.startswith(prefix)})


def load_weights(model: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Fill the model; every tensor must be there, fit, and be finite.

    Raises:
        GroundingWeightsError: names both sides of the first misfit.
    """
    have = model.state_dict()
    state = {name: value for name, value in have.items() if name.endswith(DERIVED)} | state
    missing, extra = sorted(have.keys() - state.keys()), sorted(state.keys() - have.keys())
    if missing or extra:
        raise GroundingWeightsError(
            f"{source} lacks {len(missing)} tensors{_example(missing)} and has {len(extra)} unknown{_example(extra)}",
            expected="a checkpoint of the same Grounding DINO, whole",
        )
    for name, value in state.items():
        if value.shape != have[name].shape:
            raise GroundingWeightsError(
                f"{source}: {name} has shape {tuple(value.shape)}", expected=f"{tuple(have[name].shape)}"
            )
        if value.is_floating_point() and not value.isfinite().all():
            raise GroundingWeightsError(f"{source}: {name} holds NaN or infinity", hint="download it again")
    model.load_state_dict(state)


def _example(names: list[str]) -> str:
    return f" (first: {names[0]})" if names else ""
