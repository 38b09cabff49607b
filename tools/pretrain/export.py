"""From training checkpoints to the project's own model: `python -m tools.pretrain.export last.pt FOLDER`.

Several checkpoints that began with the same weights are averaged.
"""

import argparse
import math
from pathlib import Path

import torch
from torch import Tensor

from detector.model.filo import FiLo
from detector.model.image_tower import resize_positions
from detector.weights.checkpoint import save_checkpoint
from detector.weights.factory import create_model
from detector.weights.files import load_strictly
from tools.pretrain import corpus
from tools.pretrain.student import KERNELS, config, summed

WEIGHTS = "model.safetensors"
POSITIONS = "clip.visual.positional_embedding"


def convert(student: dict[str, Tensor], template: FiLo) -> dict[str, Tensor]:
    """The student's tensors under FiLo's names; the meta nets answer zero."""
    weights = {name: torch.zeros_like(t) for name, t in template.state_dict().items() if ".meta_net." in name}
    for name, tensor in student.items():
        weights[_rename(name)] = tensor
    _into_largest(weights)
    side = math.isqrt(len(template.get_parameter(POSITIONS)) - 1)
    weights[POSITIONS] = resize_positions(weights[POSITIONS], side)
    return weights


def _into_largest(weights: dict[str, Tensor]) -> None:
    """Move the sum of a level's six kernels into the 7 x 7 one: the same function, and half the numbers to ship."""
    levels = {name.split(".")[2] for name in weights if name.startswith("decoder_cov.")}
    for level in levels:
        for field in ("weight", "bias"):
            parts = {kernel: f"decoder_cov.fc_{kernel}.{level}.{field}" for kernel in KERNELS}
            total = summed([weights[name] for name in parts.values()])
            weights |= {name: torch.zeros_like(weights[name]) for name in parts.values()}
            weights[parts["77"]] = total


def _rename(name: str) -> str:
    head, _, rest = name.partition(".")
    if head == "conv":
        level, kernel, field = rest.split(".")
        return f"decoder_cov.fc_{kernel}.{level}.{field}"
    heads = {
        "clip": f"clip.{rest}",
        "linear": f"decoder_linear.fc.{rest}",
        "adapter": f"adapter.fc.{rest}",
        "normal_context": "normal_prompt_learner.ctx",
        "abnormal_context": "abnormal_prompt_learner.ctx",
    }
    return heads[head]


def load(*checkpoints: Path) -> FiLo:
    """A FiLo with the weights of a training checkpoint, or with the mean of several."""
    model = create_model(config())
    students = [torch.load(path, map_location="cpu", weights_only=True)["student"] for path in checkpoints]
    mean = {name: torch.stack([student[name] for student in students]).mean(0) for name in students[0]}
    load_strictly(model, convert(mean, model), ", ".join(map(str, checkpoints)))
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    model, training = load(*args.checkpoints), history(*args.checkpoints)
    save_checkpoint(model, args.folder / WEIGHTS, whole=True, dtype=torch.half, training=training)
    (args.folder / "config.json").write_text(model.config.model_dump_json(indent=2) + "\n", encoding="utf-8")


def history(*checkpoints: Path) -> dict[str, object]:
    """How the weights came about, for the checkpoint's metadata."""
    steps = [torch.load(path, map_location="cpu", weights_only=True)["step"] for path in checkpoints]
    return {"steps": sum(steps), "sources": [*corpus.SOURCES, corpus.DTD, "procedural"]}


if __name__ == "__main__":
    main()
