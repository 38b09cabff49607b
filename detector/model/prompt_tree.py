"""What the text tower reads: token ids of prompts, and their merging into trees.

All prompts of an image start with the same start token and learned context, and most share their next words. Under
CLIP's causal mask a token's state depends on the tokens before it only, so every shared prefix is computed once: the
prompts become a tree, packed into one sequence whose mask lets a token see its ancestors.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Ids = tuple[int, ...]
"""Token ids of one prompt from the first word to the end-of-text token; start and context tokens are left out."""

MAX_NODES = 512
"""Tokens in one packed sequence; attention is quadratic in it, and each sequence repeats the context."""


@dataclass(frozen=True)
class PromptIds:
    """The prompts of one product."""

    normal: tuple[Ids, ...]
    """One a normal state."""
    abnormal: tuple[tuple[Ids, ...], ...]
    """One a state (descriptions first, then generic states) and region."""

    @property
    def regions(self) -> int:
        """Number of regions every abnormal state is written for."""
        return len(self.abnormal[0])

    def at(self, positions: Sequence[int]) -> tuple[Ids, ...]:
        """Abnormal prompts of the regions in `positions` (all when empty), state by state."""
        regions = positions or range(self.regions)
        return tuple(row[position] for row in self.abnormal for position in regions)


@dataclass(frozen=True)
class PromptTree:
    """Prompts packed into one sequence: start token, context, then every distinct prefix once, parents first."""

    tokens: Tensor
    """[nodes] token ids; those of the context are replaced by learned vectors."""
    depth: Tensor
    """[nodes] index into the text tower's position embedding."""
    visible: Tensor
    """[nodes, nodes] True where the column is the row itself or one of its ancestors."""
    ends: Tensor
    """[prompts] node of each prompt's end-of-text token."""


def pack(prompts: Sequence[Ids], start: int, context: int, limit: int = MAX_NODES) -> list[PromptTree]:
    """Pack prompts, in order, into as few trees as `limit` nodes allow.

    Args:
        prompts: token ids after the context.
        start: id of the start-of-text token.
        context: number of learned context tokens.
        limit: most nodes a tree may have; a single prompt is never split.
    """
    trees: list[PromptTree] = []
    builder = _Builder(start, context)
    for ids in prompts:
        if builder.ends and len(builder.tokens) + builder.missing(ids) > limit:
            trees.append(builder.build())
            builder = _Builder(start, context)
        builder.add(ids)
    return [*trees, builder.build()]


class _Builder:
    """A growing tree."""

    def __init__(self, start: int, context: int) -> None:
        self.tokens = [start] + [0] * context
        self.parents = [-1, *range(context)]
        self.depth = [*range(context + 1)]
        self.children: dict[tuple[int, int], int] = {}
        self.ends: list[int] = []
        self._root = context

    def _known(self, ids: Ids) -> Iterator[int]:
        node = self._root
        for token in ids:
            if (node, token) not in self.children:
                return
            node = self.children[node, token]
            yield node

    def missing(self, ids: Ids) -> int:
        """Nodes that adding `ids` would make."""
        return len(ids) - sum(1 for _ in self._known(ids))

    def add(self, ids: Ids) -> None:
        """Walk down `ids`, making the nodes that are not there."""
        path = [self._root, *self._known(ids)]
        node = path[-1]
        for token in ids[len(path) - 1 :]:
            child = len(self.tokens)
            self.children[node, token] = child
            self.tokens.append(token)
            self.parents.append(node)
            self.depth.append(self.depth[node] + 1)
            node = child
        self.ends.append(node)

    def build(self) -> PromptTree:
        nodes = len(self.tokens)
        visible = torch.eye(nodes, dtype=torch.bool)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                visible[node] |= visible[parent]
        return PromptTree(torch.tensor(self.tokens), torch.tensor(self.depth), visible, torch.tensor(self.ends))
