"""Positions in words: the nine regions of a photo, and of a box within it."""

from detector.localize.boxes import Box
from detector.localize.regions import REGIONS, Region, region_at

_WORDS: dict[Region, str] = {
    "top left": "upper left",
    "top": "top",
    "top right": "upper right",
    "left": "left side",
    "center": "middle",
    "right": "right side",
    "bottom left": "lower left",
    "bottom": "bottom",
    "bottom right": "lower right",
}


def region_within(box: Box, frame: Box) -> Region:
    """The region of a frame that the middle of a box lies in.

    Args:
        box: in units of the photo.
        frame: such as the product's own box, in the same units; a box beside it belongs to its nearest region.
    """
    x, y = box.center
    width, height = max(frame.x1 - frame.x0, 1e-9), max(frame.y1 - frame.y0, 1e-9)
    return region_at((x - frame.x0) / width, (y - frame.y0) / height)


def in_words(region: Region, name: str) -> str:
    """Such as `upper left of the capsule`."""
    return f"{_WORDS[region]} of the {name}"


def side_of(region: Region) -> tuple[int, int]:
    """Column and row of a region, each 0 to 2."""
    row, column = divmod(REGIONS.index(region), 3)
    return column, row
