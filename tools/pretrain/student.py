"""The student while it learns: a plain open_clip CLIP, FiLo's parts under FiLo's names, and a head for the teacher.

Follows the variant `filo` of the method (paper sections 3.3 and 3.4): linear decoders read the ordinary stream,
convolutional ones the value-value stream. The meta nets stay at zero: every image has the same contexts.
"""

import json
from pathlib import Path
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from torch import Tensor, nn

KERNELS = {"11": (1, 1), "33": (3, 3), "55": (5, 5), "77": (7, 7), "15": (1, 5), "51": (5, 1)}
CONTEXT = 12
SCALE = 100.0


class Features(NamedTuple):
    """What one image becomes."""

    image: Tensor
    """[batch, embed], unit length, after the adapter."""
    last: Tensor
    """[batch, patches, width], the last block's patch tokens."""
    patches: tuple[Tensor, ...]
    """Each [batch, patches, embed], unit length: linear decoders first, then convolutional."""


class Student(nn.Module):
    """CLIP with FiLo's decoders, contexts and adapter.

    Args:
        architecture: The open_clip JSON file.
        levels: 1-based blocks whose tokens are decoded; those after `single_path` have a value-value stream too.
        single_path: Blocks without the value-value stream.
        teacher_channels: Width of the teacher's features.
        size: Side of the training images in pixels, which may be smaller than the finished model's.
    """

    def __init__(
        self, architecture: Path, levels: tuple[int, ...], single_path: int, teacher_channels: int, size: int
    ) -> None:
        super().__init__()
        shape = json.loads(architecture.read_text())
        shape["vision_cfg"]["image_size"] = size
        self.clip = CLIP(**shape)
        self.levels, self.single_path = levels, single_path
        width, embed = shape["vision_cfg"]["width"], shape["embed_dim"]
        twofold = [level for level in levels if level > single_path]
        self.linear = nn.ModuleList(nn.Linear(width, embed) for _ in levels)
        self.conv = nn.ModuleList(
            nn.ModuleDict({k: nn.Conv2d(width, embed, s, padding="same") for k, s in KERNELS.items()}) for _ in twofold
        )
        self.normal_context = nn.Parameter(torch.randn(CONTEXT, embed) * 0.02)
        self.abnormal_context = nn.Parameter(torch.randn(CONTEXT, embed) * 0.02)
        self.adapter = nn.Sequential(
            nn.Linear(embed, embed // 2, False), nn.ReLU(), nn.Linear(embed // 2, embed, False), nn.SiLU()
        )
        nn.init.zeros_(cast(Tensor, self.adapter[2].weight))
        self.teach = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, teacher_channels))

    def encode_image(self, pixels: Tensor) -> Features:
        """Features of CLIP-normalised pixels [batch, 3, s, s]."""
        visual = self.clip.visual
        x = visual.conv1(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([visual.class_embedding.expand(len(x), 1, -1).to(x.dtype), x], 1)
        x = visual.ln_pre(x + visual.positional_embedding.to(x.dtype))
        ordinary: list[Tensor] = []
        values: list[Tensor] = []
        y = x
        for index, block in enumerate(visual.transformer.resblocks, 1):
            if index > self.single_path:
                y = y + _value_value(block, x)
            x = block(x)
            y = x if index <= self.single_path else y
            if index in self.levels:
                ordinary.append(x[:, 1:])
                if index > self.single_path:
                    values.append(y[:, 1:])
        pooled = visual.ln_post(x[:, 0]) @ visual.proj
        pooled = pooled + self.adapter(pooled)
        patches = [F.normalize(d(t).float(), dim=-1) for d, t in zip(self.linear, ordinary, strict=True)]
        patches += [_mix(convs, t) for convs, t in zip(self.conv, values, strict=True)]
        return Features(F.normalize(pooled.float(), dim=-1), x[:, 1:], tuple(patches))

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


def _value_value(block: nn.Module, x: Tensor) -> Tensor:
    attention = cast(nn.MultiheadAttention, block.attn)
    batch, tokens, width = x.shape
    weight, bias = attention.in_proj_weight[2 * width :], attention.in_proj_bias[2 * width :]
    v = F.linear(cast(nn.Module, block.ln_1)(x), weight, bias)
    v = v.view(batch, tokens, attention.num_heads, -1).transpose(1, 2)
    mixed = F.scaled_dot_product_attention(v, v, v).transpose(1, 2).reshape(batch, tokens, width)
    return cast(Tensor, attention.out_proj(mixed))


def _mix(convs: nn.Module, tokens: Tensor) -> Tensor:
    """The sum of the six convolutions, run as the one 7x7 convolution it equals."""
    weight, bias = fused(cast(nn.ModuleDict, convs))
    side = int(tokens.shape[1] ** 0.5)
    grid = tokens.transpose(1, 2).unflatten(2, (side, side))
    return F.normalize(F.conv2d(grid, weight, bias, padding=3).flatten(2).transpose(1, 2).float(), dim=-1)


def fused(convs: nn.ModuleDict) -> tuple[Tensor, Tensor]:
    """Weight and bias of the 7x7 convolution equal to the sum of all."""
    parts = [cast(nn.Conv2d, c) for c in convs.values()]
    pads = [((7 - c.kernel_size[1]) // 2, (7 - c.kernel_size[0]) // 2) for c in parts]
    weight = sum(F.pad(c.weight, (px, px, py, py)) for c, (px, py) in zip(parts, pads, strict=True))
    return cast(Tensor, weight), cast(Tensor, sum(cast(Tensor, c.bias) for c in parts))
