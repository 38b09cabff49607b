"""Checkpoints: ours and the released ones, and what is said when they do not fit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from detector.cli.app import app
from detector.errors import OutputError
from detector.model.config import ModelConfig
from detector.model.filo import FiLo
from detector.weights.checkpoint import (
    CheckpointError,
    backbone_digest,
    load_checkpoint,
    read_info,
    save_checkpoint,
)
from detector.weights.factory import create_empty_model, create_model
from detector.weights.files import WeightsError, load_pretrained, load_strictly, read_weights
from detector.weights.released import from_released, load_released
from tests.support.clip import TINY, tiny_config, tiny_filo, tiny_pixels, tiny_prompts
from tests.support.golden import golden_set


def same_weights(one: FiLo, other: FiLo) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in one.state_dict().items())


def released_state(model: FiLo, *, after_first_forward: bool = True) -> dict[str, torch.Tensor]:
    """A state dictionary as the release saves it."""
    state, single = {}, model.config.single_path_blocks
    swapped = {"in_proj_weight": "qkv.weight", "in_proj_bias": "qkv.bias"}
    swapped |= {"out_proj.weight": "proj.weight", "out_proj.bias": "proj.bias"}
    for name, tensor in model.state_dict().items():
        head, _, rest = name.partition(".")
        if head != "clip":
            state[name] = tensor
            continue
        if not rest.startswith(("visual.", "token_embedding.", "logit_scale")):
            state[f"text_encoder.{rest}"] = tensor
        block, _, field = rest.removeprefix("visual.transformer.resblocks.").partition(".attn.")
        if after_first_forward and rest.startswith("visual.") and field and int(block) >= single:
            rest = f"visual.transformer.resblocks.{block}.attn.{swapped[field]}"
            if int(block) == single:
                state[f"clip_model.visual.attn.{swapped[field]}"] = tensor
        state[f"clip_model.{rest}"] = tensor
    return state


@pytest.fixture
def tiny_json(tmp_path: Path) -> str:
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(TINY))
    return str(path)


def test_a_whole_checkpoint_is_the_model(tmp_path):
    model, path = tiny_filo(variant="released"), tmp_path / "deep" / "model.safetensors"
    save_checkpoint(model, path, whole=True, descriptions={"gear": "ab12"}, training={"steps": 3})
    info = read_info(path)
    assert (info.contents, info.descriptions, info.training) == ("whole", {"gear": "ab12"}, {"steps": 3})
    assert info.config == model.config
    loaded = load_checkpoint(path)
    assert same_weights(model, loaded)
    before, after = (each(tiny_pixels(), [tiny_prompts()]).similarity for each in (model, loaded))
    assert torch.equal(before, after)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_half_precision_storage_halves_the_file(tmp_path):
    model = tiny_filo()
    save_checkpoint(model, tmp_path / "full.safetensors", whole=True)
    save_checkpoint(model, tmp_path / "half.safetensors", whole=True, dtype=torch.float16)
    full, half = ((tmp_path / f"{name}.safetensors").stat().st_size for name in ("full", "half"))
    assert half < 0.55 * full
    assert load_checkpoint(tmp_path / "half.safetensors").dtype == torch.float32


def test_folded_while_loading_is_folded_afterwards(tmp_path):
    path, clip = tmp_path / "model.safetensors", tmp_path / "clip.pt"
    whole, pixels, prompts = tiny_filo(), tiny_pixels(), [tiny_prompts()]
    torch.save(whole.clip.state_dict(), clip)
    expected = whole(pixels, prompts).maps
    for contents in (True, False):
        save_checkpoint(whole, path, whole=contents)
        model = load_checkpoint(path, None if contents else clip, fold=True)
        assert (
            sum(isinstance(part, torch.nn.Conv2d) for part in model.decoder_cov.modules()) == model.decoder_cov.levels
        )
        with torch.no_grad():
            folded = model(pixels, prompts).maps
        for one, other in zip(folded, expected, strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


def test_an_empty_model_lacks_weights_only():
    built, empty = tiny_filo(), create_empty_model(tiny_config())
    assert torch.equal(empty.clip.attn_mask, built.clip.attn_mask)
    assert {name: tensor.shape for name, tensor in empty.state_dict().items()} == {
        name: tensor.shape for name, tensor in built.state_dict().items()
    }
    assert not any(tensor.is_meta for tensor in (*empty.parameters(), *empty.buffers()))
    assert [p.requires_grad for p in empty.parameters()] == [p.requires_grad for p in built.parameters()]


def test_weights_that_do_not_fit_change_nothing():
    model = tiny_filo()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    damaged = {name: torch.zeros_like(tensor) for name, tensor in before.items()} | {"clip.visual.proj": torch.ones(1)}
    with pytest.raises(WeightsError, match="proj 1 where the model has 32x24"):
        load_strictly(model, damaged, "x.pth")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_training_folder_and_its_state_lead_to_the_checkpoint(tmp_path):
    save_checkpoint(tiny_filo(), tmp_path / "model.safetensors", whole=True)
    save_file({"a": torch.ones(1)}, tmp_path / "last.safetensors")
    for given in (tmp_path, tmp_path / "last.safetensors"):
        with pytest.raises(CheckpointError, match=r"type --checkpoint .*model\.safetensors$"):
            read_info(given)


def test_equal_models_are_equal_files(tmp_path):
    model, files = tiny_filo(), [tmp_path / f"{number}.safetensors" for number in range(5)]
    for file in files:
        save_checkpoint(model, file, whole=True, descriptions={"gear": "0"}, training={"steps": 3})
    assert len({file.read_bytes() for file in files}) == 1


def test_a_weight_file_reads_what_it_is_asked_for(tmp_path):
    save_file({"a": torch.arange(3.0), "b": torch.ones(2)}, tmp_path / "two.safetensors")
    weights = read_weights(tmp_path / "two.safetensors")
    assert (len(weights), sorted(weights)) == (2, ["a", "b"])
    assert torch.equal(weights["a"], torch.arange(3.0))
    with pytest.raises(KeyError):
        weights["c"]


_LOAD = """
import sys
from pathlib import Path
from detector.weights.registry import load_model

