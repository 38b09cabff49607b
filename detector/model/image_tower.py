"""CLIP's image tower with a second, V-V attention stream.

The ordinary stream x follows the stock transformer. From block S+1 on, a second stream y adds up the attention of the
values with themselves, computed from x and never fed back: it keeps what is local (FiLo section 3.3).
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from detector.model.attention import attend, project_qkv
from detector.model.config import ModelConfig

Tokens = Float[Tensor, "batch tokens width"]
Pixels = Float[Tensor, "batch 3 size size"]


class Tap(NamedTuple):
    """Where in the tower a decoder reads."""

    stream: Literal["ordinary", "attended", "vv"]
    """x after block, x after the block's attention but before its MLP, or y after block."""
    block: int
    """1-based."""


class ImageFeatures(NamedTuple):
    """What the image tower says about a batch."""

    embedding: Float[Tensor, "batch embed"]
    """CLS token in the joint space, not normalised."""
    linear_tokens: tuple[Float[Tensor, "batch patches width"], ...]
    """Patch tokens for the linear decoders, one tensor a feature level, row-major over the grid; twice as wide with
    `token_contrast`."""
    conv_tokens: tuple[Float[Tensor, "batch patches width"], ...]
    """Patch tokens for the convolutional decoders, one tensor a level that has a V-V stream."""


def linear_taps(config: ModelConfig, blocks: int) -> tuple[Tap, ...]:
    """Where each linear decoder reads.

    `filo` reads every level where it says. `released` reads what its in-place additions leave there: a level with a V-V
    path holds the state in the middle of the next block, and the last single-path level holds the final V-V stream.
    """
    return tuple(_released_tap(level, config, blocks) for level in config.feature_levels)


def _released_tap(level: int, config: ModelConfig, blocks: int) -> Tap:
    if config.variant == "filo" or level == blocks or level < config.single_path_blocks:
        return Tap("ordinary", level)
    return Tap("vv", blocks) if level == config.single_path_blocks else Tap("attended", level + 1)


def conv_taps(config: ModelConfig, blocks: int) -> tuple[Tap, ...]:
    """Where each convolutional decoder reads; in `released` all of them share the final V-V stream."""
    released = config.variant == "released"
    return tuple(Tap("vv", blocks if released else level) for level in config.conv_levels)


def resize_positions(embedding: Float[Tensor, "tokens width"], grid: int | tuple[int, int]) -> Tensor:
    """A position embedding (CLS row first, then a square grid) for another grid, [1 + rows x columns, width].

    Bicubic without antialiasing, as FiLo's checkpoints have it; open_clip's own resize antialiases and so differs even
    when it enlarges.

    Args:
        embedding: CLS row first, then a square grid.
        grid: side of a square, or rows and columns.
    """
    size = (grid, grid) if isinstance(grid, int) else grid
    side = math.isqrt(embedding.shape[0] - 1)
    if size == (side, side):
        return embedding
    cells = embedding[1:].T.reshape(1, -1, side, side).float()
    resized = F.interpolate(cells, size=size, mode="bicubic", align_corners=False, antialias=False)
    return torch.cat([embedding[:1], resized.flatten(2)[0].T.to(embedding.dtype)])


def contrasted(tokens: Float[Tensor, "*batch patches width"]) -> Float[Tensor, "*batch patches twice"]:
    """Each token at unit length, and behind it its difference from the mean over its photo.

    What stands out on one product looks like what stands out on another only when the product is taken away.
    """
    own = F.normalize(tokens, dim=-1)
    return torch.cat([own, own - own.mean(-2, keepdim=True)], dim=-1)


class ImageTower(nn.Module):
    """Reads taps from both streams of a frozen open_clip `VisionTransformer` (held by the caller, not registered)."""

    def __init__(self, visual: Any, config: ModelConfig) -> None:
        super().__init__()
        self._visual = (visual,)  # in a tuple, so that its weights are registered once, under `clip`
        self.first_vv = config.single_path_blocks + 1
        self.blocks = config.embedding_block or len(visual.transformer.resblocks)
        self.linear = linear_taps(config, self.blocks)
        self.conv = conv_taps(config, self.blocks)
        self._read = contrasted if config.token_contrast else nn.Identity()

    def forward(self, pixels: Pixels) -> ImageFeatures:
        """Both streams at every tap, without the CLS token, and the image embedding."""
        final, taps = self.streams(pixels)
        visual = self._visual[0]
        return ImageFeatures(
            embedding=visual.ln_post(final[:, 0]) @ visual.proj,
            linear_tokens=tuple(self._read(taps[tap][:, 1:]) for tap in self.linear),
            conv_tokens=tuple(taps[tap][:, 1:] for tap in self.conv),
        )

    def streams(self, pixels: Pixels) -> tuple[Tokens, dict[Tap, Tokens]]:
        """The last ordinary tokens and the tokens at every tap, CLS first, without final norm or projection."""
        wanted = {*self.linear, *self.conv}
        last_vv = max((tap.block for tap in wanted if tap.stream == "vv"), default=0)
        taps: dict[Tap, Tokens] = {}
        x = y = self._embed(pixels)
        for number, block in enumerate(self._visual[0].transformer.resblocks[: self.blocks], start=1):
            query, key, value = project_qkv(block.attn, block.ln_1(x))
            if self.first_vv <= number <= last_vv:
                y = y + block.ls_1(attend(block.attn, value, value, value))
            attended = x + block.ls_1(attend(block.attn, query, key, value))
            x = attended + block.ls_2(block.mlp(block.ln_2(attended)))
            y = x if number < self.first_vv else y
            for stream, tokens in (("ordinary", x), ("attended", attended), ("vv", y)):
                if (tap := Tap(stream, number)) in wanted:  # type: ignore[arg-type]  # the tuple above is typed str
                    taps[tap] = tokens
        return x, taps

    def tokens_at(
        self, pixels: Float[Tensor, "batch 3 high wide"], levels: Sequence[int]
    ) -> tuple[Float[Tensor, "batch patches width"], ...]:
        """Patch tokens of the ordinary stream after some blocks, for pixels of any size.

        Args:
            pixels: height and width are multiples of the patch size.
            levels: blocks (1-based), ascending; those beyond `embedding_block` are read here only.
        """
        x = self._embed(pixels)
        tokens = []
        for number, block in enumerate(self._visual[0].transformer.resblocks[: levels[-1]], start=1):
            x = x + block.ls_1(attend(block.attn, *project_qkv(block.attn, block.ln_1(x))))
            x = x + block.ls_2(block.mlp(block.ln_2(x)))
            if number in levels:
                tokens.append(x[:, 1:])
        return tuple(tokens)

    def _embed(self, pixels: Float[Tensor, "batch 3 high wide"]) -> Tokens:
        visual = self._visual[0]
        cells = visual.conv1(pixels)
        patches = cells.flatten(2).transpose(1, 2)
        cls = visual.class_embedding.to(patches.dtype).expand(pixels.shape[0], 1, -1)
        positions = resize_positions(visual.positional_embedding, (cells.shape[2], cells.shape[3]))
        embedded: Tensor = visual.ln_pre(torch.cat([cls, patches], dim=1) + positions)
        return embedded
