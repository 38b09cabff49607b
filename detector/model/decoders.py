"""Decoders from patch tokens to the joint space: linear, and multi-scale multi-shape (MMCI, FiLo section 3.3)."""

import functools
import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Patches = Float[Tensor, "batch patches width"]
Embedded = Float[Tensor, "batch patches embed"]

KERNELS = ((7, 7), (5, 5), (3, 3), (1, 5), (5, 1), (1, 1))
"""Height and width of the summed convolutions, the largest first."""
CPU_PARTS = 4
"""Shares of the output channels that are convolved one after the other; neither result nor time changes."""


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
        self.levels = levels
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
            mixed = _convolve(grid, *self._summed(index))
        return mixed.flatten(2).transpose(1, 2)

    def _shapes(self, index: int) -> list[nn.Conv2d]:
        """The six convolutions of a level, or the one they were folded into; the largest first."""
        levels = [self.get_submodule(f"{_name(height, breadth)}.{index}") for height, breadth in KERNELS]
        return [conv for conv in levels if isinstance(conv, nn.Conv2d)]

    def fold(self, level: int | None = None) -> None:
        """Keep only the sums, in the largest convolution: half the memory, but no longer trainable or savable.

        Args:
            level: the only one to fold, by index; all of them without.
        """
        for index in range(self.levels) if level is None else [level]:
            largest, *others = self._shapes(index)
            with torch.inference_mode():  # weights made in inference mode may be changed only there
                kernel, bias = largest.parameters()
                _add(kernel, bias, others)
            for height, breadth in KERNELS[1:]:
                self.get_submodule(_name(height, breadth))[index] = nn.Identity()  # type: ignore[operator]
        self._sums.clear()

    @property
    def folded(self) -> bool:
        """Whether only the sums are left."""
        return all(len(self._shapes(index)) == 1 for index in range(self.levels))

    def _summed(self, index: int) -> tuple[Tensor, Tensor]:
        """Kernel and bias that do the work of all six."""
        convs = self._shapes(index)
        if len(convs) == 1:
            kernel, bias = convs[0].parameters()
            return kernel, bias
        state = [_state(parameter) for conv in convs for parameter in conv.parameters()]
        if index not in self._sums or self._sums[index][0] != state:
            with torch.no_grad():
                self._sums[index] = state, _sum(convs)
        return self._sums[index][1]


def _convolve(
    grid: Float[Tensor, "batch width side side"], kernel: Tensor, bias: Tensor
) -> Float[Tensor, "batch embed side side"]:
    """One convolution; on the CPU in parts, since each call lays its kernels out anew, in memory of its own."""
    if grid.device.type != "cpu" or torch.compiler.is_compiling():
        return F.conv2d(grid, kernel, bias, padding="same")
    pairs = zip(kernel.chunk(CPU_PARTS), bias.chunk(CPU_PARTS), strict=True)
    return torch.cat([F.conv2d(grid, *pair, padding="same") for pair in pairs], dim=1)


def _state(parameter: Tensor) -> tuple[int, int, torch.dtype]:
    """Changes whenever the values may have; what was made in inference mode cannot change and has no version."""
    version = 0 if parameter.is_inference() else parameter._version
    return parameter.data_ptr(), version, parameter.dtype


def _sum(convs: list[nn.Conv2d]) -> tuple[Tensor, Tensor]:
    """Kernel and bias that do the work of all; the largest stands first."""
    kernel, bias = (parameter.clone() for parameter in convs[0].parameters())
    _add(kernel, bias, convs[1:])
    return kernel, bias


def _add(kernel: Tensor, bias: Tensor, convs: list[nn.Conv2d]) -> None:
    """Add smaller kernels, centred, to a square one in place, and their biases to its bias."""
    for conv in convs:
        weight, shift = conv.parameters()
        height, width = weight.shape[-2:]
        top, left = (kernel.shape[-2] - height) // 2, (kernel.shape[-1] - width) // 2
        kernel[..., top : top + height, left : left + width] += weight
        bias += shift


def _name(height: int, breadth: int) -> str:
    return f"fc_{height}{breadth}"
