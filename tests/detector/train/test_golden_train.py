"""Three main-stage steps and two adapter steps of the released training, number by number."""

import json

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.optim import AdamW

from descriptions.format.schema import ABNORMAL_STATES, NORMAL_STATES
from detector.images.tensors import to_mask, to_pixels
from detector.scoring.prompts import AnomalyText, prompt_set
from detector.train.config import preset
from detector.train.stages import Batch, filo_stages
from tests.support.golden import golden_set

NOISE = 10
"""A faithful fp32 run stays within a few times the stored fp32/fp64 difference."""
MAIN = [(0, "gear wheel", 0, 1), (2, "glass jar", None, 0), (1, "chip1", 1, 1)]
ADAPTER = [(0, "gear wheel", 0, 1), (2, "glass jar", None, 0)]
IMAGES = ["img0_rgb_150x131.png", "img1_gray_90x112.png", "img2_rgb_300x200.png"]
MASKS = ["mask0_150x131.png", "mask1_90x112.png"]


@pytest.fixture(scope="module")
def manifest(golden):
    return json.loads((golden / "manifest.json").read_text())


@pytest.fixture(scope="module")
def stored(golden):
    return load_file(golden / "train.safetensors")


def batch_of(golden, manifest, config, image, name, mask, label):
    shared = manifest["class_name_map"][name]
    key = {"chip": "chip2"}.get(shared, name)  # the release keeps the prompts of the last class with the mapped name
    descriptions = [AnomalyText(f"d{i}", text) for i, text in enumerate(manifest["descriptions"][key])]
    prompts = prompt_set(shared, NORMAL_STATES, descriptions, ABNORMAL_STATES, context_tokens=config.context_tokens)
    size = config.image_size
    truth = torch.zeros(size, size)
    if mask is not None:
        truth = to_mask(Image.open(golden / "images" / MASKS[mask]), size).float()
    pixels = to_pixels(Image.open(golden / "images" / IMAGES[image]), config)
    return Batch(pixels[None], truth[None], torch.tensor([label]), [prompts])


def run(golden, manifest, which, cases):
    """Losses, then gradients and parameters after every step, by released names."""
    config = preset("filo-released")
    model = golden_set(golden).create_model()
    stage = filo_stages(model, config)[which]
    groups = {}
    for name, parameter in stage.objective.named_parameters():
        parameter.requires_grad_(name in stage.rates)
        groups.setdefault(stage.rates.get(name), []).append(parameter)
    groups.pop(None)
    optimizer = AdamW(
        [{"params": group, "lr": rate} for rate, group in groups.items()],
        betas=config.betas,
        weight_decay=config.weight_decay,
    )
    steps = []
    for case in cases:
        optimizer.zero_grad()
        loss = torch.stack(list(stage.objective(batch_of(golden, manifest, model.config, *case)).values())).sum()
        loss.backward()
        named = [(n.removeprefix("model."), p) for n, p in stage.objective.named_parameters() if n in stage.rates]
        gradients = {name: parameter.grad.clone() for name, parameter in named}
        optimizer.step()
        steps.append((loss.item(), gradients, {name: parameter.detach().clone() for name, parameter in named}))
    return steps


@pytest.fixture(scope="module")
def main_steps(golden, manifest):
    return run(golden, manifest, 0, MAIN)


@pytest.fixture(scope="module")
def adapter_steps(golden, manifest):
    return run(golden, manifest, 1, ADAPTER)


def test_golden_main_losses(main_steps, stored, manifest):
    noise = max(
        abs(a - b) for a, b in zip(stored["main.losses"].tolist(), manifest["train_noise"]["losses_fp64"], strict=True)
    )
    assert [loss for loss, _, _ in main_steps] == pytest.approx(
        stored["main.losses"].tolist(), abs=max(NOISE * noise, 1e-5)
    )


def test_golden_adapter_losses(adapter_steps, stored):
    assert [loss for loss, _, _ in adapter_steps] == pytest.approx(stored["adapter.losses"].tolist(), abs=2e-6)


@pytest.mark.parametrize("prefix", ["main.step0.", "adapter.step1."])
def test_golden_gradients_and_parameters(request, stored, manifest, prefix):
    stage, step = prefix.rstrip(".").split(".")
    _, gradients, parameters = request.getfixturevalue(f"{stage}_steps")[int(step[-1])]
    checked = 0
    for key, expected in stored.items():
        if not key.startswith((f"{prefix}grad.", f"{prefix}param.")):
            continue
        kind, name = key.removeprefix(prefix).split(".", 1)
        tensor = (gradients if kind == "grad" else parameters)[name]
        if kind == "grad":
            relative = (tensor - expected).norm() / expected.norm().clamp_min(1e-12)
            assert relative < NOISE * manifest["train_noise"]["worst_rel_grad_l2"][0], key
        else:
            assert (tensor - expected).abs().max() <= NOISE * 2e-5 * (1 if stage == "main" else 0.1), key
        checked += 1
    assert checked >= 4


@pytest.mark.parametrize("prefix", ["main.step0.grad_stats.", "main.step0.param_stats.", "main.step2.param_stats."])
def test_golden_statistics_of_every_parameter(main_steps, stored, prefix):
    _, gradients, parameters = main_steps[int(prefix.split(".")[1][-1])]
    side = gradients if "grad" in prefix else parameters
    keys = [key for key in stored if key.startswith(prefix)]
    assert {key.removeprefix(prefix) for key in keys} == set(side)
    for key in keys:
        value = side[key.removeprefix(prefix)].double()
        sums = torch.stack([value.abs().sum(), value.norm(), value.abs().max()])
        torch.testing.assert_close(
            sums, stored[key][1:], rtol=1e-4, atol=1e-5, msg=lambda text, key=key: f"{key}: {text}"
        )