def resident(what):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what))

load_model(checkpoint=Path(sys.argv[1]))  # brings every import
before = resident("VmRSS:")
load_model(checkpoint=Path(sys.argv[2]))
print((resident("VmHWM:") - before) * 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_model_is_never_in_memory_twice(tmp_path):
    """Nor are the kernels of all levels before they are folded; the file itself is never held."""
    wide = TINY | {"embed_dim": 512, "vision_cfg": TINY["vision_cfg"] | {"width": 512}}
    small, large = tmp_path / "small.safetensors", tmp_path / "large.safetensors"
    save_checkpoint(tiny_filo(), small, whole=True)
    save_checkpoint(create_model(tiny_config(architecture=wide)), large, whole=True)
    run = subprocess.run([sys.executable, "-c", _LOAD, small, large], capture_output=True, text=True, check=True)
    assert int(run.stdout) < 1.3 * large.stat().st_size


def test_trained_parts_need_their_backbone(tmp_path):
    model, path, clip = tiny_filo(), tmp_path / "run.safetensors", tmp_path / "clip.pt"
    save_checkpoint(model, path)
    assert not any(name.startswith("clip.") for name in load_file(path))
    with pytest.raises(CheckpointError, match="pass --pretrained"):
        load_checkpoint(path)
    torch.save({"state_dict": {f"module.{k}": v for k, v in model.clip.state_dict().items()}}, clip)
    assert same_weights(model, load_checkpoint(path, clip))
    other = tiny_filo(seed=1)
    torch.nn.init.normal_(other.clip.visual.ln_post.bias)
    torch.save(other.clip.state_dict(), clip)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path, clip)
    assert backbone_digest(model.clip)[:12] in str(caught.value)
    assert backbone_digest(other.clip)[:12] in str(caught.value)


def test_files_that_are_no_checkpoints(tmp_path):
    plain, broken = tmp_path / "plain.safetensors", tmp_path / "broken.safetensors"
    save_file({"a": torch.zeros(1)}, plain)
    broken.write_bytes(b"not a checkpoint")
    for path in (plain, broken):
        with pytest.raises(CheckpointError, match="detector import-checkpoint"):
            read_info(path)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        read_info(tmp_path / "missing.safetensors")


@pytest.mark.parametrize("after_first_forward", [True, False])
def test_released_checkpoints_import_strictly(tmp_path, tiny_json, after_first_forward):
    model, path = tiny_filo(variant="released"), tmp_path / "filo.pth"
    torch.save({"filo": released_state(model, after_first_forward=after_first_forward)}, path)
    imported = load_released(path, tiny_json)
    assert same_weights(model, imported)
    ours, theirs = model.config, imported.config
    assert theirs.model_copy(update={"backbone": ours.backbone}) == ours


