"""The model as written on paper, without any of the shortcuts: the second opinion for tests and benchmarks.

Every prompt is encoded over all 77 tokens by the stock text tower, all regions are encoded whatever is selected, one
image at a time, attention spells out its softmax, and the six convolutions run one by one.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from detector.model.decoders import KERNELS
from detector.model.filo import FiLo
from detector.model.prompt_tree import Ids, PromptIds


def raw_text(model: FiLo, context: Tensor, texts: list[Ids]) -> Tensor:
    """Features of prompts behind one context, from stock blocks over full-length padded sequences."""
    clip: Any = model.clip
    length = clip.positional_embedding.shape[0]
    head = [model.start_token] + [0] * len(context)
    tokens = torch.tensor([head + list(ids) + [0] * (length - len(head) - len(ids)) for ids in texts])
    words = clip.token_embedding(tokens)
    words = torch.cat([words[:, :1], context.expand(len(texts), -1, -1), words[:, len(head) :]], dim=1)
    hidden = clip.transformer(words + clip.positional_embedding, attn_mask=clip.attn_mask)
    ends = torch.tensor([len(head) + len(ids) - 1 for ids in texts])
    return clip.ln_final(hidden)[torch.arange(len(texts)), ends] @ clip.text_projection


def encode_text(
    model: FiLo, embedding: Tensor, prompts: PromptIds, positions: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Normal and abnormal vector of a single image."""
    feature = model.image_feature(embedding)
    normal = raw_text(model, model.normal_prompt_learner(feature)[0], list(prompts.normal))
    texts = [ids for row in prompts.abnormal for ids in row]
    abnormal = raw_text(model, model.abnormal_prompt_learner(feature)[0], texts)
    if positions:
        regions = prompts.regions
        abnormal = torch.cat([abnormal[position::regions] for position in positions])
    return [F.normalize(F.normalize(rows, dim=-1).mean(0), dim=-1) for rows in (normal, abnormal)]


def _attention(block: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention with its softmax spelled out."""
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    mixed = (scores - scores.max()).softmax(-1) @ value
    return block.attn.out_proj(mixed.transpose(1, 2).flatten(2))


def image_streams(model: FiLo, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Final ordinary and final V-V tokens of the image tower."""
    visual: Any = model.clip.visual
    x = y = visual._embeds(pixels)
    for number, block in enumerate(visual.transformer.resblocks, start=1):
        packed = F.linear(block.ln_1(x), block.attn.in_proj_weight, block.attn.in_proj_bias)
        heads = packed.unflatten(-1, (3, block.attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = heads
        local = _attention(block, value, value, value) if number > model.config.single_path_blocks else None
        x = x + _attention(block, query, key, value)
        x = x + block.mlp(block.ln_2(x))
        y = x if local is None else y + local
    return x, y


def interaction(model: FiLo, tokens: Tensor, level: int) -> Tensor:
    """The six convolutions of a level, one by one."""
    side = math.isqrt(tokens.shape[1])
    grid = tokens.transpose(1, 2).unflatten(2, (side, side))
    convs = [model.decoder_cov.get_submodule(f"fc_{height}{width}.{level}") for height, width in KERNELS]
    return sum(conv(grid) for conv in convs).flatten(2).transpose(1, 2)
