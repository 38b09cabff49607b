"""Adapter on the image embedding (FiLo section 3.4)."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class Adapter(nn.Module):
    """Bottleneck whose output is added to the embedding; starts as the identity."""

    def __init__(self, embed: int) -> None:
        super().__init__()
        hidden = max(1, embed // 2)
        self.fc = nn.Sequential(
            nn.Linear(embed, hidden, bias=False),
            nn.ReLU(),
            nn.Linear(hidden, embed, bias=False),
            nn.SiLU(),
        )
        self.switch_off()

    def switch_off(self) -> None:
        """Make it the identity: what the bottleneck adds is zero, to the bit."""
        last = self.fc[2]
        if isinstance(last, nn.Linear):
            nn.init.zeros_(last.weight)

    def forward(self, embedding: Float[Tensor, "batch embed"]) -> Float[Tensor, "batch embed"]:
        """Embedding plus what the bottleneck adds; neither side is normalised."""
        adapted: Tensor = embedding + self.fc(embedding)
        return adapted


def unit(vectors: Float[Tensor, "*batch embed"]) -> Float[Tensor, "*batch embed"]:
    """Vectors scaled to length one, in at least single precision."""
    return F.normalize(vectors.float() if vectors.dtype.itemsize < 4 else vectors, dim=-1)