def test_import_command(tmp_path, tiny_json):
    model, path, out = tiny_filo(variant="released"), tmp_path / "filo.pth", tmp_path / "ours.safetensors"
    torch.save({"filo": released_state(model)}, path)
    result = CliRunner().invoke(app, ["import-checkpoint", str(path), "--out", str(out), "--backbone", tiny_json])
    assert result.exit_code == 0, result.output
    assert "released FiLo" in result.stdout
    Path(tiny_json).unlink()
    assert same_weights(model, load_checkpoint(out))
    assert read_info(out).training == {"imported_from": "filo.pth"}


def test_an_import_that_cannot_be_written_is_one_line(tmp_path, tiny_json):
    path = tmp_path / "filo.pth"
    torch.save({"filo": released_state(tiny_filo(variant="released"))}, path)
    result = CliRunner().invoke(
        app, ["import-checkpoint", str(path), "--out", str(path / "x.safetensors"), "--backbone", tiny_json]
    )
    assert isinstance(result.exception, OutputError)


def test_released_checkpoints_that_do_not_fit(tiny_json):
    state = released_state(tiny_filo(variant="released"))
    with pytest.raises(CheckpointError, match=r"holds no normal_prompt_learner\.ctx"):
        from_released({k: v for k, v in state.items() if "prompt" not in k}, tiny_json, "x.pth")
    with pytest.raises(CheckpointError, match="differs from its copy"):
        from_released(state | {"text_encoder.ln_final.bias": torch.ones(40)}, tiny_json, "x.pth")
    with pytest.raises(CheckpointError, match="type --checkpoint with this one"):
        from_released(tiny_filo().state_dict(), tiny_json, "x.pth")
    lacking = {k: v for k, v in state.items() if "ln_final.bias" not in k}
    with pytest.raises(WeightsError, match=r"lacks clip\.ln_final\.bias"):
        from_released(lacking, tiny_json, "x.pth")
    with pytest.raises(WeightsError, match="unknown surprise"):
        from_released(state | {"surprise": torch.ones(1)}, tiny_json, "x.pth")
    with pytest.raises(WeightsError, match="NaN"):
        from_released(state | {"adapter.fc.0.weight": torch.full((12, 24), torch.nan)}, tiny_json, "x.pth")
    with pytest.raises(WeightsError, match="12x25 where the model has 12x24"):
        from_released(state | {"adapter.fc.0.weight": torch.ones(12, 25)}, tiny_json, "x.pth")


@pytest.mark.parametrize("stage", ["before_first_forward", "after_first_forward"])
@torch.no_grad()
def test_golden_checkpoint_in_the_released_format(golden, tmp_path, stage):
    vectors = golden_set(golden)
    state = released_state(vectors.model, after_first_forward=stage.startswith("after"))
    stored = json.loads((golden / "state_dict_keys_tiny.json").read_text())
    (keys,) = (shapes for name, shapes in stored.items() if name.startswith(stage))
    assert {name: list(tensor.shape) for name, tensor in state.items()} == keys
    config, path = tmp_path / "golden.json", tmp_path / "filo.pth"
    config.write_text(json.dumps(vectors.architecture))
    torch.save({"filo": state}, path)
    imported = load_released(path, str(config))
    assert imported.config.model_copy(update={"backbone": "golden"}) == vectors.model.config
    case = vectors.manifest["cases"][2]
    positions = [vectors.positions(case["positions"])]
    output = imported(vectors.pixels(case["img"]), [vectors.prompts(case["cls"])], positions)
    vectors.check("filo", f"{case['id']}.maps", torch.stack(output.maps))
    vectors.check("filo", f"{case['id']}.text_probs", output.similarity[:, None])


@pytest.mark.slow
@torch.no_grad()
def test_golden_key_list_at_full_size_imports(golden, tmp_path):
    """Seeded weights of the real size, saved under the real key list, become the same model to the bit."""
    shapes = json.loads((golden / "state_dict_keys_real_after.json").read_text())["after"]
    torch.manual_seed(0)
    source, path = create_model(ModelConfig(variant="released")), tmp_path / "filo.pth"
    state = released_state(source)
    assert {name: list(tensor.shape) for name, tensor in state.items()} == shapes
    torch.save({"filo": state}, path)
    imported = load_released(path)
    assert imported.config == source.config
    assert same_weights(source, imported)


