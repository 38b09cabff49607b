"""The student while it learns: a plain open_clip CLIP and FiLo's parts under FiLo's names.

Follows the variant `filo` of the method (paper sections 3.3 and 3.4): linear decoders read the ordinary stream,
convolutional ones the value-value stream. The meta nets stay at zero: every image has the same contexts.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from torch import Tensor, nn

from detector.model.config import ModelConfig
from detector.model.image_tower import ImageTower
from tools.pretrain import backbone

ARCHITECTURE = Path(__file__).parents[2] / "detector" / "presets" / "mini" / "open_clip.json"
KERNELS = {"11": (1, 1), "33": (3, 3), "55": (5, 5), "77": (7, 7), "15": (1, 5), "51": (5, 1)}
CONTEXT = 12
SCALE = 100.0


class Features(NamedTuple):
    """What one image becomes."""

    image: Tensor
    """[batch, embed], unit length, after the adapter."""
    patches: tuple[Tensor, ...]
    """Each [batch, patches, embed], unit length: linear decoders first, then convolutional."""


def config(size: int | None = None) -> ModelConfig:
    """The model that the student becomes; `size` is the side of its images, the architecture's own by default."""
    architecture = json.loads(ARCHITECTURE.read_text(encoding="utf-8"))
    size = size or int(architecture["vision_cfg"]["image_size"])
    return ModelConfig(
        backbone="mini",
        architecture=architecture | {"vision_cfg": architecture["vision_cfg"] | {"image_size": size}},
        image_size=size,
        feature_levels=(6,),
        single_path_blocks=4,
        quick_gelu=False,
        mean=backbone.MEAN,
        std=backbone.STD,
    )


class Student(nn.Module):
    """CLIP with FiLo's decoders, contexts and adapter.

    Args:
        shape: What to build; its image size may be smaller than the finished model's.
        frozen: First blocks that keep their weights; the fewer are trained, the faster a step.
    """

    def __init__(self, shape: ModelConfig, frozen: int) -> None:
        super().__init__()
        architecture = cast(dict[str, Any], shape.architecture)
        self.clip = CLIP(**architecture)
        self.tower, self.frozen = ImageTower(self.clip.visual, shape), frozen
        width, embed = architecture["vision_cfg"]["width"], architecture["embed_dim"]
        words = architecture["text_cfg"]["width"]
        self.linear = nn.ModuleList(nn.Linear(width, embed) for _ in self.tower.linear)
        self.conv = nn.ModuleList(
            nn.ModuleDict({k: nn.Conv2d(width, embed, s, padding="same") for k, s in KERNELS.items()})
            for _ in self.tower.conv
        )
        self.normal_context = nn.Parameter(torch.randn(CONTEXT, words) * 0.02)
        self.abnormal_context = nn.Parameter(torch.randn(CONTEXT, words) * 0.02)
        self.adapter = nn.Sequential(
            nn.Linear(embed, embed // 2, False), nn.ReLU(), nn.Linear(embed // 2, embed, False), nn.SiLU()
        )
        nn.init.zeros_(cast(Tensor, self.adapter[2].weight))
        for part in self._kept():
            part.requires_grad_(False)

    def _kept(self) -> list[nn.Module | nn.Parameter]:
        visual = self.clip.visual
        start = [visual.conv1, visual.ln_pre, visual.class_embedding, visual.positional_embedding]
        return [*start, *visual.transformer.resblocks[: self.frozen]] if self.frozen else []

    def encode_image(self, pixels: Tensor) -> Features:
        """Features of normalised pixels [batch, 3, s, s]."""
        with torch.autocast("cpu", torch.bfloat16):
            final, taps = self.tower.streams(pixels)
        visual = self.clip.visual
        pooled = visual.ln_post(final[:, 0].float()) @ visual.proj
        pooled = pooled + self.adapter(pooled)
        ordinary, values = ([taps[t][:, 1:].float() for t in kind] for kind in (self.tower.linear, self.tower.conv))
        patches = [F.normalize(decode(t), dim=-1) for decode, t in zip(self.linear, ordinary, strict=True)]
        patches += [_mix(convs, t) for convs, t in zip(self.conv, values, strict=True)]
        return Features(F.normalize(pooled, dim=-1), tuple(patches))

    def encode_text(self, tokens: Tensor, abnormal: bool) -> Tensor:
        """Unit features [texts, embed]; `tokens` holds 12 places for the context after the start token."""
        clip = self.clip
        tokens = tokens[:, : int(tokens.argmax(1).max()) + 1]
        x = clip.token_embedding(tokens)
        context = self.abnormal_context if abnormal else self.normal_context
        x = torch.cat([x[:, :1], context.expand(len(x), -1, -1), x[:, 1 + CONTEXT :]], 1)
        x = x + clip.positional_embedding[: x.shape[1]]
        x = clip.ln_final(clip.transformer(x, attn_mask=clip.attn_mask[: x.shape[1], : x.shape[1]]))
        ends = x[torch.arange(len(x)), tokens.argmax(1)]
        return F.normalize((ends @ clip.text_projection).float(), dim=-1)


def _mix(convs: nn.Module, tokens: Tensor) -> Tensor:
    """The sum of the six convolutions, run as the one 7x7 convolution it equals."""
    weight, bias = fused(cast(nn.ModuleDict, convs))
    side = int(tokens.shape[1] ** 0.5)
    grid = tokens.transpose(1, 2).unflatten(2, (side, side))
    return F.normalize(F.conv2d(grid, weight, bias, padding=3).flatten(2).transpose(1, 2).float(), dim=-1)


def fused(convs: nn.ModuleDict) -> tuple[Tensor, Tensor]:
    """Weight and bias of the 7 x 7 convolution equal to the sum of all."""
    parts = [cast(nn.Conv2d, conv) for conv in convs.values()]
    return summed([part.weight for part in parts]), summed([cast(Tensor, part.bias) for part in parts])


def summed(parts: Sequence[Tensor]) -> Tensor:
    """Sum of kernels of any odd size up to 7 x 7, each in the middle; or of biases."""
    if parts[0].ndim == 1:
        return torch.stack(list(parts)).sum(0)
    pads = [((7 - part.shape[3]) // 2, (7 - part.shape[2]) // 2) for part in parts]
    return torch.stack([F.pad(part, (x, x, y, y)) for part, (x, y) in zip(parts, pads, strict=True)]).sum(0)
