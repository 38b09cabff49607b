"""Ways to compare with good photos and to score a map, side by side: `benchmarks.context --what tries`.

A way is chosen on one half of the test photos and reported on the other, since the best of many on the same photos
flatters itself. Halves are every other photo, so that both hold all kinds.
"""

import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from benchmarks.context_data import Photos, Tokens
from benchmarks.context_pairs import Pairs, agreeing, lowest, plain, spread_taken_off
from detector.context.calibration import top_mean
from detector.context.tokens import Levels
from detector.metrics import image_metrics

VARIANCE = 0.99
"""Of the tokens of good photos, that a subspace keeps (SubspaceAD)."""
OFFSET = 6.0
"""Added to a sum of deviations, so that multiples of what good photos have mean something."""
Maps = NDArray[np.float64]
"""[photos, patches]."""
Score = Callable[[Maps, Maps, tuple[int, int]], NDArray[np.float64]]
"""Scores of photos from their maps and those of the references against each other."""


def subspace(photos: Sequence[Levels], references: Sequence[Levels], variance: float = VARIANCE) -> Maps:
    """Squared length of what a principal subspace of good tokens cannot say, mean of the levels: a bank under 1 MB."""
    levels = []
    for level in range(len(photos[0])):
        centre, axes = _principal(torch.cat([each[level] for each in references]), variance)
        moved = [each[level] - centre for each in photos]
        levels.append(torch.stack([(one - one @ axes @ axes.T).square().sum(1) for one in moved]))
    maps: Maps = torch.stack(levels).mean(0).double().numpy()
    return maps


def _principal(tokens: Tensor, variance: float) -> tuple[Tensor, Tensor]:
    centre = tokens.mean(0)
    moved = tokens - centre
    values, vectors = torch.linalg.eigh(moved.T @ moved / len(tokens))
    kept = values.flip(0).cumsum(0) / values.sum()
    count = int((kept < variance).sum()) + 1
    return centre, vectors[:, -count:]


def subspace_left_out(references: Sequence[Levels], variance: float = VARIANCE) -> Maps:
    """Every reference by the subspace of the others."""
    return np.concatenate(
        [
            subspace([one], [other for at, other in enumerate(references) if at != index], variance)
            for index, one in enumerate(references)
        ]
    )


def at_scales(
    maps: Maps, good: Maps, grid: tuple[int, int], sigmas: Sequence[float], join: Callable[..., Any] = np.mean
) -> NDArray[np.float64]:
    """Per blur the highest 1 % (without a blur the highest patch), as a multiple of what good ones have; joined."""
    parts = []
    for sigma in sigmas:
        theirs, ours = ([_at_scale(one, grid, sigma) for one in each] for each in (good, maps))
        parts.append(np.array(ours) / np.mean(theirs))
    scores: NDArray[np.float64] = join(parts, axis=0)
    return scores


def _at_scale(one: NDArray[np.float64], grid: tuple[int, int], sigma: float) -> float:
    if not sigma:
        return float(one.max())
    return top_mean(ndimage.gaussian_filter(one.reshape(grid), sigma))


SCORES: dict[str, Score] = {
    "mean of the highest 1 %": lambda maps, _, __: np.array([top_mean(one) for one in maps]),
    "highest patch": lambda maps, _, __: maps.max(1),
    "two scales": lambda maps, good, grid: at_scales(maps, good, grid, (0, 1)),
    "larger of two scales": lambda maps, good, grid: at_scales(maps, good, grid, (0, 1), np.max),
    "three scales": lambda maps, good, grid: at_scales(maps, good, grid, (0, 0.7, 1.5)),
}


def _standard(maps: Maps, good: Maps) -> tuple[Maps, Maps]:
    """Both in deviations from good."""
    mean, deviation = good.mean(), good.std()
    return (maps - mean) / deviation, (good - mean) / deviation


def _by_place(maps: Maps, good: Maps, share: float = 0.5) -> tuple[Maps, Maps]:
    """A share of what good photos have at the same place taken off."""
    usual = good.mean(0)
    return maps - share * usual, good - share * usual


def all_maps(
    near: Pairs, among: Pairs, tokens: Tokens, photos: Sequence[Path], drawn: Sequence[Path]
) -> dict[str, tuple[Maps, Maps]]:
    """Maps of photos, and of references against each other, for every way to compare."""
    levels, references = tokens.all(photos), tokens.all(drawn)
    ways = {"nearest": (plain(near), plain(among))}
    for share in (0.5, 0.75):
        ways[f"{share:g} of the spread off"] = (
            spread_taken_off(near, among, share), spread_taken_off(among, among, share),
        )  # fmt: skip
    ways["nearest 30 % of photos"] = lowest(near, 0.3), lowest(among, 0.3)
    count = len(references[0])
    agree = [
        np.mean([agreeing(each, tokens, names, drawn, level) for level in range(count)], axis=0)
        for each, names in ((near, photos), (among, drawn))
    ]
    ways["neighbours that agree"] = agree[0], agree[1]
    ways["subspace"] = subspace(levels, references), subspace_left_out(references)
    for name, first in (("spread", "0.5 of the spread off"), ("nearest", "nearest")):
        both = zip(_standard(*ways[first]), _standard(*ways["subspace"]), strict=True)
        ways[f"{name} and subspace"] = tuple(a + b + OFFSET for a, b in both)  # type: ignore[assignment]  # two
    ways["spread, place"] = _by_place(*ways["0.5 of the spread off"])
    return ways


def measure(
    photos: Photos, tokens: Tokens, each: Pairs, among: Pairs, pool: Sequence[Path], count: int, draws: int
) -> list[str]:
    """Lines of a table: image AUROC on the half to choose on and on the other, over draws of references."""
    figures: dict[str, list[tuple[float, float]]] = {}
    for draw in range(draws):
        drawn = random.Random(draw).sample(range(len(pool)), min(count, len(pool)))
        near, refs = each.beside(drawn), Pairs(among.far[drawn], among.index[drawn]).beside(drawn)
        ways = all_maps(near, refs, tokens, photos.paths, [pool[index] for index in drawn])
        for way, (maps, good) in ways.items():
            for name, score in SCORES.items():
                scores = score(maps, good, tokens.grid)
                halves = tuple(_auroc(scores[start::2], photos.labels[start::2]) for start in (0, 1))
                figures.setdefault(f"{way}, {name}", []).append(halves)  # type: ignore[arg-type]  # two
    return [
        f"| {photos.name} | {way} | {count} | {' | '.join(f'{value:.3f}' for value in np.mean(values, axis=0))} "
        f"| {np.std(np.mean(values, axis=1)):.3f} |"
        for way, values in figures.items()
    ]


def _auroc(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    value = image_metrics(scores, labels).values["image_auroc"]
    return math.nan if value is None else float(value)
