"""Finds every file of a data set that would spoil a run, before the run."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from detector.data.masks import read_mask, shrunk
from detector.data.sample import DataSet, Sample
from detector.images import ImageError, load_image
from detector.presets import preset_config

SMALLEST = 8
"""Side in pixels below which a picture cannot show anything."""


class Problem(NamedTuple):
    """One thing wrong with one file."""

    path: str
    message: str
    severe: bool = True
    """False for what costs information but breaks nothing, such as a missing mask."""


def check(data: DataSet) -> Iterator[Problem]:
    """Open every image and mask of `data` and say what is wrong, file by file."""
    seen: dict[str, Sample] = {}
    side = preset_config().image_size
    for line in data.problems:
        path, _, message = line.rpartition(": ")
        yield Problem(path, message)
    for sample in data.samples:
        yield from _check_sample(sample, side)
        try:
            digest = hashlib.sha256(sample.image.read_bytes()).hexdigest()
        except OSError:  # named above
            continue
        first = seen.setdefault(digest, sample)
        if first is not sample:
            contradicts = first.defective != sample.defective
            kind = "the same picture with the other label" if contradicts else "the same picture"
            yield Problem(
                str(sample.image), f"{kind} as {first.image}", severe=contradicts or first.split != sample.split
            )


def _check_sample(sample: Sample, side: int) -> Iterator[Problem]:
    try:
        size = load_image(sample.image).size
    except ImageError as error:
        yield Problem(str(sample.image), _bare(error, sample.image))
        return
    if min(size) < SMALLEST:
        yield Problem(str(sample.image), f"only {size[0]}x{size[1]} pixels")
    if sample.defective and sample.mask is None:
        yield Problem(str(sample.image), "no mask: counts in image metrics only", severe=False)
    if sample.mask is None:
        return
    try:
        mask = read_mask(sample.mask, size)
    except ImageError as error:
        yield Problem(str(sample.mask), _bare(error, sample.mask))
        return
    if not mask.any():
        yield Problem(str(sample.mask), "the mask is empty, the image is labelled as defective")
    elif mask.all():
        yield Problem(str(sample.mask), "the mask covers the whole image", severe=False)
    elif not shrunk(mask, side).any():
        lost = f"the defect is too thin to be seen at {side}x{side} pixels, where the default model looks"
        yield Problem(str(sample.mask), lost, severe=False)


def _bare(error: ImageError, path: Path) -> str:
    """The message without the path it starts with."""
    return str(error).removeprefix(f"{path} ")
