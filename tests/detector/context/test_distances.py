"""Distances between photos, against a second opinion that holds every product whole."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from detector.context.distances import (
    FewPhotosError,
    core_set,
    mutual_distances,
    nearest,
    neighbourhood,
    neighbours,
    reference_distances,
)


def photos(count: int, patches: int = 9, width: int = 8, levels: int = 2, seed: int = 0):
    drawn = torch.Generator().manual_seed(seed)
    return [
        tuple(F.normalize(torch.randn(patches, width, generator=drawn), dim=-1) for _ in range(levels))
        for _ in range(count)
    ]


def straightforward(a, b):
    return (1 - (a[:, None] * b[None]).sum(-1)).amin(1)


class Largest(TorchDispatchMode):
    """The most numbers that any tensor made inside has."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out._base is None:
            self.numbers = max(self.numbers, out.numel())
        return out


@pytest.mark.parametrize("block", [1, 7, 50, 2**22])
def test_nearest_is_exact_whatever_the_block(block):
    (a,), (b,) = photos(1, 23, levels=1)[0:1][0], photos(1, 41, levels=1, seed=1)[0]
    torch.testing.assert_close(nearest(a, b, block), straightforward(a, b), atol=1e-6, rtol=0)


def test_a_photo_lies_at_nothing_from_itself_and_at_two_from_its_opposite():
    (tokens,) = photos(1, levels=1)[0]
    assert torch.allclose(nearest(tokens, tokens), torch.zeros(9), atol=1e-6)
    assert torch.allclose(nearest(tokens[:1], -tokens[:1]), torch.tensor([2.0]))


def test_the_nearest_reference_counts_and_levels_are_averaged():
    query, *references = photos(4)
    expected = [
        torch.stack([straightforward(query[level], one[level]) for one in references]).amin(0) for level in (0, 1)
    ]
    got = reference_distances(query, references, block=20)
    torch.testing.assert_close(got, (expected[0] + expected[1]) / 2, atol=1e-6, rtol=0)
    half = [tuple(level.half() for level in one) for one in references]
    torch.testing.assert_close(reference_distances(query, half), got, atol=2e-3, rtol=0)


def test_a_reference_that_kept_nothing_says_nothing():
    query, one = photos(2)
    empty = tuple(level[:0] for level in one)
    assert torch.equal(reference_distances(query, [one, empty]), reference_distances(query, [one]))


@pytest.mark.parametrize(("count", "fraction"), [(2, 0.3), (4, 0.3), (9, 0.3), (9, 1.0), (30, 0.1)])
@pytest.mark.parametrize("block", [13, 2**22])
def test_mutual_distances_are_the_mean_of_the_smallest_over_others(count, fraction, block):
    group = photos(count)
    got = mutual_distances(group, fraction=fraction, block=block)
    keep = max(1, math.ceil(fraction * (count - 1)))
    for i, photo in enumerate(group):
        levels = []
        for level in (0, 1):
            far = [straightforward(photo[level], other[level]) for j, other in enumerate(group) if j != i]
            levels.append(torch.stack(far).sort(dim=0).values[:keep].mean(0))
        torch.testing.assert_close(got[i], (levels[0] + levels[1]) / 2, atol=1e-6, rtol=0)


def test_a_patch_that_no_other_photo_has_stands_out():
    drawn = torch.Generator().manual_seed(0)
    common = F.normalize(torch.randn(9, 32, generator=drawn), dim=-1)
    group = [(F.normalize(common + 0.02 * torch.randn(9, 32, generator=drawn), dim=-1),) for _ in range(10)]
    group[3][0][4] = F.normalize(torch.randn(32, generator=drawn), dim=-1)
    far = torch.stack(mutual_distances(group))
    assert divmod(int(far.argmax()), 9) == (3, 4)
    assert far[3, 4] > 10 * far.median()


@pytest.mark.parametrize("count", [0, 1])
def test_one_photo_cannot_be_compared(count):
    with pytest.raises(FewPhotosError, match=f"{count} photo.*at least 2.*--references"):
        mutual_distances(photos(count))


def test_neighbours_are_bounded_drawn_with_the_seed_and_serve_both():
    pairs = neighbours(50, 8, seed=1)
    met = torch.bincount(torch.tensor(pairs).flatten(), minlength=50)
    assert met.unique().tolist() == [8]
    assert len(set(pairs)) == len(pairs) == 200
    assert all(i < j for i, j in pairs)
    assert neighbours(50, 8, seed=1) == pairs != neighbours(50, 8, seed=2)
    assert len(neighbours(10, 64)) == 45


def test_memory_is_a_block_and_not_all_pairs():
    group = photos(12, patches=64, width=8, levels=1)
    with Largest() as seen:
        mutual_distances(group, block=1024)
        reference_distances(group[0], group[1:], block=1024)
    assert seen.numbers <= 1024
    with Largest() as seen:
        mutual_distances(group)
    assert 1024 < seen.numbers == 64 * 64


def test_neighbourhood_is_the_unit_mean_around_a_patch():
    (tokens,) = photos(1, 12, levels=1)[0]
    grid = tokens.unflatten(0, (3, 4))
    got = neighbourhood(tokens, (3, 4), 3).unflatten(0, (3, 4))
    torch.testing.assert_close(got[1, 1], F.normalize(grid[0:3, 0:3].mean((0, 1)), dim=-1))
    torch.testing.assert_close(got[0, 0], F.normalize(grid[0:2, 0:2].mean((0, 1)), dim=-1))
    assert neighbourhood(tokens, (3, 4), 1) is tokens


def test_a_core_set_takes_every_cluster_once_before_any_twice():
    drawn = torch.Generator().manual_seed(0)
    centres = F.normalize(torch.randn(6, 200, generator=drawn), dim=-1)
    tokens = torch.cat([F.normalize(c + 0.01 * torch.randn(n, 200, generator=drawn), dim=-1)
                        for c, n in zip(centres, (500, 5, 50, 2, 300, 1), strict=True)])  # fmt: skip
    owner = torch.repeat_interleave(torch.arange(6), torch.tensor([500, 5, 50, 2, 300, 1]))
    index = core_set(tokens, 6)
    assert sorted(owner[index].tolist()) == [0, 1, 2, 3, 4, 5]
    assert torch.equal(core_set(tokens, 6, seed=0), index)
    assert len(core_set(tokens, 40).unique()) == 40
    assert torch.equal(core_set(tokens[:4], 9), torch.arange(4))
