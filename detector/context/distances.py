"""How far the patches of a photo lie from those of other photos: one minus the cosine with the nearest.

Exact, and in blocks: of a product of two sets of tokens, at most `BLOCK` numbers are held at once (see `nearest`), so
that the peak is the tokens themselves, one block, and the result. Everything runs where the tokens are, in their
precision; results are fp32.

DetectorError
+-- FewPhotosError      photos among each other that are fewer than two
"""

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from detector.context.tokens import Levels
from detector.errors import DetectorError

BLOCK = 2**22
"""Numbers of a block of cosines, 16 MiB in fp32: beside it, the processor's caches and a GPU are busy."""
OTHERS = 64
"""Photos that each photo is compared with at most, so that the cost grows with the number of photos, not its square."""
FRACTION = 0.3
"""Share of the other photos, the nearest ones for each patch, whose distances are averaged (MuSc, section 3.3)."""
PROJECTED = 128
"""Width that tokens are projected to while a core set is chosen (PatchCore, section 3.2; Johnson-Lindenstrauss)."""
SPREAD = 0.5
"""Share of the nearest reference token's own distance to other references that a distance is reduced by."""
FEW_TOGETHER = 8
"""Photos below which photos among each other say little."""


class FewPhotosError(DetectorError):
    """Fewer than two photos to be compared among each other."""


def nearest(
    queries: Float[Tensor, "queries width"], bank: Float[Tensor, "bank width"], block: int = BLOCK
) -> Float[Tensor, " queries"]:
    """One minus the highest cosine of every query with any token of a bank, in [0, 2].

    Args:
        queries: unit length.
        bank: unit length, at least one.
        block: most numbers of a product that are held at once; the result does not depend on it.
    """
    if not len(bank):  # a reference that a core set kept nothing of
        return queries.new_full((len(queries),), 2.0, dtype=torch.float32)
    best = queries.new_full((len(queries),), -2.0, dtype=torch.float32)
    for here, others, _ in _blocks(queries, bank, block):
        highest = (queries[here] @ bank[others].T).amax(1).float()
        best[here] = torch.maximum(best[here], highest)
    return (1 - best).clamp_min_(0)


