"""Puts the parts together: `python -m tools.pretrain.assemble --data DATA --work WORK FOLDER`.

The eyes are those of the preset that is there; the text tower comes from `tower`, the decoders from `align`, learned
on every product but the development sets.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from detector.model.config import ModelConfig
from detector.model.filo import FiLo
from detector.weights.checkpoint import load_checkpoint, save_checkpoint
from detector.weights.factory import create_empty_model
from detector.weights.files import load_strictly
from tools.pretrain import align, features, photos, tower
from tools.pretrain import shots as cached
from tools.pretrain.kinds import WORDS

WEIGHTS = "model.safetensors"


def config(eyes: ModelConfig) -> ModelConfig:
    """The model that reads, around the image tower of another one."""
    architecture: dict[str, Any] = dict(eyes.architecture or {})
    words = {"context_length": 77, "vocab_size": tower.VOCABULARY, "width": tower.WIDTH, "heads": tower.HEADS}
    architecture |= {"embed_dim": tower.EMBED, "text_cfg": words | {"layers": tower.LAYERS}}
    changes = {"architecture": architecture, "feature_levels": features.LEVELS, "single_path_blocks": 9}
    changes |= {"embedding_block": features.LEVELS[-1], "token_contrast": True}
    return ModelConfig.model_validate(eyes.model_dump() | changes)


def whole_photos(shots: Sequence[cached.Shot], bank: align.Bank, strength: float = 30.0) -> Tensor:
    """Projection [width, EMBED] of the normalised CLS token: defective photos to their words, good ones to normal."""
    x = F.layer_norm(
        torch.stack([torch.from_numpy(np.array(s.tokens[-1, 0])) for s in shots]).float(), (features.WIDTH,)
    )
    y = torch.stack([_said(shot, bank) for shot in shots])
    return torch.linalg.solve(x.T @ x + strength * features.WIDTH * torch.eye(x.shape[1]) / 100, x.T @ y)


def _said(shot: cached.Shot, bank: align.Bank) -> Tensor:
    if not shot.regions:
        return bank.normal(WORDS[shot.product].name)
    texts = [align.abnormal(shot.product, phrase) for region in shot.regions for phrase in region.phrases]
    return F.normalize(bank(texts, 1).mean(0), dim=0)


def assemble(eyes: FiLo, text: tower.Tower, decoders: align.Decoders, projection: Tensor) -> FiLo:
    """The whole model; the meta nets answer zero and the adapter adds nothing."""
    model = create_empty_model(config(eyes.config))
    weights = {name: torch.zeros_like(t) for name, t in _blank(model).items()}
    weights |= {name: t for name, t in eyes.state_dict().items() if name.startswith("clip.visual.transformer.")}
    for name in ("class_embedding", "positional_embedding", "conv1.weight"):
        weights[f"clip.visual.{name}"] = eyes.get_parameter(f"clip.visual.{name}")
    weights["clip.visual.ln_post.weight"] = torch.ones(features.WIDTH)
    weights["clip.visual.proj"] = projection
    for name, tensor in text.state_dict().items():
        if name != "contexts":
            weights[f"clip.{name}"] = tensor
    for side, learner in enumerate(("normal_prompt_learner", "abnormal_prompt_learner")):
        weights[f"{learner}.ctx"] = text.contexts[side]
    for level in range(len(features.LEVELS)):
        weights[f"decoder_linear.fc.{level}.weight"] = decoders.weight[level]
        weights[f"decoder_linear.fc.{level}.bias"] = decoders.bias[level]
    stored = {name: t.detach().half().float() for name, t in weights.items()}
    load_strictly(model, stored, "the parts")
    return model


def _blank(model: FiLo) -> dict[str, Tensor]:
    return {name: torch.empty(t.shape) for name, t in model.state_dict().items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--eyes", type=Path, default=Path("detector/presets/mini"))
    parser.add_argument("--size", type=int, default=252)
    parser.add_argument("--steps", type=int, default=align.STEPS)
    args = parser.parse_args()
    text = tower.Tower()
    text.load_state_dict(torch.load(args.work / "tower.pt", weights_only=True)["model"])
    bank = align.Bank(lambda texts, side: F.normalize(tower.encode(text, list(texts), side), dim=-1))
    shots = [s for s in cached.load(args.work, args.size) if s.product not in photos.DEVELOPMENT]
    rows = cached.sample(shots)
    start = align.ridge(list(align.sums(shots, rows, bank).values()))
    decoders = align.refine(start, shots, rows, bank, among=range(len(shots)), steps=args.steps)
    model = assemble(load_checkpoint(args.eyes / WEIGHTS), text, decoders, whole_photos(shots, bank))
    args.folder.mkdir(parents=True, exist_ok=True)
    sources = [folder for name, folder in photos.PRODUCTS.items() if name not in photos.DEVELOPMENT]
    training = {"steps": args.steps, "sources": [*sources, "dtd10", "procedural"], "words": "all-MiniLM-L6-v2"}
    save_checkpoint(model, args.folder / WEIGHTS, whole=True, dtype=torch.half, training=training)
    (args.folder / "config.json").write_text(model.config.model_dump_json(indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
