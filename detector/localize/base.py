"""The seam every localizer fills."""

from collections.abc import Sequence
from typing import Protocol

from PIL import Image

from detector.localize.boxes import NOWHERE, Localisation


class Localizer(Protocol):
    """Says roughly where in an image the described anomalies may be."""

    @property
    def fingerprint(self) -> str:
        """Names everything but image and words that decides the answer: weights, thresholds, rules."""
        ...

    def locate(self, images: Sequence[Image.Image], descriptions: Sequence[str]) -> list[Localisation]:
        """One answer per image, in order.

        Args:
            images: RGB, any size.
            descriptions: enabled texts of the category, the same for all images.
        """
        ...


class NoLocalizer:
    """Looks nowhere; the text is then averaged over all nine regions."""

    fingerprint = "none"

    def locate(self, images: Sequence[Image.Image], descriptions: Sequence[str]) -> list[Localisation]:
        """`NOWHERE` for every image."""
        del descriptions
        return [NOWHERE] * len(images)
