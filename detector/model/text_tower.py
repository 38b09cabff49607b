"""CLIP's text tower over packed prompt trees, and what the features of all prompts of an image mean together."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from detector.model.adapter import unit
from detector.model.attention import attend, project_qkv
from detector.model.prompt_tree import PromptTree


class TextFeatures(NamedTuple):
    """What the prompts of every image mean; all rows have unit length."""

    normal: Float[Tensor, "batch embed"]
    """Mean over the normal states."""
    abnormal: Float[Tensor, "batch embed"]
    """Mean over abnormal states and selected regions."""
    states: tuple[Float[Tensor, "_ embed"], ...]
    """For every image, each abnormal state averaged over the selected regions: descriptions first, then generic."""


Rows = tuple[Float[Tensor, "_ embed"], Float[Tensor, "_ _ embed"]]
"""Features of every prompt of an image, not normalised: normal by state, abnormal by state and region."""


def at_regions(rows: Rows, regions: Sequence[int]) -> Rows:
    """Of features for all nine regions, those that name some of them; all when there are none."""
    normal, abnormal = rows
    return (normal, abnormal[:, list(regions)]) if regions else rows


def text_features(images: Sequence[Rows]) -> TextFeatures:
    """What the prompts of every image mean, from the features of each prompt (FiLo equations 3 and 4)."""
    normal = torch.stack([unit(unit(normal).mean(0)) for normal, _ in images])
    abnormal = torch.stack([unit(unit(abnormal).mean((0, 1))) for _, abnormal in images])
    return TextFeatures(normal, abnormal, tuple(unit(unit(abnormal).mean(1)) for _, abnormal in images))


class TextTower(nn.Module):
    """Encodes prompt trees with the frozen text tower of an open_clip `CLIP` (held by the caller, not registered)."""

    def __init__(self, clip: Any) -> None:
        super().__init__()
        self._clip = (clip,)  # in a tuple, so that its weights are registered once, under `clip`

    def forward(
        self, trees: Sequence[PromptTree], contexts: Float[Tensor, "trees context width"]
    ) -> list[Float[Tensor, "_ embed"]]:
        """Features of every prompt of every tree, not normalised.

        Args:
            trees: packed prompts; of any sizes, padded to the largest here.
            contexts: learned vectors that stand after the start token, one set a tree.

        Returns:
            One tensor a tree, in the order its prompts were packed in.
        """
        device = contexts.device
        tokens = pad_sequence([tree.tokens for tree in trees], batch_first=True).to(device)
        depth = pad_sequence([tree.depth for tree in trees], batch_first=True).to(device)
        hidden = self.blocks(self._embed(tokens, depth, contexts), tree_masks(trees, tokens.shape[1]).to(device))
        sizes = [len(tree.ends) for tree in trees]
        rows = torch.repeat_interleave(torch.arange(len(trees)), torch.tensor(sizes)).to(device)
        ends = torch.cat([tree.ends for tree in trees]).to(device)
        return list(torch.split(self.project(hidden[rows, ends]), sizes))

    def _embed(
        self,
        tokens: Int[Tensor, "trees nodes"],
        depth: Int[Tensor, "trees nodes"],
        contexts: Float[Tensor, "trees context width"],
    ) -> Float[Tensor, "trees nodes width"]:
        words, positions = self.embed_words(tokens, depth)
        return with_contexts(words, contexts) + positions

    def embed_words(
        self, tokens: Int[Tensor, "trees nodes"], depth: Int[Tensor, "trees nodes"]
    ) -> tuple[Float[Tensor, "trees nodes width"], Float[Tensor, "trees nodes width"]]:
        """Embeddings of tokens and of their places, before the learned context stands among them."""
        clip = self._clip[0]
        return clip.token_embedding(tokens), clip.positional_embedding[depth]

    def blocks(
        self, hidden: Float[Tensor, "trees nodes width"], mask: Bool[Tensor, "trees 1 nodes nodes"]
    ) -> Float[Tensor, "trees nodes width"]:
        """The transformer over embedded trees."""
        for block in self._clip[0].transformer.resblocks:
            query, key, value = project_qkv(block.attn, block.ln_1(hidden))
            hidden = hidden + block.ls_1(attend(block.attn, query, key, value, mask))
            hidden = hidden + block.ls_2(block.mlp(block.ln_2(hidden)))
        return hidden

    def project(self, ends: Float[Tensor, "prompts width"]) -> Float[Tensor, "prompts embed"]:
        """States of end-of-text tokens in the joint space."""
        clip = self._clip[0]
        normed: Tensor = clip.ln_final(ends)
        if clip.text_projection is None:
            return normed
        linear = isinstance(clip.text_projection, nn.Linear)
        projected: Tensor = clip.text_projection(normed) if linear else normed @ clip.text_projection
        return projected


def with_contexts(
    words: Float[Tensor, "trees nodes width"], contexts: Float[Tensor, "trees context width"]
) -> Float[Tensor, "trees nodes width"]:
    """Learned vectors in place of the tokens after the start token."""
    after = 1 + contexts.shape[1]
    return torch.cat([words[:, :1], contexts.to(words.dtype), words[:, after:]], dim=1)


def tree_masks(trees: Sequence[PromptTree], nodes: int) -> Bool[Tensor, "trees 1 nodes nodes"]:
    """Who sees whom; padding sees itself, so that no row of the softmax is empty."""
    masks = torch.eye(nodes, dtype=torch.bool).repeat(len(trees), 1, 1)
    for mask, tree in zip(masks, trees, strict=True):
        size = len(tree.tokens)
        mask[:size, :size] = tree.visible
    return masks[:, None]