def test_pretrained_from_every_kind_of_file(tmp_path):
    source = tiny_filo(seed=5, image_size=84).clip
    state = {name: tensor.clone() for name, tensor in source.state_dict().items()}
    torch.save(state, tmp_path / "plain.pt")
    save_file(state, tmp_path / "same.safetensors")
    for name in ("plain.pt", "same.safetensors"):
        model = create_model(tiny_config(), tmp_path / name)
        assert torch.equal(model.clip.visual.proj, source.visual.proj)
        assert model.clip.visual.positional_embedding.shape == (17, 32)


@pytest.mark.filterwarnings("ignore:`torch.jit.(script|save)` is deprecated")
def test_a_torchscript_archive_gives_its_parameters(tmp_path):
    clip = tiny_filo().clip
    path = tmp_path / "archive.pt"
    _archive(clip.state_dict(), path)
    weights = read_weights(path)
    other = tiny_filo(seed=3).clip
    load_pretrained(other, "tiny", path)
    assert set(clip.state_dict()) <= set(weights)
    assert torch.equal(other.visual.proj, clip.visual.proj)
    assert create_model(tiny_config(), path).config.quick_gelu is True
    assert create_model(tiny_config(variant="released"), path).config.quick_gelu is False


class _Eager(torch.nn.Module):
    """Writes a file while it is read."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.target, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.target, self.training = state[0], state[1]
        torch.save(torch.ones(1), self.target)


@pytest.mark.filterwarnings("ignore:`torch.jit.(script|save)` is deprecated")
def test_a_torchscript_archive_never_runs(tmp_path):
    path, target = tmp_path / "eager.pt", tmp_path / "written.bin"
    torch.jit.script(_Eager(str(target))).save(str(path))
    target.unlink(missing_ok=True)
    with pytest.raises(WeightsError, match=r"eager\.pt runs code of its own while it is read"):
        read_weights(path)
    assert not target.exists()


def _archive(state: dict[str, torch.Tensor], path: Path) -> None:
    """A TorchScript archive with nested modules named as the state is."""
    root = torch.nn.Module()
    for name, tensor in state.items():
        *folders, leaf = name.split(".")
        module = root
        for folder in folders:
            if not hasattr(module, folder):
                module.add_module(folder, torch.nn.Module())
            module = module.get_submodule(folder)
        module.register_buffer(leaf, tensor)
    root.register_buffer("input_resolution", torch.tensor(56))
    torch.jit.script(root).save(str(path))


def test_pretrained_that_cannot_be_had(monkeypatch):
    with pytest.raises(WeightsError, match="did you mean openai"):
        create_model(tiny_config(backbone="ViT-L-14-336"), "openal")
    with pytest.raises(WeightsError, match="or one of none"):
        create_model(tiny_config(), "openai")

    def fail(*_: object) -> str:
        raise OSError("no route to host")

    monkeypatch.setattr("open_clip.download_pretrained", fail)
    with pytest.raises(WeightsError, match="pass the path"):
        create_model(tiny_config(backbone="ViT-L-14-336"), "openai")


def test_weights_that_cannot_be_read(tmp_path):
    with pytest.raises(WeightsError, match="no file"):
        read_weights(tmp_path / "none.pt")
    (tmp_path / "bad.pt").write_bytes(b"garbage")
    with pytest.raises(WeightsError, match=r"bad\.pt is no file of tensors; expected weights"):
        read_weights(tmp_path / "bad.pt")
    torch.save({"model": Path("x")}, tmp_path / "pickled.pt")
    with pytest.raises(WeightsError, match="expected weights"):
        read_weights(tmp_path / "pickled.pt")


def test_zero_rows_take_no_room_and_come_back(tmp_path: Path) -> None:
    model = tiny_filo()
    with torch.no_grad():
        model.clip.token_embedding.weight[7:].zero_()
        model.decoder_cov.fc_33[0].weight.zero_()
    full = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    save_checkpoint(model, tmp_path / "sparse.safetensors", whole=True)
    stored = load_file(tmp_path / "sparse.safetensors")
    rows = len(model.clip.token_embedding.weight)
    assert stored["clip.token_embedding.weight.rows"].tolist() == [*range(7), rows]
    assert stored["decoder_cov.fc_33.0.weight.values"].shape[0] == 0
    assert (tmp_path / "sparse.safetensors").stat().st_size < full / 2
    assert same_weights(model, load_checkpoint(tmp_path / "sparse.safetensors"))
