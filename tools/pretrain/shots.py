"""Cached photos as the decoders see them: tokens beside their photo's mean, and which defect covers which patch."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detector.model.image_tower import contrasted
from tools.pretrain.kinds import WORDS

POSITIVES, NEGATIVES = 32, 40
"""Patches a region and a photo that a fit reads at most."""


class Region(NamedTuple):
    """One defect of a photo."""

    kind: str
    phrases: tuple[str, ...]
    cover: NDArray[np.float16]
    """[patches] share of each patch that the defect covers."""


class Shot(NamedTuple):
    """One photo with its features."""

    product: str
    tokens: NDArray[np.float16]
    """[levels, 1 + patches, width]."""
    regions: tuple[Region, ...]
    painted: bool


def load(work: Path, size: int, *, painted: bool = True) -> list[Shot]:
    """All cached photos, and those with painted defects."""
    shots = []
    folder = work / f"photos-{size}"
    tokens, cover = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("tokens", "cover"))
    for number, (product, kind, _) in enumerate(json.loads((folder / "photos.json").read_text(encoding="utf-8"))):
        if kind == "good":
            regions: tuple[Region, ...] = ()
        else:
            regions = (Region(kind, WORDS[product].kinds[kind], cover[number]),)
        shots.append(Shot(product, tokens[number], regions, False))
    folder = work / f"painted-{size}"
    if painted and (folder / "photos.json").is_file():
        tokens, cover = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("tokens", "cover"))
        for number, (product, said) in enumerate(json.loads((folder / "photos.json").read_text(encoding="utf-8"))):
            regions = tuple(Region(each[0], tuple(each[1:]), cover[number, i]) for i, each in enumerate(said))
            shots.append(Shot(product, tokens[number], regions, True))
    return shots


class Rows(NamedTuple):
    """Sampled patches of all photos."""

    tokens: Tensor
    """[rows, levels, twice the width], as `contrasted` makes them."""
    shot: Tensor
    """Index of the photo."""
    region: Tensor
    """Index of the region within it; -1 outside all."""


def sample(shots: Sequence[Shot], seed: int = 0) -> Rows:
    """Patches inside the regions, and as many outside as `NEGATIVES`."""
    rng = np.random.default_rng(seed)
    tokens, shot, region = [], [], []
    for number, each in enumerate(shots):
        chosen, labels = _patches(each, rng)
        seen = contrasted(torch.from_numpy(np.asarray(each.tokens[:, 1:])).float())
        tokens.append(seen[:, chosen].transpose(0, 1).half())
        shot.append(np.full(len(chosen), number))
        region.append(labels)
    return Rows(torch.cat(tokens), *(torch.from_numpy(np.concatenate(part)) for part in (shot, region)))


def _patches(shot: Shot, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    covers = np.stack([r.cover for r in shot.regions]) if shot.regions else np.zeros((1, shot.tokens.shape[1] - 1))
    outside = np.flatnonzero(covers.max(0) < 0.02)
    chosen = [rng.permutation(outside)[:NEGATIVES]]
    labels = [np.full(len(chosen[0]), -1)]
    for number, region in enumerate(shot.regions):
        inside = members(region.cover)
        chosen.append(rng.permutation(inside)[:POSITIVES])
        labels.append(np.full(len(chosen[-1]), number))
    return np.concatenate(chosen), np.concatenate(labels)


def members(cover: NDArray[np.float16]) -> NDArray[np.int64]:
    """Patches that show a region: those half covered, or the most covered ones of a small region."""
    limit = min(0.5, 0.7 * float(cover.max()))
    return np.flatnonzero(cover >= max(limit, 1e-3))
