"""One image of a data set and what is known about it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

GOOD = "good"
"""Defect name of images without a defect."""

Split = Literal["train", "test"]
Layout = Literal["mvtec", "visa", "dagm", "kolektor", "real-iad", "meta", "folder", "manifest", "marks"]


@dataclass(frozen=True, order=True)
class Sample:
    """An image, its category, and its label."""

    category: str
    """Product, as the folder or the file names it."""
    split: Split
    defect: str
    """`good`, or the kind of defect."""
    image: Path
    mask: Path | None = None
    """Picture that is bright on the defect, or a folder of such; None for good images and where no mask exists."""

    @property
    def defective(self) -> bool:
        """Whether the image shows a defect."""
        return self.defect != GOOD

    @property
    def has_pixel_labels(self) -> bool:
        """Whether every pixel is known to be good or defective."""
        return not self.defective or self.mask is not None


@dataclass(frozen=True)
class DataSet:
    """Samples in a fixed order (category, split, defect, file name), read where they lie."""

    root: Path
    layout: Layout
    samples: tuple[Sample, ...]
    problems: tuple[str, ...] = field(default=())
    """What would make numbers wrong, one line each, with the file or folder it is about."""
    notes: tuple[str, ...] = field(default=())
    """What was left out and harms nothing, one line each."""

    @property
    def categories(self) -> tuple[str, ...]:
        """Categories, sorted."""
        return tuple(sorted({sample.category for sample in self.samples}))

    def select(self, *, category: str | None = None, split: Split | None = None) -> tuple[Sample, ...]:
        """Samples of one category and split; None takes all."""
        return tuple(
            sample for sample in self.samples if category in (None, sample.category) and split in (None, sample.split)
        )

    def defects(self, category: str) -> tuple[str, ...]:
        """Names of the category's kinds of defect, sorted."""
        return tuple(sorted({sample.defect for sample in self.select(category=category) if sample.defective}))
