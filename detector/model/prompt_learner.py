"""Learned context tokens that every image shifts (FiLo section 3.2, after CoCoOp)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class MetaNet(nn.Module):
    """One bias vector an image, the same for all context tokens."""

    def __init__(self, embed: int, width: int) -> None:
        super().__init__()
        hidden = max(1, embed // 16)
        self.linear1 = nn.Linear(embed, hidden)
        self.linear2 = nn.Linear(hidden, width)

    def forward(self, image_feature: Float[Tensor, "batch embed"]) -> Float[Tensor, "batch width"]:
        """Shift of every image."""
        shift: Tensor = self.linear2(torch.relu(self.linear1(image_feature)))
        return shift


class PromptLearner(nn.Module):
    """Context vectors that replace words such as "a photo of", moved by the image feature."""

    def __init__(self, tokens: int, embed: int, width: int) -> None:
        super().__init__()
        self.ctx = nn.Parameter(torch.randn(tokens, width) * 0.02)
        self.meta_net = MetaNet(embed, width)

    def forward(self, image_feature: Float[Tensor, "batch embed"]) -> Float[Tensor, "batch context width"]:
        """Context of every image, from its unit-length feature."""
        shift: Tensor = self.meta_net(image_feature)
        return self.ctx + shift[:, None]
