"""From a configuration and weights to a model."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from descriptions.common.errors import nearest
from detector.errors import DetectorError
from detector.model.config import ModelConfig
from detector.model.filo import FiLo
from detector.model.tokenizer import start_token
from detector.weights.files import is_torchscript, load_pretrained


class BackboneError(DetectorError):
    """A backbone that does not exist, or whose architecture FiLo cannot read."""


def create_model(config: ModelConfig, pretrained: str | Path | None = None) -> FiLo:
    """A model in fp32 on the CPU, in evaluation mode.

    Args:
        config: what to build.
        pretrained: CLIP weights: an open_clip tag such as `openai`, or a local .pt/.pth/.safetensors file. Without,
            CLIP is random (for tests, or because a whole checkpoint is loaded next).

    Raises:
        BackboneError: unknown backbone, or one without the parts FiLo reads.
        WeightsError: weights that do not fit, with both sides named.
    """
    config = resolve(config, pretrained)
    with nullcontext() if pretrained is None else _NothingDrawn():
        clip = _create_clip(config)
    if pretrained is not None:
        load_pretrained(clip, config.backbone, pretrained)
    return FiLo(clip, config, start_token())


def create_empty_model(config: ModelConfig) -> FiLo:
    """As `create_model`, for weights that are filled in next: none are drawn, and memory is taken as it is filled.

    Raises:
        BackboneError: unknown backbone, or one without the parts FiLo reads.
    """
    config = resolve(config)
    with _NothingDrawn():
        return FiLo(_create_clip(config), config, start_token())


_DRAWS = (
    torch.Tensor.normal_, torch.Tensor.uniform_, nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_,
)  # fmt: skip
"""What fills a tensor with random values; `torch.nn.init` asks modes for some of its functions as a whole."""


class _NothingDrawn(TorchFunctionMode):
    """No random values, since weights follow: large tensors take memory only when those come.

    The meta device would do as well, but imports PyTorch's compiler: a second, before the first photo.
    """

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if function in _DRAWS:
            return named["tensor"] if "tensor" in named else args[0]
        return (torch.empty if function is torch.randn else function)(*args, **named)


def _create_clip(config: ModelConfig) -> Any:
    import open_clip

    clip = open_clip.CLIP(**(config.architecture or {}))
    _require_readable(clip, config)
    return clip


def resolve(config: ModelConfig, pretrained: str | Path | None = None) -> ModelConfig:
    """`config` with its architecture filled in: image size, activation and all.

    Raises:
        BackboneError: the backbone is neither a name open_clip knows nor a JSON file, or the sizes do not fit.
    """
    architecture = dict(config.architecture or _read_architecture(config.backbone))
    vision = dict(architecture.get("vision_cfg", {}), image_size=config.image_size)
    if extra := sorted(set(architecture) - {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu"}):
        raise BackboneError(f"backbone {config.backbone!r} sets {', '.join(extra)}", expected="a plain CLIP")
    text = architecture.get("text_cfg") or {}
    if other := [name for name in ("timm_model_name", "hf_model_name") if vision.get(name) or text.get(name)]:
        raise BackboneError(f"backbone {config.backbone!r} sets {other[0]}", expected="a plain CLIP")
    patch = int(vision.get("patch_size", 16))
    if config.image_size % patch:
        raise BackboneError(
            f"image_size {config.image_size} with patches of {patch} pixels", expected="a multiple of it"
        )
    quick = _quick_gelu(config, architecture, pretrained)
    architecture |= {"vision_cfg": vision, "quick_gelu": quick}
    return config.model_copy(update={"architecture": architecture, "quick_gelu": quick})


def _read_architecture(backbone: str) -> dict[str, Any]:
    import open_clip

    path = Path(backbone)
    if path.suffix == ".json":
        try:
            loaded: Any = json.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            raise BackboneError(f"{backbone}: {error}", expected="an open_clip JSON config") from error
        inner = loaded.get("model_cfg", loaded) if isinstance(loaded, dict) else loaded  # hub configs nest it
        if not isinstance(inner, dict) or not isinstance(inner.get("vision_cfg"), dict):
            raise BackboneError(f"{backbone} has no vision_cfg", expected="an open_clip JSON config")
        return inner
    known: dict[str, Any] | None = open_clip.get_model_config(backbone)
    if known is None:
        raise BackboneError(
            f"backbone {backbone!r}",
            expected="an open_clip model name or the path of a .json config",
            hint=nearest(backbone, open_clip.list_models()),
        )
    return known


def _quick_gelu(config: ModelConfig, architecture: dict[str, Any], pretrained: str | Path | None) -> bool:
    """Exact GELU for `released`, otherwise the activation the weights were trained with."""
    import open_clip

    if config.quick_gelu is not None:
        return config.quick_gelu
    if config.variant == "released":
        return False
    if pretrained and is_torchscript(Path(pretrained)):
        return True
    tag = open_clip.get_pretrained_cfg(config.backbone, str(pretrained)) if pretrained else {}
    return bool(tag.get("quick_gelu", architecture.get("quick_gelu", False)))


def _require_readable(clip: Any, config: ModelConfig) -> None:
    """Refuse towers whose parts do not mean what FiLo reads out of them."""
    from open_clip.transformer import ResidualAttentionBlock, VisionTransformer

    visual = clip.visual
    if not isinstance(visual, VisionTransformer) or visual.attn_pool is not None or visual.pool_type != "tok":
        raise BackboneError(f"image tower of {config.backbone!r}", expected="a ViT that embeds by its CLS token")
    blocks = [*visual.transformer.resblocks, *clip.transformer.resblocks]
    if clip.text_pool_type != "argmax" or not all(isinstance(block, ResidualAttentionBlock) for block in blocks):
        raise BackboneError(f"towers of {config.backbone!r}", expected="stock CLIP blocks and end-of-text pooling")
    depth = len(visual.transformer.resblocks)
    read = {"feature_levels": config.feature_levels, "context_levels": config.levels_of_context}
    if config.embedding_block is not None:
        read["embedding_block"] = (config.embedding_block,)
    for name, levels in read.items():
        if levels[-1] > depth:
            raise BackboneError(
                f"{name} {levels}", expected=f"levels up to {depth}, the number of blocks of {config.backbone!r}"
            )
