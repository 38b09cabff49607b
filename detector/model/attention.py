"""Multi-head attention over the packed projections of a stock CLIP block."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

Heads = Float[Tensor, "batch heads tokens head_dim"]


def project_qkv(attn: nn.MultiheadAttention, hidden: Float[Tensor, "batch tokens width"]) -> tuple[Heads, Heads, Heads]:
    """Query, key and value of every head, from the packed in-projection."""
    packed = F.linear(hidden, attn.in_proj_weight, attn.in_proj_bias)
    query, key, value = torch.unflatten(packed, -1, (3, attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
    return query, key, value


def attend(
    attn: nn.MultiheadAttention,
    query: Heads,
    key: Heads,
    value: Heads,
    mask: Bool[Tensor, "batch 1 tokens tokens"] | None = None,
) -> Float[Tensor, "batch tokens width"]:
    """Scaled dot-product attention followed by the block's out-projection.

    Args:
        attn: the block's attention, whose out-projection is applied.
        query: queries; with `value` in all three places this is the V-V attention of the paper.
        key: keys.
        value: values.
        mask: True where a token (row) may look at a token (column).
    """
    mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    projected: Tensor = attn.out_proj(mixed.transpose(1, 2).flatten(2))
    return projected
