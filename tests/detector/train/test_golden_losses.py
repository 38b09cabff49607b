"""Loss terms and the training losses of the release."""

from pathlib import Path

import pytest
import torch

from detector.train.losses import adapter_loss, dice, focal, segmentation_terms
from tests.support.golden import Golden, golden_set


def segmentation_loss(maps, mask, *, rowwise=False):
    """What the trainer minimises: the sum of the terms that `MainObjective` gives it."""
    return sum(segmentation_terms(maps, mask, rowwise=rowwise).values())


@pytest.fixture
def vectors(golden: Path) -> Golden:
    return golden_set(golden)


def test_golden_loss_terms(vectors):
    maps = tuple(vectors.tensors("filo")["c0.maps"])
    mask = vectors.tensors("vision")["mask_bin.0"][0].float()

    def check(name: str, values: list[torch.Tensor]) -> None:
        vectors.check("train", f"loss.{name}", torch.stack(values), floor=1e-6)

    check("focal", [focal(level, mask) for level in maps])
    check("dice_abnormal", [dice(level[:, 1], mask, rowwise=True) for level in maps])
    check("dice_normal", [dice(level[:, 0], 1 - mask, rowwise=True) for level in maps])
    check("dice_abnormal_if_per_image", [dice(level[:, 1], mask) for level in maps])
    vectors.check("train", "loss.total", segmentation_loss(maps, mask, rowwise=True), floor=1e-5)


def test_golden_random_loss_terms(vectors):
    stored = vectors.tensors("train")
    probabilities, target = stored["loss.rand.probs"], stored["loss.rand.target"][:, 0]
    vectors.check("train", "loss.rand.focal", focal(probabilities, target), floor=1e-6)
    vectors.check("train", "loss.rand.dice", dice(probabilities[:, 1], target), floor=1e-6)


def test_golden_first_losses_of_both_stages(vectors):
    model, case = vectors.model, vectors.manifest["cases"][0]
    mask = vectors.tensors("vision")["mask_bin.0"][0].float()
    output = model(vectors.pixels(case["img"]), [vectors.prompts(case["cls"])], adapt=False)
    main = segmentation_loss(output.maps, mask, rowwise=True)
    assert abs(main.item() - vectors.tensors("train")["main.losses"][0].item()) < 3e-5
    output = model(vectors.pixels(case["img"]), [vectors.prompts(case["cls"])])
    adapter = adapter_loss(output.similarity, torch.tensor([1]))
    assert abs(adapter.item() - vectors.tensors("train")["adapter.losses"][0].item()) < 3e-6


def test_golden_gradients_of_the_first_step(vectors):
    """Every stored gradient of the main stage, through the same prompt trees and summed kernels that inference uses."""
    model, case = vectors.model, vectors.manifest["cases"][0]
    mask = vectors.tensors("vision")["mask_bin.0"][0].float()
    output = model(vectors.pixels(case["img"]), [vectors.prompts(case["cls"])], adapt=False)
    model.zero_grad()
    segmentation_loss(output.maps, mask, rowwise=True).backward()
    worst = vectors.manifest["train_noise"]["worst_rel_grad_l2"][0]
    checked = 0
    for name, expected in vectors.tensors("train").items():
        if name.startswith("main.step0.grad."):
            gradient = model.get_parameter(name.removeprefix("main.step0.grad.")).grad
            assert (gradient - expected).norm() <= 10 * worst * expected.norm() + 1e-7, name
            checked += 1
    model.zero_grad()
    assert checked
    assert all(parameter.grad is None for parameter in model.clip.parameters())
