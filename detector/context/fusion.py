"""Context and words on one scale, and which words name a defect. Pure functions on arrays.

Maps are in deviations from good, so that the same value means the same in every photo of a run.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from scipy import ndimage

from detector.context.calibration import TOP, Scale

CONTEXT_WEIGHT = 2.0
"""Weight of the context beside the words; see `docs/context.md` for what others gave."""
SMOOTHING = 4.0
"""Standard deviation of the blur on a map in pixels of a photo of `SMOOTHING_SIDE` (PatchCore, section 4.1)."""
SMOOTHING_SIDE = 392


class Named(NamedTuple):
    """How unusual one phrase is in a region."""

    phrase: int
    """Its number, as given."""
    deviations: float
    """From what the phrase says of good patches of this product."""
    similarity: float
    """Cosine, as it is."""


class PhraseScale(NamedTuple):
    """What every phrase says of good patches."""

    mean: Float[np.ndarray, " phrases"]
    deviation: Float[np.ndarray, " phrases"]


def fuse(
    words: Float[np.ndarray, "*shape"],
    context: Float[np.ndarray, "*shape"],
    words_scale: Scale,
    context_scale: Scale,
    weight: float = CONTEXT_WEIGHT,
) -> Float[np.ndarray, "*shape"]:
    """One map of words and context, z_words + weight * z_context, in deviations from good.

    The sum of two maps whose noise is not shared is divided by the length of its weights, so that one deviation of the
    result is again about one deviation of a good patch.

    Args:
        words: the model's own map.
        context: distances to references or to other photos, on the same grid.
        words_scale: of the words' map on good photos, or over the set (`set_scale`).
        context_scale: likewise of the distances.
        weight: of the context; 0 leaves the words.
    """
    summed = words_scale.deviations(words) + weight * context_scale.deviations(context)
    return summed / math.hypot(1, weight)


def set_scale(values: Float[np.ndarray, "..."]) -> Scale:
    """Median and scaled absolute deviation: the scale of a set in which most patches are good, nobody says which."""
    middle = float(np.median(values))
    return Scale(middle, max(1.4826 * float(np.median(np.abs(values - middle))), 1e-6))


def on_grid(heat: Float[np.ndarray, "height width"], grid: tuple[int, int]) -> Float[np.ndarray, " patches"]:
    """A map averaged over the cells of a grid of patches, row-major."""
    cells = torch.from_numpy(np.ascontiguousarray(heat))[None, None].float()
    return F.adaptive_avg_pool2d(cells, grid).flatten().numpy()


def on_picture(
    patches: Float[np.ndarray, " patches"], grid: tuple[int, int], size: tuple[int, int], smoothing: float = SMOOTHING
) -> Float[np.ndarray, "height width"]:
    """A map of patches enlarged bilinearly to height and width and blurred, for display and pixel figures.

    Args:
        patches: row-major over the grid.
        grid: rows and columns.
        size: height and width in pixels.
        smoothing: standard deviation in pixels of a map of `SMOOTHING_SIDE`; it scales with the size.
    """
    cells = torch.from_numpy(np.ascontiguousarray(patches)).float().reshape(1, 1, *grid)
    heat = F.interpolate(cells, size, mode="bilinear", align_corners=False)[0, 0].numpy()
    sigma = [smoothing * side / SMOOTHING_SIDE for side in size]
    blurred: Float[np.ndarray, "height width"] = ndimage.gaussian_filter(heat, sigma)
    return blurred


def top_patches(values: Float[np.ndarray, " patches"], share: float = TOP) -> Bool[np.ndarray, " patches"]:
    """The highest share of all patches, at least one: what an image score is made of, and what words are to name."""
    count = max(1, math.ceil(share * values.size))
    region = np.zeros(values.size, bool)
    region[np.argsort(-values, kind="stable")[:count]] = True
    return region


def phrase_scale(similarities: Float[np.ndarray, "photos patches phrases"]) -> PhraseScale:
    """Mean and deviation, over good patches, of the cosine with every phrase."""
    flat = similarities.reshape(-1, similarities.shape[-1]).astype(np.float64)
    return PhraseScale(flat.mean(0), np.maximum(flat.std(0), 1e-6))


def name_defect(
    similarities: Float[np.ndarray, "patches phrases"], region: Bool[np.ndarray, " patches"], good: PhraseScale
) -> list[Named]:
    """All phrases, the one that names a region best first.

    Cosines of all phrases lie within some hundredths of each other, and some phrases are near everything. What counts
    is how far a phrase's mean similarity over the region lies above what it says of good patches of this very product,
    in its own deviations.

    Args:
        similarities: cosine of every patch with every phrase.
        region: the patches to name, at least one.
        good: from good photos, or from the photo's own patches outside of the region.
    """
    near = similarities[region].astype(np.float64).mean(0)
    far = (near - good.mean) / good.deviation
    order = np.argsort(-far, kind="stable")
    return [Named(int(index), float(far[index]), float(near[index])) for index in order]
