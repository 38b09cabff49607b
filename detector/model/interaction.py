"""Decoders from patch tokens to the joint space: linear, and multi-scale multi-shape (MMCI, FiLo section 3.3)."""

import functools
import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Patches = Float[Tensor, "batch patches width"]
Embedded = Float[Tensor, "batch patches embed"]

KERNELS = ((1, 1), (3, 3), (5, 5), (7, 7), (1, 5), (5, 1))
"""Height and width of the summed convolutions."""


class LinearDecoder(nn.Module):
    """One linear map a level."""

    def __init__(self, levels: int, width: int, embed: int) -> None:
        super().__init__()
        self.fc = nn.ModuleList(nn.Linear(width, embed) for _ in range(levels))

    def forward(self, tokens: tuple[Patches, ...]) -> tuple[Embedded, ...]:
        """Tokens of every level in the joint space, not normalised."""
        return tuple(fc(level) for fc, level in zip(self.fc, tokens, strict=True))


class InteractionDecoder(nn.Module):
    """Sum of six differently shaped convolutions a level, over the square grid of patches.

    Nothing non-linear stands between the six, so without gradients their kernels are summed into one of 7x7: 49 taps a
    patch instead of 94. The sum is kept until a weight changes.
    """

    def __init__(self, levels: int, width: int, embed: int) -> None:
        super().__init__()
        for height, breadth in KERNELS:
            shape = (height, breadth)
            convs = (nn.Conv2d(width, embed, shape, padding="same") for _ in range(levels))
            self.add_module(_name(height, breadth), nn.ModuleList(convs))
        self._sums: dict[int, tuple[object, tuple[Tensor, Tensor]]] = {}

    def forward(self, tokens: tuple[Patches, ...]) -> tuple[Embedded, ...]:
        """Tokens of every level in the joint space, not normalised."""
        return tuple(self._decode(index, level) for index, level in enumerate(tokens))

    def _decode(self, index: int, tokens: Patches) -> Embedded:
        side = math.isqrt(tokens.shape[1])
        grid = torch.unflatten(tokens.transpose(1, 2), 2, (side, side))
        if torch.is_grad_enabled():
            self._sums.clear()
            mixed: Tensor = functools.reduce(torch.add, (conv(grid) for conv in self._shapes(index)))
        else:
            kernel, bias = self._summed(index)
            mixed = F.conv2d(grid, kernel, bias, padding="same")
        return mixed.flatten(2).transpose(1, 2)

    def _shapes(self, index: int) -> list[nn.Conv2d]:
        """The six convolutions of a level."""
        levels = [self.get_submodule(f"{_name(height, breadth)}.{index}") for height, breadth in KERNELS]
        return [conv for conv in levels if isinstance(conv, nn.Conv2d)]

    def _summed(self, index: int) -> tuple[Tensor, Tensor]:
        """Kernel and bias that do the work of all six."""
        convs = self._shapes(index)
        state = [_state(parameter) for conv in convs for parameter in conv.parameters()]
        if index not in self._sums or self._sums[index][0] != state:
            self._sums[index] = state, _sum(convs)
        return self._sums[index][1]


def _state(parameter: Tensor) -> tuple[int, int, torch.dtype]:
    """Changes whenever the values may have; what was made in inference mode cannot change and has no version."""
    version = 0 if parameter.is_inference() else parameter._version
    return parameter.data_ptr(), version, parameter.dtype


def _sum(convs: list[nn.Conv2d]) -> tuple[Tensor, Tensor]:
    """Smaller kernels, centred, added to the largest; and all biases."""
    with torch.no_grad():
        largest = max(convs, key=lambda conv: conv.weight.numel())
        kernel = largest.weight.clone()
        for conv in convs:
            if conv is not largest:
                kernel += _centred(conv.weight, kernel.shape[-1])
        return kernel, torch.stack([conv.bias for conv in convs if conv.bias is not None]).sum(0)


def _name(height: int, breadth: int) -> str:
    return f"fc_{height}{breadth}"


def _centred(kernel: Tensor, side: int) -> Tensor:
    """`kernel` with zeros around it, in a square of `side`."""
    high, wide = (side - kernel.shape[-2]) // 2, (side - kernel.shape[-1]) // 2
    return F.pad(kernel, (wide, wide, high, high))
