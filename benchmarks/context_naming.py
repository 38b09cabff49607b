"""Whether the first phrase names the kind of a defect, beside chance and beside the highest raw cosine.

A region is what the mask says, so that words alone are judged. A phrase is right where its family is one of those that
`KINDS` names for the folder; families are those of the description files.
"""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.context_data import Photos
from descriptions.store import Store
from detector.context.fusion import PhraseScale, name_defect, on_grid, phrase_scale
from detector.detect.detector import Detector
from detector.scoring.predictor import Ask

KINDS = {
    "mvtec/transistor": {
        "bent_lead": ("dent or bend",),
        "cut_lead": ("missing part", "broken edge"),
        "damaged_case": ("crack", "scratch", "broken edge"),
        "misplaced": ("wrong place",),
    },
    "magnetic_tile/magnetic_tile": {
        "blowhole": ("hole",),
        "break": ("broken edge",),
        "crack": ("crack",),
        "fray": ("rough texture",),
        "uneven": ("stain or colour", "rough texture"),
    },
    "steel/steel": {
        "inclusion": ("dirt or foreign object", "bubble or lump"),
        "patches": ("stain or colour", "rust"),
        "scratches": ("scratch",),
    },
    "leather/leather_custom": {
        "cut": ("tear",),
        "hole": ("hole",),
        "line": ("scratch",),
        "wrinkle": ("dent or bend", "rough texture"),
    },
}
"""Families of phrases that are right, by set and folder."""
WORDS = {"leather_custom": "leather"}
"""Description of a set that goes by another name in the library."""


class Named(NamedTuple):
    """One defective photo."""

    kind: str
    deviations: bool
    cosine: bool
    chance: float


def table(data: Path, preset: str | None, share: float) -> list[str]:
    """Lines of a table over all sets of `KINDS`."""
    detector = Detector.from_pretrained(preset)
    lines = ["| set | photos | by deviations (95 %) | by raw cosine (95 %) | chance |", "|---|---|---|---|---|"]
    for name, kinds in KINDS.items():
        photos = Photos(data / name, share)
        named = _named(detector, photos, kinds)
        cells = [_share([each.deviations for each in named]), _share([each.cosine for each in named])]
        chance = np.mean([each.chance for each in named])
        lines.append(f"| {photos.name} | {len(named)} | {cells[0]} | {cells[1]} | {chance:.3f} |")
        for kind in kinds:
            own = [each for each in named if each.kind == kind]
            right = (f"{np.mean([getattr(each, way) for each in own]):.2f}" for way in ("deviations", "cosine"))
            lines.append(f"| {photos.name}: {kind} | {len(own)} | {' | '.join(right)} | {own[0].chance:.3f} |")
    return lines


def _named(detector: Detector, photos: Photos, kinds: dict[str, tuple[str, ...]]) -> list[Named]:
    file = Store.open().load(WORDS.get(photos.name, photos.name))
    families = {entry.id: entry.family or "" for entry in file.anomalies}
    prompts = detector.prompts(file)
    ids = [each[0] for each in prompts.anomalies]
    cosines = {}
    for path in photos.paths + photos.pool[:20]:
        picture = detector.predictor.load(path)
        prediction = detector.predictor.predict([picture], [Ask(prompts, detail=True)])[0][0]
        assert prediction.phrases is not None
        cosines[path] = prediction.phrases.numpy()
    good = _good(photos, cosines)
    named = []
    for path, kind, mask in zip(photos.paths, photos.kinds, photos.masks, strict=True):
        if kind == "good" or not mask.any():
            continue
        region = _region(mask, len(cosines[path]))
        order = name_defect(cosines[path], region, good)
        highest = max(order, key=lambda each: each.similarity)
        right = [families[each] in kinds[kind] for each in ids]
        named.append(Named(kind, right[order[0].phrase], right[highest.phrase], float(np.mean(right))))
    return named


def _good(photos: Photos, cosines: dict[Path, NDArray[np.floating]]) -> PhraseScale:
    """What phrases say of good patches: of good training photos, or where there are none, outside of all masks."""
    if photos.pool:
        return phrase_scale(np.stack([cosines[path] for path in photos.pool[:20]]))
    outside = [
        cosines[path][~_region(mask, len(cosines[path]))] for path, mask in zip(photos.paths, photos.masks, strict=True)
    ]
    return phrase_scale(np.concatenate(outside)[None])


def _region(mask: NDArray[np.bool_], patches: int) -> NDArray[np.bool_]:
    """Patches that the mask covers by half, at least the one it covers most."""
    side = round(patches**0.5)
    covered = on_grid(mask.astype(np.float32), (side, side))
    region: NDArray[np.bool_] = covered >= min(0.5, float(covered.max()))
    return region


def _share(right: list[bool]) -> str:
    """With its bootstrap interval over photos."""
    drawn = np.random.default_rng(0).choice(np.array(right, float), (1000, len(right))).mean(1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{np.mean(right):.3f} ({low:.2f}-{high:.2f})"


def families(name: str) -> Counter[str]:
    """Which families the library has for a set, to write `KINDS` with."""
    return Counter(entry.family or "" for entry in Store.open().load(WORDS.get(name, name)).anomalies)
