"""The localizer around Grounding DINO: checkpoint formats, bad files, batching, both rules, and Swin-T size."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from descriptions.common.errors import ForgeError
from detector.localize.dino.localizer import GroundingDino, preprocess
from detector.localize.dino.model import GroundingDinoConfig, create_grounding_dino, load_text_parts
from detector.localize.dino.select import Thresholds
from detector.localize.dino.weights import UNUSED, infer_config, read_weights
from detector.localize.errors import GroundingWeightsError, VocabularyError
from tests.support.gdino import tiny_config, tiny_model, tiny_text, tiny_weights


@pytest.fixture(scope="module")
def state(golden: Path):
    return tiny_weights(golden)


def photo(golden: Path, name: str = "img0_rgb_150x131.png") -> Image.Image:
    with Image.open(golden / "images" / name) as image:
        return image.convert("RGB")


def from_checkpoint(golden: Path, path: Path) -> GroundingDino:
    return GroundingDino.from_checkpoint(path, golden / "bert_tiny")


@pytest.mark.parametrize("form", ["official", "filo", "safetensors", "distributed"])
def test_checkpoint_formats(golden: Path, tmp_path: Path, state, form: str):
    old = state | {UNUSED[0]: torch.zeros(3), UNUSED[1]: torch.arange(3)}
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    if form == "safetensors":
        save_file({name: value.clone() for name, value in state.items()}, path)
    elif form == "distributed":
        torch.save({"model": {f"module.{name}": value for name, value in old.items()}, "epoch": 3}, path)
    else:
        torch.save({"model": old, "epoch": 3} if form == "official" else old, path)
    localizer = from_checkpoint(golden, path)
    loaded = localizer.model.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


def spoil(state, how: str):
    spoiled = dict(state)
    name = "transformer.level_embed"
    if how == "lacks 1 tensors":
        del spoiled[name]
    elif how == "1 unknown (first: stranger)":
        spoiled["stranger"] = torch.zeros(1)
    elif how == "has shape (5, 256)":
        spoiled[name] = torch.zeros(5, 256)
    else:
        spoiled[name] = torch.full_like(spoiled[name], torch.nan)
    return spoiled


@pytest.mark.parametrize(
    "message", ["lacks 1 tensors", "1 unknown (first: stranger)", "has shape (5, 256)", "holds NaN or infinity"]
)
def test_wrong_weights_are_named(golden: Path, tmp_path: Path, state, message: str):
    torch.save(spoil(state, message), tmp_path / "w.pth")
    with pytest.raises(GroundingWeightsError) as caught:
        from_checkpoint(golden, tmp_path / "w.pth")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no Grounding DINO checkpoint"), (b"not a checkpoint", "cannot be read"), (b"", "cannot be read")],
)
def test_bad_files(tmp_path: Path, content: bytes | None, message: str):
    path = tmp_path / "w.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(GroundingWeightsError, match=message):
        read_weights(path)


def test_a_checkpoint_without_tensors(tmp_path: Path):
    torch.save({"model": {"epoch": 3}}, tmp_path / "w.pth")
    with pytest.raises(GroundingWeightsError, match="no state dict"):
        read_weights(tmp_path / "w.pth")


def test_sizes_are_read_off_the_weights(golden: Path, state):
    assert infer_config(state, "w.pth") == tiny_config(golden)


@pytest.mark.parametrize("lost", ["backbone.0.patch_embed.proj.weight", "backbone.0.layers.", "transformer.tgt_embed"])
def test_weights_of_something_else(state, lost: str):
    kept = {name: value for name, value in state.items() if not name.startswith(lost)}
    with pytest.raises(GroundingWeightsError, match=r"w\.pth is no Grounding DINO"):
        infer_config(kept, "w.pth")


@pytest.mark.slow
@pytest.mark.parametrize("config", [GroundingDinoConfig(), GroundingDinoConfig.swin_b()], ids=["swin-t", "swin-b"])
def test_published_sizes_are_read_off_the_weights(golden: Path, config: GroundingDinoConfig):
    model = create_grounding_dino(config, tiny_text(golden))
    assert infer_config(model.state_dict(), "w.pth") == config


def test_vocabulary_missing(tmp_path: Path):
    with pytest.raises(VocabularyError, match=r"vocab\.txt is missing"):
        load_text_parts(tmp_path)


def test_vocabulary_folder_with_a_broken_config(tmp_path: Path, golden: Path):
    (tmp_path / "vocab.txt").write_text((golden / "bert_tiny/vocab.txt").read_text())
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ForgeError, match="--dino-text"):
        load_text_parts(tmp_path)


def test_order_and_mixed_sizes_do_not_matter(golden: Path):
    sure = Thresholds(box=0.0, area=10.0, boxes=3)
    localizer = GroundingDino(tiny_model(golden), tiny_text(golden), thresholds=sure, short_side=64)
    images = [photo(golden), photo(golden, "img2_rgb_300x200.png"), photo(golden).rotate(180)]
    together = localizer.locate(images, ["broken tooth"])
    alone = [localizer.locate([image], ["broken tooth"])[0] for image in images]
    for one, other in zip(together, alone, strict=True):
        assert one.region == other.region
        for box, same in zip(one.boxes, other.boxes, strict=True):
            assert box[:4] == pytest.approx(same[:4], abs=1e-4)
            assert box.phrase == same.phrase


def test_released_rules_always_keep_a_box(golden: Path):
    localizer = GroundingDino(tiny_model(golden), tiny_text(golden), rules="released", short_side=64)
    (found,) = localizer.locate([photo(golden)], ["broken tooth"])
    assert found.boxes == () or found.boxes[0].score >= found.boxes[-1].score
    assert localizer.fingerprint != GroundingDino(tiny_model(golden), tiny_text(golden)).fingerprint


@pytest.mark.parametrize("size", [(600, 300), (300, 600), (518, 700), (1, 1), (3000, 10), (20, 20)])
def test_preprocess_keeps_the_aspect(size: tuple[int, int]):
    pixels = preprocess(Image.new("RGB", size))
    height, width = pixels.shape[1:]
    assert max(height, width) <= 1333
    if max(size) / min(size) < 2:
        assert min(height, width) == 518
        assert width / height == pytest.approx(size[0] / size[1], rel=0.01)


@pytest.mark.slow
def test_swin_t_size(golden: Path):
    torch.manual_seed(0)
    text = tiny_text(golden)
    model = create_grounding_dino(GroundingDinoConfig(), text)
    parameters = sum(value.numel() for name, value in model.named_parameters() if not name.startswith("bert"))
    assert parameters == pytest.approx(63e6, rel=0.02)
    localizer = GroundingDino(model, text, thresholds=Thresholds(box=0.0, area=10.0))
    (found,) = localizer.locate([photo(golden)], ["broken tooth"])
    assert len(found.boxes) == 10
    assert found.region is not None
