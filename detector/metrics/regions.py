"""Connected regions of a mask and the weight each pixel has in the per-region overlap (PRO)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

EIGHT_CONNECTED = np.ones((3, 3), dtype=np.int8)
"""Pixels that touch at a corner belong to one region, as in the evaluation code of MVTec AD."""


class RegionWeights(NamedTuple):
    """What the defect pixels of one mask, in row-major order, add to the per-region overlap."""

    weights: Float[np.ndarray, " positives"]
    """One over the area of the pixel's region: the weights of a region sum to one."""
    regions: int
    """Number of regions in the mask."""


def region_weights(mask: Bool[np.ndarray, "height width"]) -> RegionWeights:
    """Weigh every defect pixel by one over the area of its 8-connected region.

    With these weights the mean overlap over all regions is a weighted count of detected pixels, so it needs no loop
    over regions and thresholds.
    """
    labels, regions = ndimage.label(mask, structure=EIGHT_CONNECTED)
    inside = labels[mask]
    areas = np.bincount(inside, minlength=regions + 1)
    return RegionWeights(1.0 / areas[inside], int(regions))
