"""Figures of `benchmarks.reading` under many draws of photos: AUROC and AP of pixels and photos, naming."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DRAWS, BINS = 400, 512


class Curves:
    """AUROC and AP of pixels under many draws of photos, from histograms of every photo."""

    def __init__(self, maps: NDArray[np.float32], masks: NDArray[np.bool_]) -> None:
        edges = np.unique(np.quantile(maps, np.linspace(0, 1, BINS + 1)[1:-1]))
        bins = np.searchsorted(edges, maps.reshape(len(maps), -1))
        count = len(edges) + 1
        self.hit = np.stack(
            [np.bincount(b[m], minlength=count) for b, m in zip(bins, masks.reshape(len(maps), -1), strict=True)]
        )
        self.miss = np.stack(
            [np.bincount(b[~m], minlength=count) for b, m in zip(bins, masks.reshape(len(maps), -1), strict=True)]
        )

    def values(self, times: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """AUROC and AP of every draw [draws, photos]."""
        hit, miss = (times @ side for side in (self.hit, self.miss))
        below = np.cumsum(miss, 1) - miss
        area = (hit * (below + miss / 2)).sum(1) / np.maximum(hit.sum(1) * miss.sum(1), 1)
        true, false = np.cumsum(hit[:, ::-1], 1), np.cumsum(miss[:, ::-1], 1)
        precision = true / np.maximum(true + false, 1)
        return area, (precision * hit[:, ::-1]).sum(1) / np.maximum(hit.sum(1), 1)


def image_auroc(scores: NDArray[np.float32], labels: NDArray[np.bool_], times: NDArray[np.float64]) -> NDArray:
    """AUROC of photos under every draw."""
    wins = (scores[labels][:, None] > scores[~labels]) + 0.5 * (scores[labels][:, None] == scores[~labels])
    bad, good = times[:, labels], times[:, ~labels]
    return np.einsum("db,bg,dg->d", bad, wins, good) / np.maximum(bad.sum(1) * good.sum(1), 1e-9)


def draws_of(labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How often each photo is drawn: first the photos as they are, then `DRAWS` samples."""
    rng, count = np.random.default_rng(0), len(labels)
    drawn = [np.bincount(rng.integers(count, size=count), minlength=count) for _ in range(DRAWS)]
    return np.stack([np.ones(count), *drawn]).astype(float)


def balanced(truth: Sequence[str], said: Sequence[str]) -> float:
    """Mean over kinds of the share that is named right."""
    return float(
        np.mean([np.mean([s == t for t, s in zip(truth, said, strict=True) if t == kind]) for kind in set(truth)])
    )


def macro_f1(truth: Sequence[str], said: Sequence[str]) -> float:
    """Mean F1 over kinds."""
    values = []
    for kind in set(truth):
        both = sum(t == s == kind for t, s in zip(truth, said, strict=True))
        values.append(2 * both / max(1, sum(t == kind for t in truth) + sum(s == kind for s in said)))
    return float(np.mean(values))


def span(values: NDArray) -> list[float]:
    low, high = np.nanpercentile(values[1:], [2.5, 97.5])
    return [round(float(v), 4) for v in (values[0], low, high)]
