"""More blocks for `mini`: those it has stay, the new ones are DINOv2's, and FiLo's numbers do not move by a bit."""

from typing import Any

import pytest
import torch

from detector.context.tokens import context_tokens
from detector.model.config import ModelConfig
from detector.model.filo import FiLo
from detector.weights.factory import create_model
from detector.weights.registry import preset_config
from tools.pretrain import backbone, deepen


@pytest.fixture(scope="module")
def shallow() -> FiLo:
    shape = preset_config("mini").model_dump() | {
        "image_size": 28, "embedding_block": None, "context_levels": None, "context_size": None,
    }  # fmt: skip
    architecture: dict[str, Any] = shape["architecture"]
    shape["architecture"] = architecture | {"vision_cfg": architecture["vision_cfg"] | {"layers": 6}}
    torch.manual_seed(0)
    return create_model(ModelConfig.model_validate(shape))


@torch.no_grad()
def test_added_blocks_are_dinov2s_and_the_old_ones_stay(shallow, monkeypatch):
    torch.manual_seed(1)
    theirs = create_model(deepen._config(shallow.config, 9, 6)).clip.visual.state_dict()
    monkeypatch.setattr(backbone, "weights", lambda _blocks, _path: theirs)  # the real file is 90 MB
    deep = deepen.deepen(shallow, 9)
    ours = deep.clip.visual.state_dict()
    for number in range(9):
        name = f"transformer.resblocks.{number}.mlp.c_fc.weight"
        source = shallow.clip.visual.state_dict()[name] if number < 6 else theirs[name].half().float()  # as stored
        assert torch.equal(ours[name], source)
    pixels = torch.randn(1, 3, 28, 28)
    assert torch.equal(deep.encode_image(pixels).embedding, shallow.encode_image(pixels).embedding)
    assert len(context_tokens(deep, pixels)) == len(deepen.LEVELS)
    again = deepen.deepen(deep, 9)
    assert all(torch.equal(a, b) for a, b in zip(deep.state_dict().values(), again.state_dict().values(), strict=True))
