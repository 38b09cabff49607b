"""Checkpoints: safetensors files that carry what their weights mean.

A checkpoint holds either the trained parts only (the backbone is then named by a digest, and must be given again), or
the whole model, CLIP included. Both carry the configuration and the hashes of the descriptions trained with.
"""

import hashlib
import json
from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from descriptions.common.files import staged
from detector.model.config import ModelConfig
from detector.model.filo import FiLo
from detector.weights.factory import create_empty_model
from detector.weights.files import WeightsError, fill, load_pretrained, read_weights, require_fit, without_zero_rows

_INFO = "filo-forge"
"""Key of the metadata. It is one: safetensors writes several in an order that changes from run to run, and equal
models would be unequal files. Checkpoints of earlier versions have a key for each field."""
CLIP = "clip."
"""Prefix of the frozen parameters."""
TRAINED = "model.safetensors"
"""What a training run calls its whole checkpoint, beside states that are none."""
CONVOLUTIONS = "decoder_cov."
"""Prefix of the kernels that can be folded; the level stands third in their names."""


class CheckpointError(WeightsError):
    """A checkpoint that does not say what it is, or does not fit the model it is loaded into."""


class CheckpointInfo(BaseModel):
    """What a checkpoint says about itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    config: ModelConfig
    """Architecture, variant, size and pixel normalisation."""
    contents: Literal["trained", "whole"] = "whole"
    """`trained`: all but CLIP; `whole`: everything."""
    backbone_digest: str = ""
    """Digest of the CLIP weights it was trained around."""
    descriptions: dict[str, str] = {}
    """Content hash of the descriptions trained with, by category."""
    images: str = ""
    """Content hashes of the images trained on, as `detector.data.seen.pack` writes them; empty where unknown."""
    training: dict[str, Any] = {}
    """How it came about: data set, steps, seed, or where it was imported from."""


def save_checkpoint(
    model: FiLo,
    path: Path,
    *,
    whole: bool = False,
    descriptions: Mapping[str, str] | None = None,
    training: Mapping[str, Any] | None = None,
    images: str = "",
    dtype: torch.dtype | None = None,
) -> None:
    """Write a checkpoint; `path` is either the whole of it or untouched.

    Args:
        model: what to save.
        path: target, `.safetensors`.
        whole: include CLIP.
        descriptions: content hashes by category.
        training: how the weights came about; JSON values.
        images: content hashes of the images trained on.
        dtype: store in this type, such as half precision for a bundled model.
    """
    info = CheckpointInfo(
        config=model.config,
        contents="whole" if whole else "trained",
        backbone_digest=backbone_digest(model.clip),
        descriptions=dict(descriptions or {}),
        images=images,
        training=dict(training or {}),
    )
    state = model.state_dict()
    tensors = {name: t.to(dtype=dtype).contiguous() for name, t in state.items() if whole or not name.startswith(CLIP)}
    with staged(path) as part:  # straight to a file, then renamed: gigabytes need not pass through memory twice
        save_file(without_zero_rows(tensors), part, metadata={_INFO: info.model_dump_json()})


def read_info(path: Path) -> CheckpointInfo:
    """What a checkpoint says about itself, without reading its weights.

    Raises:
        CheckpointError: no such file, or not a checkpoint of this project.
    """
    trained = (path if path.is_dir() else path.parent) / TRAINED
    beside = f"type --checkpoint {trained}" if trained.is_file() and trained != path else ""
    if not path.is_file():
        raise CheckpointError(f"no checkpoint {path}", expected="a .safetensors file", hint=beside)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        if _INFO in metadata:
            return CheckpointInfo.model_validate_json(metadata[_INFO])
        return CheckpointInfo.model_validate({key: json.loads(value) for key, value in metadata.items()})
    except (SafetensorError, ValidationError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a checkpoint of this project",
            expected="a .safetensors file with its configuration",
            hint=beside or "released FiLo checkpoints: type `detector import-checkpoint FILE --out NEW.safetensors`",
        ) from error


def load_checkpoint(path: Path, pretrained: str | Path | None = None, *, fold: bool = False) -> FiLo:
    """The model a checkpoint holds, in fp32 on the CPU.

    Args:
        path: the checkpoint.
        pretrained: CLIP weights, needed when the checkpoint holds the trained parts only.
        fold: sum the kernels as they are read, for inference only (see `InteractionDecoder.fold`).

    Raises:
        CheckpointError: CLIP weights are needed and missing, given and not needed, or are not those it was trained
            around.
        WeightsError: damaged weights.
    """
    info = read_info(path)
    trained_only = info.contents == "trained"
    if not trained_only and pretrained is not None:
        raise CheckpointError(f"{path} holds its CLIP weights", expected="no --pretrained", hint="leave it out")
    if trained_only and pretrained is None:
        raise CheckpointError(
            f"{path} holds the trained parts only",
            expected=f"the weights of {info.config.backbone!r} beside it",
            hint="pass --pretrained with a name or a file",
        )
    model = create_empty_model(info.config)
    if trained_only and pretrained is not None:
        load_pretrained(model.clip, info.config.backbone, pretrained)
        _require_backbone(model, info, path)
    _load(model, path, keep_clip=trained_only, fold=fold)
    return model


def _require_backbone(model: FiLo, info: CheckpointInfo, path: Path) -> None:
    digest = backbone_digest(model.clip)
    if info.backbone_digest and info.backbone_digest != digest:
        raise CheckpointError(
            f"{path} was trained around {info.config.backbone!r} weights {info.backbone_digest[:12]}",
            expected=f"{digest[:12]}, the weights of this model's {model.config.backbone!r}",
        )


def _load(model: FiLo, path: Path, *, keep_clip: bool, fold: bool = False) -> None:
    """Fill a model strictly; kernels are folded as soon as those of a level are there, to save memory."""
    weights = read_weights(path)
    clip = {name: tensor for name, tensor in model.state_dict().items() if keep_clip and name.startswith(CLIP)}
    require_fit(model, ChainMap(clip, weights), str(path))  # type: ignore[arg-type]  # only read
    names = [name for name in weights if name not in clip]
    fill(model, weights, (name for name in names if not name.startswith(CONVOLUTIONS)))
    for level in range(model.decoder_cov.levels):
        marked = f".{level}."
        fill(model, weights, (name for name in names if name.startswith(CONVOLUTIONS) and marked in name))
        if fold:
            model.decoder_cov.fold(level)


def backbone_digest(clip: nn.Module) -> str:
    """SHA-256 over CLIP's vectors (norms, biases, class token): cheap, and no two sets of weights share them."""
    digest = hashlib.sha256()
    for name, tensor in sorted(clip.state_dict().items()):
        if tensor.ndim <= 1:
            digest.update(name.encode())
            digest.update(tensor.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()
