"""References among each other: one product a pair gives the numbers that four products a pair gave."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from detector.context.distances import SPREAD
from detector.context.leave_one_out import leave_one_out


def references(count, patches=12, width=8, seed=0):
    drawn = torch.Generator().manual_seed(seed)
    return [
        tuple(F.normalize(torch.randn(patches, width, generator=drawn), dim=-1).half() for _ in range(2))
        for _ in range(count)
    ]


def plain(tokens, own):
    """By the definition, every product whole."""
    count, spreads, maps = len(tokens), [], []
    for i in range(count):
        rest = [[tokens[j][level].float() for j in range(count) if j != i] for level in (0, 1)]
        spreads.append(
            [(1 - tokens[i][at].float() @ torch.cat(rest[at]).T).amin(1).clamp_min(0).half() for at in (0, 1)]
        )
    for i in range(count):
        levels = []
        for at in (0, 1):
            reduced = []
            for j in (j for j in range(count) if j != i):
                far, index = (1 - own[i][at].float() @ tokens[j][at].float().T).clamp_min(0).min(1)
                reduced.append(far - SPREAD * spreads[j][at].float()[index])
            levels.append(torch.stack(reduced).amin(0))
        maps.append(torch.stack(levels).mean(0))
    return spreads, torch.stack(maps).numpy()


class Products(TorchDispatchMode):
    """How many matrix products are made inside."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten.mm.default
        return func(*args, **(kwargs or {}))


def agree(got, expected):
    np.testing.assert_allclose(got[1], expected[1], atol=1e-6)
    for mine, other in zip(got[0], expected[0], strict=True):
        for here, there in zip(mine, other, strict=True):
            assert here.dtype == torch.float16
            torch.testing.assert_close(here, there, atol=1e-6, rtol=1e-3)  # half: the last place may round either way


@pytest.mark.parametrize("count", [2, 3, 7])
@pytest.mark.parametrize("most", [0, 64])
@pytest.mark.parametrize("block", [50, 2**22])
def test_spreads_and_maps_are_those_of_the_definition(count, most, block):
    tokens = references(count)
    agree(leave_one_out(tokens, tokens, most=most, block=block), plain(tokens, tokens))


def test_turned_references_are_judged_as_the_photos_lie():
    turned = references(4, patches=24)
    own = [tuple(level[:12] for level in each) for each in turned]
    agree(leave_one_out(turned, own), plain(turned, own))


def test_one_product_a_pair_and_level():
    tokens = references(6)
    with Products() as one:
        leave_one_out(tokens, tokens)
    with Products() as four:
        leave_one_out(tokens, tokens, most=0)
    assert (one.count, four.count) == (2 * 15, 4 * 2 * 15)


def test_a_core_set_of_as_many_tokens_as_a_photo_is_not_taken_for_the_photo():
    whole = references(3)
    kept = [tuple(level[:n] for level in each) for each, n in zip(whole, (5, 12, 7), strict=True)]
    agree(leave_one_out(kept, whole), plain(kept, whole))
