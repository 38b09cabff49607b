"""The nine regions of an image, whose names stand in the abnormal prompts (paper, section 3.3)."""

import math
from typing import Literal, get_args

Region = Literal["top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right"]

REGIONS: tuple[Region, ...] = get_args(Region)
"""Row by row; a prompt's row is `state * 9 + REGIONS.index(region)`."""

RELEASED_SIZE = 518
"""Side in pixels of the square that the released tables are written for."""

_RELEASED_BANDS = ((0, 172), (173, 344), (345, 517))


def region_at(x: float, y: float) -> Region:
    """The region of a point in unit coordinates; points outside belong to the nearest border region.

    The regions tile the image without gaps or overlap: a third belongs to the region right of it.
    """
    return REGIONS[3 * _third(y) + _third(x)]


def _third(value: float) -> int:
    return min(max(math.floor(value * 3), 0), 2)


def released_region_at(x: float, y: float) -> Region | None:
    """The region of a point in pixels of a 518 square, by the released table.

    The table has integer gaps (172 < x < 173) and ends at 517; a point there has no region, and the released model
    then averages over all nine.
    """
    column, row = _released_band(x), _released_band(y)
    return None if column is None or row is None else REGIONS[3 * row + column]


def _released_band(value: float) -> int | None:
    return next((index for index, (low, high) in enumerate(_RELEASED_BANDS) if low <= value <= high), None)
