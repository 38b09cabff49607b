"""Caches what DINOv2 says of the photos: `python -m tools.pretrain.features --data DATA --work WORK --size 392`.

A killed run goes on where it stopped. In `WORK/photos-392`: `tokens.npy`, fp16 [photos, levels, 1 + patches, width],
CLS first; `cover.npy`, the share of each patch that the mask covers, fp16 [photos, patches]; `photos.json`.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from open_clip.model import CLIP
from PIL import Image
from torch import Tensor

from detector.images.tensors import to_mask, to_pixels
from detector.model.attention import attend, project_qkv
from detector.model.config import ModelConfig
from detector.model.image_tower import resize_positions
from tools.pretrain import backbone, photos

LEVELS = (6, 9)
"""Blocks (1-based) whose tokens are kept."""
WIDTH, PATCH = 384, 14
HEAD = ["ln_post.bias", "ln_post.weight", "proj"]
"""What DINOv2 has no weights for; tokens are read before it."""


class Eyes:
    """The first blocks of DINOv2, as the shipped model runs them.

    Args:
        size: side of the photos in pixels.
        blocks: how many are built.
    """

    def __init__(self, size: int, blocks: int = LEVELS[-1]) -> None:
        vision = {"image_size": size, "patch_size": PATCH, "width": WIDTH, "layers": blocks, "head_width": 64}
        vision |= {"ls_init_value": 1.0, "no_ln_pre": True, "norm_kwargs": {"eps": 1e-6}}
        text = {"context_length": 77, "vocab_size": 16, "width": 16, "heads": 1, "layers": 1}
        clip = CLIP(16, vision, text)
        visual = clip.visual
        weights = backbone.weights(blocks)
        side = size // PATCH
        weights["positional_embedding"] = resize_positions(weights["positional_embedding"], (side, side))
        missing, unexpected = visual.load_state_dict(weights, strict=False)
        assert sorted(missing) == HEAD, missing
        assert not unexpected, unexpected
        self.visual = visual.eval().requires_grad_(False)
        self.config = ModelConfig(image_size=size, mean=backbone.MEAN, std=backbone.STD)

    @torch.no_grad()
    def __call__(self, pixels: Tensor) -> Tensor:
        """Tokens [batch, levels, 1 + patches, width] of normalised pixels [batch, 3, s, s]."""
        visual = self.visual
        cells = visual.conv1(pixels).flatten(2).transpose(1, 2)
        cls = visual.class_embedding.expand(len(pixels), 1, -1)
        x = torch.cat([cls, cells], 1) + visual.positional_embedding
        kept = []
        for number, block in enumerate(visual.transformer.resblocks, start=1):
            x = x + block.ls_1(attend(block.attn, *project_qkv(block.attn, block.ln_1(x))))
            x = x + block.ls_2(block.mlp(block.ln_2(x)))
            if number in LEVELS:
                kept.append(x)
        return torch.stack(kept, 1)


def cover(mask: Path | None, size: int) -> NDArray[np.float16]:
    """Share of each patch that a mask covers, [patches]; the mask is read at the size of the photo."""
    side = size // PATCH
    if mask is None:
        return np.zeros(side * side, np.float16)
    values = to_mask(Image.open(mask), size).numpy().astype(np.float32)
    return cv2.resize(values, (side, side), interpolation=cv2.INTER_AREA).reshape(-1).astype(np.float16)


def opened(path: Path, shape: tuple[int, ...]) -> NDArray[np.float16]:
    """An fp16 array on disk, made when it is not there."""
    if path.is_file():
        return np.load(path, mmap_mode="r+")
    return np.lib.format.open_memmap(path, "w+", np.float16, shape)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--size", type=int, default=392)
    args = parser.parse_args()
    folder = args.work / f"photos-{args.size}"
    folder.mkdir(parents=True, exist_ok=True)
    chosen = photos.draw(args.data)
    rows = [[p.product, p.kind, str(p.image.relative_to(args.data))] for p in chosen]
    (folder / "photos.json").write_text(json.dumps(rows), encoding="utf-8")
    patches = (args.size // PATCH) ** 2
    tokens = opened(folder / "tokens.npy", (len(chosen), len(LEVELS), 1 + patches, WIDTH))
    covers = opened(folder / "cover.npy", (len(chosen), patches))
    eyes = Eyes(args.size)
    for index, photo in enumerate(chosen):
        if tokens[index, -1, 0].any():
            continue
        pixels = to_pixels(Image.open(photo.image), eyes.config)[None]
        covers[index] = cover(photo.mask, args.size)
        tokens[index] = eyes(pixels)[0].half().numpy()
        if index % 50 == 0:
            print(f"{index} of {len(chosen)}", flush=True)


if __name__ == "__main__":
    main()
