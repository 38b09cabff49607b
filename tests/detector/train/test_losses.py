"""Losses where no golden vector speaks."""

import pytest
import torch

from detector.train.losses import adapter_loss, dice, focal, segmentation_terms


def segmentation_loss(maps, mask, *, rowwise=False):
    return sum(segmentation_terms(maps, mask, rowwise=rowwise).values())


def perfect(mask: torch.Tensor) -> torch.Tensor:
    return torch.stack([1 - mask, mask], dim=1)


def test_a_perfect_map_costs_next_to_nothing_and_its_opposite_much():
    mask = (torch.rand(2, 6, 5, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    right, wrong = perfect(mask), perfect(1 - mask)
    assert focal(right, mask) < 1e-6 < 1 < focal(wrong, mask)
    assert segmentation_loss((right, right), mask) < 1e-4
    assert segmentation_loss((wrong,), mask) > 2


def test_dice_by_image_and_by_row():
    mask = torch.zeros(1, 2, 2)
    mask[0, 0] = 1
    guess = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    assert dice(guess, mask).item() == pytest.approx(1 - 3 / 4)
    assert dice(guess, mask, rowwise=True).item() == pytest.approx((1 - 3 / 4 + 0) / 2)
    both = torch.cat([guess, mask]), torch.cat([mask, mask])
    assert dice(*both).item() == pytest.approx((1 - 3 / 4) / 2)


def test_adapter_loss_prefers_the_right_side():
    similarity = torch.tensor([[0.1, 0.4]])
    assert adapter_loss(similarity, torch.tensor([1])) < adapter_loss(similarity, torch.tensor([0]))
