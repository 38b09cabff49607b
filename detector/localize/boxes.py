"""Boxes in unit coordinates, and what a localizer says about one image."""

from collections.abc import Iterable
from typing import NamedTuple

from detector.localize.regions import Region


class Box(NamedTuple):
    """A rectangle in unit coordinates: (0, 0) is the top left corner of the image, (1, 1) the bottom right one.

    A box may reach past the border, as detectors return it; `clipped` gives the visible part.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    phrase: str = ""
    """The words that fired."""
    score: float = 0.0
    """Confidence in [0, 1]."""

    @property
    def center(self) -> tuple[float, float]:
        """Middle of the box, (x, y)."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    @property
    def area(self) -> float:
        """Share of the image that the box covers, 0 for an empty box."""
        return max(self.x1 - self.x0, 0.0) * max(self.y1 - self.y0, 0.0)

    def clipped(self) -> "Box":
        """The part inside the image."""
        x0, y0, x1, y1 = (min(max(value, 0.0), 1.0) for value in self[:4])
        return self._replace(x0=x0, y0=y0, x1=x1, y1=y1)

    @classmethod
    def at(cls, corners: Iterable[float], phrase: str = "", score: float = 0.0) -> "Box":
        """From x0, y0, x1, y1."""
        x0, y0, x1, y1 = map(float, corners)
        return cls(x0, y0, x1, y1, phrase, score)

    @classmethod
    def from_center(cls, x: float, y: float, width: float, height: float) -> "Box":
        """From the DETR form: center, width and height."""
        return cls(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


class Localisation(NamedTuple):
    """What a localizer found in one image."""

    boxes: tuple[Box, ...] = ()
    """Best first."""
    region: Region | None = None
    """Region of the best box, whose name goes into the text; None averages the text over all nine regions."""


NOWHERE = Localisation()
"""No box and no region: what the localizer `none` says of every image."""