def _blocks(queries: Tensor, bank: Tensor, block: int) -> Iterator[tuple[slice, slice, int]]:
    """Rows and columns of products of at most `block` numbers, and the first column."""
    columns = max(1, min(len(bank), block // max(1, min(len(queries), 1024))))
    rows = max(1, block // columns)
    for start in range(0, len(queries), rows):
        for first in range(0, len(bank), columns):
            yield slice(start, start + rows), slice(first, first + columns), first


def nearest_with_index(
    queries: Float[Tensor, "queries width"], bank: Float[Tensor, "bank width"], block: int = BLOCK
) -> tuple[Float[Tensor, " queries"], Int[Tensor, " queries"]]:
    """As `nearest`, for a bank that is not empty, and which token of the bank it is; the first among equals."""
    best = queries.new_full((len(queries),), -2.0, dtype=torch.float32)
    index = torch.zeros(len(queries), dtype=torch.long, device=queries.device)
    for rows, columns, first in _blocks(queries, bank, block):
        here, at = best[rows], index[rows]
        highest, which = (queries[rows] @ bank[columns].T).max(1)
        better = highest.float() > here
        here[better] = highest.float()[better]
        at[better] = which[better] + first
    return (1 - best).clamp_min_(0), index


def reference_distances(
    photo: Levels, references: Sequence[Levels], spreads: Sequence[Levels] | None = None, block: int = BLOCK
) -> Float[Tensor, " patches"]:
    """d_ref: distance of every patch to the nearest patch of any reference, averaged over levels.

    PatchCore (CVPR 2022), WinCLIP+ (CVPR 2023), AnomalyDINO (WACV 2025). References are gone through one by one, so
    that leaving one out copies nothing; their tokens may be stored in a shorter type.

    Args:
        photo: tokens of one photo.
        references: tokens of each reference; at least one token a level in all.
        spreads: how far each of those tokens lies from the other references. `SPREAD` times the spread of the nearest
            token is taken off: what good photos do not agree on counts for less, as in PatchCore's re-weighting
            (section 3.3). Values below 0 are then possible.
        block: see `nearest`.
    """
    if spreads is None:
        return distances_by_photo(photo, references, block).amin(1).mean(0)
    levels = []
    for level, one in enumerate(photo):
        best = one.new_full((len(one),), math.inf, dtype=torch.float32)
        for reference, spread in zip(references, spreads, strict=True):
            if len(reference[level]):
                far, index = nearest_with_index(one, reference[level].to(one), block)
                torch.minimum(best, far - SPREAD * spread[level].to(far)[index], out=best)
        levels.append(best)
    return torch.stack(levels).mean(0)


def distances_by_photo(
    photo: Levels, others: Sequence[Levels], block: int = BLOCK
) -> Float[Tensor, "levels others patches"]:
    """Distance of every patch to the nearest patch of each of some photos, level by level."""
    each = [
        torch.stack([nearest(one, other[level].to(one), block) for other in others]) for level, one in enumerate(photo)
    ]
    return torch.stack(each)


def neighbours(photos: int, others: int = OTHERS, seed: int = 0) -> list[tuple[int, int]]:
    """Pairs of photos to compare: each with at most `others` different ones, everyone with as many.

    Photos are put into a circle in a drawn order, and each is compared with the nearest on both sides. A pair serves
    both, which halves the work.
    """
    if photos - 1 <= others:
        return [(i, j) for i in range(photos) for j in range(i + 1, photos)]
    order = torch.randperm(photos, generator=torch.Generator().manual_seed(seed)).tolist()
    steps = max(1, others // 2)
    pairs = {
        tuple(sorted((order[i], order[(i + step) % photos]))) for i in range(photos) for step in range(1, steps + 1)
    }
    return sorted(pairs)


def mutual_distances(
    photos: Sequence[Levels],
    *,
    fraction: float = FRACTION,
    others: int = OTHERS,
    seed: int = 0,
    block: int = BLOCK,
) -> list[Float[Tensor, " patches"]]:
    """d_mut: how far every patch lies from its nearest twins in other photos of the same product (MuSc, ICLR 2024).

    For patch p of photo i and every other photo j, a_ij(p) is the distance to the nearest patch of j; the smallest
    `fraction` of them (at least one) is averaged, then the levels. Beside the tokens, the peak is one block of cosines
    and, per photo, `fraction * others` values a patch and level.

    Args:
        photos: tokens of each; a sequence that reads them when they are asked for will do.
        fraction: share of the others that counts.
        others: photos that each is compared with at most.
        seed: of the draw, where there are more.
        block: see `nearest`.

    Raises:
        FewPhotosError: one photo, or none.
    """
    if len(photos) < 2:
        raise FewPhotosError(
            f"{len(photos)} photo{'s' * (len(photos) != 1)} to compare among each other",
            expected=f"at least 2, better {FEW_TOGETHER} or more",
            hint="add photos, or type --references with good ones",
        )
    pairs = neighbours(len(photos), others, seed)
    met = torch.bincount(torch.tensor(pairs).flatten(), minlength=len(photos)).tolist()
    keep = [max(1, math.ceil(fraction * count)) for count in met]
    smallest: list[list[Tensor]] = [[] for _ in photos]
    for i, j in pairs:
        both = [_both_ways(a, b, block) for a, b in zip(photos[i], photos[j], strict=True)]
        for photo, side in ((i, 0), (j, 1)):
            _merge(smallest[photo], torch.stack([pair[side] for pair in both]), keep[photo])
    return [
        torch.cat(values).topk(count, dim=0, largest=False).values.mean((0, 1))
        for values, count in zip(smallest, keep, strict=True)
    ]


def _both_ways(a: Tensor, b: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """Distances of a's tokens to the nearest of b, and the other way round, from one product."""
    if len(a) * len(b) > block:
        return nearest(a, b, block), nearest(b, a, block)
    cosines = a @ b.T
    return tuple((1 - cosines.amax(axis).float()).clamp_min_(0) for axis in (1, 0))  # type: ignore[return-value]  # two


def both_ways_with_index(
    a: Float[Tensor, "a width"], b: Float[Tensor, "b width"], block: int = BLOCK
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """As `nearest_with_index` of a in b, and of b in a, from one product where it fits into a block."""
    if len(a) * len(b) > block:
        return nearest_with_index(a, b, block), nearest_with_index(b, a, block)
    cosines = a @ b.T
    there, back = ((values.float(), index) for values, index in (cosines.max(1), cosines.max(0)))
    return ((1 - there[0]).clamp_min_(0), there[1]), ((1 - back[0]).clamp_min_(0), back[1])


def _merge(smallest: list[Tensor], values: Float[Tensor, "levels patches"], keep: int) -> None:
    """Add values to the `keep` smallest of every level and patch, [kept, levels, patches]."""
    smallest.append(values[None])
    if len(smallest) > 1 and sum(map(len, smallest)) >= keep + 8:  # now and then: sorting each time costs as much
        smallest[:] = [torch.cat(smallest).topk(keep, dim=0, largest=False).values]


def neighbourhood(tokens: Float[Tensor, "patches width"], grid: tuple[int, int], size: int) -> Tensor:
    """Every token replaced by the unit mean of its size x size neighbourhood (MuSc's LNAMD, section 3.2).

    Args:
        tokens: unit length, row-major over the grid.
        grid: rows and columns.
        size: odd; 1 changes nothing.
    """
    if size == 1:
        return tokens
    cells = tokens.float().T.reshape(1, -1, *grid)
    pooled = F.avg_pool2d(cells, size, stride=1, padding=size // 2, count_include_pad=False)
    return F.normalize(pooled.flatten(2)[0].T, dim=-1).to(tokens.dtype).contiguous()


def core_set(tokens: Float[Tensor, "tokens width"], keep: int, seed: int = 0) -> Int[Tensor, " kept"]:
    """Indices of `keep` tokens of which every other one is near: greedy k-centre (PatchCore, algorithm 1).

    Starts at a drawn token and adds the one furthest from all it has. Distances are measured on a random projection to
    `PROJECTED` numbers. All indices, in order, where there are no more than `keep`.
    """
    if len(tokens) <= keep:
        return torch.arange(len(tokens), device=tokens.device)
    generator = torch.Generator().manual_seed(seed)
    points = tokens.float()
    if points.shape[1] > PROJECTED:
        projection = torch.randn(points.shape[1], PROJECTED, generator=generator) / math.sqrt(PROJECTED)
        points = points @ projection.to(points.device)
    squares = points.square().sum(1)
    chosen = [int(torch.randint(len(points), (1,), generator=generator))]
    far = torch.full_like(squares, math.inf)
    while True:
        last = points[chosen[-1]]
        torch.minimum(far, squares - 2 * (points @ last) + squares[chosen[-1]], out=far)
        if len(chosen) == keep:
            return torch.tensor(sorted(chosen), device=tokens.device)
        far[chosen[-1]] = -math.inf
        chosen.append(int(far.argmax()))


def reduced(tokens: Sequence[Levels], keep: int | None) -> list[Levels]:
    """All references reduced together, level by level, to a core set of `keep` tokens."""
    if keep is None:
        return list(tokens)
    columns: list[list[Tensor]] = []
    for level in zip(*tokens, strict=True):
        lengths = [len(each) for each in level]
        whole = torch.cat(level)
        owner = torch.repeat_interleave(torch.arange(len(level)), torch.tensor(lengths))
        index = core_set(whole.float(), keep)
        columns.append([whole[index[owner[index] == number]] for number in range(len(level))])
    return [tuple(each) for each in zip(*columns, strict=True)]
