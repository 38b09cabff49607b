"""Gives `mini` more of DINOv2's blocks, for comparing photos: `python -m tools.pretrain.deepen FOLDER --blocks 9`.

FiLo's decoders stay where they are, so that no score of theirs changes by a bit; only the added blocks are written.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from detector.model.config import ModelConfig
from detector.model.filo import FiLo
from detector.weights.checkpoint import load_checkpoint, read_info, save_checkpoint
from detector.weights.factory import create_empty_model
from detector.weights.files import load_strictly
from tools.pretrain import backbone
from tools.pretrain.export import WEIGHTS

LEVELS = (6, 9)
"""Blocks compared with other photos: of DINOv2 ViT-S/14, later ones are worse (see `docs/context.md`)."""
SIZE = 392
"""Side in pixels that photos are compared at."""


def deepen(model: FiLo, blocks: int, path: Path | None = None) -> FiLo:
    """The same FiLo with `blocks` blocks in its image tower; those it has keep their weights.

    Args:
        model: whose first blocks are DINOv2's.
        blocks: how many it has afterwards; not fewer than the context levels ask for.
        path: the ONNX file; that of the installed package by default.
    """
    tower = model.clip.visual.transformer
    embedding_block = model.config.embedding_block or len(tower.resblocks)
    taken = backbone.weights(blocks, path)
    weights = {f"clip.visual.{name}": _stored(taken[name]) for name in taken if name.startswith("transformer.")}
    weights |= model.state_dict()
    kept = {name: tensor for name, tensor in weights.items() if _block(name) < blocks}
    deeper = create_empty_model(_config(model.config, blocks, embedding_block))
    load_strictly(deeper, kept, "the deeper model")
    return deeper


def _stored(weight: Tensor) -> Tensor:
    """As the file holds it, so that the digest in it is that of the weights that are read back."""
    return weight.half().float()


def _block(name: str) -> int:
    _, _, rest = name.partition("visual.transformer.resblocks.")
    return int(rest.split(".")[0]) if rest else -1


def _config(config: ModelConfig, blocks: int, embedding_block: int) -> ModelConfig:
    architecture: dict[str, Any] = dict(config.architecture or {})
    architecture["vision_cfg"] = dict(architecture["vision_cfg"], layers=blocks)
    changes = {"embedding_block": embedding_block, "context_levels": LEVELS, "context_size": SIZE}
    return ModelConfig.model_validate(config.model_dump() | changes | {"architecture": architecture})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--blocks", type=int, default=LEVELS[-1])
    args = parser.parse_args()
    path = args.folder / WEIGHTS
    model = deepen(load_checkpoint(path), args.blocks)
    save_checkpoint(model, path, whole=True, dtype=torch.half, training=read_info(path).training)
    (args.folder / "config.json").write_text(model.config.model_dump_json(indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
